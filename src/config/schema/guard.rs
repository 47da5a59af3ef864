//! `[guard]`: whom onstage asks when it suspects itself, and how many members may leave at once.

use std::net::SocketAddr;

use documented::{Documented, DocumentedFields};
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use crate::config::values::ShareText;
use crate::units::Share;

/// `[guard]`
#[derive(Debug, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case", default)]
pub(in crate::config) struct Guard {
    /// Who answers a TCP connection, be it by refusing it, as long as the network is there: a gateway, the parent's name
    /// server. Empty: onstage never suspects itself.
    pub(in crate::config) addresses: Vec<SocketAddr>,
    /// A count, or `"50%"` of the members that were not silent before: so many, and two at least, fall silent in one
    /// round (an interval and a timeout) before the guards are asked.
    pub(in crate::config) share: ShareText,
    /// A count, or `"50%"`, of all members: at most so many leave in one interval, unless they refuse connections or say
    /// that they are leaving; left out: as many as fail.
    pub(in crate::config) max_leaving: Option<Spanned<ShareText>>,
}

impl Default for Guard {
    fn default() -> Self {
        Self { addresses: Vec::new(), share: ShareText(Share::Percent(50)), max_leaving: None }
    }
}
