//! `[check.NAME]` as the rest of the program sees it.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::{CatalogCheck, Credentials, ExecCheck, LoadCheck, Located, PostgresCheck};

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
    /// `http`, `https`, `puppet3`: one request and what the reply must be.
    Http(HttpCheck),
    /// `puppet-load`: how busy Puppet Server's JRuby instances are.
    Load(LoadCheck),
    /// `puppet-catalog`: whether Puppet Server compiles a catalog, and from which code.
    Catalog(CatalogCheck),
    /// `postgres`: a session in which the server tells its role.
    Postgres(PostgresCheck),
    /// `exec`: the exit status of a command.
    Exec(ExecCheck),
    /// `puppetserver`: a service of Puppet Server runs.
    Puppetserver(PuppetserverCheck),
    /// `puppet-ca`: the CA runs, and is the site's.
    PuppetCa(PuppetCaCheck),
    /// `puppetdb`: `PuppetDB` and its databases run.
    Puppetdb(PuppetdbCheck),
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
    /// How far it is looked at.
    pub verify: Verify,
    /// The bundle it must lead to, PEM, with intermediates; there unless nothing is verified.
    pub ca_file: Option<Located<PathBuf>>,
    /// Shown to members that ask for a certificate; `None`: they get none.
    pub credentials: Option<Credentials>,
}

impl Trust {
    /// Whether TLS can be spoken to a member of this name: one that a client may ask a certificate for, which `*.example.org`
    /// is not.
    pub(crate) fn can_meet(name: &str) -> bool {
        ServerName::try_from(name).is_ok()
    }
}

/// How far a member's certificate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// It leads to a certificate of the bundle, is valid now, and carries the name that clients use.
    Full,
    /// The same, whatever its name is.
    Chain,
    /// Not at all. That the member holds its key is seen all the same.
    Nothing,
}

/// Settings of an `http`, `https` or `puppet3` check.
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
    /// The Host header; `None`: the server name, with the port unless it is the usual one.
    pub host: Option<String>,
    /// Sent as they are.
    pub headers: Vec<(String, String)>,
    /// Inclusive ranges of accepted status codes.
    pub status: Vec<(u16, u16)>,
    /// Headers that the reply must have, and what each must contain.
    pub expect_headers: Vec<(String, String)>,
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
    /// Where the status code is 200: what a master of Puppet 3 says of itself, `{"is_alive":true}`.
    Alive,
}

/// Settings of a `puppetserver` check.
#[derive(Debug, Clone, PartialEq)]
pub struct PuppetserverCheck {
    /// Where the member's record does not tell the port.
    pub port: NonZeroU16,
    /// How the certificate is judged.
    pub trust: Trust,
    /// The service whose status is asked for.
    pub service: String,
}

/// Settings of a `puppet-ca` check.
#[derive(Debug, Clone, PartialEq)]
pub struct PuppetCaCheck {
    /// Where the member's record does not tell the port.
    pub port: NonZeroU16,
    /// How the certificate is judged, and which CA the member may hand out.
    pub trust: Trust,
    /// What the member may be.
    pub role: CaRole,
}

/// What a member that is asked for its CA may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaRole {
    /// A CA.
    Ca,
    /// A CA, or a master that leaves this to others.
    Any,
}

/// Settings of a `puppetdb` check.
#[derive(Debug, Clone, PartialEq)]
pub struct PuppetdbCheck {
    /// Where the member's record does not tell the port.
    pub port: NonZeroU16,
    /// `None`: plain HTTP.
    pub trust: Option<Trust>,
}

impl Kind {
    /// Whether its members are asked one after another, each once: an answer is work for them.
    pub const fn asks_one_at_a_time(&self) -> bool {
        matches!(self, Self::Catalog(_))
    }

    /// The port where neither the record nor the config's word on a member tells it; `None`: a command needs none.
    pub fn port(&self) -> Option<NonZeroU16> {
        match self {
            Self::Tcp(tcp) => Some(tcp.port),
            Self::Tls(tls) => Some(tls.port),
            Self::Http(http) => Some(http.port),
            Self::Load(load) => Some(load.port),
            Self::Catalog(catalog) => Some(catalog.port),
            Self::Puppetserver(server) => Some(server.port),
            Self::PuppetCa(ca) => Some(ca.port),
            Self::Puppetdb(db) => Some(db.port),
            Self::Postgres(postgres) => Some(postgres.port),
            Self::Exec(exec) => exec.port,
        }
    }

    /// How the certificate is judged, where there is one.
    pub fn trust(&self) -> Option<&Trust> {
        match self {
            Self::Tcp(_) | Self::Exec(_) => None,
            Self::Tls(tls) => Some(&tls.trust),
            Self::Http(http) => http.trust.as_ref(),
            Self::Load(load) => Some(&load.trust),
            Self::Catalog(catalog) => Some(&catalog.trust),
            Self::Postgres(postgres) => postgres.trust.as_ref(),
            Self::Puppetserver(server) => Some(&server.trust),
            Self::PuppetCa(ca) => Some(&ca.trust),
            Self::Puppetdb(db) => db.trust.as_ref(),
        }
    }

    /// Whether a probe needs the name that clients use. Where none does, members that differ in their names only are
    /// one probe.
    pub fn needs_name(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Tls(_) | Self::Postgres(_) => self.trust().is_some(),
            _ => true,
        }
    }

    /// The program that is run, where there is one.
    pub fn program(&self) -> Option<&Located<PathBuf>> {
        match self {
            Self::Exec(exec) => Some(&exec.program),
            _ => None,
        }
    }

    /// The file of the password that is logged in with, where there is one.
    pub fn password_file(&self) -> Option<&Located<PathBuf>> {
        match self {
            Self::Postgres(postgres) => postgres.password_file.as_ref(),
            _ => None,
        }
    }

    /// The name that the certificate must carry, where the config says it.
    pub fn server_name(&self) -> Option<&str> {
        self.trust()?.server_name.as_deref()
    }
}
