//! What it costs to watch thousands of members: `cargo bench --bench probes`.
//!
//! ```text
//!  this process ──starts──▶ members: one process that listens on all of 127.0.0.0/8, so that each address is a member
//!       │
//!       └──────starts──▶ a prober for each case: the daemon itself, whose own CPU time and memory are read at its end
//! ```
//!
//! Members answer at once, unless the case says otherwise. Everything runs on loopback, where the kernel's work for the
//! members' side of a connection is in part counted as the prober's.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and stops at the first surprise"
)]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use onstage::daemon::{Daemon, Loaded, Network, load};
use onstage::demo::{Master, SiteCa, Validity};
use onstage::health::{Reason, Told, Verdict};
use onstage::probe::guard::Vouch;
use onstage::probe::schedule::Ask;
use onstage::probe::{Finding, Held};
use onstage::units::ProbeId;
use tokio::net::TcpListener;

const NAME: &str = "puppet.example.org";
const MEMBERS: u32 = 10_000;
/// Members of one pool.
const POOL: u32 = 4;
const INTERVAL: Duration = Duration::from_secs(5);
/// How long each case is measured, after one more interval to settle in.
const MEASURED: Duration = Duration::from_secs(20);
const WINDOW: Duration = Duration::from_millis(100);

/// What is measured.
#[derive(Clone, Copy, PartialEq)]
enum Case {
    Tcp,
    Https,
    Tripwires,
    Flapping,
}

impl Case {
    const ALL: [Self; 4] = [Self::Tcp, Self::Https, Self::Tripwires, Self::Flapping];

    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Https => "https",
            Self::Tripwires => "https, tripwires",
            Self::Flapping => "half of them flap",
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["members", folder] => members(Path::new(folder)),
        ["prober", case, count, folder] => {
            let case = Case::ALL.into_iter().find(|known| known.name() == case).unwrap();
            prober(case, count.parse().unwrap(), Path::new(folder));
        }
        ref counts => compare(counts.first().map_or(MEMBERS, |count| count.parse().unwrap())),
    }
}

