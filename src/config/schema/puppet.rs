//! The kinds that know Puppet's services: `puppetserver`, `puppet-load`, `puppet-ca`, `puppetdb`.

use std::num::NonZeroU16;
use std::path::PathBuf;

use documented::{Documented, DocumentedFields};
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::encrypted::{TlsKeys, Verify, encrypted};
use super::port;
use crate::config::values::{PartText, Pause};
use crate::units::Presence;

/// Puppet Server's port.
pub(super) const PUPPET_PORT: NonZeroU16 = port(8140);
/// PuppetDB's ports, over TLS and plain.
const PUPPETDB_PORTS: (NonZeroU16, NonZeroU16) = (port(8081), port(8080));

/// Where Puppet keeps the CA bundle that a node trusts.
pub(super) fn puppet_ca() -> Spanned<PathBuf> {
    Spanned::new(0..0, "/etc/puppetlabs/puppet/ssl/certs/ca.pem".into())
}

encrypted! {
    /// `puppetserver = {…}`
    Puppetserver {
        /// The port, where no SRV record tells it.
        port: NonZeroU16 = PUPPET_PORT,
        /// The service whose status is asked for; a member that does not know `server` is asked for `master`, as agents do.
        service: String = "server".to_owned(),
    }
    ca_file = Some(puppet_ca())
}

encrypted! {
    /// `puppet-load = {…}`: how busy the JRuby instances are. `fall` readings in a row make a member busier, `rise` calmer.
    PuppetLoad {
        /// The port, where no SRV record tells it.
        port: NonZeroU16 = PUPPET_PORT,
        /// A member is busy where no instance is free and the first in line has waited for so long.
        busy: Pause = Pause::from_millis(2000),
        /// It is saturated where that one has waited for so long, or where requests were sent away.
        saturated: Spanned<Pause> = Spanned::new(0..0, Pause::from_millis(20_000)),
        /// How much of its part a busy member gets.
        busy_share: PartText = PartText(Presence::percent(50).unwrap_or(Presence::FULL)),
    }
    ca_file = Some(puppet_ca())
}

encrypted! {
    /// `puppet-ca = {…}`. `ca-file` is also what the member may hand out as the site's CA.
    PuppetCa {
        /// The port, where no SRV record tells it.
        port: NonZeroU16 = PUPPET_PORT,
        /// `ca`: the member must be a CA; `any`: it may be none, but what it hands out must be the site's.
        role: CaRole = CaRole::Ca,
    }
    ca_file = Some(puppet_ca())
}

/// What a member of a pool may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum CaRole {
    /// A CA.
    Ca,
    /// A CA, or a compile master that leaves this to others.
    Any,
}

encrypted! {
    /// `puppetdb = {…}`
    Puppetdb {
        /// The port, where no SRV record tells it; left out: 8081, with `plain` 8080.
        port: Option<NonZeroU16> = None,
        /// HTTP without TLS.
        plain: bool = false,
    }
    ca_file = Some(puppet_ca())
}

impl Puppetdb {
    /// All that is usual, with the port that follows from the rest.
    pub(in crate::config) fn usual() -> Self {
        let usual = Self::default();
        Self { port: Some(usual.port()), ..usual }
    }

    /// The port that it listens on.
    pub(in crate::config) fn port(&self) -> NonZeroU16 {
        let (encrypted, plain) = PUPPETDB_PORTS;
        self.port.unwrap_or(if self.plain { plain } else { encrypted })
    }
}
