//! What is said over the control socket, in JSON: requests, and what they came to.

use serde::{Deserialize, Serialize};

use super::status::Mode;
use crate::health::Word;

/// `POST /v1/orders`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// Who, as people name members: an address, a label, a target; `…@pool`.
    pub member: String,
    /// `drain` or `force`.
    pub order: Word,
    /// What for.
    pub reason: String,
    /// For so many seconds; left out: until it is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Whether it is meant so where it leaves a pool nobody who can serve.
    #[serde(default)]
    pub yes: bool,
}

/// `POST /v1/release`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// Who.
    pub member: String,
}

/// `POST /v1/probes`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeRequest {
    /// Who, as in orders, or a pool by its name; left out: everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// The query of `GET /v1/preview`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// Who.
    pub member: String,
    /// `drain` or `force`; left out: what a release would do.
    pub order: Option<Word>,
}

/// What an order or a release did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The members that it is about: pool, type and record.
    pub members: Vec<String>,
    /// What it leaves of their pools.
    pub pools: Vec<Left>,
    /// What is not as it should be all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// What is left of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Its name.
    pub pool: String,
    /// Which of its types.
    pub record_type: String,
    /// Its members.
    pub members: usize,
    /// Those that are live then.
    pub live: usize,
    /// Whether that is enough.
    pub mode: Mode,
    /// Who is answered then, as people call them.
    pub answered: Vec<String>,
    /// Whether the order takes from it what it needs: it is refused without `yes`.
    pub bares: bool,
}

/// What `POST /v1/reload` came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// What changed, a sentence each.
    pub changes: Vec<String>,
    /// What is worth a look, as `onstage check` says it; empty: nothing.
    pub report: String,
}
