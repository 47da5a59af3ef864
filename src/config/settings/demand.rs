//! What a member has to pass: one check, or several of them together (`all`, `any`).

use std::sync::Arc;

use super::Check;

/// What a member has to pass to be live.
#[derive(Debug, Clone, PartialEq)]
pub enum Demand {
    /// This check.
    Check(Arc<Check>),
    /// Everything in here; never empty.
    All(Vec<Self>),
    /// Something in here; never empty.
    Any(Vec<Self>),
}

impl Demand {
    /// The checks in it, in the order of the config; one may be there twice.
    pub fn checks(&self) -> Vec<&Arc<Check>> {
        match self {
            Self::Check(check) => vec![check],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::checks).collect(),
        }
    }

    /// How many levels of `all` and `any` it has.
    pub(in crate::config) fn depth(&self) -> usize {
        match self {
            Self::Check(_) => 0,
            Self::All(parts) | Self::Any(parts) => 1 + parts.iter().map(Self::depth).max().unwrap_or(0),
        }
    }
}
