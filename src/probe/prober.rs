//! One probe, from the dial to the verdict.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http::{Reply, Request, Scheme, host};
use super::question::Question;
use super::validity::Validity;
use super::wire::Wire;
use super::{Failure, Finding, Step, exec, postgres, postgres::Encrypted, tls, verify};
use crate::config::{Authorities, Check, Kind, Password, Shown, Verify};
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
    Tls(Encryption),
    Http(Option<Encryption>, Arc<Question>),
    Postgres(Option<Encryption>, Arc<postgres::Client>),
    Exec(Arc<exec::Plugin>),
}

/// How TLS is spoken.
#[derive(Debug, Clone)]
struct Encryption {
    config: Arc<rustls::ClientConfig>,
    verify: Verify,
    validity: Arc<Validity>,
}

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
    /// Prepares `check`. `authorities`: its `ca-file`; `shown`: its `client-cert`; `password`: its `password-file`.
    ///
    /// # Errors
    /// See [`Unusable`].
    pub fn new(
        check: &Check,
        authorities: Option<&Authorities>,
        shown: Option<&Shown>,
        password: Option<Password>,
    ) -> Result<Self, Unusable> {
        let no_authorities = || Unusable::NoAuthorities(check.name.clone());
        let bad = |why| Unusable::BadRequest { check: check.name.clone(), why };
        let encryption = check.kind.trust().map(|trust| {
            let verifier = verify::verifier(trust.verify, authorities).ok_or_else(no_authorities)?;
            let (config, validity) = (tls::client(verifier, shown), Arc::new(Validity::nothing()));
            Ok(Encryption { config, verify: trust.verify, validity })
        });
        let question = Question::new(&check.kind, authorities).map_err(bad)?;
        let means = match (&check.kind, question, encryption.transpose()?) {
            (_, Some(question), encryption) => Means::Http(encryption, Arc::new(question)),
            (Kind::Exec(exec), ..) => {
                Means::Exec(Arc::new(exec::Plugin::new(&check.name, exec).map_err(bad)?))
            }
            (Kind::Postgres(check), _, encryption) => {
                Means::Postgres(encryption, Arc::new(postgres::Client::new(check, password).map_err(bad)?))
            }
            (_, None, Some(encryption)) => Means::Tls(encryption),
            (_, None, None) => Means::Tcp,
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
    let began = Instant::now();
    let mut probe = Probe { deadline: began + prober.timeout, began, steps: Vec::new(), valid_until: None };
    let (verdict, detail, told) = match probe.meet(prober, target).await {
        Ok(told) => (Verdict::Pass, String::new(), told),
        Err(Failure { verdict, detail }) => (verdict, detail, Told::default()),
    };
    let told = Told { valid_until: probe.valid_until, ..told };
    Finding { verdict, detail, told, latency: probe.began.elapsed(), steps: probe.steps }
}

/// A probe that is under way.
struct Probe {
    began: Instant,
    deadline: Instant,
    steps: Vec<Step>,
    /// When the certificate expires that the member showed.
    valid_until: Option<u32>,
}

impl Probe {
    async fn meet(&mut self, prober: &Prober, target: &Target) -> Result<Told, Failure> {
        match &prober.means {
            Means::Tcp => drop(self.connect(target).await?),
            Means::Tls(encryption) => {
                let stream = self.connect(target).await?;
                drop(self.shake_hands(encryption, stream, target).await?);
            }
            Means::Http(encryption, question) => {
                let mut line = Line { probe: self, encryption: encryption.as_ref(), target };
                return question.ask(&mut line).await;
            }
            Means::Exec(plugin) => self.run(plugin, target).await?,
            Means::Postgres(None, client) => {
                let stream = self.connect(target).await?;
                self.log_in(client, stream, Encrypted::No).await?;
            }
            Means::Postgres(Some(encryption), client) => {
                let mut stream = self.connect(target).await?;
                self.request_tls(&mut stream).await?;
                let stream = self.shake_hands(encryption, stream, target).await?;
                self.log_in(client, stream, Encrypted::Yes).await?;
            }
        }
        Ok(Told::default())
    }

    async fn run(&mut self, plugin: &exec::Plugin, target: &Target) -> Result<(), Failure> {
        let began = Instant::now();
        let ended = plugin.run(target, self.deadline).await?;
        self.done("exec", began, ended.describe());
        plugin.judge(&ended)
    }

    async fn connect(&mut self, target: &Target) -> Result<Wire, Failure> {
        let began = Instant::now();
        let connected = timeout_at(self.deadline, TcpStream::connect(target.addr)).await;
        let stream = connected
            .map_err(|_| Failure::new(Reason::ConnectTimeout, "no answer to the connection attempt"))?
            .map_err(|e| Failure::new(refusal(&e), e))?;
        self.done("connect", began, target.addr.to_string());
        Ok(Wire::new(stream))
    }

    async fn shake_hands(
        &mut self,
        encryption: &Encryption,
        stream: Wire,
        target: &Target,
    ) -> Result<TlsStream<Wire>, Failure> {
        let began = Instant::now();
        let name = ServerName::try_from(target.server_name.clone())
            .map_err(|e| Failure::new(Reason::TlsWrongName, format!("`{}`: {e}", target.server_name)))?;
        let connector = TlsConnector::from(Arc::clone(&encryption.config));
        let shaken = timeout_at(self.deadline, connector.connect(name, stream)).await;
        let stream = shaken
            .map_err(|_| Failure::new(Reason::TlsTimeout, "connected, but the TLS handshake did not end"))?
            .map_err(|e| tls::failure(&e))?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        self.valid_until = encryption.validity.end(chain);
        self.done("tls", began, tls::describe(stream.get_ref().1, encryption.verify, &target.server_name));
        Ok(stream)
    }

    async fn ask<S>(&mut self, request: &Request, stream: S, host: &str) -> Result<Reply, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let began = Instant::now();
        let reply = timeout_at(self.deadline, request.send(stream, host)).await;
        let reply =
            reply.map_err(|_| Failure::new(Reason::ReplyTimeout, "asked, but the reply did not end"))??;
        self.done("reply", began, format!("{request}: {reply}"));
        Ok(reply)
    }

    async fn request_tls(&mut self, stream: &mut Wire) -> Result<(), Failure> {
        let began = Instant::now();
        let granted = timeout_at(self.deadline, postgres::request_tls(stream)).await;
        granted.map_err(|_| Failure::new(Reason::TlsTimeout, "connected, but the server is silent"))??;
        self.done("tls", began, "granted".to_owned());
        Ok(())
    }

    async fn log_in<S>(
        &mut self,
        client: &postgres::Client,
        stream: S,
        encrypted: Encrypted,
    ) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let began = Instant::now();
        let session = timeout_at(self.deadline, client.log_in(stream, encrypted)).await;
        let mut session = session
            .map_err(|_| Failure::new(Reason::ReplyTimeout, "connected, but the login did not end"))??;
        self.done("login", began, session.describe());
        let began = Instant::now();
        let role = timeout_at(self.deadline, session.role()).await;
        let role =
            role.map_err(|_| Failure::new(Reason::ReplyTimeout, "asked, but the reply did not end"))??;
        self.done("reply", began, role.as_str().to_owned());
        let _ = timeout_at(self.deadline, session.leave()).await;
        client.judge(role)
    }

    fn done(&mut self, name: &'static str, began: Instant, seen: String) {
        self.steps.push(Step { name, seen, took: began.elapsed() });
    }
}

/// The way to one member, within one probe.
pub(super) struct Line<'p> {
    probe: &'p mut Probe,
    encryption: Option<&'p Encryption>,
    target: &'p Target,
}

impl Line<'_> {
    /// Asks on a new connection.
    pub(super) async fn ask(&mut self, request: &Request) -> Result<Reply, Failure> {
        let Self { probe, encryption, target } = self;
        let mut stream = probe.connect(target).await?;
        stream.expect(request.most());
        match encryption {
            None => probe.ask(request, stream, &host(target, Scheme::Http)).await,
            Some(encryption) => {
                let stream = probe.shake_hands(encryption, stream, target).await?;
                probe.ask(request, stream, &host(target, Scheme::Https)).await
            }
        }
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
