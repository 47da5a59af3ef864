//! QUIC: who is let in, and how much one connection may take.
//!
//! ```text
//!                      ┌ yes ────────────────▶ seat ─▶ handshake ─┐
//!  Initial ─▶ address ─┤                                          ├─▶ doq.rs, http3.rs
//!       ▲     proved?  └ no ─▶ one of a few ─▶ handshake ─▶ seat ─┘
//!       │                         │
//!       └────── Retry ◀── none is free
//! ```
//!
//! Anybody can send packets in the name of others, or again what others have sent. Such a handshake never ends; a few of
//! them may be under way, and whoever comes while they are has to show first that replies reach it, which costs an honest
//! client a round trip, and us nothing that is kept. All handshakes run beside each other, within `tcp.idle`.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 9000 §4 | flow control | little on each connection; `STREAMS` at once |
//! | 9000 §8.1.2, 9250 §5.3 | address validation by Retry | while `UNPROVEN` handshakes are under way |
//! | 9000 §8.1.3 | tokens for later connections | none: clients could be told apart by them (RFC 9250 §7.3) |
//! | 9000 §9 | connections move to other addresses | they do not: a seat belongs to an address |
//! | 9000 §10.1 | idle timeout | a little more than `tcp.idle`, after which who is silent is told that it is closed |
//! | 9001 §4.6.1 | 0-RTT | none is taken |
//! | 9221 | datagrams | none are taken |

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connecting, Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, Runtime, TokioRuntime,
    TransportConfig, VarInt,
};
use rustls::ServerConfig;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::error;

use super::House;
use super::accept::Within;
use super::clients::Seat;
use super::desk::STREAMS;
use super::ear::Ear;
use super::tally::Transport;
use super::tcp::Client;
use super::way::Way;
use super::{doq, http3};
use crate::answer::MAX_MESSAGE;

/// Handshakes at once with clients of whom nothing proves that they are where they say.
const UNPROVEN: usize = 8;
/// First packets that wait to be looked at, and the bytes that may follow them meanwhile, for one and for all.
const WAITING: usize = 1024;
const FOLLOWING: u64 = 16 * 1024;
const ALL_FOLLOWING: u64 = 1024 * 1024;
/// Connections beside those with a seat: those that have ended are remembered for as long as packets of them may still
/// come (RFC 9000 §10.2), which the client has a say in.
const REMEMBERED: usize = 2048;

/// Streams of HTTP/3 itself: three, and some of kinds that nobody knows (RFC 9114 §6.2).
const HTTP_STREAMS: u32 = 8;
/// What a stream may bring unread, and what may be on its way to the client: the longest message, and its length.
const STREAM_WINDOW: u32 = 2 + MAX_MESSAGE as u32;
/// What a connection may bring unread.
const WINDOW: u32 = 2 * STREAM_WINDOW;

/// Round trips that the last replies have to arrive.
const LAST_TRIPS: u32 = 4;
/// How long it may take to tell a silent client that its connection is closed, before it finds that out by itself.
const TOLD: Duration = Duration::from_secs(5);
/// How long the last packets have to leave.
const FAREWELL: Duration = Duration::from_millis(500);

/// Lets clients in that come over QUIC.
#[derive(Debug)]
pub(super) struct Acceptor {
    house: House,
    endpoint: Endpoint,
    within: Within,
    /// Ours.
    port: u16,
    unproven: Arc<Semaphore>,
}

impl Acceptor {
    /// Reads `udp` from now on; `tls` says which protocol is spoken, and `within` is how.
    pub(super) fn new(
        house: House,
        udp: UdpSocket,
        tls: Arc<ServerConfig>,
        within: Within,
    ) -> io::Result<Self> {
        let crypto = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        config
            .transport_config(Arc::new(transport(within, house.idle)))
            .migration(false)
            .max_incoming(WAITING)
            .incoming_buffer_size(FOLLOWING)
            .incoming_buffer_size_total(ALL_FOLLOWING);
        let port = udp.local_addr()?.port();
        let (runtime, own) = (Arc::new(TokioRuntime), EndpointConfig::default());
        let ear = Ear::new(runtime.wrap_udp_socket(udp)?, house.cover.clone());
        let endpoint = Endpoint::new_with_abstract_socket(own, Some(config), ear, runtime)?;
        Ok(Self { house, endpoint, within, port, unproven: Arc::new(Semaphore::new(UNPROVEN)) })
    }

