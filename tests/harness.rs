//! What the tests share: a site made of texts, and readable replies.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::{Record, RecordType};
use onstage::answer::{MAX_MESSAGE, Outcome, Peer, Rotation, Via, answer};
use onstage::daemon::{Daemon, Director, Loaded, load};
use onstage::health::Standing;
use onstage::plan::{Plan, Pool};
use onstage::probe::schedule::Event;
use onstage::report::Colour;
use onstage::snapshot::{Compiler, Lineup, Outlook, Snapshot};
use onstage::units::{Moment, Serial};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// A loopback address that no other test uses, in this process or another. A server that stops and starts again must
/// find its port free; one that the kernel chose may be given to somebody else meanwhile, but the kernel gives nobody
/// ports below 32768.
pub fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high | 0x80, low, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Loads a site from texts by file name; `onstage.toml` is its config.
pub fn load_site(files: &[(&str, &str)]) -> Loaded {
    let files: HashMap<PathBuf, Vec<u8>> =
        files.iter().map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec())).collect();
    let read = |path: &Path| files.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
    let reading = load(Path::new("onstage.toml"), read);
    let report = reading.report.render(&reading.sources, Colour::Never);
    reading.loaded.unwrap_or_else(|| panic!("{report}"))
}

/// The plan of a zone without pools.
pub fn plan_of_zone(text: &str) -> Arc<Plan> {
    load_site(&[("onstage.toml", "[[zone]]\nfile = \"zone\"\n"), ("zone", text)]).plan
}

/// Two members that accept connections, and what a server that watches them needs.
pub struct Pair {
    pub state: tempfile::TempDir,
    pub members: [IpAddr; 2],
    listeners: [Option<TcpListener>; 2],
}

impl Pair {
    pub fn new() -> Self {
        let members = [(); 2].map(|()| IpAddr::from(own_address()));
        let listeners = members.map(|member| std::net::TcpListener::bind((member, 8140)).unwrap());
        let listeners = listeners.map(|listener| {
            listener.set_nonblocking(true).unwrap();
            Some(TcpListener::from_std(listener).unwrap())
        });
        Self { state: tempfile::tempdir().unwrap(), members, listeners }
    }

    /// The kernel closes what this member held, and refuses what comes.
    pub fn kill(&mut self, member: usize) {
        self.listeners[member] = None;
    }

    pub fn load(&self) -> Loaded {
        self.load_with("")
    }

    /// With more in the config.
    pub fn load_with(&self, more: &str) -> Loaded {
        let config = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"{}\"\n[[zone]]\nfile = \"zone\"\n\
             [check.tcp]\ntcp = {{ port = 8140 }}\n[[pool]]\nname = \"p.example\"\ncheck = \"tcp\"\n{more}",
            self.state.path().display()
        );
        let [first, second] = self.members;
        let zone = format!(
            "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n@ A {first}\n@ A {second}\n"
        );
        load_site(&[("onstage.toml", &config), ("zone", &zone)])
    }

    pub async fn start(&self) -> Daemon {
        self.start_with("").await
    }

    pub async fn start_with(&self, more: &str) -> Daemon {
        let loaded = self.load_with(more);
        Daemon::start(&loaded.plan, &loaded.network).await.unwrap()
    }

    pub fn file(&self) -> String {
        std::fs::read_to_string(self.state.path().join("state.json")).unwrap()
    }
}

/// A plan, its compiler, and what is answered of it.
pub struct Site {
    pub plan: Arc<Plan>,
    pub compiler: Compiler,
    pub snapshot: Snapshot,
}

impl Site {
    /// With every member live.
    pub fn new(plan: Arc<Plan>) -> Self {
        let everyone = vec![true; 100];
        Self::with_live(plan, |_| everyone.clone())
    }

    /// With the members of each pool live as `live` says, by the place of the pool.
    pub fn with_live(plan: Arc<Plan>, live: impl Fn(usize) -> Vec<bool>) -> Self {
        let lineups = lineups(&plan, live);
        Self::with_lineups(plan, &lineups)
    }

    /// With these lineups, by the place of the pool.
    pub fn with_lineups(plan: Arc<Plan>, lineups: &[Lineup]) -> Self {
        let compiler = Compiler::new(Arc::clone(&plan));
        let serials: Vec<Serial> = plan.zones.iter().map(|zone| zone.serial).collect();
        let snapshot = compiler.compile(lineups, &serials);
        Self { plan, compiler, snapshot }
    }

    /// The reply to one question.
    pub fn ask(&self, name: &str, record_type: RecordType) -> Message {
        self.ask_with(&mut Rotation::new(0), Via::Stream, &query(name, record_type)).expect("a reply")
    }

    /// The reply to a query in wire form.
    pub fn ask_with(&self, rotation: &mut Rotation, via: Via, query: &[u8]) -> Option<Message> {
        let reply = ask(&self.snapshot, &peer("127.0.0.1", via), rotation, query)?;
        Some(Message::from_vec(&reply).expect("replies parse"))
    }
}

