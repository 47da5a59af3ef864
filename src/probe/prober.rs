//! One probe, from the dial to the verdict.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Failure, Finding, Step, http, load, tls};
use crate::config::{Authorities, Check, Kind, Shown};
use crate::health::{Reason, Told, Verdict};

/// Everything that a check's probes have in common, prepared once.
#[derive(Debug, Clone)]
pub struct Prober {
    timeout: Duration,
    means: Means,
}

/// How a member is asked.
#[derive(Debug, Clone)]
enum Means {
    Tcp,
    Tls(TlsConfig),
    Http(Option<TlsConfig>, Arc<http::Request>, Topic),
}

/// What an accepted reply is about.
#[derive(Debug, Clone, Copy)]
enum Topic {
    /// That it was accepted is all there is to say.
    Life,
    /// How busy the member is.
    Load,
}

type TlsConfig = Arc<rustls::ClientConfig>;

/// Who is probed.
#[derive(Debug, Clone)]
pub struct Target {
    /// The address that is dialled.
    pub addr: SocketAddr,
    /// The name that clients use for it, which the certificate must carry.
    pub server_name: String,
}

/// Why a check cannot be prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The check needs a CA bundle, and got none.
    #[error("the check `{0}` has no CA bundle to verify certificates with")]
    NoAuthorities(String),
    /// The request cannot be sent as it is.
    #[error("the check `{check}` cannot ask: {why}")]
    BadRequest {
        /// The check.
        check: String,
        /// What is wrong.
        why: String,
    },
}

impl Prober {
    /// Prepares `check`. `authorities`: its `ca-file`; `shown`: its `client-cert`, where it has one.
    ///
    /// # Errors
    /// See [`Unusable`].
    pub fn new(
        check: &Check,
        authorities: Option<&Authorities>,
        shown: Option<&Shown>,
    ) -> Result<Self, Unusable> {
        let tls = match (check.kind.trust(), authorities) {
            (None, _) => None,
            (Some(_), Some(authorities)) => Some(tls::client(authorities, shown)),
            (Some(_), None) => return Err(Unusable::NoAuthorities(check.name.clone())),
        };
        let bad = |why| Unusable::BadRequest { check: check.name.clone(), why };
        let means = match (&check.kind, tls) {
            (Kind::Http(check), tls) => {
                Means::Http(tls, Arc::new(http::Request::new(check).map_err(bad)?), Topic::Life)
            }
            (Kind::Load(check), tls) => {
                Means::Http(tls, Arc::new(load::request(check).map_err(bad)?), Topic::Load)
            }
            (Kind::Tls(_), Some(tls)) => Means::Tls(tls),
            (Kind::Tls(_) | Kind::Tcp(_), _) => Means::Tcp,
        };
        Ok(Self { timeout: check.timeout, means })
    }

    /// The longest that a probe takes.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// Probes `target` once. Ends when the check's timeout does.
pub async fn run(prober: &Prober, target: &Target) -> Finding {
    let mut probe =
        Probe { deadline: Instant::now() + prober.timeout, began: Instant::now(), steps: Vec::new() };
    let (verdict, detail, told) = match probe.meet(prober, target).await {
        Ok(told) => (Verdict::Pass, String::new(), told),
        Err(Failure { verdict, detail }) => (verdict, detail, Told::default()),
    };
    Finding { verdict, detail, told, latency: probe.began.elapsed(), steps: probe.steps }
}

/// A probe that is under way.
struct Probe {
    began: Instant,
    deadline: Instant,
    steps: Vec<Step>,
}

impl Probe {
    async fn meet(&mut self, prober: &Prober, target: &Target) -> Result<Told, Failure> {
        let stream = self.connect(target).await?;
        match &prober.means {
            Means::Tcp => {}
            Means::Tls(tls) => drop(self.shake_hands(tls, stream, target).await?),
            Means::Http(None, request, topic) => {
                return topic.read(&self.ask(request, stream, target).await?);
            }
            Means::Http(Some(tls), request, topic) => {
                let stream = self.shake_hands(tls, stream, target).await?;
                return topic.read(&self.ask(request, stream, target).await?);
            }
        }
        Ok(Told::default())
    }

