//! TCP: length-framed messages, many on one connection.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 1035 §4.2.2 | two bytes of length before each message | whole |
//! | 7766 §6.2.1 | connections are used again; pipelined queries are all answered | whole, in their order |
//! | 7766 §6.2.3 | idle connections are closed | after `tcp.idle` without a whole query |
//! | 7766 §8 | length and message leave in one write | whole |
//! | 9210 §4.1 | limits in all and for each client | whole |

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::clients::{Clients, Seat};
use crate::answer::{Outcome, Peer, ReplyBuf, Via, answer};
use crate::snapshot::Reader;

/// Replies to pipelined queries are written together up to so many bytes.
const WRITE_TOGETHER: usize = 16 * 1024;
/// How long accepting rests when the system has no descriptor or memory left.
const REST: Duration = Duration::from_millis(50);

thread_local! {
    /// One for each thread of the runtime, not for each connection: answering never waits in between.
    static REPLY: RefCell<ReplyBuf> = RefCell::new(ReplyBuf::new(fastrand::u32(..)));
}

/// Lets clients in.
#[derive(Debug)]
pub(super) struct Acceptor {
    clients: Clients,
    reader: Reader,
    idle: Duration,
    stop: CancellationToken,
}

impl Acceptor {
    pub(super) fn new(clients: Clients, reader: Reader, idle: Duration, stop: CancellationToken) -> Self {
        Self { clients, reader, idle, stop }
    }

    /// Accepts until it is stopped, then waits for the connections to end.
    pub(super) async fn run(self, listener: TcpListener) {
        let connections = TaskTracker::new();
        let mut complained = false;
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, addr)) => self.welcome(stream, addr, &connections),
                Err(e) if concerns_one_client(&e) => {}
                Err(e) => {
                    if !std::mem::replace(&mut complained, true) {
                        warn!(%e, "cannot accept TCP connections for now; the most silent ones are closed");
                    }
                    self.clients.make_room();
                    sleep(REST).await;
                }
            }
        }
        connections.close();
        connections.wait().await;
    }

    fn welcome(&self, stream: TcpStream, addr: SocketAddr, connections: &TaskTracker) {
        let Some(seat) = self.clients.seat(addr.ip()) else { return };
        let _ = stream.set_nodelay(true);
        let peer = Peer { addr, via: Via::Stream };
        let talk = converse(stream, peer, self.reader.clone(), self.idle, self.stop.clone(), seat);
        connections.spawn(talk);
    }
}

