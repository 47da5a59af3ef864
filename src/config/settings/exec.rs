//! An `exec` check as the rest of the program sees it.

use std::num::NonZeroU16;
use std::path::PathBuf;

use super::Located;

/// Settings of an `exec` check.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecCheck {
    /// The program.
    pub program: Located<PathBuf>,
    /// Its arguments, with `{address}`, `{port}` and `{name}` for what differs from one member to the next.
    pub arguments: Vec<String>,
    /// Where the member's record does not tell the port; `None`: the command is told none.
    pub port: Option<NonZeroU16>,
    /// What exit status 1 means.
    pub warning: Warning,
}

/// What a plug-in's WARNING means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// The member passes.
    Pass,
    /// It fails.
    Fail,
}