/// The reply to anyone, as bytes.
pub fn ask(snapshot: &Snapshot, peer: &Peer, rotation: &mut Rotation, query: &[u8]) -> Option<Vec<u8>> {
    let mut reply = vec![0; MAX_MESSAGE];
    match answer(snapshot, peer, query, rotation, &mut reply) {
        Outcome::Reply(written) => {
            reply.truncate(written.len.into());
            assert_eq!(written.cell.rcode() % 16, u16::from(reply[3] % 16), "it is counted with its rcode");
            Some(reply)
        }
        Outcome::Drop => None,
    }
}

/// The moment that tests ask at, in seconds of Unix time.
pub const NOW: u32 = 1_800_000_000;

/// Who asks from `addr`.
pub fn peer(addr: &str, via: Via) -> Peer {
    Peer { addr: addr.parse().expect("an address"), via, now: NOW }
}

/// The lineups of a plan whose members are live as told.
pub fn lineups(plan: &Plan, live: impl Fn(usize) -> Vec<bool>) -> Vec<Lineup> {
    let pools = plan.pools.iter().enumerate();
    pools.map(|(i, pool)| lineup(pool, &live(i)[..pool.members.len()])).collect()
}

/// The lineup of a pool whose members are live as told, and settled.
pub fn lineup(pool: &Pool, live: &[bool]) -> Lineup {
    let standing = |&live: &bool| if live { Standing::LIVE } else { Standing::Down };
    let standings: Vec<Standing> = live.iter().map(standing).collect();
    Lineup::of(pool, &standings, Outlook::Settled, None)
}

/// So many seconds after the start, by both clocks.
pub fn at(seconds: u64) -> Moment {
    after(Duration::from_secs(seconds))
}

/// Now, by both clocks, of a test that began then.
pub fn since(began: Instant) -> Moment {
    after(began.elapsed())
}

fn after(steady: Duration) -> Moment {
    Moment { steady, unix: NOW + steady.as_secs() as u32 }
}

/// Tells the director what the schedule has to say, as the daemon does.
pub fn take(director: &mut Director, event: Event, now: Moment) {
    match event {
        Event::Found { probe, finding, ring, pace } => {
            let _ = pace.send(director.judge(probe, &finding, now));
            director.answer(probe, ring, finding);
        }
        Event::Overdue { probe } => director.expect(probe, now),
    }
}

/// A query in wire form: id 0x1234, no flags, no EDNS.
pub fn query(name: &str, record_type: RecordType) -> Vec<u8> {
    let mut wire = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).expect("a label"));
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire.extend_from_slice(&u16::from(record_type).to_be_bytes());
    wire.extend_from_slice(&1_u16.to_be_bytes());
    wire
}

/// The same with an OPT record.
pub fn with_edns(mut query: Vec<u8>, udp_size: u16, version: u8, flags: u16) -> Vec<u8> {
    query[11] = 1;
    query.extend_from_slice(&[0, 0, 41]);
    query.extend_from_slice(&udp_size.to_be_bytes());
    query.extend_from_slice(&[0, version]);
    query.extend_from_slice(&flags.to_be_bytes());
    query.extend_from_slice(&[0, 0]);
    query
}

/// The same with EDNS options.
pub fn with_options(query: Vec<u8>, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut wire = with_edns(query, 1232, 0, 0);
    wire.truncate(wire.len() - 2);
    let rdata: Vec<u8> = options
        .iter()
        .flat_map(|(code, value)| {
            let length = u16::try_from(value.len()).expect("an option");
            [&code.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
        })
        .collect();
    wire.extend_from_slice(&u16::try_from(rdata.len()).expect("options").to_be_bytes());
    wire.extend_from_slice(&rdata);
    wire
}

/// Records as lines, sorted: `name ttl type data`.
pub fn lines(records: &[Record]) -> Vec<String> {
    let mut lines: Vec<String> =
        records.iter().map(|r| format!("{} {} {} {}", r.name, r.ttl, r.record_type(), r.data)).collect();
    lines.sort();
    lines
}

/// What is logged on this thread meanwhile: a line each, without time and colours.
pub fn logged(during: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    let written = lines.clone();
    let logs = tracing_subscriber::fmt().without_time().with_target(false).with_ansi(false);
    tracing::subscriber::with_default(logs.with_writer(move || written.clone()).finish(), during);
    let bytes = std::mem::take(&mut *lines.0.lock().expect("nobody panicked"));
    String::from_utf8_lossy(&bytes).lines().map(|line| line.trim().to_owned()).collect()
}

#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The next datagram.
pub fn receive(socket: &UdpSocket) -> io::Result<Vec<u8>> {
    uninterrupted(|datagram| socket.recv(datagram))
}

/// What a server tells its supervisor next.
pub fn hear(supervisor: &UnixDatagram) -> String {
    let news = uninterrupted(|datagram| supervisor.recv(datagram)).expect("news");
    String::from_utf8(news).expect("text")
}

/// A socket with a timeout is interrupted by signals (signal(7)), as where another test's child ends: it is asked again.
fn uninterrupted(receive: impl Fn(&mut [u8]) -> io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut datagram = vec![0; 4096];
    loop {
        match receive(&mut datagram) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            received => {
                datagram.truncate(received?);
                return Ok(datagram);
            }
        }
    }
}
