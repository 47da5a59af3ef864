//! The edge that clients see: UDP in batches on threads of its own, TCP, TLS, HTTPS and QUIC on the runtime.
//!
//! They differ in framing only; what is said is `answer()`'s. Nothing here blocks on anything but the socket, and
//! everything is bounded: datagrams in a batch, connections in all and from one client, time, bytes.

mod accept;
mod batch;
mod bind;
mod clients;
mod desk;
mod door;
mod doq;
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
mod tally;
mod tcp;
mod tls;
mod trouble;
mod udp;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{RateLimit, Server, Shown, Tcp};
use crate::snapshot::Reader;

use door::Open;
use limit::Limiter;
use tally::Tallies;

pub(crate) use clients::{Clients, Seat};

pub use bind::{BindError, bind};
pub use inherit::{Bound, Inherited};
pub use place::{Addresses, Place, Sockets, Way, places};
pub use tally::{Counts, Event};

/// The running servers of all sockets.
#[derive(Debug)]
pub struct Servers {
    doors: Vec<Open>,
    house: House,
    settings: Settings,
    shown: Option<Shown>,
    tallies: Tallies,
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
pub struct Closing(Vec<Open>);

/// Seconds of Unix time.
pub type Clock = fn() -> u32;

/// What holds for every connection, over whatever it comes.
#[derive(Debug, Clone)]
struct House {
    clients: Clients,
    manner: Manner,
    /// The longest silence (`tcp.idle`).
    idle: Duration,
    /// Its door closes.
    stop: CancellationToken,
    /// Another process serves the same sockets.
    succeeded: CancellationToken,
}

/// What a door is opened with, and cannot be changed while it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    tcp: Tcp,
    rate_limit: RateLimit,
    cpus: Vec<usize>,
}

/// What all workers answer with.
#[derive(Debug, Clone)]
struct Manner {
    reader: Reader,
    clock: Clock,
    limiter: Option<Arc<Limiter>>,
    /// The CPUs that UDP threads are bound to.
    cpus: Arc<[usize]>,
}

#[cfg(test)]
impl Manner {
    /// With no zones, at the beginning of time.
    fn for_tests() -> Self {
        let reader = crate::snapshot::Publisher::new(crate::snapshot::Snapshot::default()).reader();
        Self { reader, clock: || 0, limiter: None, cpus: Arc::default() }
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
    let settings = Settings::of(server);
    let manner = Manner { reader, clock, limiter: None, cpus: Arc::default() };
    let house = House::new(&settings, manner, CancellationToken::new());
    let doors = sockets.0.into_iter().map(|door| Open::new(door, &house, shown));
    let doors = doors.collect::<io::Result<Vec<Open>>>()?;
    let mut tallies = Tallies::default();
    for door in &doors {
        tallies.watch(door.tallies());
    }
    Ok(Servers { doors, house, settings, shown: shown.cloned(), tallies })
}

impl House {
    fn new(settings: &Settings, manner: Manner, succeeded: CancellationToken) -> Self {
        let limiter = Limiter::new(settings.rate_limit).map(Arc::new);
        let manner = Manner { limiter, cpus: settings.cpus.clone().into(), ..manner };
        let clients = Clients::new(settings.tcp);
        Self { clients, manner, idle: settings.tcp.idle, stop: CancellationToken::new(), succeeded }
    }
}

impl Settings {
    fn of(server: &Server) -> Self {
        Self { tcp: server.tcp, rate_limit: server.rate_limit, cpus: server.cpus.clone() }
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
        let is_same = settings == self.settings;
        let (manner, succeeded) = (self.house.manner.clone(), self.house.succeeded.clone());
        let house = if is_same { self.house.clone() } else { House::new(&settings, manner, succeeded) };
        let mut stay: Vec<usize> = Vec::new();
        let mut next = Vec::new();
        for door in sockets.0 {
            let is_own = |&i: &usize| is_same && !stay.contains(&i) && self.doors[i].sockets.is(&door);
            let own = (0..self.doors.len()).find(is_own);
            stay.extend(own);
            next.push(match own {
                Some(own) => Next::Stays(own),
                None => Next::Opens(Box::new(Open::new(door, &house, self.shown.as_ref().or(shown))?)),
            });
        }
        let mut before: Vec<Option<Open>> = std::mem::take(&mut self.doors).into_iter().map(Some).collect();
        let mut doors = Vec::new();
        for door in next {
            match door {
                Next::Stays(own) => doors.extend(before[own].take()),
                Next::Opens(door) => {
                    self.tallies.watch(door.tallies());
                    doors.push(*door);
                }
            }
        }
        let closing = before.into_iter().flatten().collect();
        (self.doors, self.house, self.settings) = (doors, house, settings);
        self.show(shown);
        Ok(Closing(closing))
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

    /// What became of the UDP datagrams so far.
    pub fn datagrams(&self) -> Counts {
        self.tallies.read()
    }

    /// Counts what another process has counted before, too.
    pub fn remember(&mut self, before: &Counts) {
        self.tallies.add(before);
    }

    /// The addresses, in the order of the config.
    pub fn local_addrs(&self) -> Addresses {
        Addresses::of(self.doors.iter().map(|door| &door.sockets))
    }

    /// Answers what has arrived, then closes everything.
    pub async fn stop(self) -> Counts {
        Closing(self.doors).stop().await;
        self.tallies.read()
    }

    /// The same while another process serves the same sockets: who comes now is left to it.
    pub async fn leave(self) -> Counts {
        self.house.succeeded.cancel();
        self.stop().await
    }
}

impl Closing {
    /// Answers what has arrived, then closes.
    pub async fn stop(self) {
        let doors = TaskTracker::new();
        for door in self.0 {
            doors.spawn(door.close());
        }
        doors.close();
        doors.wait().await;
    }
}
