//! Beside a real BIND: it delegates the name with glue, a resolver follows, and clients see live masters only.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use onstage::daemon::Daemon;
use onstage::demo::{Master, SiteCa, Validity};

use super::process::{Peer, available};
use crate::harness::load_site;

const NAME: &str = "puppet.example.org";
const PATIENCE: Duration = Duration::from_secs(20);

/// Glue carries no port, so onstage is on port 53, on a loopback address of this process's own.
fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 53, (std::process::id() % 251) as u8, last)
}

fn may_bind_port_53() -> bool {
    let bound = std::net::UdpSocket::bind((address(2), 53));
    let required = std::env::var("ONSTAGE_PEERS").is_ok_and(|value| value == "required");
    assert!(bound.is_ok() || !required, "port 53 may not be bound, and ONSTAGE_PEERS=required");
    if let Err(e) = &bound {
        eprintln!("SKIPPED: port 53 on {} cannot be bound: {e}", address(2));
    }
    bound.is_ok()
}

/// The addresses that a command prints, and the lines it prints them in.
fn printed(program: &str, args: &[&str]) -> (BTreeSet<Ipv4Addr>, String) {
    let output = Command::new(program).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers = text.lines().filter(|line| !line.contains(':')); // host names its server first
    let last_words = answers.filter_map(|line| line.rsplit(' ').next()?.parse().ok());
    (last_words.collect(), text)
}

struct Resolver(SocketAddr);

impl Resolver {
    fn dig(&self) -> BTreeSet<Ipv4Addr> {
        let (ip, port) = (format!("@{}", self.0.ip()), self.0.port().to_string());
        printed("dig", &[&ip, "-p", &port, NAME, "+short"]).0
    }

    fn host(&self) -> (BTreeSet<Ipv4Addr>, String) {
        let (ip, port) = (self.0.ip().to_string(), self.0.port().to_string());
        printed("host", &["-p", &port, "-t", "A", NAME, &ip])
    }

    /// Until dig prints these; what the resolver has cached lives for a second.
    fn until(&self, wanted: &BTreeSet<Ipv4Addr>) {
        let began = Instant::now();
        let mut seen = self.dig();
        while seen != *wanted {
            assert!(began.elapsed() < PATIENCE, "the resolver still says {seen:?}, not {wanted:?}");
            seen = self.dig();
        }
        let (addresses, text) = self.host();
        assert_eq!(addresses, *wanted, "{text}");
        for address in wanted {
            assert!(text.contains(&format!("{NAME} has address {address}")), "{text}");
        }
    }
}

/// The parent zone as BIND has it: a delegation with glue.
fn parent() -> Peer {
    let zone = tempfile::NamedTempFile::new().unwrap();
    let onstage = address(2);
    let text = format!(
        "$ORIGIN example.org.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n\
         puppet NS ns1.puppet\nns1.puppet A {onstage}\n"
    );
    std::fs::write(zone.path(), text).unwrap();
    let statement = format!("zone \"example.org\" {{ type primary; file \"{}\"; }};", zone.path().display());
    Peer::bind("recursion no;", &statement, "example.org")
}

#[tokio::test(flavor = "multi_thread")]
async fn bind_delegates_and_clients_see_live_masters_only() {
    if !["named", "unbound", "dig", "host"].into_iter().all(available) || !may_bind_port_53() {
        return;
    }
    let ca = SiteCa::new("Site CA").unwrap();
    let mut port = 0;
    let mut masters = [11, 12, 13].map(|last| {
        let identity = ca.issue(&[NAME], Validity::Current).unwrap();
        let master = Master::start((address(last), port).into(), Some(identity)).unwrap();
        port = master.addr().port();
        master
    });
    let (daemon, _state) = onstage(port, &ca).await;
    let parent = parent();
    let resolving = Peer::unbound("example.org", parent.addr);
    let resolver = std::sync::Arc::new(Resolver(resolving.addr));
    let until = |lasts: &[u8]| {
        let wanted: BTreeSet<Ipv4Addr> = lasts.iter().map(|&last| address(last)).collect();
        let resolver = std::sync::Arc::clone(&resolver);
        tokio::task::spawn_blocking(move || resolver.until(&wanted))
    };
    until(&[11, 12, 13]).await.unwrap();
    masters[1].crash().await;
    until(&[11, 13]).await.unwrap();
    masters[2].freeze();
    until(&[11]).await.unwrap();
    masters[1].come_back().unwrap();
    until(&[11, 12]).await.unwrap();
    daemon.stop().await;
}

async fn onstage(port: u16, ca: &SiteCa) -> (Daemon, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    let own = address(2);
    let config = format!(
        "[server]\nlisten = [\"{own}:53\"]\nstate-dir = \"{}\"\n[[zone]]\nfile = \"zone\"\n\
         [check.puppetserver]\ninterval = \"100ms\"\ntimeout = \"500ms\"\nrecheck = \"50ms\"\n\
         puppetserver = {{ port = {port}, ca-file = \"ca.pem\" }}\n\
         [[pool]]\nname = \"{NAME}\"\ncheck = \"puppetserver\"\n",
        state.path().display()
    );
    let members: String = [11, 12, 13].map(|last| format!("@ A {}\n", address(last))).concat();
    let zone = format!("$ORIGIN {NAME}.\n$TTL 1\n@ SOA ns1 h 1 2 3 4 1\n@ NS ns1\nns1 A {own}\n{members}");
    let loaded = load_site(&[("onstage.toml", &config), ("zone", &zone), ("ca.pem", &ca.pem())]);
    (Daemon::start(&loaded.plan, &loaded.network).await.unwrap(), state)
}
