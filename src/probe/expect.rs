//! What the reply to one request must be: the checks `http`, `https` and `puppet3`.

use hyper::StatusCode;
use hyper::header::HeaderName;
use serde_json::Value;

use super::Failure;
use super::http::{Reply, header_name};
use crate::config::{Body, HttpCheck};
use crate::health::Reason;

/// What a reply must be.
#[derive(Debug)]
pub(super) struct Expectation {
    status: Vec<(u16, u16)>,
    headers: Vec<(HeaderName, String)>,
    body: Option<Body>,
}

impl Expectation {
    /// # Errors
    /// What can never be there, and why.
    pub(super) fn new(check: &HttpCheck) -> Result<Self, String> {
        let headers = check.expect_headers.iter();
        let headers = headers.map(|(name, text)| Ok((header_name(name)?, text.clone())));
        let headers = headers.collect::<Result<_, String>>()?;
        Ok(Self { status: check.status.clone(), headers, body: check.body.clone() })
    }

    pub(super) fn judge(&self, reply: &Reply) -> Result<(), Failure> {
        let status = reply.status.as_u16();
        if !self.status.iter().any(|&(from, to)| (from..=to).contains(&status)) {
            return Err(unexpected(reply));
        }
        if let Some((name, text)) = self.headers.iter().find(|(name, text)| !has(reply, name, text)) {
            let detail = format!("no header `{name}` with `{text}` in {reply}");
            return Err(Failure::new(Reason::HttpHeader, detail));
        }
        if self.fits(reply) { Ok(()) } else { Err(Failure::new(Reason::HttpBody, reply)) }
    }

    fn fits(&self, reply: &Reply) -> bool {
        match &self.body {
            None => true,
            Some(Body::Is(wanted)) => !reply.cut && reply.text().trim() == wanted.trim(),
            Some(Body::Contains(wanted)) => reply.text().contains(wanted.as_str()),
            Some(Body::Alive) => {
                let said: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                reply.status != StatusCode::OK || said["is_alive"] == true
            }
        }
    }
}

fn has(reply: &Reply, name: &HeaderName, text: &str) -> bool {
    let contains = |value: &[u8]| String::from_utf8_lossy(value).contains(text);
    reply.headers.get_all(name).iter().any(|value| contains(value.as_bytes()))
}

/// A reply with a status code that is not accepted.
pub(super) fn unexpected(reply: &Reply) -> Failure {
    let reason = match reply.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Reason::Forbidden,
        StatusCode::SERVICE_UNAVAILABLE => Reason::Unavailable,
        _ => Reason::HttpStatus,
    };
    Failure::new(reason, reply)
}
