//! `[check.NAME]`: how members are probed.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};

use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::http::{Http, Https, Puppet3, Tls};
use super::puppet::{PuppetCa, Puppetdb, Puppetserver};
use crate::config::settings::Kind;
use crate::config::values::Pause;

/// `[check.NAME]`. A check named after a kind needs no table of that kind, unless the kind has keys without defaults.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(in crate::config) struct Check {
    /// From one probe to the next.
    pub(in crate::config) interval: Pause,
    /// For the whole probe: connect, TLS, reply; left out: 2 s, for `puppetdb` 5 s.
    pub(in crate::config) timeout: Option<Pause>,
    /// An unexpected verdict is asked again this soon; an overdue one is asked again beside the first.
    pub(in crate::config) recheck: Pause,
    /// Fails in a row until down.
    pub(in crate::config) fall: NonZeroU32,
    /// Passes in a row until up.
    pub(in crate::config) rise: NonZeroU32,
    /// The kind: HTTPS, `/status/v1/simple/SERVICE`, which must say `running`.
    pub(in crate::config) puppetserver: Option<Spanned<Puppetserver>>,
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
}

impl Default for Check {
    fn default() -> Self {
        Self {
            interval: Pause::from_millis(2000),
            timeout: None,
            recheck: Pause::from_millis(500),
            fall: NonZeroU32::MIN.saturating_add(1),
            rise: NonZeroU32::MIN.saturating_add(1),
            puppetserver: None,
            puppet_ca: None,
            puppetdb: None,
            puppet3: None,
            http: None,
            https: None,
            tls: None,
            tcp: None,
        }
    }
}

/// The time that a probe has.
const TIMEOUT: Pause = Pause::from_millis(2000);
/// `PuppetDB` takes 2 s to say that its database does not answer, which must not look like a `PuppetDB` that hangs.
const PUPPETDB_TIMEOUT: Pause = Pause::from_millis(5000);

impl Check {
    /// The time of a probe of this kind, where the check does not say it.
    pub(in crate::config) fn usual_timeout(kind: &Kind) -> Pause {
        match kind {
            Kind::Puppetdb(_) => PUPPETDB_TIMEOUT,
            _ => TIMEOUT,
        }
    }

    /// One of each kind that has a default for every key, with all of them.
    pub(in crate::config) fn in_full() -> BTreeMap<&'static str, Self> {
        fn whole<K: Default>() -> Spanned<K> {
            Spanned::new(0..0, K::default())
        }
        let usual = || Self { timeout: Some(TIMEOUT), ..Self::default() };
        let puppetdb = Puppetdb { port: Some(Puppetdb::default().port()), ..Puppetdb::default() };
        let puppetdb = Self { puppetdb: Some(Spanned::new(0..0, puppetdb)), ..usual() };
        BTreeMap::from([
            ("puppetserver", Self { puppetserver: Some(whole()), ..usual() }),
            ("puppet-ca", Self { puppet_ca: Some(whole()), ..usual() }),
            ("puppetdb", Self { timeout: Some(PUPPETDB_TIMEOUT), ..puppetdb }),
            ("puppet3", Self { puppet3: Some(whole()), ..usual() }),
            ("http", Self { http: Some(whole()), ..usual() }),
        ])
    }
}

/// `tcp = {…}`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct TcpConnect {
    /// The port, where no SRV record tells it.
    pub(in crate::config) port: NonZeroU16,
}
