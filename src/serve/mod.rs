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
mod doq;
mod envelope;
mod http2;
mod http3;
mod https;
mod limit;
mod measured;
mod quic;
mod room;
mod tally;
mod tap;
mod tcp;
mod tls;
mod trouble;
mod udp;
mod way;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Server, Shown};
use crate::snapshot::Reader;

use accept::Within;
use limit::Limiter;
use tally::Tally;
use tap::{Moments, Tap};
use way::Way;

pub(crate) use clients::{Clients, Seat};

pub use bind::{Addresses, BindError, Sockets, bind};
pub use counts::{Counted, Counter, Counts, Kind, PoolKey};
pub use tally::{Event, Transport};

/// How long connections may take to end once the server stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The running servers of all sockets.
#[derive(Debug)]
pub struct Servers {
    udp: udp::Workers,
    tcp: TaskTracker,
    clients: Clients,
    manner: Manner,
    /// Those who listen in.
    outlets: TaskTracker,
    stop: CancellationToken,
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
    stop: CancellationToken,
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
        let reader = crate::snapshot::Publisher::new(crate::snapshot::Snapshot::default()).reader();
        let clock = || Duration::ZERO;
        Self { reader, clock, limiter: None, tallies: tallies(), tap: None, cpus: Arc::default() }
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
    let Sockets { udp, tcp, dot, doh, doq } = sockets;
    let limiter = Limiter::new(server.rate_limit).map(Arc::new);
    let (outlets, stop) = (TaskTracker::new(), CancellationToken::new());
    let tap = Tap::open(server, &outlets, &stop);
    let cpus = server.cpus.clone().into();
    let manner = Manner { reader, clock, limiter, tallies: tallies(), tap, cpus };
    let udp = udp::Workers::start(udp, &manner)?;
    let clients = Clients::new(server.tcp);
    let servers = Servers { udp, tcp: TaskTracker::new(), clients, manner, outlets, stop };
    let (clients, stop) = (servers.clients.clone(), servers.stop.clone());
    let house = House { clients, manner: servers.manner.clone(), idle: server.tcp.idle, stop };
    let acceptor = || accept::Acceptor::new(house.clone());
    for listener in tcp {
        servers.tcp.spawn(acceptor().run(TcpListener::from_std(listener)?));
    }
    if let Some(shown) = shown {
        let (dns, http) = (tls::server(shown, b"dot"), tls::server(shown, b"h2"));
        for listener in dot {
            let acceptor = acceptor().encrypted(Arc::clone(&dns), Within::Dns);
            servers.tcp.spawn(acceptor.run(TcpListener::from_std(listener)?));
        }
        let over_quic = |udp, protocol, within| {
            let acceptor = quic::Acceptor::new(house.clone(), udp, tls::server(shown, protocol), within)?;
            io::Result::Ok(servers.tcp.spawn(acceptor.run()))
        };
        for (listener, udp) in doh {
            let acceptor = acceptor().encrypted(Arc::clone(&http), Within::Http);
            servers.tcp.spawn(acceptor.run(TcpListener::from_std(listener)?));
            over_quic(udp, b"h3", Within::Http)?;
        }
        for udp in doq {
            over_quic(udp, b"doq", Within::Dns)?;
        }
    }
    servers.tcp.close();
    Ok(servers)
}

impl Servers {
    /// Reads what becomes of queries.
    pub fn counter(&self) -> Counter {
        let (reader, streams) = (self.manner.reader.clone(), Arc::clone(&self.manner.tallies));
        Counter { reader, workers: self.udp.tallies().into(), streams }
    }

    /// Answers what has arrived, then closes everything; what became of all queries.
    pub async fn stop(self) -> Counts {
        let counter = self.counter();
        let Self { udp, tcp, clients, manner, outlets, stop } = self;
        stop.cancel();
        let udp = tokio::task::spawn_blocking(move || udp.stop());
        if timeout(LAST_WORDS, tcp.wait()).await.is_err() {
            clients.close_all();
            tcp.wait().await;
        }
        let _ = udp.await;
        drop(manner); // nobody can tell those who listen anything any more
        outlets.close();
        let _ = timeout(LAST_WORDS, outlets.wait()).await;
        counter.read()
    }
}
