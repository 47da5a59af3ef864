//! `[server] dnstap` and `[server] query-log`: who listens in to queries.

use std::num::NonZeroU32;
use std::path::PathBuf;

use documented::{Documented, DocumentedFields};
use serde::{Deserialize, Serialize};

/// `[server] dnstap`
#[derive(Debug, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct Dnstap {
    /// The Unix socket of a collector that takes Frame Streams: onstage connects to it.
    pub(in crate::config) socket: PathBuf,
    /// One of so many queries is sent, with its reply.
    #[serde(default = "every")]
    pub(in crate::config) one_of: NonZeroU32,
}

/// `[server] query-log`
#[derive(Debug, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct QueryLog {
    /// One of so many queries is logged; left out: all are.
    #[serde(default = "every")]
    pub(in crate::config) one_of: NonZeroU32,
}

/// Not left to chance: all of them.
pub(in crate::config) const fn every() -> NonZeroU32 {
    NonZeroU32::MIN
}
