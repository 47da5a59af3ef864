//! `exec = {…}`: a command that tells by its exit status.

use std::num::NonZeroU16;

use documented::{Documented, DocumentedFields};
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

/// `exec = {…}`
#[derive(Debug, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct Exec {
    /// The program, a path, and its arguments. In these `{address}`, `{port}` and `{name}` stand for the member's.
    pub(in crate::config) command: Spanned<Vec<Spanned<String>>>,
    /// The port that the command is told, where no SRV record tells it; left out: none.
    pub(in crate::config) port: Option<NonZeroU16>,
    /// What exit status 1 (WARNING) means.
    #[serde(default)]
    pub(in crate::config) warning: Warning,
}

/// `warning`
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Documented, DocumentedFields,
)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Warning {
    /// The member passes.
    #[default]
    Pass,
    /// It fails.
    Fail,
}