    /// Accepts until it is stopped, then waits for the connections to end.
    pub(super) async fn run(self) {
        let connections = TaskTracker::new();
        while let Some(incoming) = self.house.stop.run_until_cancelled(self.endpoint.accept()).await {
            let Some(incoming) = incoming else {
                error!(addr = ?self.endpoint.local_addr().ok(), "QUIC is not served any more: its socket has failed");
                break;
            };
            match self.house.stop.run_until_cancelled(self.house.cover.opening()).await {
                Some(under_way) => self.welcome(incoming, under_way, &connections),
                None => incoming.ignore(), // it comes again, to whoever reads the socket then
            }
        }
        connections.close();
        tokio::select! {
            () = connections.wait() => {}
            () = self.turn_away() => connections.wait().await,
        }
        let _ = timeout(FAREWELL, self.endpoint.wait_idle()).await;
    }

    fn welcome(&self, incoming: Incoming, under_way: TaskTrackerToken, connections: &TaskTracker) {
        let addr = incoming.remote_address().ip();
        let (house, within) = (self.house.clone(), self.within);
        let port = self.port;
        if self.endpoint.open_connections() >= house.clients.most() + REMEMBERED {
            incoming.ignore(); // it comes again by itself
        } else if incoming.remote_address_validated() {
            let Some(seat) = house.clients.seat(addr) else { return incoming.refuse() };
            let Ok(connecting) = incoming.accept() else { return };
            connections.spawn(async move {
                let handshake = shake_hands(connecting, &house);
                let shaken = seat.leave.run_until_cancelled(handshake).await;
                drop(under_way);
                let Some(Some(connection)) = shaken else { return };
                seat.heard();
                converse(connection, seat, house, (within, port)).await;
            });
        } else if let Ok(place) = Arc::clone(&self.unproven).try_acquire_owned() {
            let Ok(connecting) = incoming.accept() else { return }; // most of what is forged ends here
            connections.spawn(async move {
                let Some(connection) = shake_hands(connecting, &house).await else { return };
                drop((place, under_way));
                match house.clients.seat(addr) {
                    Some(seat) => converse(connection, seat, house, (within, port)).await,
                    None => connection.close(excessive_load(within), b""),
                }
            });
        } else {
            let _ = incoming.retry(); // it can be: nothing is proved yet
        }
    }

    /// Tells whoever comes now to go elsewhere, for as long as there is a socket. Who comes again meets whoever took over.
    async fn turn_away(&self) {
        while let Some(incoming) = self.endpoint.accept().await {
            if self.house.cover.is_closed() { incoming.ignore() } else { incoming.refuse() }
        }
    }
}

fn transport(within: Within, idle: Duration) -> TransportConfig {
    let streams = match within {
        Within::Dns => 0, // RFC 9250 §4.3.3: they would be an error
        Within::Http => HTTP_STREAMS,
    };
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS.into())
        .max_concurrent_uni_streams(streams.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(STREAM_WINDOW.into())
        .max_idle_timeout(IdleTimeout::try_from(idle.saturating_add(TOLD)).ok())
        .datagram_receive_buffer_size(None);
    transport
}

/// Whoever does not manage it is told so by TLS itself, or has left.
async fn shake_hands(connecting: Connecting, house: &House) -> Option<Connection> {
    let handshake = timeout(house.idle, connecting);
    house.stop.run_until_cancelled(handshake).await?.ok()?.ok()
}

async fn converse(connection: Connection, seat: Seat, house: House, (within, port): (Within, u16)) {
    let (from, to) = (connection.remote_address(), connection.local_ip().map(|ip| (ip, port).into()));
    let client = |transport| Client { way: Way { transport, from, to }, seat };
    match within {
        Within::Dns => doq::converse(connection, client(Transport::Doq), house).await,
        Within::Http => http3::converse(connection, client(Transport::Doh3), house).await,
    }
}

const fn excessive_load(within: Within) -> VarInt {
    match within {
        Within::Dns => doq::EXCESSIVE_LOAD,
        Within::Http => http3::EXCESSIVE_LOAD,
    }
}

/// Waits until the last replies have arrived, as far as that can be known: what is still on its way when a connection is
/// closed is not sent again.
pub(super) async fn see_off(connection: &Connection, patience: Duration) {
    let _ = timeout(patience.min(LAST_TRIPS * connection.rtt()), connection.closed()).await;
}
