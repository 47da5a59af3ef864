//! `[check.NAME]`: how members are probed.

use std::num::{NonZeroU16, NonZeroU32};

use documented::{Documented, DocumentedFields};
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::catalog::PuppetCatalog;
use super::http::{Http, Https, Puppet3, Tls};
use super::pacing::{Pacing, Written};
use super::puppet::{PuppetCa, PuppetLoad, Puppetdb, Puppetserver};
use super::{Exec, Postgres};
use crate::config::values::Pause;

/// `[check.NAME]`. A check named after a kind needs no table of that kind, unless the kind has keys without defaults.
#[derive(Debug, Default, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case", default)]
pub(in crate::config) struct Check {
    /// From one probe to the next; left out, as the next four: as is usual for the kind.
    pub(in crate::config) interval: Option<Spanned<Pause>>,
    /// For the whole probe: connect, TLS, reply.
    pub(in crate::config) timeout: Option<Spanned<Pause>>,
    /// An unexpected verdict is asked again this soon; an overdue one is asked again beside the first.
    pub(in crate::config) recheck: Option<Spanned<Pause>>,
    /// Fails in a row until down.
    pub(in crate::config) fall: Option<Spanned<NonZeroU32>>,
    /// Passes in a row until up.
    pub(in crate::config) rise: Option<Spanned<NonZeroU32>>,
    /// Whether an idle connection is held to each member, whose loss is a reason to probe.
    pub(in crate::config) tripwire: Option<Spanned<bool>>,
    /// The kind: HTTPS, `/status/v1/simple/SERVICE`, which must say `running`.
    pub(in crate::config) puppetserver: Option<Spanned<Puppetserver>>,
    /// The kind: what Puppet Server says of its JRuby instances.
    pub(in crate::config) puppet_load: Option<Spanned<PuppetLoad>>,
    /// The kind: whether Puppet Server compiles a catalog, and from which code.
    pub(in crate::config) puppet_catalog: Option<Spanned<PuppetCatalog>>,
    /// The kind: HTTPS, the CA service must say `running`, and hand out the site's CA.
    pub(in crate::config) puppet_ca: Option<Spanned<PuppetCa>>,
    /// The kind: HTTPS or HTTP, the status of `PuppetDB` and of its databases.
    pub(in crate::config) puppetdb: Option<Spanned<Puppetdb>>,
    /// The kind: an HTTPS request that a master of Puppet 3 answers.
    pub(in crate::config) puppet3: Option<Spanned<Puppet3>>,
    /// The kind: a plain HTTP request.
    pub(in crate::config) http: Option<Spanned<Http>>,
    /// The kind: an HTTPS request.
    pub(in crate::config) https: Option<Spanned<Https>>,
    /// The kind: a TLS handshake.
    pub(in crate::config) tls: Option<Spanned<Tls>>,
    /// The kind: a TCP connection.
    pub(in crate::config) tcp: Option<Spanned<TcpConnect>>,
    /// The kind: a session with PostgreSQL.
    pub(in crate::config) postgres: Option<Spanned<Postgres>>,
    /// The kind: a command, as Nagios plug-ins are.
    pub(in crate::config) exec: Option<Spanned<Exec>>,
    /// No kind of its own: every one of these checks, by name.
    pub(in crate::config) all: Option<Spanned<Vec<Spanned<String>>>>,
    /// No kind of its own: at least one of these checks, by name.
    pub(in crate::config) any: Option<Spanned<Vec<Spanned<String>>>>,
}

impl Check {
    /// What it says of its pacing.
    pub(in crate::config) fn written(&self) -> Written {
        Written {
            interval: self.interval.clone(),
            timeout: self.timeout.clone(),
            recheck: self.recheck.clone(),
            fall: self.fall.clone(),
            rise: self.rise.clone(),
            tripwire: self.tripwire.clone(),
        }
    }

    /// Without a kind, all else said.
    pub(in crate::config) fn paced(pacing: Pacing) -> Self {
        let Pacing { interval, timeout, recheck, fall, rise, tripwire } = pacing;
        Self {
            interval: Some(unwritten(interval)),
            timeout: Some(unwritten(timeout)),
            recheck: Some(unwritten(recheck)),
            fall: Some(unwritten(fall)),
            rise: Some(unwritten(rise)),
            tripwire: Some(unwritten(tripwire)),
            ..Self::default()
        }
    }
}

/// A default: it stands nowhere in the file.
fn unwritten<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

/// `tcp = {…}`
#[derive(Debug, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct TcpConnect {
    /// The port, where no SRV record tells it.
    pub(in crate::config) port: NonZeroU16,
}
