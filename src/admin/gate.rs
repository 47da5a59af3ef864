//! Whom the address for reading lets in.
//!
//! - A page from elsewhere can make its own name mean this address, and then read here what its visitor's browser may read
//!   (DNS rebinding). Its requests carry that name: the host has to be an address, `localhost`, or a name of the config.
//! - To steer the server takes the token of the config. It comes in a header that no page from elsewhere can send, and is
//!   compared in a time that does not tell how much of it is right.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use super::{Kind, Refused};
use crate::config::{Admin, Token};
use crate::name::Name;

/// Who may come in.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    /// The names by which browsers may ask.
    pub(super) names: Arc<[Name]>,
    /// What it takes to steer; `None`: nobody may.
    pub(super) token: Option<Arc<Token>>,
}

/// Who may come in now: another config may let others in.
pub(super) type Gates = watch::Receiver<Gate>;

/// Only those that ask by a name that is this server's.
pub(super) async fn by_known_name(State(gate): State<Gates>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if gate.borrow().knows(host) {
        return next.run(request).await;
    }
    let shown: String = host.chars().take(64).collect();
    let sentence =
        format!("this server is not asked as `{}`: `[admin] names` lists its names", shown.escape_debug());
    Refused::new(Kind::WrongHost, sentence).into_response()
}

/// Only those that have the token.
pub(super) async fn with_token(State(gate): State<Gates>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).and_then(|given| bearer(given.as_bytes()));
    let token = gate.borrow().token.clone();
    match (token, given) {
        (Some(token), Some(given)) if token.is(given) => next.run(request).await,
        (None, _) => {
            Refused::new(Kind::NoToken, "this address is for reading: no `[admin] token-file` is configured")
                .into_response()
        }
        _ => Refused::new(Kind::NoToken, "that takes the token of `[admin] token-file`").into_response(),
    }
}

/// What comes behind the scheme, whose case does not count (RFC 9110 §11.1).
fn bearer(given: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = given.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

impl Gate {
    /// As the config has it.
    pub(super) fn of(admin: &Admin, token: Option<&Arc<Token>>) -> Self {
        Self { names: admin.names.clone().into(), token: token.cloned() }
    }

    /// Whether a browser may have asked for this `Host` (RFC 9110 §7.2).
    fn knows(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || Name::parse(name).is_ok_and(|name| self.names.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_else_can_have_are_known() {
        let names = [Name::parse("dns1.example.org").unwrap()].into();
        let gate = Gate { names, token: None };
        for (host, is_known) in [
            ("127.0.0.1:8053", true),
            ("192.0.2.1", true),
            ("[::1]:8053", true),
            ("localhost:8053", true),
            ("LocalHost", true),
            ("DNS1.example.org:8053", true),
            ("dns1.example.org.", true),
            ("dns2.example.org", false),
            ("attacker.example", false),
            ("127.0.0.1.attacker.example", false),
            ("localhost.attacker.example", false),
            ("attacker.example@127.0.0.1", true), // browsers send no such thing, and it is no other host
            ("", false),
            ("[::1", false),
            ("a b", false),
        ] {
            assert_eq!(gate.knows(host), is_known, "{host}");
        }
    }

    #[test]
    fn a_token_is_shown_by_its_scheme_however_that_is_written() {
        for (given, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("BEARER abc", Some("abc")),
            ("Basic abcdef", None),
            ("Bearer", None),
            ("", None),
        ] {
            assert_eq!(bearer(given.as_bytes()), token.map(str::as_bytes), "{given}");
        }
    }
}
