//! The config as the rest of the program sees it: every value within its bounds.

mod catalog;
mod check;
mod demand;
mod exec;
mod pool;
mod postgres;
mod puppet;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::name::Name;
use crate::report::Location;
use crate::units::Share;

pub use catalog::{CatalogCheck, VersionFrom};
pub use check::{
    Body, CaRole, Check, HttpCheck, Kind, PuppetCaCheck, PuppetdbCheck, PuppetserverCheck, TcpCheck,
    TlsCheck, Tripwire, Trust, Verify,
};
pub use demand::Demand;
pub use exec::{ExecCheck, Warning};
pub use pool::{FailOpen, Member, MemberKey, Policy, Pool, PoolRules};
pub use postgres::{PostgresCheck, Role};
pub use puppet::LoadCheck;

/// A value and where the operator wrote it. It is the same value wherever it is written.
#[derive(Debug, Clone)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its place in the config.
    pub at: Location,
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// The whole config. Paths are as they should be opened: relative ones joined to the config's folder.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[admin]`
    pub admin: Admin,
    /// `[guard]`
    pub guard: Guard,
    /// `[[zone]]`, in the order of the file.
    pub zones: Vec<ZoneFile>,
    /// The checks that pools demand, by name; `all` and `any` are none of their own.
    pub checks: BTreeMap<String, Arc<Check>>,
    /// `[[pool]]`, in the order of the file.
    pub pools: Vec<Pool>,
}

/// `[server]`
#[derive(Debug, Clone)]
pub struct Server {
    /// Addresses for UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// UDP threads; `None`: one a CPU.
    pub workers: Option<NonZeroUsize>,
    /// Largest UDP reply in bytes, 512 to 4096.
    pub udp_size: u16,
    /// The CPUs that the UDP threads are bound to, in turn; empty: the scheduler decides.
    pub cpus: Vec<usize>,
    /// Which server this is (RFC 5001); empty: nobody is told.
    pub nsid: String,
    /// Who may ask for version, id and the health of pools.
    pub insiders: Vec<IpNet>,
    /// The secrets of DNS cookies, one a line in hexadecimal; `None`: the server makes its own.
    pub cookie_secret_file: Option<Located<PathBuf>>,
    /// How many replies a network gets.
    pub rate_limit: RateLimit,
    /// The user to become once the sockets are bound.
    pub user: Option<Located<String>>,
    /// Where serials and the last observed health are kept.
    pub state_dir: PathBuf,
    /// The longest wait for the first round of probes.
    pub first_round: Duration,
    /// `tcp = {…}`
    pub tcp: Tcp,
    /// `tls = {…}`; `None`: nobody is served encrypted.
    pub tls: Option<Tls>,
    /// `dnstap = {…}`; `None`: nobody listens in.
    pub dnstap: Option<Dnstap>,
    /// `query-log = {…}`: one of so many queries is logged; `None`: none is.
    pub query_log: Option<NonZeroU32>,
}

/// `[admin]`
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Admin {
    /// The control socket; `None`: nobody steers the server while it runs.
    pub socket: Option<PathBuf>,
    /// The address of the dashboard; `None`: there is none.
    pub http: Option<SocketAddr>,
    /// The names by which browsers may ask there.
    pub names: Vec<Name>,
    /// The token that steers the server there; `None`: nothing does.
    pub token_file: Option<Located<PathBuf>>,
}

/// `[guard]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Who is asked whether the network is there; empty: nobody, and nothing is suspected.
    pub addresses: Vec<SocketAddr>,
    /// How many of the members fall silent in one round before they are asked.
    pub share: Share,
    /// How many leave in one interval without a proof; `None`: as many as fail.
    pub max_leaving: Option<Share>,
}

/// `[server] rate-limit`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// UDP replies a second to one IPv4 /24 or IPv6 /56; `None`: as many as it asks for.
    pub per_second: Option<NonZeroU32>,
    /// Every so many-th reply above that is an empty truncated one, which real clients ask again over TCP; 0: none.
    pub slip: u32,
}

/// `[server] tcp`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    /// Connections at once.
    pub clients: NonZeroUsize,
    /// Connections at once from one address.
    pub per_client: NonZeroUsize,
    /// A connection without a query is closed after so long.
    pub idle: Duration,
}

/// `[server] tls`
#[derive(Debug, Clone)]
pub struct Tls {
    /// Whom clients are shown.
    pub credentials: Credentials,
    /// Addresses for DNS over TLS.
    pub dot: Vec<SocketAddr>,
    /// Addresses for DNS over HTTPS, with HTTP/2 and HTTP/3.
    pub doh: Vec<SocketAddr>,
    /// Addresses for DNS over QUIC.
    pub doq: Vec<SocketAddr>,
}

/// `[server] dnstap`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dnstap {
    /// The Unix socket of the collector.
    pub socket: PathBuf,
    /// One of so many queries is sent to it.
    pub one_of: NonZeroU32,
}

/// Two PEM files that belong together. They are read again when they change.
#[derive(Debug, Clone, PartialEq)]
pub struct Credentials {
    /// A certificate, and what leads from it to its CA.
    pub certificate: Located<PathBuf>,
    /// Its private key.
    pub key: Located<PathBuf>,
}

impl Credentials {
    /// Whether these are the same files, wherever they are named.
    pub fn are(&self, other: &Self) -> bool {
        self.certificate.value == other.certificate.value && self.key.value == other.key.value
    }
}

/// `[[zone]]`
#[derive(Debug, Clone)]
pub struct ZoneFile {
    /// The zone's name; `None`: the owner of the file's SOA.
    pub name: Option<Located<Name>>,
    /// The master file.
    pub file: Located<PathBuf>,
}