    async fn connect(&mut self, target: &Target) -> Result<TcpStream, Failure> {
        let began = Instant::now();
        let connected = timeout_at(self.deadline, TcpStream::connect(target.addr)).await;
        let stream = connected
            .map_err(|_| Failure::new(Reason::ConnectTimeout, "no answer to the connection attempt"))?
            .map_err(|e| Failure::new(refusal(&e), e))?;
        self.done("connect", began, target.addr.to_string());
        Ok(stream)
    }

    async fn shake_hands(
        &mut self,
        config: &TlsConfig,
        stream: TcpStream,
        target: &Target,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let began = Instant::now();
        let name = ServerName::try_from(target.server_name.clone())
            .map_err(|e| Failure::new(Reason::TlsWrongName, format!("`{}`: {e}", target.server_name)))?;
        let shaken =
            timeout_at(self.deadline, TlsConnector::from(Arc::clone(config)).connect(name, stream)).await;
        let stream = shaken
            .map_err(|_| Failure::new(Reason::TlsTimeout, "connected, but the TLS handshake did not end"))?
            .map_err(|e| tls::failure(&e))?;
        self.done("tls", began, tls::describe(stream.get_ref().1, &target.server_name));
        Ok(stream)
    }

    async fn ask<S>(
        &mut self,
        request: &http::Request,
        stream: S,
        target: &Target,
    ) -> Result<http::Reply, Failure>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let began = Instant::now();
        let reply = timeout_at(self.deadline, request.send(stream, target)).await;
        let reply =
            reply.map_err(|_| Failure::new(Reason::ReplyTimeout, "asked, but the reply did not end"))??;
        self.done("reply", began, reply.describe());
        request.judge(&reply)?;
        Ok(reply)
    }

    fn done(&mut self, name: &'static str, began: Instant, seen: String) {
        self.steps.push(Step { name, seen, took: began.elapsed() });
    }
}

impl Topic {
    fn read(self, reply: &http::Reply) -> Result<Told, Failure> {
        let mut told = Told::default();
        match self {
            Self::Life => {}
            Self::Load => told.load = Some(load::read(reply.whole()?)?),
        }
        Ok(told)
    }
}

/// What a failed connect(2) says about the member, or about this machine.
fn refusal(e: &io::Error) -> Reason {
    use io::ErrorKind as Kind;
    match (e.kind(), e.raw_os_error()) {
        (Kind::ConnectionRefused, _) => Reason::Refused,
        (Kind::TimedOut, _) => Reason::ConnectTimeout,
        (Kind::ConnectionReset | Kind::ConnectionAborted, _) => Reason::Closed,
        (Kind::AddrNotAvailable | Kind::AddrInUse | Kind::PermissionDenied | Kind::OutOfMemory, _)
        | (_, Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS)) => Reason::Prober,
        _ => Reason::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_has_its_reason() {
        for (errno, reason) in [
            (libc::ECONNREFUSED, Reason::Refused),
            (libc::ETIMEDOUT, Reason::ConnectTimeout),
            (libc::EHOSTUNREACH, Reason::Unreachable),
            (libc::ENETUNREACH, Reason::Unreachable),
            (libc::ECONNRESET, Reason::Closed),
            (libc::EMFILE, Reason::Prober),
            (libc::ENFILE, Reason::Prober),
            (libc::ENOBUFS, Reason::Prober),
            (libc::EACCES, Reason::Prober),
            (libc::EADDRNOTAVAIL, Reason::Prober),
        ] {
            assert_eq!(refusal(&io::Error::from_raw_os_error(errno)), reason, "errno {errno}");
        }
    }
}
