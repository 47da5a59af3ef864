//! `[check.NAME]`: how members are probed.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::{Exec, Postgres, port};
use crate::config::values::{Method, Pause, StatusRange};

/// Where Puppet keeps the CA bundle that a node trusts.
const PUPPET_CA: &str = "/etc/puppetlabs/puppet/ssl/certs/ca.pem";
/// Puppet Server's port.
const PUPPET_PORT: NonZeroU16 = port(8140);

/// `[check.NAME]`. A check named after a kind needs no table of that kind, unless the kind has keys without defaults.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(in crate::config) struct Check {
    /// From one probe to the next.
    pub(in crate::config) interval: Spanned<Pause>,
    /// For the whole probe: connect, TLS, reply.
    pub(in crate::config) timeout: Spanned<Pause>,
    /// An unexpected verdict is asked again this soon; an overdue one is asked again beside the first.
    pub(in crate::config) recheck: Spanned<Pause>,
    /// Fails in a row until down.
    pub(in crate::config) fall: Spanned<NonZeroU32>,
    /// Passes in a row until up.
    pub(in crate::config) rise: Spanned<NonZeroU32>,
    /// The kind: HTTPS, `/status/v1/simple/SERVICE`, which must say `running`.
    pub(in crate::config) puppetserver: Option<Spanned<Puppetserver>>,
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

impl Default for Check {
    fn default() -> Self {
        Self {
            interval: unwritten(Pause::from_millis(2000)),
            timeout: unwritten(Pause::from_millis(2000)),
            recheck: unwritten(Pause::from_millis(500)),
            fall: unwritten(NonZeroU32::MIN.saturating_add(1)),
            rise: unwritten(NonZeroU32::MIN.saturating_add(1)),
            puppetserver: None,
            http: None,
            https: None,
            tls: None,
            tcp: None,
            postgres: None,
            exec: None,
            all: None,
            any: None,
        }
    }
}

/// A default: it stands nowhere in the file.
fn unwritten<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

/// `puppetserver = {…}`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(in crate::config) struct Puppetserver {
    /// The port, where no SRV record tells it.
    pub(in crate::config) port: NonZeroU16,
    /// The service whose status is asked for.
    pub(in crate::config) service: String,
    /// The name that the certificate must carry; left out: the pool's, or the SRV record's target.
    pub(in crate::config) server_name: Option<Spanned<String>>,
    /// The bundle that the certificate must lead to, PEM, with intermediates.
    pub(in crate::config) ca_file: Spanned<PathBuf>,
}

impl Default for Puppetserver {
    fn default() -> Self {
        let ca_file = unwritten(PUPPET_CA.into());
        Self { port: PUPPET_PORT, service: "server".to_owned(), server_name: None, ca_file }
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

/// `https = {…}`: as `http`, and how the certificate is judged.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct Https {
    /// As in `http`.
    #[serde(default = "Https::port")]
    pub(in crate::config) port: NonZeroU16,
    /// As in `http`.
    #[serde(default = "Https::path")]
    pub(in crate::config) path: String,
    /// As in `http`.
    #[serde(default = "Https::method")]
    pub(in crate::config) method: Method,
    /// As in `http`.
    pub(in crate::config) host: Option<String>,
    /// As in `http`.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, String>,
    /// As in `http`.
    #[serde(default = "Https::status")]
    pub(in crate::config) status: Vec<StatusRange>,
    /// As in `http`.
    pub(in crate::config) body: Option<String>,
    /// As in `http`.
    pub(in crate::config) body_contains: Option<String>,
    /// As in `puppetserver`.
    pub(in crate::config) server_name: Option<Spanned<String>>,
    /// As in `puppetserver`.
    pub(in crate::config) ca_file: Spanned<PathBuf>,
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

/// `tls = {…}`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct Tls {
    /// The port, where no SRV record tells it.
    #[serde(default = "Https::port")]
    pub(in crate::config) port: NonZeroU16,
    /// As in `puppetserver`.
    pub(in crate::config) server_name: Option<Spanned<String>>,
    /// As in `puppetserver`.
    pub(in crate::config) ca_file: Spanned<PathBuf>,
}

/// `tcp = {…}`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct TcpConnect {
    /// The port, where no SRV record tells it.
    pub(in crate::config) port: NonZeroU16,
}
