//! DNS over HTTPS, whatever version of HTTP carries it: what is a query, and what is said to all else.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 8484 §4.1 | GET with `?dns=`, POST | whole |
//! | 8484 §4.2.1 | what is no query has a status of its own; every reply has 200 | whole |
//! | 8484 §5.1 | replies are not kept longer than their TTL | never kept: the next one may be another |
//! | 8484 §5.2 | HTTP/2 or later | `http2.rs`, `http3.rs`; HTTP/1.1 is not served |

use std::error::Error;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::timeout;

use super::desk::Desk;

/// The path of DNS over HTTPS: the one of RFC 8484's examples, and of everybody.
const PATH: &str = "/dns-query";
/// The media type of queries and replies.
const DNS_MESSAGE: &str = "application/dns-message";
/// The most bytes of headers: a query in a path is hardly longer than 700.
pub(super) const HEADERS: u32 = 16 * 1024;

/// The most bytes of a query: a question has 259 at most, and padding fills it up to a multiple of 128 (RFC 8467 §4.1). A
/// connection may send many at once, so that each byte more would be a hundred.
const LONGEST: usize = 4096;

/// The query of a request, whose body has come within `patience`; the status of a request without one.
pub(super) async fn query<B>(request: Request<B>, patience: Duration) -> Result<Bytes, StatusCode>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if request.uri().path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    match *request.method() {
        Method::GET => in_uri(request.uri().query().unwrap_or_default()).ok_or(StatusCode::BAD_REQUEST),
        Method::POST if !request.headers().get(CONTENT_TYPE).is_some_and(is_dns_message) => {
            Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        }
        Method::POST => {
            let body = Limited::new(request.into_body(), LONGEST).collect();
            match timeout(patience, body).await {
                Ok(Ok(body)) => Ok(body.to_bytes()),
                Ok(Err(e)) if e.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
                Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
                Err(_elapsed) => Err(StatusCode::REQUEST_TIMEOUT),
            }
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// In any case (RFC 9110 §8.3.1).
fn is_dns_message(kind: &HeaderValue) -> bool {
    kind.as_bytes().eq_ignore_ascii_case(DNS_MESSAGE.as_bytes())
}

/// What is said to what [`query`] found.
pub(super) fn respond(desk: &Desk, query: Result<Bytes, StatusCode>) -> Response<Bytes> {
    let query = match query {
        Ok(query) => query,
        Err(status) => return refuse(status),
    };
    let framed = desk.answer(&query);
    if framed.is_empty() {
        return refuse(StatusCode::BAD_REQUEST);
    }
    let mut response = Response::new(Bytes::from(framed).split_off(2)); // without its length
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(DNS_MESSAGE));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The query in `dns=…`, base64url without padding (RFC 8484 §6).
fn in_uri(parameters: &str) -> Option<Bytes> {
    let text = parameters.split('&').find_map(|parameter| parameter.strip_prefix("dns="))?;
    BASE64URL_NOPAD.decode(text.as_bytes()).ok().map(Bytes::from)
}

fn refuse(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
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
