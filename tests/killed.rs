//! Real members over real sockets, killed: out of the answer long before the next probe is due.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use onstage::daemon::{Daemon, Network};
use onstage::demo::{Master, SiteCa, Validity, addresses};
use onstage::health::Reason;
use onstage::plan::Plan;

use crate::harness::{load_site, own_address};

const NAME: &str = "puppet.example.org";
/// Longer than any test takes: whatever is noticed sooner, the idle connection told.
const INTERVAL: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon that watches members, and its folder.
struct Stage {
    daemon: Daemon,
    plan: Arc<Plan>,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn set(check: &str, members: [Ipv4Addr; 2], ca: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"{}\"\n[[zone]]\nfile = \"zone\"\n\
             [check.it]\ninterval = \"{INTERVAL:?}\"\n{check}\n[[pool]]\nname = \"{NAME}\"\ncheck = \"it\"\n",
            folder.path().display()
        );
        let [one, two] = members;
        let zone = format!(
            "$ORIGIN {NAME}.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns.example.net.\n@ A {one}\n@ A {two}\n"
        );
        let loaded = load_site(&[("onstage.toml", &config), ("zone", &zone), ("ca.pem", ca)]);
        let (plan, network): (Arc<Plan>, Arc<Network>) = (loaded.plan, loaded.network);
        let daemon = Daemon::start(&plan, &network).await.unwrap();
        for probe in &plan.probes {
            until(|| connections(probe.target) == 1).await;
        }
        Self { daemon, plan, _folder: folder }
    }

    async fn answered(&self) -> Vec<IpAddr> {
        let mut answered = addresses(self.daemon.addrs()[0], NAME).await.unwrap();
        answered.sort();
        answered
    }

    /// How long it takes until only this member is answered.
    async fn leaves(&self, since: Instant, left: Ipv4Addr) -> Duration {
        while self.answered().await != [IpAddr::from(left)] {
            assert!(since.elapsed() < PATIENCE, "it stays");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        since.elapsed()
    }

    fn reasons(&self) -> Vec<Option<Reason>> {
        self.daemon.views().borrow().iter().map(|observed| observed.reason()).collect()
    }
}

/// Waits for the kernel, or another process.
async fn until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it does not come to pass");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How many connections to this address are established, as the kernel has it.
fn connections(to: SocketAddr) -> usize {
    let SocketAddr::V4(to) = to else { panic!("IPv4 alone is looked up") };
    let to = format!("{:08X}:{:04X}", u32::from_ne_bytes(to.ip().octets()), to.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_one = |line: &&str| {
        let mut words = line.split_whitespace().skip(2);
        words.next() == Some(&to) && words.next() == Some("01")
    };
    table.lines().filter(is_one).count()
}

/// A process that listens: another server of this kind.
struct Process(Child, #[expect(dead_code, reason = "kept until the process ends")] tempfile::TempDir);

impl Process {
    async fn start(addr: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config =
            format!("[server]\nlisten = [\"{addr}\"]\nstate-dir = \"state\"\n[[zone]]\nfile = \"zone\"\n");
        std::fs::write(folder.path().join("onstage.toml"), config).unwrap();
        let zone = "$ORIGIN p.example.\n$TTL 30\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n";
        std::fs::write(folder.path().join("zone"), zone).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_onstage"));
        command.args(["serve", "-c"]).arg(folder.path().join("onstage.toml")).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        until(|| std::net::TcpStream::connect(addr).is_ok()).await;
        Self(child, folder)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_the_answer_at_once() {
    let members = [own_address(), own_address()];
    let mut killed = Process::start((members[0], 5300).into()).await;
    let _lives = Process::start((members[1], 5300).into()).await;
    let stage = Stage::set("tcp = { port = 5300 }", members, "").await;
    assert_eq!(stage.answered().await.len(), 2);
    let began = Instant::now();
    killed.0.kill().unwrap(); // SIGKILL
    let took = stage.leaves(began, members[1]).await;
    println!("killed: out of the answer after {took:?}");
    assert_eq!(stage.reasons(), [Some(Reason::Refused), None]);
    assert_eq!(connections(stage.plan.probes[0].target), 0);
    stage.daemon.stop().await;
}

#[tokio::test]
async fn a_master_that_crashes_leaves_the_answer_at_once() {
    let ca = SiteCa::new("Site CA").unwrap();
    let members = [own_address(), own_address()];
    let mut masters = members.map(|member| {
        Master::start((member, 8140).into(), Some(ca.issue(&[NAME], Validity::Current).unwrap())).unwrap()
    });
    let check = format!("puppetserver = {{ server-name = \"{NAME}\", ca-file = \"ca.pem\" }}");
    let stage = Stage::set(&check, members, &ca.pem()).await;
    let began = Instant::now();
    masters[0].crash().await;
    let took = stage.leaves(began, members[1]).await;
    println!("crashed: out of the answer after {took:?}");
    assert_eq!((masters[0].requests(), masters[1].requests()), (1, 1));
    stage.daemon.stop().await;
}

#[tokio::test]
async fn a_member_that_closes_idle_connections_is_asked_and_stays() {
    let members = [own_address(), own_address()];
    let [first, second] = members.map(|member| TcpListener::bind((member, 8140)).unwrap());
    let stage = Stage::set("tcp = { port = 8140 }", members, "").await;
    let accepted = tokio::task::spawn_blocking(move || {
        let _lives = first;
        let [_probe, idle] = [(); 2].map(|()| second.accept().unwrap());
        drop(idle);
        second.accept().unwrap()
    });
    accepted.await.expect("it is probed again");
    assert_eq!(stage.answered().await.len(), 2);
    stage.daemon.stop().await;
}
