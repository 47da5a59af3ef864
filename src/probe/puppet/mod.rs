//! What Puppet's services say of themselves, and what is made of it.
//!
//! | service | asked for | passes with |
//! |---|---|---|
//! | Puppet Server, from 2.6 on | `/status/v1/simple/SERVICE` | 200 `running` |
//! | its CA | `/status/v1/simple/ca`, `/puppet-ca/v1/certificate/ca` | the same; the site's CA |
//! | `PuppetDB`, from 4.0 on | `/status/v1/services/puppetdb-status` | `running`, databases up, no maintenance |
//!
//! Masters of Puppet 3 are asked as any HTTP server (`expect.rs`), with defaults that fit them.

mod authority;
mod database;
mod server;

use super::Failure;
use super::expect::unexpected;
use super::http::Reply;
use crate::health::{Reason, Verdict};
use hyper::StatusCode;

pub(super) use authority::Authority;
pub(super) use database::Database;
pub(super) use server::Server;

/// A reply of `/status/v1/simple`: its words say more than its status code, where it is one of them.
fn judge_simple(reply: &Reply) -> Result<(), Failure> {
    let text = reply.text();
    judge_state(text.trim())?;
    match text.trim() {
        _ if reply.status != StatusCode::OK => Err(unexpected(reply)),
        "running" if !reply.cut => Ok(()),
        _ => Err(Failure::new(Reason::HttpBody, reply)),
    }
}

/// The words of Puppet's status endpoints for what is not running; others are no news.
fn judge_state(word: &str) -> Result<(), Failure> {
    let verdict = match word {
        "starting" | "stopping" => Verdict::Leaving(Reason::ServiceState),
        "error" | "unknown" => Verdict::Fail(Reason::ServiceState),
        _ => return Ok(()),
    };
    Err(Failure { verdict, detail: format!("the service says `{word}`") })
}
