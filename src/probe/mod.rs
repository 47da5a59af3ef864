//! The edge towards members: one probe, step by step, and when the next one is due.
//!
//! A probe meets a member as a client would: it dials the member's address, verifies the certificate against the
//! site's CA and the name that clients use, asks, and reads a bounded reply, all under one deadline. Each question
//! has a connection of its own, which is closed after it. Why this is not left to an HTTP client library is told in
//! `docs/design/probes.md`.
//!
//! ```text
//!  connect ──▶ tls ──▶ reply ──▶ verdict
//!     │         │        │
//!     │         │        └ reply-timeout, closed, bad-reply, unavailable, forbidden, http-status, http-header, http-body,
//!     │         │          service-state, maintenance, database-down, wrong-role, wrong-ca, tls-alert, login, overloaded,
//!     │         │          database-error
//!     │         └ tls-timeout, tls-handshake, tls-alert, tls-untrusted, tls-wrong-name, tls-expired
//!     └ connect-timeout, refused, unreachable, prober
//!
//!  exec ──▶ verdict
//!     └ exec-status, reply-timeout, prober
//! ```

mod bell;
mod catalog;
mod chains;
mod exec;
mod expect;
pub mod guard;
mod hold;
mod http;
mod known;
mod load;
mod postgres;
mod prober;
mod puppet;
mod question;
mod rehearsal;
mod round;
pub mod schedule;
pub mod stub;
mod tls;
mod tripwire;
mod turns;
mod validity;
mod verify;
mod wire;

use std::fmt;
use std::time::Duration;

use crate::health::{Reason, Told, Verdict};

pub use hold::{Held, hold};
pub use prober::{Prober, Target, Unusable, run};
pub use rehearsal::{ask_each, rehearse};

/// What a probe found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// More about it, for people: a half sentence without a full stop; empty on a pass.
    pub detail: String,
    /// What the member told besides.
    pub told: Told,
    /// What was done, in its order.
    pub steps: Vec<Step>,
    /// How long all of it took.
    pub latency: Duration,
}

/// One step of a probe.
#[derive(Debug, Clone)]
pub struct Step {
    /// connect, tls, login or reply; or exec alone.
    pub name: &'static str,
    /// What was seen.
    pub seen: String,
    /// How long it took.
    pub took: Duration,
}

/// Why a step ended the probe.
#[derive(Debug)]
struct Failure {
    verdict: Verdict,
    detail: String,
}

impl Failure {
    fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        Self { verdict: Verdict::Fail(reason), detail: detail.to_string() }
    }
}

/// The beginning of what a member said, for people: on one line, without control characters, and short as it is shown.
fn glimpse(said: &[u8]) -> String {
    const MOST: usize = 160;
    let text = String::from_utf8_lossy(&said[..said.len().min(MOST)]);
    let mut shown = String::new();
    for character in text.trim().chars() {
        let escaped = character.escape_debug();
        if shown.len() + escaped.len() > MOST {
            return shown + "…";
        }
        shown.extend(escaped);
    }
    if said.len() > MOST { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glimpse_is_short_whatever_was_said() {
        for (said, shown) in [
            (&b" running\n"[..], "running".to_owned()),
            (b"a\x1b[2J\r\nb", r"a\u{1b}[2J\r\nb".to_owned()),
            (&[b'x'; 161], "x".repeat(160) + "…"),
            (&[1; 160], r"\u{1}".repeat(32) + "…"),
        ] {
            assert_eq!(glimpse(said), shown);
        }
        assert!(glimpse(&[0xff; 1000]).len() < 600);
    }
}
