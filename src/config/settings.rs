//! The config as the rest of the program sees it: every value within its bounds.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::name::Name;
use crate::report::Location;
use crate::units::{MaxAnswers, Share};

/// A value and where the operator wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its place in the config.
    pub at: Location,
}

/// The whole config. Paths are as they should be opened: relative ones joined to the config's folder.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[[zone]]`, in the order of the file.
    pub zones: Vec<ZoneFile>,
    /// The checks that pools name, by name.
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
#[derive(Debug, Clone, Copy)]
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
    /// The server's certificate and its chain, PEM.
    pub certificate: Located<PathBuf>,
    /// Its private key, PEM.
    pub key: Located<PathBuf>,
    /// Addresses for DNS over TLS.
    pub dot: Vec<SocketAddr>,
    /// Addresses for DNS over HTTPS, with HTTP/2 and HTTP/3.
    pub doh: Vec<SocketAddr>,
    /// Addresses for DNS over QUIC.
    pub doq: Vec<SocketAddr>,
}

/// `[[zone]]`
#[derive(Debug, Clone)]
pub struct ZoneFile {
    /// The zone's name; `None`: the owner of the file's SOA.
    pub name: Option<Located<Name>>,
    /// The master file.
    pub file: Located<PathBuf>,
}

/// `[check.NAME]`: how members are probed.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The name that pools use.
    pub name: String,
    /// From the end of one probe to the start of the next.
    pub interval: Duration,
    /// For a whole probe.
    pub timeout: Duration,
    /// An unexpected verdict is asked again this soon.
    pub recheck: Duration,
    /// Fails in a row until down.
    pub fall: NonZeroU32,
    /// Passes in a row until up.
    pub rise: NonZeroU32,
    /// What is asked.
    pub kind: Kind,
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `tcp`: the connection is accepted.
    Tcp(TcpCheck),
    /// `tls`: the handshake ends with a certificate that agents would accept.
    Tls(TlsCheck),
    /// `http`, `https`, `puppetserver`: one request and what the reply must be.
    Http(HttpCheck),
}

/// Settings of a `tcp` check.
#[derive(Debug, Clone, PartialEq)]
pub struct TcpCheck {
    /// Where the member's record does not tell the port.
    pub port: NonZeroU16,
}

/// Settings of a `tls` check.
#[derive(Debug, Clone, PartialEq)]
pub struct TlsCheck {
    /// Where the member's record does not tell the port.
    pub port: NonZeroU16,
    /// How the certificate is judged.
    pub trust: Trust,
}

/// How a member's certificate is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Trust {
    /// The name it must carry; `None`: the name of the pool, or an SRV record's target.
    pub server_name: Option<String>,
    /// The bundle it must lead to, PEM, with intermediates.
    pub ca_file: Located<PathBuf>,
}

/// Settings of an `http`, `https` or `puppetserver` check.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpCheck {
    /// Where the member's record does not tell the port.
    pub port: NonZeroU16,
    /// `None`: plain HTTP.
    pub trust: Option<Trust>,
    /// GET unless said otherwise (Puppet Server's auth.conf refuses HEAD).
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The Host header; `None`: the server name, or the address.
    pub host: Option<String>,
    /// Sent as they are.
    pub headers: Vec<(String, String)>,
    /// Inclusive ranges of accepted status codes.
    pub status: Vec<(u16, u16)>,
    /// What the body must be.
    pub body: Option<Body>,
}

/// What the body of a reply must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Exactly this, white space at both ends apart.
    Is(String),
    /// This somewhere in the first 64 KiB.
    Contains(String),
    /// Puppet's word for a service that is running; `starting` and `stopping` mean that it is leaving.
    PuppetState,
}

/// `[[pool]]`
#[derive(Debug, Clone)]
pub struct Pool {
    /// The owner name whose records are the members.
    pub name: Located<Name>,
    /// The check that its members are probed with.
    pub check: Arc<Check>,
    /// Who is answered in which order.
    pub policy: Policy,
    /// The most members in one answer.
    pub max_answers: MaxAnswers,
    /// Fewer live members than this: the pool fails open.
    pub min_live: Share,
    /// What it answers then.
    pub fail_open: FailOpen,
    /// `[pool.member.KEY]`
    pub members: Vec<Member>,
}

/// Who of a pool is answered, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Each live member is first equally often.
    RoundRobin,
    /// The same clients meet the same members.
    Sticky,
    /// Members are drawn by their weights.
    Weighted,
    /// The members of the lowest tier that has a live one, in turn.
    Failover,
}

/// What a pool answers with fewer live members than `min-live`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOpen {
    /// All members.
    All,
    /// Those that were live before it fell below; all where that is not known.
    LastLive,
    /// Those that are live, even if that is none.
    None,
}

/// `[pool.member.KEY]`: what differs for one member.
#[derive(Debug, Clone)]
pub struct Member {
    /// An address, or the target of an SRV record.
    pub key: Located<MemberKey>,
    /// What people call it.
    pub label: Option<String>,
    /// The address to probe, where the zones do not tell it or it differs.
    pub address: Option<IpAddr>,
    /// The port to probe, where it differs.
    pub port: Option<NonZeroU16>,
    /// Its chance beside the others'.
    pub weight: NonZeroU16,
    /// A lower one is answered first.
    pub tier: u32,
}

/// How the config names a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKey {
    /// The address of an A or AAAA record.
    Address(IpAddr),
    /// The target of an SRV record.
    Target(Name),
}

impl Kind {
    /// The port where neither the record nor the config's word on a member tells it.
    pub fn port(&self) -> NonZeroU16 {
        match self {
            Self::Tcp(tcp) => tcp.port,
            Self::Tls(tls) => tls.port,
            Self::Http(http) => http.port,
        }
    }

    /// How the certificate is judged, where there is one.
    pub fn trust(&self) -> Option<&Trust> {
        match self {
            Self::Tcp(_) => None,
            Self::Tls(tls) => Some(&tls.trust),
            Self::Http(http) => http.trust.as_ref(),
        }
    }

    /// The name that the certificate must carry, where the config says it.
    pub fn server_name(&self) -> Option<&str> {
        self.trust()?.server_name.as_deref()
    }
}

impl fmt::Display for MemberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Target(target) => target.fmt(f),
        }
    }
}
