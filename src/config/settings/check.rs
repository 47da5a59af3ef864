//! `[check.NAME]` as the rest of the program sees it.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use super::{Credentials, LoadCheck, Located};

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
    /// Whether an idle connection is held to each member.
    pub tripwire: Tripwire,
    /// What is asked.
    pub kind: Kind,
}

/// An idle connection to a member, whose loss is a reason to probe now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tripwire {
    /// It is held while the member is up.
    On,
    /// There is none.
    Off,
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
    /// `puppet-load`: how busy Puppet Server's JRuby instances are.
    Load(LoadCheck),
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

/// How a member's certificate is judged, and what is shown to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trust {
    /// The name it must carry; `None`: the name of the pool, or an SRV record's target.
    pub server_name: Option<String>,
    /// The bundle it must lead to, PEM, with intermediates.
    pub ca_file: Located<PathBuf>,
    /// Shown to members that ask for a certificate; `None`: they get none.
    pub credentials: Option<Credentials>,
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

impl Kind {
    /// The port where neither the record nor the config's word on a member tells it.
    pub fn port(&self) -> NonZeroU16 {
        match self {
            Self::Tcp(tcp) => tcp.port,
            Self::Tls(tls) => tls.port,
            Self::Http(http) => http.port,
            Self::Load(load) => load.port,
        }
    }

    /// How the certificate is judged, where there is one.
    pub fn trust(&self) -> Option<&Trust> {
        match self {
            Self::Tcp(_) => None,
            Self::Tls(tls) => Some(&tls.trust),
            Self::Http(http) => http.trust.as_ref(),
            Self::Load(load) => Some(&load.trust),
        }
    }

    /// The name that the certificate must carry, where the config says it.
    pub fn server_name(&self) -> Option<&str> {
        self.trust()?.server_name.as_deref()
    }
}
