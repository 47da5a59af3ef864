//! The checks that look deeper into a Puppet master than its status does.

use std::num::NonZeroU16;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::encrypted::encrypted;
use super::{PUPPET_CA, PUPPET_PORT};
use crate::config::values::{PartText, Pause};
use crate::units::Presence;

encrypted! {
    /// `puppet-load = {…}`: how busy the JRuby instances are. `fall` readings in a row make a member busier, `rise` calmer.
    #[serde(default)]
    PuppetLoad {
        /// The port, where no SRV record tells it.
        port: NonZeroU16,
        /// A member is busy where no instance is free and the first in line has waited for so long.
        busy: Pause,
        /// It is saturated where that one has waited for so long, or where requests were sent away.
        saturated: Spanned<Pause>,
        /// How much of its part a busy member gets.
        busy_share: PartText,
    }
}

impl Default for PuppetLoad {
    fn default() -> Self {
        Self {
            port: PUPPET_PORT,
            busy: Pause::from_millis(2000),
            saturated: Spanned::new(0..0, Pause::from_millis(20_000)),
            busy_share: PartText(Presence::percent(50).unwrap_or(Presence::FULL)),
            server_name: None,
            ca_file: Spanned::new(0..0, PUPPET_CA.into()),
            client_cert: None,
            client_key: None,
        }
    }
}