/// The client went away before it was accepted (accept(2) lists more; they all pass).
fn concerns_one_client(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(e.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Talks with one client until it leaves, falls silent, or is told to leave.
///
/// `idle` bounds the time between whole queries, and the time that replies may wait to be taken: a client that
/// sends a byte at a time, or never reads, is closed as one that says nothing.
pub(super) async fn converse<S>(
    mut stream: S,
    peer: Peer,
    mut reader: Reader,
    idle: Duration,
    stop: CancellationToken,
    seat: Seat,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let talk = async {
        let mut inbox = Inbox::default();
        let mut replies = Vec::new();
        loop {
            let silence = Instant::now() + idle;
            let more = stop.run_until_cancelled(inbox.fill(&mut stream, silence)).await;
            while let Some(query) = inbox.next() {
                reply_to(&mut reader, &peer, query, &mut replies);
                if replies.len() >= WRITE_TOGETHER {
                    send(&mut stream, &mut replies, idle).await?;
                }
            }
            seat.heard();
            send(&mut stream, &mut replies, idle).await?;
            match more {
                Some(Ok(())) => {}
                Some(Err(e)) => return Err(e),
                None => return stream.shutdown().await,
            }
        }
    };
    // However it ends, there is nobody to tell.
    let _: Option<io::Result<()>> = seat.leave.run_until_cancelled(talk).await;
}

/// Adds the framed reply, if there is one.
fn reply_to(reader: &mut Reader, peer: &Peer, query: &[u8], replies: &mut Vec<u8>) {
    REPLY.with_borrow_mut(|reply| {
        if answer(reader.load(), peer, query, reply) == Outcome::Reply {
            let reply = reply.as_bytes();
            replies.extend_from_slice(&(reply.len() as u16).to_be_bytes());
            replies.extend_from_slice(reply);
        }
    });
}

async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    replies: &mut Vec<u8>,
    patience: Duration,
) -> io::Result<()> {
    if !replies.is_empty() {
        timeout(patience, stream.write_all(replies)).await??;
        replies.clear();
    }
    Ok(())
}

/// What has been read and not yet answered; at most one message more than a read.
#[derive(Debug, Default)]
struct Inbox {
    bytes: Vec<u8>,
    taken: usize,
}

impl Inbox {
    const READ: usize = 2048;

    /// Reads until there is a whole message; an error once the client has left, or `deadline` has passed.
    async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin), deadline: Instant) -> io::Result<()> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        while self.whole().is_none() {
            let missing = self.length().map_or(0, |length| length + 2 - self.bytes.len());
            self.bytes.reserve(missing.max(Self::READ));
            if timeout_at(deadline, stream.read_buf(&mut self.bytes)).await?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// The next whole message.
    fn next(&mut self) -> Option<&[u8]> {
        let range = self.whole()?;
        self.taken = range.end;
        Some(&self.bytes[range])
    }

    fn whole(&self) -> Option<std::ops::Range<usize>> {
        let start = self.taken + 2;
        let end = start + self.length()?;
        (end <= self.bytes.len()).then_some(start..end)
    }

    /// The length of the next message, as far as it is known.
    fn length(&self) -> Option<usize> {
        let prefix = self.bytes.get(self.taken..self.taken + 2)?;
        Some(usize::from(u16::from_be_bytes([prefix[0], prefix[1]])))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::num::NonZeroUsize;

    use tokio::io::{DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::config::Tcp;
    use crate::serve::clients::Clients;
    use crate::snapshot::Publisher;

    const IDLE: Duration = Duration::from_secs(10);

    /// A conversation with a server that has no zones: it refuses everything.
    fn talk(stop: &CancellationToken) -> (DuplexStream, JoinHandle<()>) {
        let (ours, theirs) = duplex(1 << 16);
        let addr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let peer = Peer { addr: (addr, 5300).into(), via: Via::Stream };
        let limits = Tcp { clients: NonZeroUsize::MIN, per_client: NonZeroUsize::MIN, idle: IDLE };
        let seat = Clients::new(limits).seat(addr).unwrap();
        let reader = Publisher::new(crate::snapshot::Snapshot::default()).reader();
        (ours, tokio::spawn(converse(theirs, peer, reader, IDLE, stop.clone(), seat)))
    }

    fn framed(id: u8) -> Vec<u8> {
        let query = [0, id, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'x', 0, 0, 1, 0, 1];
        [&[0, query.len() as u8], &query[..]].concat()
    }

    async fn reply_id(stream: &mut DuplexStream) -> u8 {
        let length = stream.read_u16().await.unwrap();
        let mut reply = vec![0; length.into()];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(reply[3] & 15, 5, "REFUSED");
        reply[1]
    }

    #[tokio::test(start_paused = true)]
    async fn queries_in_one_write_are_answered_in_their_order() {
        let (mut stream, _talk) = talk(&CancellationToken::new());
        let all: Vec<u8> = (0..100).flat_map(framed).collect();
        stream.write_all(&all).await.unwrap();
        for id in 0..100 {
            assert_eq!(reply_id(&mut stream).await, id);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_may_come_in_any_pieces() {
        let two = [framed(1), framed(2)].concat();
        for cut in 1..two.len() {
            let (mut stream, _talk) = talk(&CancellationToken::new());
            stream.write_all(&two[..cut]).await.unwrap();
            tokio::task::yield_now().await;
            stream.write_all(&two[cut..]).await.unwrap();
            assert_eq!((reply_id(&mut stream).await, reply_id(&mut stream).await), (1, 2), "cut at {cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_falls_silent_or_trickles_is_closed() {
        for pause in [Duration::from_secs(60), Duration::from_secs(1)] {
            let (mut stream, talk) = talk(&CancellationToken::new());
            let began = Instant::now();
            for byte in framed(1) {
                sleep(pause).await;
                if stream.write_all(&[byte]).await.is_err() {
                    break;
                }
            }
            talk.await.unwrap();
            assert!(began.elapsed() <= 60 * IDLE);
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "closed without a reply");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_reads_is_closed() {
        let (mut stream, talk) = talk(&CancellationToken::new());
        let all: Vec<u8> = (0..200).flat_map(framed).collect();
        while timeout(IDLE, stream.write_all(&all)).await.is_ok_and(|written| written.is_ok()) {}
        talk.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_what_was_asked_is_answered() {
        let stop = CancellationToken::new();
        let (mut stream, talk) = talk(&stop);
        stream.write_all(&framed(7)).await.unwrap();
        assert_eq!(reply_id(&mut stream).await, 7);
        stop.cancel();
        talk.await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
}
