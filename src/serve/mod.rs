//! The edge that clients see: UDP in batches on threads of its own, TCP on the runtime.
//!
//! Both differ in framing only; what is said is `answer()`'s. Nothing here blocks on anything but the socket, and
//! everything is bounded: datagrams in a batch, connections in all and from one client, time, bytes.

mod accept;
mod batch;
mod bind;
mod clients;
mod envelope;
mod limit;
mod tally;
mod tcp;
mod trouble;
mod udp;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Server;
use crate::snapshot::Reader;

use limit::Limiter;

pub use bind::{BindError, Sockets, bind};
pub use tally::{Counts, Event};

/// How long connections may take to end once the server stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The running servers of all sockets.
#[derive(Debug)]
pub struct Servers {
    udp: udp::Workers,
    tcp: TaskTracker,
    clients: clients::Clients,
    stop: CancellationToken,
}

/// Seconds of Unix time.
pub type Clock = fn() -> u32;

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

/// Answers on `sockets` from what `reader` reads.
///
/// # Errors
/// A thread cannot be started, or a socket cannot be handed to the runtime.
pub fn start(sockets: Sockets, reader: Reader, clock: Clock, server: &Server) -> io::Result<Servers> {
    let Sockets { udp, tcp } = sockets;
    let limiter = Limiter::new(server.rate_limit).map(Arc::new);
    let manner = Manner { reader, clock, limiter, cpus: server.cpus.clone().into() };
    let udp = udp::Workers::start(udp, &manner)?;
    let clients = clients::Clients::new(server.tcp);
    let servers = Servers { udp, tcp: TaskTracker::new(), clients, stop: CancellationToken::new() };
    for listener in tcp {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let acceptor = accept::Acceptor::new(
            servers.clients.clone(),
            manner.clone(),
            server.tcp.idle,
            servers.stop.clone(),
        );
        servers.tcp.spawn(acceptor.run(listener));
    }
    servers.tcp.close();
    Ok(servers)
}

impl Servers {
    /// What became of the UDP datagrams so far.
    pub fn datagrams(&self) -> Counts {
        self.udp.counts()
    }

    /// Answers what has arrived, then closes everything.
    pub async fn stop(self) {
        self.stop.cancel();
        let udp = tokio::task::spawn_blocking(move || self.udp.stop());
        if timeout(LAST_WORDS, self.tcp.wait()).await.is_err() {
            self.clients.close_all();
            self.tcp.wait().await;
        }
        let _ = udp.await;
    }
}