/// All cases, one after another.
fn compare(count: u32) {
    let folder = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let mut members = Command::new(&this);
    let members = members.arg("members").arg(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut members = members.spawn().unwrap();
    members.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap(); // they are there
    println!(
        "{count} members in pools of {POOL}, each asked every {INTERVAL:?}, for {MEASURED:?}; one case after another\n"
    );
    println!(
        "| members | probes/s | CPU µs/probe | share of a CPU | KiB/member | most in {WINDOW:?}, of the mean | first round | slowest reply |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for case in Case::ALL {
        let count = count.to_string();
        let mut prober = Command::new(&this);
        prober.args(["prober", case.name(), &count]).arg(folder.path()).stderr(Stdio::null());
        assert!(prober.status().unwrap().success(), "{}", case.name());
    }
    drop(members.stdin.take()); // that ends them
    members.wait().unwrap();
}

/// Members on every address of 127.0.0.0/8: one port for TCP, one for HTTPS. Until stdin ends.
fn members(folder: &Path) {
    take_all_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let masters = runtime.block_on(async {
        let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        let ca = SiteCa::new("Site CA").unwrap();
        let identity = ca.issue(&[NAME], Validity::Current).unwrap();
        let https = Master::start((Ipv4Addr::UNSPECIFIED, 0).into(), Some(identity)).unwrap();
        let ports = format!("{} {}", tcp.local_addr().unwrap().port(), https.addr().port());
        std::fs::write(folder.join("ports"), ports).unwrap();
        std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
        tokio::spawn(async move { while tcp.accept().await.is_ok() {} });
        https
    });
    std::io::stdout().write_all(b"\n").unwrap();
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
    drop(masters);
}

/// The daemon, as it would be; when it asks is noted on the way.
struct Watched {
    network: Arc<Network>,
    case: Case,
    began: Instant,
    asked: Vec<AtomicU64>,
    /// Probes begun in each window.
    starts: Vec<AtomicU64>,
}

impl Ask for Watched {
    async fn ask(&self, probe: ProbeId) -> Finding {
        let window = self.began.elapsed().as_millis() / WINDOW.as_millis();
        if let Some(starts) = self.starts.get(window as usize) {
            starts.fetch_add(1, Ordering::Relaxed);
        }
        let asked = self.asked[probe.index()].fetch_add(1, Ordering::Relaxed);
        match self.case {
            // Twice well, twice refused: each time just enough to be believed.
            Case::Flapping if probe.0 % 2 == 1 && asked % 4 > 1 => finding(Verdict::Fail(Reason::Refused)),
            Case::Flapping => finding(Verdict::Pass),
            Case::Tcp | Case::Https | Case::Tripwires => self.network.ask(probe).await,
        }
    }

    async fn hold(&self, probe: ProbeId) -> Held {
        self.network.hold(probe).await
    }
}

impl Vouch for Watched {
    async fn vouches(&self, guard: SocketAddr) -> bool {
        self.network.vouches(guard).await
    }
}

fn finding(verdict: Verdict) -> Finding {
    Finding {
        verdict,
        detail: String::new(),
        told: Told::default(),
        steps: Vec::new(),
        latency: Duration::ZERO,
    }
}

/// One case: a row of the table.
fn prober(case: Case, count: u32, folder: &Path) {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init(); // transitions are logged as they would be
    let before = resident();
    let Loaded { plan, network } = site(case, count, folder);
    let windows = (2 * INTERVAL + 2 * MEASURED).as_millis() / WINDOW.as_millis();
    let counters = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
    let (asked, starts) = (counters(count as usize), counters(windows as usize));
    let ask = Arc::new(Watched { network, case, began: Instant::now(), asked, starts });
    // As `onstage serve` has it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let daemon = runtime.block_on(Daemon::start(&plan, &ask)).unwrap();
    let first_round = ask.began.elapsed();
    std::thread::sleep(INTERVAL);
    let (from, cpu) = (ask.began.elapsed(), cpu());
    let slowest = ask_for(MEASURED, daemon.addrs()[0], count);
    let (to, cpu) = (ask.began.elapsed(), self::cpu() - cpu); // seconds
    let memory = resident() - before;
    let window = |at: Duration| (at.as_millis() / WINDOW.as_millis()) as usize;
    let starts: Vec<u64> = ask.starts[window(from) + 1..window(to)]
        .iter()
        .map(|starts| starts.load(Ordering::Relaxed))
        .collect();
    let (all, most) = (starts.iter().sum::<u64>() as f64, starts.iter().copied().max().unwrap() as f64);
    let seconds = (WINDOW * starts.len() as u32).as_secs_f64();
    let share = cpu / (to.as_secs_f64() - from.as_secs_f64());
    println!(
        "| {} | {:.0} | {:.0} | {:.1} % | {:.1} | {:.2} | {:.1} s | {:.1} ms |",
        case.name(),
        all / seconds,
        share * seconds / all * 1e6,
        share * 100.0,
        memory as f64 / 1024.0 / f64::from(count),
        most / (all / starts.len() as f64),
        first_round.as_secs_f64(),
        slowest.as_secs_f64() * 1e3,
    );
    runtime.block_on(daemon.stop());
}

/// Asks the server a hundred times a second for so long: how long the slowest reply took.
fn ask_for(time: Duration, server: SocketAddr, count: u32) -> Duration {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.connect(server).unwrap();
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < time {
        let asked = Instant::now();
        socket.send(&query(fastrand::u32(..count / POOL))).unwrap();
        let length = socket.recv(&mut [0; 1232]).unwrap();
        assert!(length > 12, "an answer");
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
    slowest
}

/// A for the name of a pool.
fn query(pool: u32) -> Vec<u8> {
    let mut wire = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in format!("{pool}.{NAME}").split('.') {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.extend_from_slice(&[0, 0, 1, 0, 1]);
    wire
}

/// So many members, at addresses of their own.
fn site(case: Case, count: u32, folder: &Path) -> Loaded {
    let ports = std::fs::read_to_string(folder.join("ports")).unwrap();
    let (tcp, https) = ports.split_once(' ').unwrap();
    let kind = match case {
        Case::Tcp | Case::Flapping => format!("tripwire = false\ntcp = {{ port = {tcp} }}"),
        Case::Https | Case::Tripwires => format!(
            "tripwire = {}\npuppetserver = {{ port = {https}, server-name = \"{NAME}\", ca-file = \"ca.pem\" }}",
            case == Case::Tripwires
        ),
    };
    let mut config = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nstate-dir = \"{}\"\n[[zone]]\nfile = \"zone\"\n\
         [check.it]\ninterval = \"{INTERVAL:?}\"\n{kind}\n",
        folder.join("state").display()
    );
    let mut zone =
        format!("$ORIGIN {NAME}.\n$TTL 30\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n");
    for member in 0..count {
        let pool = member / POOL;
        if member % POOL == 0 {
            writeln!(config, "[[pool]]\nname = \"{pool}.{NAME}\"\ncheck = \"it\"").unwrap();
        }
        writeln!(zone, "{pool} A {}", Ipv4Addr::from(0x7f01_0001 + member)).unwrap();
    }
    let pem = folder.join("ca.pem");
    let read = |path: &Path| match path.to_str() {
        Some("onstage.toml") => Ok(config.clone().into_bytes()),
        Some("zone") => Ok(zone.clone().into_bytes()),
        _ => std::fs::read(&pem),
    };
    load(&PathBuf::from("onstage.toml"), read).loaded.unwrap()
}

/// CPU time of this process so far, in seconds.
fn cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    micros as f64 / 1e6
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn take_all_descriptors() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}
