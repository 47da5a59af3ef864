//! How much a verdict says about the way to the member, whatever it says about the member.

use super::{Reason, Verdict};

/// How much a verdict says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It did not end: the fault may be anywhere on the way, or here.
    Silence,
    /// Something came back, good or bad: the way is there.
    Answer,
    /// The member's own word, or its kernel's, that it does not serve.
    Proof,
}

impl Verdict {
    /// How much it says.
    pub const fn evidence(self) -> Evidence {
        match self {
            Self::Fail(Reason::Refused) | Self::Leaving(_) => Evidence::Proof,
            Self::Fail(
                Reason::Unreachable
                | Reason::ConnectTimeout
                | Reason::TlsTimeout
                | Reason::ReplyTimeout
                | Reason::Prober,
            ) => Evidence::Silence,
            Self::Pass | Self::Fail(_) => Evidence::Answer,
        }
    }
}
