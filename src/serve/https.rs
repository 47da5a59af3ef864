//! DNS over HTTPS with HTTP/2: each request is a query, on connections that are limited as those of TCP are.
//!
//! hickory-server has this as well, without limits of connections, without GET, and refuses clients that accept any
//! media type, as curl does. hyper is here already, for probes.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 8484 §4.1 | GET with `?dns=`, POST | whole |
//! | 8484 §4.2.1 | what is no query has a status of its own; every reply has 200 | whole |
//! | 8484 §5.1 | replies are not kept longer than their TTL | never kept: the next one may be another |
//! | 8484 §5.2 | HTTP/2 | whole; HTTP/3 is hickory-server's, HTTP/1.1 is not served |
//! | 9113 §5.1.2 | streams at once | `STREAMS` for each connection |

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Manner;
use super::tcp::{Client, reply_to};
use crate::answer::{MAX_MESSAGE, Peer};

/// The path of DNS over HTTPS: the one of RFC 8484's examples, and of everybody.
pub(super) const PATH: &str = "/dns-query";
/// The media type of queries and replies.
const DNS_MESSAGE: &str = "application/dns-message";
/// Queries at once on one connection.
const STREAMS: u32 = 100;
/// The most bytes of headers: a query in a path is hardly longer than 700.
const HEADERS: u32 = 16 * 1024;
/// Replies that wait for the client to take them, in bytes, for each stream.
const UNTAKEN: usize = 2 * MAX_MESSAGE;

/// Talks with one client until it leaves, falls silent, or is told to leave. `idle` is meant as in
/// [`tcp::converse`](super::tcp::converse).
pub(super) async fn converse<S>(
    stream: S,
    client: Client,
    manner: Manner,
    idle: Duration,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let leave = client.seat.leave.clone();
    let desk = Arc::new(Desk { client, manner, idle, heard: Notify::new() });
    let service = {
        let desk = Arc::clone(&desk);
        service_fn(move |request| {
            let desk = Arc::clone(&desk);
            async move { Ok::<_, Infallible>(desk.respond(request).await.unwrap_or_else(refuse)) }
        })
    };
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.max_concurrent_streams(STREAMS).max_header_list_size(HEADERS).max_send_buf_size(UNTAKEN);
    let talk = async move {
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        loop {
            tokio::select! {
                _ = connection.as_mut() => return, // however it ended, there is nobody to tell
                () = desk.heard.notified() => {}
                () = sleep(idle) => break,
                () = stop.cancelled() => break,
            }
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(idle, connection).await;
    };
    let _ = leave.run_until_cancelled_owned(talk).await;
}

/// What answers the requests of one connection.
struct Desk {
    client: Client,
    manner: Manner,
    idle: Duration,
    heard: Notify,
}

impl Desk {
    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, StatusCode> {
        let query = self.query(request).await?;
        self.client.seat.heard();
        self.heard.notify_one();
        let Client { addr, via, .. } = self.client;
        let peer = Peer { addr, via, now: (self.manner.clock)() };
        let mut framed = Vec::new();
        reply_to(self.manner.reader.clone().load(), &peer, &query, &mut framed);
        if framed.is_empty() {
            return Err(StatusCode::BAD_REQUEST); // over other transports nothing would be said to it
        }
        let mut response = Response::new(Full::new(Bytes::from(framed).split_off(2))); // without its length
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(DNS_MESSAGE));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    async fn query(&self, request: Request<Incoming>) -> Result<Bytes, StatusCode> {
        if request.uri().path() != PATH {
            return Err(StatusCode::NOT_FOUND);
        }
        match *request.method() {
            Method::GET => in_uri(request.uri().query().unwrap_or_default()).ok_or(StatusCode::BAD_REQUEST),
            Method::POST if request.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != DNS_MESSAGE) => {
                Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Method::POST => {
                let body = Limited::new(request.into_body(), MAX_MESSAGE).collect();
                match timeout(self.idle, body).await {
                    Ok(Ok(body)) => Ok(body.to_bytes()),
                    Ok(Err(e)) if e.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
                    Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
                    Err(_elapsed) => Err(StatusCode::REQUEST_TIMEOUT),
                }
            }
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        }
    }
}

/// The query in `dns=…`, base64url without padding (RFC 8484 §6).
fn in_uri(parameters: &str) -> Option<Bytes> {
    let text = parameters.split('&').find_map(|parameter| parameter.strip_prefix("dns="))?;
    BASE64URL_NOPAD.decode(text.as_bytes()).ok().map(Bytes::from)
}

fn refuse(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_in_a_uri_is_one_parameter() {
        assert_eq!(in_uri("dns=AAEC").unwrap(), [0, 1, 2][..]);
        assert_eq!(in_uri("x=1&dns=-_8").unwrap(), [0xfb, 0xff][..]);
        assert_eq!(in_uri("dns=").unwrap(), [][..]);
        for wrong in ["", "dns", "DNS=AAEC", "dns=AAE=", "dns=+/8", "dns=A", "xdns=AAEC"] {
            assert_eq!(in_uri(wrong), None, "{wrong}");
        }
    }
}
