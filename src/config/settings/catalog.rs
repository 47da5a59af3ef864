//! The check that asks a master for what agents come for.

use std::num::NonZeroU16;

use serde_json::{Map, Value};

use super::{Located, Trust};

/// Settings of a `puppet-catalog` check.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogCheck {
    /// Where the member's record does not tell the port.
    pub port: NonZeroU16,
    /// How the certificate is judged, and whose is shown.
    pub trust: Trust,
    /// The node whose catalog is asked for: whose certificate is shown.
    pub certname: Located<String>,
    /// The environment that it is in, unless the site says otherwise.
    pub environment: String,
    /// What it says of itself.
    pub facts: Map<String, Value>,
    /// What tells the version of the code.
    pub version_from: VersionFrom,
    /// Only what stands after the last of these is the version; `None`: all of it.
    pub version_after: Option<String>,
}

/// What of a catalog tells the version of the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionFrom {
    /// `code_id`, or else `version` where the site sets it.
    Any,
    /// `code_id`: what the site's `code-id-command` says.
    CodeId,
    /// `version`: what the environment's `config_version` says.
    ConfigVersion,
    /// Nothing: members are not compared.
    Nothing,
}
