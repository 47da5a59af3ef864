//! Lets TCP clients in, and goes on when that fails.
//!
//! TLS begins in the connection's own task, on its seat and within `tcp.idle`: who is slow at it keeps nobody else from
//! being accepted, and has to leave as any other silent client.
//!
//! A system without descriptors is to a client what a server without seats is: the connection that has been silent
//! longest is closed for the new one. A spare descriptor would only let one client in to be sent away.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::House;
use super::http2;
use super::tally::Transport;
use super::tcp::{Client, converse};
use super::trouble::Trouble;
use super::way::Way;

/// How long accepting rests when the system has no descriptor or memory left.
const REST: Duration = Duration::from_millis(50);

/// How long handshakes may take that are under way at the end.
pub(super) const LAST_HANDSHAKES: Duration = Duration::from_millis(500);

/// What is spoken within TLS or QUIC.
#[derive(Debug, Clone, Copy)]
pub(super) enum Within {
    /// DNS, framed as over TCP; over QUIC, with a stream for each query.
    Dns,
    /// HTTP/2 with DNS in it; over QUIC, HTTP/3.
    Http,
}

/// Lets clients in.
#[derive(Debug)]
pub(super) struct Acceptor {
    house: House,
    tls: Option<(Arc<ServerConfig>, Within)>,
}

impl Acceptor {
    pub(super) const fn new(house: House) -> Self {
        Self { house, tls: None }
    }

    /// The same for clients that speak TLS.
    pub(super) fn encrypted(self, tls: Arc<ServerConfig>, within: Within) -> Self {
        Self { tls: Some((tls, within)), ..self }
    }

    /// Accepts until it is stopped, then waits for the connections to end.
    pub(super) async fn run<L: Listener>(self, listener: L) {
        let connections = TaskTracker::new();
        let mut trouble = Trouble::default();
        while let Some(accepted) = self.house.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, from)) => {
                    let to = L::local_addr(&stream);
                    self.welcome(stream, from, to, &connections);
                }
                Err(e) if concerns_one_client(&e) => {}
                Err(e) => {
                    if trouble.is_news() {
                        warn!(%e, "cannot accept TCP connections for now");
                    }
                    if is_exhaustion(&e) {
                        self.house.clients.make_room();
                    }
                    let _ = self.house.stop.run_until_cancelled(sleep(REST)).await;
                }
            }
        }
        connections.close();
        connections.wait().await;
    }

    fn welcome<S>(&self, stream: S, from: SocketAddr, to: Option<SocketAddr>, connections: &TaskTracker)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(seat) = self.house.clients.seat(from.ip()) else { return };
        let house = self.house.clone();
        let Some((tls, within)) = self.tls.clone() else {
            let client = Client { way: Way { transport: Transport::Tcp, from, to }, seat };
            connections.spawn(converse(stream, client, house));
            return;
        };
        connections.spawn(async move {
            let handshake = timeout(house.idle, TlsAcceptor::from(tls).accept(stream));
            let handshake = unless_late(Box::pin(handshake), &house.stop);
            // Whoever does not manage it is told so by TLS itself, or has left.
            let Some(Some(Ok(Ok(stream)))) = seat.leave.run_until_cancelled(handshake).await else { return };
            seat.heard();
            let client = |transport| Client { way: Way { transport, from, to }, seat };
            match within {
                Within::Dns => converse(stream, client(Transport::Dot), house).await,
                Within::Http => http2::converse(stream, client(Transport::Doh), house).await,
            }
        });
    }
}

/// A handshake that is under way at the end may end itself, if that does not take long.
async fn unless_late<T>(
    mut handshake: impl Future<Output = T> + Unpin,
    stop: &CancellationToken,
) -> Option<T> {
    match stop.run_until_cancelled(&mut handshake).await {
        Some(shaken) => Some(shaken),
        None => timeout(LAST_HANDSHAKES, handshake).await.ok(),
    }
}

/// Where clients come from: the network, or a test.
pub(super) trait Listener: Send + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The address that a client connected to.
    fn local_addr(stream: &Self::Stream) -> Option<SocketAddr>;

    /// The next client.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    fn local_addr(stream: &TcpStream) -> Option<SocketAddr> {
        stream.local_addr().ok()
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, addr) = TcpListener::accept(self).await?;
        let _ = stream.set_nodelay(true); // a reply is one write, and waits for no other
        Ok((stream, addr))
    }
}

/// Whether the client, or the way to it, failed before it was accepted: accept(2) says to try again at once.
fn concerns_one_client(e: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown, NetworkUnreachable,
    };
    matches!(
        e.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
    )
}

/// Whether a connection less would help: no descriptor is left, or no memory.
fn is_exhaustion(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::pending;
    use std::net::Ipv4Addr;
    use std::num::NonZeroUsize;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use libc::c_int;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::super::clients::Clients;
    use super::*;
    use crate::config::Tcp;

    const IDLE: Duration = Duration::from_secs(10);
    const MANY: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

    /// A listener that plays a script, then repeats its last error, or waits.
    struct Script {
        connections: Mutex<VecDeque<DuplexStream>>,
        error: c_int,
        errors: usize,
        tries: Arc<AtomicUsize>,
    }

    impl Listener for Script {
        type Stream = DuplexStream;

        fn local_addr(_stream: &DuplexStream) -> Option<SocketAddr> {
            None
        }

        async fn accept(&self) -> io::Result<(DuplexStream, SocketAddr)> {
            let stream = self.connections.lock().unwrap().pop_front();
            if let Some(stream) = stream {
                return Ok((stream, (Ipv4Addr::LOCALHOST, 5300).into()));
            }
            if self.tries.fetch_add(1, Ordering::Relaxed) < self.errors {
                return Err(io::Error::from_raw_os_error(self.error));
            }
            pending().await
        }
    }

    /// One client, then `errors` many errors; the client's end, and how often accepting failed.
    fn accept(error: c_int, errors: usize, stop: &CancellationToken) -> (DuplexStream, Arc<AtomicUsize>) {
        let (ours, theirs) = duplex(1 << 16);
        let tries = Arc::<AtomicUsize>::default();
        let connections = Mutex::new([theirs].into());
        let script = Script { connections, error, errors, tries: Arc::clone(&tries) };
        let clients = Clients::new(Tcp { clients: MANY, per_client: MANY, idle: IDLE });
        let house = House::for_tests(clients, IDLE, stop);
        tokio::spawn(Acceptor::new(house).run(script));
        (ours, tries)
    }

    #[tokio::test(start_paused = true)]
    async fn without_descriptors_the_most_silent_leaves_and_accepting_rests() {
        let stop = CancellationToken::new();
        let (mut stream, tries) = accept(libc::EMFILE, usize::MAX, &stop);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "closed");
        sleep(20 * REST).await;
        assert!((19..=22).contains(&tries.load(Ordering::Relaxed)), "{tries:?} tries in {:?}", 20 * REST);
        stop.cancel();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_left_too_soon_costs_nobody_else_anything() {
        let (mut stream, tries) = accept(libc::ECONNABORTED, 100, &CancellationToken::new());
        let began = Instant::now();
        stream.write_all(&[0, 12, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
        assert_eq!(stream.read_u32().await.unwrap() & 0xffff, 3, "answered");
        assert_eq!((tries.load(Ordering::Relaxed), began.elapsed()), (101, Duration::ZERO));
    }
}
