//! One HTTP/1.1 request on a connection that the probe opened, and the reply to it.
//!
//! Nothing of a reply is believed before it has ended or its bound is reached. Redirects are replies like others, and
//! no encoding is asked for or taken off: what is read is never more than what was sent.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::TooMuch;
use super::{Failure, Target, tls};
use crate::health::Reason;

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
    /// The most of a body that is read.
    most: usize,
    /// What is sent as a body.
    sent: Bytes,
}

/// How a request is carried, by the port that this has where none is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scheme {
    Http = 80,
    Https = 443,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Its first bytes; all of them unless it is `cut`.
    pub(super) body: Vec<u8>,
    pub(super) cut: bool,
}

impl Request {
    /// A GET of a path that is always the same.
    pub(super) fn get(path: &'static str) -> Self {
        Self {
            method: Method::GET,
            path: Uri::from_static(path),
            host: None,
            headers: every(),
            most: BODY,
            sent: Bytes::new(),
        }
    }

    /// # Errors
    /// What cannot be sent, and why.
    pub(super) fn new(
        method: &str,
        path: &str,
        host: Option<&str>,
        more: &[(String, String)],
    ) -> Result<Self, String> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|e| format!("`{method}`: {e}"))?;
        if !path.starts_with('/') {
            return Err(format!("`{path}`: a path begins with `/`"));
        }
        let path = path.parse().map_err(|e| format!("`{path}`: {e}"))?;
        let value = |text: &str| HeaderValue::from_str(text).map_err(|e| format!("`{text}`: {e}"));
        let mut headers = every();
        for (name, text) in more {
            headers.insert(header_name(name)?, value(text)?);
        }
        Ok(Self { method, path, host: host.map(value).transpose()?, headers, most: BODY, sent: Bytes::new() })
    }

    /// The same, but so much of a body is read.
    pub(super) fn reading(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The same, with a body.
    pub(super) fn sending(self, body: String) -> Self {
        Self { sent: body.into(), ..self }
    }

    /// The most of a body that is read.
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    /// Sends it to `host`, which may have its own word on that, and reads the reply, as far as it matters.
    pub(super) async fn send<S>(&self, stream: S, host: &str) -> Result<Reply, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let opened = http1::Builder::new().max_buf_size(HEADERS).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.map_err(|e| failure(&e))?;
        let request = self.to(host)?;
        let exchange = pin!(async {
            let response = sender.send_request(request).await.map_err(|e| failure(&e))?;
            read(response, self.most).await
        });
        match futures_util::future::select(exchange, pin!(connection)).await {
            futures_util::future::Either::Left((reply, _)) => reply,
            // The connection may end before its last bytes are taken from it.
            futures_util::future::Either::Right((_, exchange)) => exchange.await,
        }
    }

    fn to(&self, host: &str) -> Result<hyper::Request<Full<Bytes>>, Failure> {
        let impossible = |e: &dyn fmt::Display| Failure::new(Reason::Prober, e);
        let host = match &self.host {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(host).map_err(|e| impossible(&e))?,
        };
        let mut request = hyper::Request::new(Full::new(self.sent.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        request.headers_mut().insert(HOST, host);
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }
}

/// A member as the Host header names it (RFC 9110 §7.2): with the port, unless it is the one that the scheme has anyway (§4.2).
pub(super) fn host(target: &Target, scheme: Scheme) -> String {
    let name = match target.server_name.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"), // RFC 3986 §3.2.2
        Err(_) => target.server_name.clone(),
    };
    match target.addr.port() {
        port if port == scheme as u16 => name,
        port => format!("{name}:{port}"),
    }
}

/// The headers of every request.
fn every() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("onstage/", env!("CARGO_PKG_VERSION"))));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers
}

/// # Errors
/// It is no name of a header.
pub(super) fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|e| format!("`{name}`: {e}"))
}

async fn read(response: Response<Incoming>, most: usize) -> Result<Reply, Failure> {
    let (head, mut body) = response.into_parts();
    let mut reply = Reply { status: head.status, headers: head.headers, body: Vec::new(), cut: false };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| failure(&e))?;
        reply.body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        if reply.body.len() > most {
            reply.body.truncate(most);
            reply.cut = true;
            break;
        }
    }
    Ok(reply)
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

    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// The reply, as far as it fits into a line.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let glimpse = &self.body[..self.body.len().min(GLIMPSE)];
        let more = if self.cut || self.body.len() > GLIMPSE { "…" } else { "" };
        write!(f, "{} `{}`{more}", self.status, String::from_utf8_lossy(glimpse).trim().escape_debug())
    }
}

/// The request line, without the version.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Why there is no reply. An alert that the member sent right after the handshake (TLS 1.3 checks a client's
/// certificate that late) is a failed handshake.
fn failure(e: &hyper::Error) -> Failure {
    match std::error::Error::source(e).and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(io) if is::<rustls::Error>(io) => tls::failure(io),
        Some(io) if is::<TooMuch>(io) || is_nonsense(io) => Failure::new(Reason::BadReply, io),
        Some(io) => Failure::new(Reason::Closed, io),
        None if e.is_parse() => Failure::new(Reason::BadReply, e),
        None => Failure::new(Reason::Closed, "the member closed the connection before its reply had ended"),
    }
}

/// What hyper says of chunks that are none.
fn is_nonsense(io: &io::Error) -> bool {
    matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
}

fn is<E: std::error::Error + 'static>(io: &io::Error) -> bool {
    io.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<E>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_told_unless_the_scheme_does() {
        use Scheme::{Http, Https};
        for (name, port, scheme, told) in [
            ("puppet.example.org", 8140, Https, "puppet.example.org:8140"),
            ("puppet.example.org", 443, Https, "puppet.example.org"),
            ("puppet.example.org", 80, Https, "puppet.example.org:80"),
            ("puppetdb", 8080, Http, "puppetdb:8080"),
            ("puppetdb", 80, Http, "puppetdb"),
            ("puppetdb", 443, Http, "puppetdb:443"),
            ("192.0.2.1", 8140, Https, "192.0.2.1:8140"),
            ("2001:db8::1", 8140, Https, "[2001:db8::1]:8140"),
            ("2001:db8::1", 443, Https, "[2001:db8::1]"),
        ] {
            // The member's own address is dialled, and nobody's name.
            let target = Target { addr: ([192, 0, 2, 9], port).into(), server_name: name.to_owned() };
            assert_eq!(host(&target, scheme), told);
        }
    }

    #[test]
    fn a_host_of_ones_own_is_sent_as_it_is() {
        let header = [("Host".to_owned(), "b.example.org".to_owned())];
        for (own, more, sent) in [
            (None, &[][..], "puppet.example.org:8140"),
            (Some("a.example.org"), &[], "a.example.org"),
            (None, &header, "b.example.org"),
        ] {
            let request = Request::new("GET", "/", own, more).unwrap().to("puppet.example.org:8140").unwrap();
            let hosts = request.headers().get_all(HOST).iter();
            let hosts: Vec<&str> = hosts.map(|host| host.to_str().unwrap()).collect();
            assert_eq!((hosts, request.version()), (vec![sent], hyper::Version::HTTP_11));
        }
    }
}
