//! The config file as it is written, and every default there is.
//!
//! The doc comment of a key is its reference. Keys are written in kebab-case; durations are strings with units
//! (`"2s"`, `"500ms"`). What values may be is told by their types; how they hang together, by `settle.rs`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::values::{Method, NameText, Pause, ShareText, StatusRange, UdpSize};

/// Where Puppet keeps the CA bundle that a node trusts.
const PUPPET_CA: &str = "/etc/puppetlabs/puppet/ssl/certs/ca.pem";
/// Puppet Server's port.
const PUPPET_PORT: NonZeroU16 = port(8140);

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct File {
    pub(super) server: Server,
    pub(super) zone: Vec<Zone>,
    pub(super) check: BTreeMap<Spanned<String>, Check>,
    pub(super) pool: Vec<Pool>,
}

/// `[server]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Server {
    /// Addresses for UDP and TCP.
    pub(super) listen: Vec<Spanned<SocketAddr>>,
    /// UDP threads; left out: one a CPU.
    pub(super) workers: Option<NonZeroUsize>,
    /// Largest UDP reply in bytes.
    pub(super) udp_size: UdpSize,
    /// The user to become once the sockets are bound; left out: stay.
    pub(super) user: Option<Spanned<String>>,
    /// Where serials and the last observed health are kept.
    pub(super) state_dir: PathBuf,
    /// Longest wait for the first round of probes before anything is answered.
    pub(super) first_round: Pause,
    /// Limits of TCP connections.
    pub(super) tcp: Tcp,
}

impl Default for Server {
    fn default() -> Self {
        let any = |text: &str| text.parse().ok().map(|addr| Spanned::new(0..0, addr));
        Self {
            listen: ["0.0.0.0:53", "[::]:53"].into_iter().filter_map(any).collect(),
            workers: None,
            udp_size: UdpSize(1232),
            user: None,
            state_dir: "/var/lib/onstage".into(),
            first_round: Pause::from_millis(3000),
            tcp: Tcp::default(),
        }
    }
}

/// `[server] tcp`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Tcp {
    /// Connections at once.
    pub(super) clients: NonZeroUsize,
    /// Connections at once from one IPv4 address, or one IPv6 /64.
    pub(super) per_client: NonZeroUsize,
    /// A connection without a whole query is closed after so long.
    pub(super) idle: Pause,
}

impl Default for Tcp {
    fn default() -> Self {
        Self { clients: count(1024), per_client: count(64), idle: Pause::from_millis(10_000) }
    }
}

/// `[[zone]]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Zone {
    /// Its name; left out: the owner of the file's SOA.
    pub(super) name: Option<Spanned<NameText>>,
    /// The master file.
    pub(super) file: Spanned<PathBuf>,
}

/// `[check.NAME]`. A check named after a kind needs no table of that kind, unless the kind has keys without defaults.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Check {
    /// From one probe to the next.
    pub(super) interval: Pause,
    /// For the whole probe: connect, TLS, reply.
    pub(super) timeout: Pause,
    /// An unexpected verdict is asked again this soon; an overdue one is asked again beside the first.
    pub(super) recheck: Pause,
    /// Fails in a row until down.
    pub(super) fall: NonZeroU32,
    /// Passes in a row until up.
    pub(super) rise: NonZeroU32,
    /// The kind: HTTPS, `/status/v1/simple/SERVICE`, which must say `running`.
    pub(super) puppetserver: Option<Spanned<Puppetserver>>,
    /// The kind: a plain HTTP request.
    pub(super) http: Option<Spanned<Http>>,
    /// The kind: an HTTPS request.
    pub(super) https: Option<Spanned<Https>>,
    /// The kind: a TLS handshake.
    pub(super) tls: Option<Spanned<Tls>>,
    /// The kind: a TCP connection.
    pub(super) tcp: Option<Spanned<TcpConnect>>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            interval: Pause::from_millis(2000),
            timeout: Pause::from_millis(2000),
            recheck: Pause::from_millis(500),
            fall: NonZeroU32::MIN.saturating_add(1),
            rise: NonZeroU32::MIN.saturating_add(1),
            puppetserver: None,
            http: None,
            https: None,
            tls: None,
            tcp: None,
        }
    }
}

/// `puppetserver = {…}`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Puppetserver {
    /// The port, where no SRV record tells it.
    pub(super) port: NonZeroU16,
    /// The service whose status is asked for.
    pub(super) service: String,
    /// The name that the certificate must carry; left out: the pool's, or the SRV record's target.
    pub(super) server_name: Option<Spanned<String>>,
    /// The bundle that the certificate must lead to, PEM, with intermediates.
    pub(super) ca_file: Spanned<PathBuf>,
}

