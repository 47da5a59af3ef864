//! One HTTP/1.1 request on a connection that the probe opened, and what the reply must be.

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Failure, Target, tls};
use crate::config::{Body, HttpCheck};
use crate::health::{Reason, Verdict};

/// The most of a body that is read, unless said otherwise.
const BODY: usize = 64 * 1024;
/// The most bytes of headers that are read.
const HEADERS: usize = 32 * 1024;
/// How much of an unexpected body is shown.
const GLIMPSE: usize = 80;

/// A request, ready to be sent to any member.
#[derive(Debug)]
pub(super) struct Request {
    method: Method,
    path: Uri,
    host: Option<HeaderValue>,
    headers: HeaderMap,
    status: Vec<(u16, u16)>,
    body: Option<Body>,
    /// The most of a body that is read.
    most: usize,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    /// Its first bytes; all of them unless `cut`.
    body: Vec<u8>,
    cut: bool,
}

impl Request {
    /// # Errors
    /// What cannot be sent, and why.
    pub(super) fn new(check: &HttpCheck) -> Result<Self, String> {
        let method =
            Method::from_bytes(check.method.as_bytes()).map_err(|e| format!("`{}`: {e}", check.method))?;
        let path = check.path.parse().map_err(|e| format!("`{}`: {e}", check.path))?;
        let value = |text: &str| HeaderValue::from_str(text).map_err(|e| format!("`{text}`: {e}"));
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("onstage/", env!("CARGO_PKG_VERSION"))));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        for (name, text) in &check.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| format!("`{name}`: {e}"))?;
            headers.insert(name, value(text)?);
        }
        let host = check.host.as_deref().map(value).transpose()?;
        Ok(Self {
            method,
            path,
            host,
            headers,
            status: check.status.clone(),
            body: check.body.clone(),
            most: BODY,
        })
    }

    /// The same, but so much of a body is read.
    pub(super) fn reading(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Sends it and reads the reply, as far as it matters.
    pub(super) async fn send<S>(&self, stream: S, target: &Target) -> Result<Reply, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let opened = http1::Builder::new().max_buf_size(HEADERS).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.map_err(|e| failure(&e))?;
        let request = self.to(target)?;
        let exchange = pin!(async {
            let response = sender.send_request(request).await.map_err(|e| failure(&e))?;
            self.read(response).await
        });
        match futures_util::future::select(exchange, pin!(connection)).await {
            futures_util::future::Either::Left((reply, _)) => reply,
            // The connection may end before its last bytes are taken from it.
            futures_util::future::Either::Right((_, exchange)) => exchange.await,
        }
    }

    fn to(&self, target: &Target) -> Result<hyper::Request<Empty<Bytes>>, Failure> {
        let impossible = |e: &dyn std::fmt::Display| Failure::new(Reason::Prober, e);
        let host = match &self.host {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(&target.server_name).map_err(|e| impossible(&e))?,
        };
        let mut request = hyper::Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        request.headers_mut().insert(HOST, host);
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Reply, Failure> {
        let mut reply = Reply { status: response.status(), body: Vec::new(), cut: false };
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| failure(&e))?;
            reply.body.extend(frame.data_ref().into_iter().flatten());
            if reply.body.len() > self.most {
                reply.body.truncate(self.most);
                reply.cut = true;
                break;
            }
        }
        Ok(reply)
    }

    /// Whether the reply is what it must be.
    pub(super) fn judge(&self, reply: &Reply) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(&reply.body);
        if matches!(self.body, Some(Body::PuppetState)) {
            says_running(text.trim())?;
        }
        let status = reply.status.as_u16();
        if !self.status.iter().any(|&(from, to)| (from..=to).contains(&status)) {
            return Err(Failure::new(Reason::HttpStatus, reply.describe()));
        }
        let fits = match &self.body {
            None => true,
            Some(Body::Is(wanted)) => !reply.cut && text.trim() == wanted.trim(),
            Some(Body::Contains(wanted)) => text.contains(wanted.as_str()),
            Some(Body::PuppetState) => text.trim() == "running",
        };
        if fits { Ok(()) } else { Err(Failure::new(Reason::HttpBody, reply.describe())) }
    }
}

/// The words of Puppet's status endpoint, whatever its status code; other words are judged by the code.
fn says_running(word: &str) -> Result<(), Failure> {
    let verdict = match word {
        "starting" | "stopping" => Verdict::Leaving(Reason::ServiceState),
        "error" | "unknown" => Verdict::Fail(Reason::ServiceState),
        _ => return Ok(()),
    };
    Err(Failure { verdict, detail: format!("the service says `{word}`") })
}

impl Reply {
    /// Its body, if all of it was read.
    pub(super) fn whole(&self) -> Result<&[u8], Failure> {
        if self.cut {
            let message = format!("its body is longer than {} bytes", self.body.len());
            return Err(Failure::new(Reason::BadReply, message));
        }
        Ok(&self.body)
    }

    pub(super) fn describe(&self) -> String {
        let glimpse = &self.body[..self.body.len().min(GLIMPSE)];
        let more = if self.cut || self.body.len() > GLIMPSE { "…" } else { "" };
        format!("{} `{}`{more}", self.status, String::from_utf8_lossy(glimpse).trim().escape_debug())
    }
}

/// Why there is no reply. An alert that the member sent right after the handshake (TLS 1.3 checks a client's
/// certificate that late) is a failed handshake.
fn failure(e: &hyper::Error) -> Failure {
    let io = std::error::Error::source(e).and_then(|source| source.downcast_ref::<std::io::Error>());
    match io {
        Some(io)
            if io
                .get_ref()
                .is_some_and(<dyn std::error::Error + Send + Sync + 'static>::is::<rustls::Error>) =>
        {
            tls::failure(io)
        }
        Some(io) => Failure::new(Reason::Closed, io),
        None if e.is_parse() => Failure::new(Reason::BadReply, e),
        None => Failure::new(Reason::Closed, "the member closed the connection before its reply had ended"),
    }
}
