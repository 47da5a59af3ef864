//! The config file as it is written, and every default there is.
//!
//! The doc comment of a key is its reference. Keys are written in kebab-case; durations are strings with units
//! (`"2s"`, `"500ms"`). What values may be is told by their types; how they hang together, by `settle.rs`.

mod admin;
mod catalog;
mod check;
mod encrypted;
mod exec;
mod guard;
mod http;
mod pacing;
mod pool;
mod postgres;
mod puppet;
mod tap;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;

use documented::{Documented, DocumentedFields};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::values::{NameText, Pause, ServerId, UdpSize};

pub(super) use admin::{Admin, Glimpse};
pub(super) use catalog::{PuppetCatalog, VersionFrom};
pub(super) use check::{Check, TcpConnect};
pub(super) use encrypted::{TlsKeys, Verify};
pub(super) use exec::{Exec, Warning};
pub(super) use guard::Guard;
pub(super) use http::{Http, Https, Puppet3, RequestKeys, Tls as TlsHandshake};
pub(super) use pacing::Pacing;
pub(super) use pool::{FailOpen, Member, Policy, Pool, PoolDefaults};
pub(super) use postgres::{Encryption, Postgres, Role};
pub(super) use puppet::{CaRole, PuppetCa, PuppetLoad, Puppetdb, Puppetserver};
pub(super) use tap::{Dnstap, QueryLog, every};
pub(super) use tls::Tls;

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct File {
    pub(super) server: Server,
    pub(super) admin: Admin,
    pub(super) guard: Guard,
    pub(super) zone: Vec<Zone>,
    pub(super) check: BTreeMap<Spanned<String>, Check>,
    pub(super) pool: Vec<Pool>,
}

/// `[server]`
#[derive(Debug, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Server {
    /// Addresses for UDP and TCP.
    pub(super) listen: Vec<Spanned<SocketAddr>>,
    /// UDP threads; left out: one a CPU.
    pub(super) workers: Option<NonZeroUsize>,
    /// Largest UDP reply in bytes.
    pub(super) udp_size: UdpSize,
    /// CPUs that the UDP threads are bound to, in turn; left out: the scheduler decides.
    pub(super) cpus: Vec<usize>,
    /// Which server this is (RFC 5001), for clients that ask; left out: nobody is told.
    pub(super) nsid: Option<ServerId>,
    /// Who may ask for the version, the id, and the health of pools (class CH).
    pub(super) chaos: Vec<IpNet>,
    /// The secrets of DNS cookies (RFC 9018), 32 hexadecimal digits a line; servers that share an address share them. The
    /// first makes cookies, all are accepted. Left out: a secret of its own, a new one every day.
    pub(super) cookie_secret_file: Option<Spanned<PathBuf>>,
    /// Limits of UDP replies to one network.
    pub(super) rate_limit: RateLimit,
    /// The user to become once the sockets are bound; left out: stay.
    pub(super) user: Option<Spanned<String>>,
    /// Where serials and the last observed health are kept.
    pub(super) state_dir: PathBuf,
    /// Longest wait for the first round of probes before anything is answered.
    pub(super) first_round: Pause,
    /// Limits of connections, over TCP and over QUIC.
    pub(super) tcp: Tcp,
    /// Encrypted DNS; left out: none.
    pub(super) tls: Option<Tls>,
    /// Queries and replies for a collector of dnstap; left out: none.
    pub(super) dnstap: Option<Dnstap>,
    /// Queries in the log; left out: none.
    pub(super) query_log: Option<QueryLog>,
}

impl Default for Server {
    fn default() -> Self {
        let any = |text: &str| text.parse().ok().map(|addr| Spanned::new(0..0, addr));
        Self {
            listen: ["0.0.0.0:53", "[::]:53"].into_iter().filter_map(any).collect(),
            workers: None,
            udp_size: UdpSize(1232),
            cpus: Vec::new(),
            nsid: None,
            chaos: ["127.0.0.0/8", "::1/128"].into_iter().filter_map(|net| net.parse().ok()).collect(),
            cookie_secret_file: None,
            rate_limit: RateLimit::default(),
            user: None,
            state_dir: "/var/lib/onstage".into(),
            first_round: Pause::from_millis(3000),
            tcp: Tcp::default(),
            tls: None,
            dnstap: None,
            query_log: None,
        }
    }
}

/// `[server] rate-limit`
#[derive(Debug, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct RateLimit {
    /// UDP replies a second to one IPv4 /24 or IPv6 /56; 0: no limit. Clients with a valid cookie are not counted.
    pub(super) per_second: u32,
    /// Every so many-th reply above the limit is an empty truncated one, the others are left out; 0: all are.
    pub(super) slip: u32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { per_second: 0, slip: 2 }
    }
}

/// `[server] tcp`
#[derive(Debug, Serialize, Deserialize, Documented, DocumentedFields)]
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
#[derive(Debug, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Zone {
    /// Its name; left out: the owner of the file's SOA.
    pub(super) name: Option<Spanned<NameText>>,
    /// The master file.
    pub(super) file: Spanned<PathBuf>,
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