impl Default for Puppetserver {
    fn default() -> Self {
        let ca_file = Spanned::new(0..0, PUPPET_CA.into());
        Self { port: PUPPET_PORT, service: "server".to_owned(), server_name: None, ca_file }
    }
}

/// `http = {…}`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Http {
    /// The port, where no SRV record tells it.
    pub(super) port: NonZeroU16,
    /// Path and query.
    pub(super) path: String,
    /// The method.
    pub(super) method: Method,
    /// The Host header; left out: the server name.
    pub(super) host: Option<String>,
    /// More headers, sent as they are.
    pub(super) headers: BTreeMap<String, String>,
    /// Accepted status codes, `"200"` or `"200-299"`.
    pub(super) status: Vec<StatusRange>,
    /// What the body must be, white space at both ends apart.
    pub(super) body: Option<String>,
    /// What the body must contain, in its first 64 KiB.
    pub(super) body_contains: Option<String>,
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
pub(super) struct Https {
    /// As in `http`.
    #[serde(default = "Https::port")]
    pub(super) port: NonZeroU16,
    /// As in `http`.
    #[serde(default = "Https::path")]
    pub(super) path: String,
    /// As in `http`.
    #[serde(default = "Https::method")]
    pub(super) method: Method,
    /// As in `http`.
    pub(super) host: Option<String>,
    /// As in `http`.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// As in `http`.
    #[serde(default = "Https::status")]
    pub(super) status: Vec<StatusRange>,
    /// As in `http`.
    pub(super) body: Option<String>,
    /// As in `http`.
    pub(super) body_contains: Option<String>,
    /// As in `puppetserver`.
    pub(super) server_name: Option<Spanned<String>>,
    /// As in `puppetserver`.
    pub(super) ca_file: Spanned<PathBuf>,
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
pub(super) struct Tls {
    /// The port, where no SRV record tells it.
    #[serde(default = "Https::port")]
    pub(super) port: NonZeroU16,
    /// As in `puppetserver`.
    pub(super) server_name: Option<Spanned<String>>,
    /// As in `puppetserver`.
    pub(super) ca_file: Spanned<PathBuf>,
}

/// `tcp = {…}`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct TcpConnect {
    /// The port, where no SRV record tells it.
    pub(super) port: NonZeroU16,
}

/// `[[pool]]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Pool {
    /// The owner name whose A, AAAA and SRV records are the members.
    pub(super) name: Spanned<NameText>,
    /// The check.
    pub(super) check: Spanned<String>,
    /// Who is answered in which order.
    #[serde(default)]
    pub(super) policy: Policy,
    /// The most members in one answer.
    #[serde(default = "Pool::max_answers")]
    pub(super) max_answers: NonZeroU16,
    /// A count, or `"50%"`: with fewer live members the pool fails open.
    #[serde(default = "Pool::min_live")]
    pub(super) min_live: ShareText,
    /// What it answers then.
    #[serde(default)]
    pub(super) fail_open: FailOpen,
    /// What differs for one member, by its address or SRV target.
    #[serde(default)]
    pub(super) member: BTreeMap<Spanned<String>, Member>,
}

impl Pool {
    const fn max_answers() -> NonZeroU16 {
        port(8)
    }

    const fn min_live() -> ShareText {
        ShareText(crate::units::Share::Count(1))
    }
}

/// What of a pool has a default, to be printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PoolDefaults {
    policy: Policy,
    max_answers: NonZeroU16,
    min_live: ShareText,
    fail_open: FailOpen,
}

impl Default for PoolDefaults {
    fn default() -> Self {
        let (policy, fail_open) = (Policy::default(), FailOpen::default());
        Self { policy, max_answers: Pool::max_answers(), min_live: Pool::min_live(), fail_open }
    }
}

/// `[pool.member."KEY"]`
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Member {
    /// What people call it.
    pub(super) label: Option<String>,
    /// The address to probe, where no zone tells it or it differs.
    pub(super) address: Option<IpAddr>,
    /// The port to probe, where it differs.
    pub(super) port: Option<NonZeroU16>,
}

/// `policy`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Policy {
    /// Each live member is first equally often.
    #[default]
    RoundRobin,
}

/// `fail-open`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FailOpen {
    /// All members.
    #[default]
    All,
    /// Those that were live before.
    LastLive,
    /// Those that are live, even if that is none.
    None,
}

const fn port(port: u16) -> NonZeroU16 {
    match NonZeroU16::new(port) {
        Some(port) => port,
        None => NonZeroU16::MIN,
    }
}

const fn count(count: usize) -> NonZeroUsize {
    match NonZeroUsize::new(count) {
        Some(count) => count,
        None => NonZeroUsize::MIN,
    }
}
