//! Any bytes as what a member says to a probe.
//!
//! The first byte chooses the check, the second in how many pieces the rest is said. The probe is the one that the server
//! runs, over a loopback connection: it dials by itself, and there is no other way in. Some checks are told the bytes as they
//! are: HTTP that is plain, and TLS before it knows whom it talks to. The others are told them behind a handshake that
//! succeeded, each of their questions the next part of what a zero byte separates. That covers replies with their bounds and
//! verdicts, the JSON of Puppet's services, sessions with PostgreSQL, and CAs that are handed out. A probe must end before its timeout does, whatever it
//! was told, once the member has closed the connection.

#![no_main]

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::{Corpus, fuzz_target};
use onstage::config::{Authorities, Check, Password};
use onstage::demo::SiteCa;
use onstage::health::{Reason, Verdict};
use onstage::probe::{Finding, Prober, Target, run};
use onstage_fuzz::loaded;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A site: its CA, and a master's certificate and key.
struct Site {
    bundle: String,
    identity: Arc<ServerConfig>,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let ca = SiteCa::new("Site CA").expect("a CA");
    let (certificate, key) = ca.credentials(NAME).expect("a certificate");
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let identity = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    Site { bundle: ca.pem() + HANDED_OUT, identity: Arc::new(identity.expect("an identity")) }
});

/// What the CA of a real site hands out, so that it can be known.
const HANDED_OUT: &str = include_str!("../../tests/fixtures/members/puppet-ca-certificate.http");
const NAME: &str = "ns1.example.org";

/// How a member says what it says.
#[derive(Clone, Copy, PartialEq)]
enum Says {
    /// As it is.
    Raw,
    /// As it is, to a probe that expects TLS.
    Instead,
    /// Over TLS, one part a connection.
    Encrypted,
}

/// What members can be asked and expected to say.
const KINDS: [(Says, &str); 15] = [
    (Says::Raw, "http = { port = 1 }"),
    (Says::Raw, "http = { port = 1, body = \"running\", status = [\"100-599\"] }"),
    (Says::Raw, "http = { port = 1, body-contains = \"running\", expect-headers = { Server = \"J\" } }"),
    (Says::Instead, "puppetserver = { ca-file = \"ca.pem\" }"),
    (Says::Instead, "tls = { ca-file = \"ca.pem\", verify = \"none\" }"),
    (
        Says::Raw,
        "http = { port = 1, method = \"HEAD\", host = \"x\", headers = { Accept = \"text/plain\" } }",
    ),
    (Says::Encrypted, "puppetserver = { ca-file = \"ca.pem\" }"),
    (Says::Encrypted, "puppet-ca = { ca-file = \"ca.pem\" }"),
    (Says::Encrypted, "puppet-ca = { ca-file = \"ca.pem\", role = \"any\" }"),
    (Says::Encrypted, "puppetdb = { ca-file = \"ca.pem\", verify = \"ca\" }"),
    (Says::Raw, "puppetdb = { plain = true }"),
    (Says::Encrypted, "puppet3 = { ca-file = \"ca.pem\" }"),
    (Says::Encrypted, "puppet-load = { ca-file = \"ca.pem\" }"),
    (Says::Raw, "postgres = { port = 1 }"),
    (Says::Instead, "postgres = { port = 1, role = \"primary\", tls = \"require\", ca-file = \"ca.pem\" }"),
];
/// Longer than any exchange on loopback takes.
const TIMEOUT: Duration = Duration::from_secs(10);

const ZONE: &str =
    "$ORIGIN example.org.\n$TTL 30\n@ SOA ns1 h 7 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\n";

/// A member on loopback, and the probes that meet it.
struct Stage {
    runtime: Runtime,
    listener: TcpListener,
    target: Target,
    acceptor: TlsAcceptor,
    probers: Vec<Prober>,
}

