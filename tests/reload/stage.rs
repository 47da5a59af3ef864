//! A daemon, the members that it believes to probe, and clients that ask it all the time.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};
use onstage::daemon::{Changes, Daemon, ReloadError};
use onstage::health::{Reason, Told, Verdict};
use onstage::plan::Plan;
use onstage::probe::Finding;
use onstage::probe::guard::Vouch;
use onstage::probe::schedule::Ask;
use onstage::units::ProbeId;

use crate::harness::{load_site, query, receive};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a config says.
#[derive(Debug, Clone)]
pub struct Site {
    pub members: Vec<Ipv4Addr>,
    pub listen: Vec<String>,
    pub interval: Duration,
    pub zone: &'static str,
    pub serial: u32,
    /// More keys of the pool.
    pub rules: &'static str,
    /// More keys of the server.
    pub more: String,
    /// Instead of the stage's own.
    pub state: Option<PathBuf>,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            listen: vec!["127.0.0.1:0".to_owned()],
            interval: Duration::from_secs(3600),
            zone: "p.example",
            serial: 1,
            rules: "",
            more: "workers = 2".to_owned(),
            state: None,
        }
    }
}

impl Site {
    pub fn plan(&self, state: &std::path::Path) -> Arc<Plan> {
        let Self { members, listen, interval, zone, serial, rules, more, .. } = self;
        let state = self.state.as_deref().unwrap_or(state).display();
        let config = format!(
            "[server]\nlisten = {listen:?}\nstate-dir = \"{state}\"\n{more}\n[[zone]]\nfile = \"zone\"\n\
             [check.tcp]\ninterval = \"{interval:?}\"\nrecheck = \"20ms\"\ntcp = {{ port = 8140 }}\n\
             [[pool]]\nname = \"{zone}\"\ncheck = \"tcp\"\n{rules}\n"
        );
        let members = members.iter().map(|member| format!("@ A {member}\n")).collect::<Vec<_>>().concat();
        let zone = format!(
            "$ORIGIN {zone}.\n$TTL 30\n@ SOA ns h {serial} 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n{members}"
        );
        load_site(&[("onstage.toml", &config), ("zone", &zone), ("token", "a-token-of-these-tests")]).plan
    }
}

/// Who is dead, and how often each was asked.
#[derive(Debug, Default)]
pub struct World {
    dead: Mutex<BTreeSet<IpAddr>>,
    asked: Mutex<HashMap<IpAddr, usize>>,
}

impl World {
    pub fn lose(&self, member: Ipv4Addr) {
        self.dead.lock().unwrap().insert(member.into());
    }

    pub fn find(&self, member: Ipv4Addr) {
        self.dead.lock().unwrap().remove(&member.into());
    }
}

/// The world as a plan's probes see it.
#[derive(Debug)]
pub struct Eyes(pub Arc<Plan>, pub Arc<World>);

impl Ask for Eyes {
    async fn ask(&self, probe: ProbeId) -> Finding {
        let member = self.0.probes[probe.index()].target.ip();
        *self.1.asked.lock().unwrap().entry(member).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let is_dead = self.1.dead.lock().unwrap().contains(&member);
        let verdict = if is_dead { Verdict::Fail(Reason::Refused) } else { Verdict::Pass };
        let (steps, latency) = (Vec::new(), Duration::from_millis(1));
        Finding { verdict, detail: String::new(), told: Told::default(), steps, latency }
    }
}

impl Vouch for Eyes {
    async fn vouches(&self, _guard: SocketAddr) -> bool {
        true
    }
}

/// A running daemon.
pub struct Stage {
    pub daemon: Daemon,
    pub world: Arc<World>,
    pub state: tempfile::TempDir,
}

impl Stage {
    pub async fn set(site: &Site, dead: &[Ipv4Addr]) -> Self {
        let (world, state) = (Arc::<World>::default(), tempfile::tempdir().unwrap());
        for &member in dead {
            world.lose(member);
        }
        let plan = site.plan(state.path());
        let eyes = Arc::new(Eyes(Arc::clone(&plan), Arc::clone(&world)));
        Self { daemon: Daemon::start(&plan, &eyes).await.unwrap(), world, state }
    }

    pub async fn reload(&self, site: &Site) -> Result<Changes, ReloadError> {
        let plan = site.plan(self.state.path());
        let eyes = Arc::new(Eyes(Arc::clone(&plan), Arc::clone(&self.world)));
        self.daemon.reload(&plan, &eyes).await
    }

    pub fn addr(&self) -> SocketAddr {
        self.daemon.addrs()[0]
    }

    pub fn asked(&self, member: Ipv4Addr) -> usize {
        self.world.asked.lock().unwrap().get(&member.into()).copied().unwrap_or_default()
    }

    pub async fn until_asked(&self, member: Ipv4Addr, often: usize) {
        let began = Instant::now();
        while self.asked(member) < often {
            assert!(began.elapsed() < PATIENCE, "{member} was asked {} times", self.asked(member));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Who is answered.
    pub async fn answered(&self) -> BTreeSet<Ipv4Addr> {
        let addr = self.addr();
        tokio::task::spawn_blocking(move || members(&ask(&client(addr), RecordType::A, 1))).await.unwrap()
    }

    pub async fn until_answered(&self, wanted: &[Ipv4Addr]) {
        let (began, wanted) = (Instant::now(), wanted.iter().copied().collect::<BTreeSet<_>>());
        while self.answered().await != wanted {
            assert!(began.elapsed() < PATIENCE, "{:?} is answered", self.answered().await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The serial of a zone; `None`: it is not served.
    pub async fn serial(&self, _zone: &str) -> Option<u32> {
        let addr = self.addr();
        let reply =
            tokio::task::spawn_blocking(move || ask(&client(addr), RecordType::SOA, 1)).await.unwrap();
        reply.answers.iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        })
    }

    /// A client that asks all the time, one query after another.
    pub fn ask_on(&self) -> Asking {
        let (addr, stop) = (self.addr(), Arc::<AtomicBool>::default());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (client, mut seen) = (client(addr), Seen::default());
            while !stopped.load(Ordering::Relaxed) {
                seen.queries += 1;
                let reply = ask(&client, RecordType::A, seen.queries as u16);
                seen.answered.extend(members(&reply));
            }
            seen
        });
        Asking { stop, thread }
    }
}

/// A client at work. Each of its queries is answered, or it panics.
pub struct Asking {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Seen>,
}

/// What it has seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub queries: usize,
    pub answered: BTreeSet<Ipv4Addr>,
}

impl Asking {
    pub async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        tokio::task::spawn_blocking(|| self.thread.join().expect("every query was answered")).await.unwrap()
    }
}

pub fn client(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.connect(server).unwrap();
    socket
}

pub fn ask(client: &UdpSocket, record_type: RecordType, id: u16) -> Message {
    let mut query = query("p.example", record_type);
    query[..2].copy_from_slice(&id.to_be_bytes());
    client.send(&query).unwrap();
    let reply = Message::from_vec(&receive(client).expect("a reply")).unwrap();
    assert_eq!(reply.metadata.id, id);
    reply
}

fn members(reply: &Message) -> BTreeSet<Ipv4Addr> {
    let address = |data: &RData| match data {
        RData::A(address) => Some(address.0),
        _ => None,
    };
    reply.answers.iter().filter_map(|record| address(&record.data)).collect()
}
