//! The edge that clients see: UDP in batches on threads of its own, TCP, TLS, HTTPS and QUIC on the runtime.
//!
//! They differ in framing only; what is said is `answer()`'s. Nothing here blocks on anything but the socket, and
//! everything is bounded: datagrams in a batch, connections in all and from one client, time, bytes.

mod accept;
mod batch;
mod bind;
mod clients;
mod counts;
mod desk;
mod door;
mod doq;
mod ear;
mod envelope;
mod http2;
mod http3;
mod https;
mod inherit;
mod limit;
mod measured;
mod place;
mod quic;
mod room;
mod surplus;
mod tally;
mod tap;
mod tcp;
mod tls;
mod trouble;
mod udp;
mod way;

use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Dnstap, RateLimit, Server, Shown, Tcp};
use crate::snapshot::{Reader, Snapshot};

use counts::Workers;
use door::Open;
use ear::Cover;
use limit::Limiter;
use tally::Tally;
use tap::{Moments, Tap};
use way::Way;

pub(crate) use clients::{Clients, Seat};

pub use bind::{BindError, bind};
pub use counts::{Counted, Counter, Counts, Kind, PoolKey};
pub use inherit::{Bound, Inherited, Maker};
pub use place::{Addresses, Place, Protocol, Sockets, places};
pub use surplus::Surplus;
pub use tally::{Event, Transport};

/// How long those who listen in may take to pass on what they were told last.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The running servers of all sockets.
#[derive(Debug)]
pub struct Servers {
    doors: Vec<Open>,
    house: House,
    settings: Settings,
    shown: Option<Shown>,
    outlets: Outlets,
    workers: Arc<Mutex<Workers>>,
}

/// Those who listen in.
#[derive(Debug, Default)]
struct Outlets {
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A door of the sockets to be served from now on.
enum Next {
    /// By its place among those that are open.
    Stays(usize),
    Opens(Box<Open>),
}

/// Doors that are not served any more.
#[derive(Debug)]
#[must_use = "what has arrived is to be answered"]
pub struct Closing {
    doors: Vec<Open>,
    outlets: Outlets,
}

/// Unix time.
pub type Clock = fn() -> Duration;

/// What holds for every connection, over whatever it comes.
#[derive(Debug, Clone)]
struct House {
    clients: Clients,
    manner: Manner,
    /// The longest silence (`tcp.idle`).
    idle: Duration,
    /// Its door closes.
    stop: CancellationToken,
    /// What covers the ears of QUIC.
    cover: Cover,
}

/// What a door is opened with, and cannot be changed while it is open.
#[derive(Debug, Clone, PartialEq)]
struct Settings {
    tcp: Tcp,
    rate_limit: RateLimit,
    cpus: Vec<usize>,
    dnstap: Option<Dnstap>,
    query_log: Option<NonZeroU32>,
    /// Collectors are told which server it is.
    nsid: String,
}

/// What all workers answer with.
#[derive(Debug, Clone)]
struct Manner {
    reader: Reader,
    clock: Clock,
    limiter: Option<Arc<Limiter>>,
    /// What is counted over streams, by transport.
    tallies: Arc<[Tally]>,
    /// Who listens in; `None`: nobody.
    tap: Option<Tap>,
    /// The CPUs that UDP threads are bound to.
    cpus: Arc<[usize]>,
}

impl Manner {
    /// Tells those who listen of a query over a stream, and its reply.
    fn tell(&self, way: &Way, asked: Duration, query: &[u8], reply: &[u8]) {
        let Some(tap) = &self.tap else { return };
        let moments = Moments { asked, answered: (self.clock)() };
        for _ in 0..tap.tell(way, moments, query, reply) {
            self.tallies[way.transport as usize].share(Event::Untold);
        }
    }
}

/// One for each transport; that of UDP is written by nobody, since each worker has its own.
fn tallies() -> Arc<[Tally]> {
    Transport::ALL.iter().map(|_| Tally::default()).collect()
}

#[cfg(test)]
impl Manner {
    /// With no zones, at the beginning of time.
    fn for_tests() -> Self {
        let reader = crate::snapshot::Publisher::new(Snapshot::default()).reader();
        let clock = || Duration::ZERO;
        Self { reader, clock, limiter: None, tallies: tallies(), tap: None, cpus: Arc::default() }
    }
}

#[cfg(test)]
impl House {
    /// With no zones, until `stop`.
    fn for_tests(clients: Clients, idle: Duration, stop: &CancellationToken) -> Self {
        Self { clients, manner: Manner::for_tests(), idle, stop: stop.clone(), cover: Cover::default() }
    }
}

/// Answers on `sockets` from what `reader` reads. `shown`: the certificate for encrypted ones; without it they are closed.
///
/// # Errors
/// A thread cannot be started, or a socket cannot be handed to the runtime.
pub fn start(
    sockets: Sockets,
    reader: Reader,
    clock: Clock,
    server: &Server,
    shown: Option<&Shown>,
) -> io::Result<Servers> {
    let manner = Manner { reader, clock, limiter: None, tallies: tallies(), tap: None, cpus: Arc::default() };
    let (house, outlets) = House::new(server, manner, Cover::default());
    let doors = sockets.0.into_iter().map(|door| Open::new(door, &house, shown));
    let doors = doors.collect::<io::Result<Vec<Open>>>()?;
    let mut workers = Workers::default();
    for door in &doors {
        workers.hire(door.tallies());
    }
    let (settings, workers) = (Settings::of(server), Arc::new(Mutex::new(workers)));
    Ok(Servers { doors, house, settings, shown: shown.cloned(), outlets, workers })
}

impl House {
    /// As `server` says it is, and those who listen in there.
    fn new(server: &Server, manner: Manner, cover: Cover) -> (Self, Outlets) {
        let outlets = Outlets::default();
        let manner = Manner {
            limiter: Limiter::new(server.rate_limit).map(Arc::new),
            tap: Tap::open(server, &outlets.tasks, &outlets.stop),
            cpus: server.cpus.clone().into(),
            ..manner
        };
        let (clients, stop) = (Clients::new(server.tcp), CancellationToken::new());
        (Self { clients, manner, idle: server.tcp.idle, stop, cover }, outlets)
    }
}

impl Settings {
    fn of(server: &Server) -> Self {
        Self {
            tcp: server.tcp,
            rate_limit: server.rate_limit,
            cpus: server.cpus.clone(),
            dnstap: server.dnstap.clone(),
            query_log: server.query_log,
            nsid: server.nsid.clone(),
        }
    }
}

impl Servers {
    /// Copies of all sockets, for whoever serves them next. What waits in them is in the copies as well.
    ///
    /// # Errors
    /// There are no descriptors.
    pub fn sockets(&self) -> io::Result<Sockets> {
        self.doors.iter().map(|door| door.sockets.try_clone()).collect::<io::Result<_>>().map(Sockets)
    }