impl Stage {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // A member may hang up while it is written to. Programs of Rust pass that signal over, and a fuzz target does not.
        let _passed_over = runtime.block_on(async { signal(SignalKind::pipe()) }).expect("a signal");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a listener");
        let addr: SocketAddr = listener.local_addr().expect("its address");
        let target = Target { addr, server_name: NAME.to_owned() };
        let bundle = Authorities::from_pem(SITE.bundle.as_bytes()).expect("a bundle");
        let password = Password::from_file(b"secret").expect("a password");
        let probers = KINDS.map(|(_, kind)| {
            Prober::new(&check(kind), Some(&bundle), None, Some(password.clone())).expect("a check")
        });
        let acceptor = TlsAcceptor::from(Arc::clone(&SITE.identity));
        Self { runtime, listener, target, acceptor, probers: probers.into() }
    }

    fn probe(&self, kind: usize, said: &[u8], pieces: u8) -> Finding {
        let member = async {
            let parts: Vec<&[u8]> = match KINDS[kind].0 {
                Says::Encrypted => said.split(|&byte| byte == 0).collect(),
                Says::Raw | Says::Instead => vec![said],
            };
            for part in parts.iter().cycle() {
                let (stream, _) = self.listener.accept().await.expect("a probe");
                let _ = match KINDS[kind].0 {
                    Says::Encrypted => match self.acceptor.accept(stream).await {
                        Ok(stream) => say(stream, part, pieces).await,
                        Err(e) => Err(e),
                    },
                    Says::Raw | Says::Instead => say(stream, part, pieces).await,
                };
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                finding = run(&self.probers[kind], &self.target) => finding,
                () = member => unreachable!("it never ends"),
            }
        })
    }
}

/// Reads something, says everything, and closes.
async fn say(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    says: &[u8],
    pieces: u8,
) -> std::io::Result<()> {
    let mut asked = [0; 2048];
    let _ = stream.read(&mut asked).await?;
    for piece in says.chunks((says.len() / (usize::from(pieces % 4) + 1)).max(1)) {
        stream.write_all(piece).await?;
        stream.flush().await?;
        tokio::task::yield_now().await;
    }
    stream.shutdown().await?;
    while stream.read(&mut asked).await? > 0 {}
    Ok(())
}

fn check(kind: &str) -> Arc<Check> {
    let config = format!(
        "[[zone]]\nfile = \"zone\"\n[[pool]]\nname = \"ns1.example.org\"\ncheck = \"c\"\n
        [check.c]\ninterval = \"1m\"\ntimeout = \"10s\"\n{kind}\n"
    );
    let site = loaded(|path: &Path| match path.to_str()? {
        "onstage.toml" => Some(config.clone().into()),
        "zone" => Some(ZONE.into()),
        _ => Some(SITE.bundle.as_bytes().into()),
    });
    Arc::clone(&site.expect("a good site").plan.probes[0].check)
}

fuzz_target!(|input: &[u8]| -> Corpus {
    thread_local!(static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) });
    let [kind, pieces, says @ ..] = input else { return Corpus::Reject };
    STAGE.with_borrow_mut(|stage| {
        let stage = stage.get_or_insert_with(Stage::new);
        let kind = usize::from(*kind) % KINDS.len();
        let finding = stage.probe(kind, says, *pieces);
        assert!(finding.latency < TIMEOUT, "{finding:?}");
        assert_eq!(finding.detail.is_empty(), finding.verdict == Verdict::Pass, "{finding:?}");
        assert!(finding.verdict != Verdict::Fail(Reason::Prober), "{finding:?}");
        assert!(finding.detail.len() < 1000 && finding.steps.iter().all(|step| step.seen.len() < 1000));
        // Nothing that only says something can have shown that it holds the key of a certificate.
        let instead = KINDS[kind].0 == Says::Instead;
        assert!(!(instead && finding.verdict == Verdict::Pass), "{finding:?}");
    });
    Corpus::Keep
});
