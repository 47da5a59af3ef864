//! Beside a real BIND: it delegates the name with glue, and clients see live masters only, whether they ask that same
//! BIND or another resolver.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use onstage::daemon::Daemon;
use onstage::demo::{Master, SiteCa, Validity};

use super::process::{Peer, available};
use crate::harness::{load_site, own_address};

const NAME: &str = "puppet.example.org";
const PATIENCE: Duration = Duration::from_secs(20);

/// Glue carries no port, so onstage has to be on port 53.
fn may_bind_port_53(own: Ipv4Addr) -> bool {
    let bound = std::net::UdpSocket::bind((own, 53));
    let required = std::env::var("ONSTAGE_PEERS").is_ok_and(|value| value == "required");
    assert!(bound.is_ok() || !required, "port 53 may not be bound, and ONSTAGE_PEERS=required");
    if let Err(e) = &bound {
        eprintln!("SKIPPED: port 53 on {own} cannot be bound: {e}");
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
            assert!(
                began.elapsed() < PATIENCE,
                "the resolver {} still says {seen:?}, not {wanted:?}",
                self.0
            );
            seen = self.dig();
        }
        let (addresses, text) = self.host();
        assert_eq!(addresses, *wanted, "{text}");
        for address in wanted {
            assert!(text.contains(&format!("{NAME} has address {address}")), "{text}");
        }
    }
}

/// The BIND that is already there: the parent zone, a delegation with glue in it, and recursion for its clients.
fn parent(onstage: Ipv4Addr) -> Peer {
    let zone = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "$ORIGIN example.org.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n\
         puppet NS ns1.puppet\nns1.puppet A {onstage}\n"
    );
    std::fs::write(zone.path(), text).unwrap();
    let statement = format!("zone \"example.org\" {{ type primary; file \"{}\"; }};", zone.path().display());
    Peer::bind("recursion yes;", &statement, "example.org")
}

#[tokio::test(flavor = "multi_thread")]
async fn bind_delegates_and_clients_see_live_masters_only() {
    let own = own_address();
    if !["named", "unbound", "dig", "host"].into_iter().all(available) || !may_bind_port_53(own) {
        return;
    }
    let ca = SiteCa::new("Site CA").unwrap();
    let members = [(); 3].map(|()| own_address());
    let mut masters = members.map(|member| {
        let identity = ca.issue(&[NAME], Validity::Current).unwrap();
        Master::start((member, 8140).into(), Some(identity)).unwrap()
    });
    let (daemon, _state) = onstage(own, members, &ca).await;
    let parent = parent(own);
    let resolving = Peer::unbound("example.org", parent.addr);
    let resolvers = std::sync::Arc::new([Resolver(parent.addr), Resolver(resolving.addr)]);
    let until = |live: &[usize]| {
        let wanted: BTreeSet<Ipv4Addr> = live.iter().map(|&member| members[member]).collect();
        let resolvers = std::sync::Arc::clone(&resolvers);
        tokio::task::spawn_blocking(move || {
            std::thread::scope(|asking| {
                for resolver in &*resolvers {
                    asking.spawn(|| resolver.until(&wanted));
                }
            });
        })
    };
    until(&[0, 1, 2]).await.unwrap();
    masters[1].crash().await;
    until(&[0, 2]).await.unwrap();
    masters[2].freeze();
    until(&[0]).await.unwrap();
    masters[1].come_back().unwrap();
    until(&[0, 1]).await.unwrap();
    daemon.stop().await;
}

async fn onstage(own: Ipv4Addr, members: [Ipv4Addr; 3], ca: &SiteCa) -> (Daemon, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    let config = format!(
        "[server]\nlisten = [\"{own}:53\"]\nstate-dir = \"{}\"\n[[zone]]\nfile = \"zone\"\n\
         [check.puppetserver]\ninterval = \"100ms\"\ntimeout = \"500ms\"\nrecheck = \"50ms\"\n\
         puppetserver = {{ ca-file = \"ca.pem\" }}\n\
         [[pool]]\nname = \"{NAME}\"\ncheck = \"puppetserver\"\n",
        state.path().display()
    );
    let members = members.map(|member| format!("@ A {member}\n")).concat();
    let zone = format!("$ORIGIN {NAME}.\n$TTL 1\n@ SOA ns1 h 1 2 3 4 1\n@ NS ns1\nns1 A {own}\n{members}");
    let loaded = load_site(&[("onstage.toml", &config), ("zone", &zone), ("ca.pem", &ca.pem())]);
    (Daemon::start(&loaded.plan, &loaded.network).await.unwrap(), state)
}