    /// From now on `sockets` are served, as `server` says. A door that is served already, by the same settings, stays open
    /// with all of its connections; the others are opened, and then those closed that are not wanted as they are.
    ///
    /// # Errors
    /// See [`start`]; nothing has changed then.
    pub fn change(
        &mut self,
        sockets: Sockets,
        server: &Server,
        shown: Option<&Shown>,
    ) -> io::Result<Closing> {
        let settings = Settings::of(server);
        let other = (settings != self.settings)
            .then(|| House::new(server, self.house.manner.clone(), self.house.cover.clone()));
        let house = other.as_ref().map_or(&self.house, |(house, _)| house);
        let mut stay: Vec<usize> = Vec::new();
        let mut next = Vec::new();
        for door in sockets.0 {
            let is_own =
                |&i: &usize| other.is_none() && !stay.contains(&i) && self.doors[i].sockets.is(&door);
            let own = (0..self.doors.len()).find(is_own);
            stay.extend(own);
            next.push(match own {
                Some(own) => Next::Stays(own),
                None => Next::Opens(Box::new(Open::new(door, house, self.shown.as_ref().or(shown))?)),
            });
        }
        let doors = self.replace(next);
        let mut closing = Closing { doors, outlets: Outlets::default() };
        if let Some((house, outlets)) = other {
            (self.house, self.settings) = (house, settings);
            closing.outlets = std::mem::replace(&mut self.outlets, outlets);
        }
        self.show(shown);
        Ok(closing)
    }

    /// The doors that are not wanted any more.
    fn replace(&mut self, next: Vec<Next>) -> Vec<Open> {
        let mut before: Vec<Option<Open>> = std::mem::take(&mut self.doors).into_iter().map(Some).collect();
        for door in next {
            match door {
                Next::Stays(own) => self.doors.extend(before[own].take()),
                Next::Opens(door) => {
                    self.workers().hire(door.tallies());
                    self.doors.push(*door);
                }
            }
        }
        before.into_iter().flatten().collect()
    }

    /// Connections that are open stay; the next ones are shown another certificate.
    fn show(&mut self, shown: Option<&Shown>) {
        match (&self.shown, shown) {
            (Some(own), Some(shown)) => own.show_same(shown),
            (None, shown) => self.shown = shown.cloned(),
            (Some(_), None) => self.shown = None, // all doors that need it are closed
        }
    }

    /// What clients are shown: it stays the same one for as long as anything is encrypted.
    pub const fn shown(&self) -> Option<&Shown> {
        self.shown.as_ref()
    }

    /// What is answered.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(self.house.manner.reader.clone().load())
    }

    /// Reads what becomes of queries.
    pub fn counter(&self) -> Counter {
        let (reader, streams) = (self.house.manner.reader.clone(), Arc::clone(&self.house.manner.tallies));
        Counter { reader, workers: Arc::clone(&self.workers), streams }
    }

    /// Counts what another process has counted before, too.
    pub fn remember(&self, before: Counts) {
        self.workers().remember(before);
    }

    /// The addresses, in the order of the config.
    pub fn local_addrs(&self) -> Addresses {
        Addresses::of(self.doors.iter().map(|door| &door.sockets))
    }

    /// Answers what has arrived, then closes everything; what became of all queries.
    pub async fn stop(self) -> Counts {
        let counter = self.counter();
        let Self { doors, outlets, house, .. } = self;
        drop(house);
        Closing { doors, outlets }.stop().await;
        counter.read()
    }

    /// Reads no more of what two processes cannot share: it waits for the other one.
    pub async fn hold_back(&self) {
        self.house.cover.put_on().await;
    }

    /// Reads it again: there is no other one.
    pub fn go_on(&self) {
        self.house.cover.take_off();
    }

    fn workers(&self) -> MutexGuard<'_, Workers> {
        self.workers.lock()
    }
}

impl Closing {
    /// The same for what leaves its port with these doors: it gets no more before.
    pub async fn stop_after(self, surplus: Surplus) {
        surplus.leave().await;
        self.stop().await;
    }

    /// Answers what has arrived, then closes.
    pub async fn stop(self) {
        let Self { doors, outlets } = self;
        outlets.stop.cancel();
        let closing = TaskTracker::new();
        for door in doors {
            closing.spawn(door.close());
        }
        closing.close();
        closing.wait().await;
        outlets.tasks.close();
        let _ = timeout(LAST_WORDS, outlets.tasks.wait()).await;
    }
}
