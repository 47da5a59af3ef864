//! `[check.NAME]`: how members are probed.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::encrypted::encrypted;
use super::pacing::{Pacing, Written};
use super::puppet::PuppetLoad;
use super::{PUPPET_CA, PUPPET_PORT, port};
use crate::config::values::{Method, Pause, StatusRange};

/// `[check.NAME]`. A check named after a kind needs no table of that kind, unless the kind has keys without defaults.
#[derive(Debug, Default, Serialize, Deserialize)]
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
    /// The kind: a plain HTTP request.
    pub(in crate::config) http: Option<Spanned<Http>>,
    /// The kind: an HTTPS request.
    pub(in crate::config) https: Option<Spanned<Https>>,
    /// The kind: a TLS handshake.
    pub(in crate::config) tls: Option<Spanned<Tls>>,
    /// The kind: a TCP connection.
    pub(in crate::config) tcp: Option<Spanned<TcpConnect>>,
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

encrypted! {
    /// `puppetserver = {…}`
    #[serde(default)]
    Puppetserver {
        /// The port, where no SRV record tells it.
        port: NonZeroU16,
        /// The service whose status is asked for.
        service: String,
    }
}

impl Default for Puppetserver {
    fn default() -> Self {
        Self {
            port: PUPPET_PORT,
            service: "server".to_owned(),
            server_name: None,
            ca_file: unwritten(PUPPET_CA.into()),
            client_cert: None,
            client_key: None,
        }
    }
}

/// `http = {…}`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(in crate::config) struct Http {
    /// The port, where no SRV record tells it.
    pub(in crate::config) port: NonZeroU16,
    /// Path and query.
    pub(in crate::config) path: String,
    /// The method.
    pub(in crate::config) method: Method,
    /// The Host header; left out: the server name.
    pub(in crate::config) host: Option<String>,
    /// More headers, sent as they are.
    pub(in crate::config) headers: BTreeMap<String, String>,
    /// Accepted status codes, `"200"` or `"200-299"`.
    pub(in crate::config) status: Vec<StatusRange>,
    /// What the body must be, white space at both ends apart.
    pub(in crate::config) body: Option<String>,
    /// What the body must contain, in its first 64 KiB.
    pub(in crate::config) body_contains: Option<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            port: port(80),
            path: "/".to_owned(),
            method: Method("GET".to_owned()),
            host: None,
            headers: BTreeMap::new(),
            status: vec![StatusRange(200, 299)],
            body: None,
            body_contains: None,
        }
    }
}

encrypted! {
    /// `https = {…}`: as `http`, and how the certificate is judged.
    Https {
        /// As in `http`.
        #[serde(default = "Https::port")]
        port: NonZeroU16,
        /// As in `http`.
        #[serde(default = "Https::path")]
        path: String,
        /// As in `http`.
        #[serde(default = "Https::method")]
        method: Method,
        /// As in `http`.
        host: Option<String>,
        /// As in `http`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// As in `http`.
        #[serde(default = "Https::status")]
        status: Vec<StatusRange>,
        /// As in `http`.
        body: Option<String>,
        /// As in `http`.
        body_contains: Option<String>,
    }
}

impl Https {
    const fn port() -> NonZeroU16 {
        HTTPS_PORT
    }

    fn path() -> String {
        Http::default().path
    }

    fn method() -> Method {
        Http::default().method
    }

    fn status() -> Vec<StatusRange> {
        Http::default().status
    }
}

const HTTPS_PORT: NonZeroU16 = port(443);

encrypted! {
    /// `tls = {…}`
    Tls {
        /// The port, where no SRV record tells it.
        #[serde(default = "Https::port")]
        port: NonZeroU16,
    }
}

/// `tcp = {…}`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct TcpConnect {
    /// The port, where no SRV record tells it.
    pub(in crate::config) port: NonZeroU16,
}
