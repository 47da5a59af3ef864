//! Any bytes as what a member says to a probe.
//!
//! The first byte chooses the check (plain HTTP with each kind of body that can be wanted, HTTPS, TLS), the second in how
//! many pieces the rest is said. The probe is the one that the server runs, over a loopback connection: it dials by itself,
//! and there is no other way in. That covers the HTTP reply with its bounds and verdicts, and what TLS takes before it knows
//! whom it talks to; behind a handshake that succeeded, the HTTP reply is read by the same code. A probe must end before
//! its timeout does, whatever it was told, once the member has closed the connection.

#![no_main]

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::{Corpus, fuzz_target};
use onstage::config::{Authorities, Check};
use onstage::demo::SiteCa;
use onstage::health::{Reason, Verdict};
use onstage::probe::{Finding, Prober, Target, run};
use onstage_fuzz::loaded;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

static BUNDLE: LazyLock<String> = LazyLock::new(|| SiteCa::new("Site CA").expect("a CA").pem());

/// What `http` and `https` can be asked to expect, and TLS alone.
const KINDS: [&str; 6] = [
    "http = { port = 1 }",
    "http = { port = 1, body = \"running\", status = [\"100-599\"] }",
    "http = { port = 1, body-contains = \"running\" }",
    "puppetserver = { ca-file = \"ca.pem\" }",
    "tls = { ca-file = \"ca.pem\" }",
    "http = { port = 1, method = \"HEAD\", host = \"x\", headers = { Accept = \"text/plain\" } }",
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
    probers: Vec<Prober>,
}

impl Stage {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a listener");
        let addr: SocketAddr = listener.local_addr().expect("its address");
        let target = Target { addr, server_name: "ns1.example.org".to_owned() };
        let bundle = Authorities::from_pem(BUNDLE.as_bytes()).expect("a bundle");
        let probers = KINDS.map(|kind| Prober::new(&check(kind), Some(&bundle), None).expect("a check"));
        Self { runtime, listener, target, probers: probers.into() }
    }

    fn probe(&self, prober: &Prober, says: &[u8], pieces: u8) -> Finding {
        let member = async {
            let (stream, _) = self.listener.accept().await.expect("a probe");
            say(stream, says, pieces).await
        };
        self.runtime.block_on(async {
            let (finding, _) = tokio::join!(run(prober, &self.target), member);
            finding
        })
    }
}

/// Reads something, says everything, and closes.
async fn say(mut stream: TcpStream, says: &[u8], pieces: u8) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut asked = [0; 2048];
    let _ = stream.read(&mut asked).await?;
    for piece in says.chunks((says.len() / (usize::from(pieces % 4) + 1)).max(1)) {
        stream.write_all(piece).await?;
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
        _ => Some(BUNDLE.as_bytes().into()),
    });
    Arc::clone(&site.expect("a good site").plan.probes[0].check)
}

fuzz_target!(|input: &[u8]| -> Corpus {
    thread_local!(static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) });
    let [kind, pieces, says @ ..] = input else { return Corpus::Reject };
    STAGE.with_borrow_mut(|stage| {
        let stage = stage.get_or_insert_with(Stage::new);
        let kind = usize::from(*kind) % KINDS.len();
        let finding = stage.probe(&stage.probers[kind], says, *pieces);
        assert!(finding.latency < TIMEOUT, "{finding:?}");
        assert_eq!(finding.detail.is_empty(), finding.verdict == Verdict::Pass, "{finding:?}");
        assert!(finding.verdict != Verdict::Fail(Reason::Prober), "{finding:?}");
        assert!(finding.detail.len() < 1000 && finding.steps.iter().all(|step| step.seen.len() < 1000));
        // Nothing that only says something can have shown a certificate that leads to our CA.
        assert!(!(matches!(kind, 3 | 4) && finding.verdict == Verdict::Pass), "{finding:?}");
    });
    Corpus::Keep
});
