//! Why something is not done: one sentence, and a word that programs can go by.

use std::fmt;

use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::router::json;

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// One sentence for people.
    pub error: String,
    /// What kind of trouble it is.
    pub kind: Kind,
    /// More of it, on several lines: all that is wrong with a config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What was asked makes no sense.
    BadRequest,
    /// The server is not known by the name that it was asked by.
    WrongHost,
    /// It takes a token, which was not shown.
    NoToken,
    /// There is no such member.
    NoSuchMember,
    /// There is no such route.
    NoSuchRoute,
    /// It is a route, and not for this method.
    WrongMethod,
    /// It would leave a pool nobody who can serve, and nobody has said that it is meant so.
    Bares,
    /// There is no order to release.
    NoOrder,
    /// What is on disk makes no sense; nothing has changed.
    BadConfig,
    /// It took too long.
    TooSlow,
    /// The server cannot do that.
    Unable,
    /// The server is stopping.
    Stopping,
}

impl Refused {
    /// Without a report.
    pub fn new(kind: Kind, sentence: impl fmt::Display) -> Self {
        Self { error: sentence.to_string(), kind, report: None }
    }
}

impl Kind {
    const fn code(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::NoSuchMember | Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Bares | Self::NoOrder => StatusCode::CONFLICT,
            Self::BadConfig => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Unable => StatusCode::NOT_IMPLEMENTED,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut reply = (self.kind.code(), json(&self)).into_response();
        if self.kind == Kind::NoToken {
            reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")); // RFC 9110 §15.5.2
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110 §15.5.2.
    #[test]
    fn whoever_lacks_the_token_is_told_how_to_show_one() {
        let reply = Refused::new(Kind::NoToken, "no").into_response();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(reply.headers()[WWW_AUTHENTICATE], "Bearer");
        assert!(!Refused::new(Kind::Bares, "no").into_response().headers().contains_key(WWW_AUTHENTICATE));
    }
}
