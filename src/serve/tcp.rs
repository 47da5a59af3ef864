//! TCP, also below TLS: length-framed messages, many on one connection.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 1035 §4.2.2 | two bytes of length before each message | whole |
//! | 7766 §6.2.1 | connections are used again; pipelined queries are all answered | whole, in their order |
//! | 7766 §6.2.3 | idle connections are closed | after `tcp.idle` without a whole query |
//! | 7766 §7 | replies may be given out of order | not needed: no reply waits for anything |
//! | 7766 §8 | length and message leave in one write | whole |
//! | 7858 §3.3 | DNS over TLS is framed as TCP is | whole |
//! | 7828 | edns-tcp-keepalive | `tcp.idle`, to clients that ask |
//! | 9210 §4.1 | limits in all and for each client | whole |

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink};
use tokio::time::{Instant, timeout, timeout_at};

use super::clients::Seat;
use super::way::Way;
use super::{House, Manner};
use crate::answer::{MAX_MESSAGE, OPTION_HEAD, Outcome, PADDED, Reply, Rotation, answer};
use crate::snapshot::Snapshot;

/// Replies to pipelined queries are written together up to so many bytes.
const WRITE_TOGETHER: usize = 16 * 1024;
/// How long a client that is about to be closed may be silent before it is: its next query may be on the way.
const LINGER: Duration = Duration::from_millis(100);
/// How long one that is never silent may go on then: its door waits for it a little longer.
const FAREWELL: Duration = Duration::from_secs(1);
/// Room for a reply that is no longer than most are, some blocks of padding; a longer one is written again, with room for
/// any.
const USUAL_REPLY: usize = 5 * PADDED;

thread_local! {
    /// One for each thread of the runtime, not for each connection: answering never waits in between.
    static DESK: RefCell<Rotation> = RefCell::new(Rotation::new(fastrand::u32(..)));
}

/// Who is talked with.
pub(super) struct Client {
    pub(super) way: Way,
    pub(super) seat: Seat,
}

/// Talks with one client until it leaves, falls silent, or is told to leave.
///
/// The longest silence bounds the time between whole queries, and the time that replies may wait to be taken: a client that
/// sends a byte at a time, or never reads, is closed as one that says nothing.
pub(super) async fn converse<S>(mut stream: S, client: Client, house: House)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Client { way, seat } = client;
    let House { manner, idle, stop, .. } = house;
    let mut reader = manner.reader.clone();
    let talk = async {
        let mut inbox = Inbox::default();
        let mut end = None;
        loop {
            let silence = Instant::now() + idle;
            let mut more = stop.run_until_cancelled(inbox.fill(&mut stream, silence)).await;
            if more.is_none() {
                let (now, end) = (Instant::now(), *end.get_or_insert_with(|| Instant::now() + FAREWELL));
                if now < end {
                    more = timeout_at(end.min(now + LINGER), inbox.fill(&mut stream, silence)).await.ok();
                }
            }
            if matches!(more, Some(Ok(()))) {
                seat.heard();
            }
            let mut replies = Vec::new(); // held only while there is something to say
            while let Some(query) = inbox.next() {
                reply_to(reader.load(), &manner, &way, query, &mut replies);
                if replies.len() >= WRITE_TOGETHER {
                    send(&mut stream, &mut replies, idle).await?;
                }
            }
            send(&mut stream, &mut replies, idle).await?;
            match more {
                Some(Ok(())) => {}
                Some(Err(e)) => return Err(e),
                None => return take_leave(&mut stream).await,
            }
        }
    };
    // However it ends, there is nobody to tell.
    let _: Option<io::Result<()>> = seat.leave.run_until_cancelled(talk).await;
}

/// Says that this is the end, and waits until the client has seen it: closed with something unread, TCP would break off what
/// is on its way to it. What it still asks, it asks again elsewhere (RFC 7766 §6.2.4).
async fn take_leave(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    stream.shutdown().await?;
    let _ = timeout(LINGER, copy(stream, &mut sink())).await;
    Ok(())
}

/// Adds the framed reply, if there is one.
pub(super) fn reply_to(snapshot: &Snapshot, manner: &Manner, way: &Way, query: &[u8], replies: &mut Vec<u8>) {
    let start = replies.len();
    let mut room = USUAL_REPLY;
    let asked = (manner.clock)();
    let peer = way.peer(asked);
    let outcome = DESK.with_borrow_mut(|rotation| {
        loop {
            replies.resize(start + 2 + room, 0);
            let outcome = answer(snapshot, &peer, query, rotation, &mut replies[start + 2..]);
            match outcome {
                Outcome::Reply(reply) if is_cramped(reply, room) => room = MAX_MESSAGE,
                _ => return outcome,
            }
        }
    });
    manner.tallies[way.transport as usize].note(outcome);
    match outcome {
        Outcome::Reply(reply) => {
            replies[start..start + 2].copy_from_slice(&reply.len.to_be_bytes());
            replies.truncate(start + 2 + usize::from(reply.len));
            manner.tell(way, asked, query, &replies[start + 2..]);
        }
        Outcome::Drop => replies.truncate(start),
    }
}

/// Whether a reply would be another one with more room: it is cut off, or its padding had none.
fn is_cramped(reply: Reply, room: usize) -> bool {
    room < MAX_MESSAGE && (reply.is_truncated || usize::from(reply.len) + OPTION_HEAD > room)
}

async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    replies: &mut Vec<u8>,
    patience: Duration,
) -> io::Result<()> {
    if !replies.is_empty() {
        let send = async {
            stream.write_all(replies).await?;
            stream.flush().await // what TLS has sealed may still wait for room
        };
        timeout(patience, send).await??;
        replies.clear();
    }
    Ok(())
}

/// What has been read and not yet answered. It grows with what arrives, not with what is announced, up to the
/// longest message there is, and is small again once that is answered.
#[derive(Debug, Default)]
struct Inbox {
    bytes: Vec<u8>,
    taken: usize,
}

impl Inbox {
    /// Room for the usual: a query, or a few.
    const SMALL: usize = 2048;
    /// The longest message and its length.
    const LARGE: usize = 2 + 65_535;

    /// Reads until there is a whole message; an error once the client has left, `deadline` has passed, or what
    /// comes is no DNS.
    async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin), deadline: Instant) -> io::Result<()> {
        self.forget_taken();
        while self.whole().is_none() {
            if self.length() == Some(0) {
                return Err(io::ErrorKind::InvalidData.into()); // no message is empty: the framing is lost
            }
            self.make_room();
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

    fn forget_taken(&mut self) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.len() <= Self::SMALL {
            self.bytes.shrink_to(Self::SMALL);
        }
    }

    /// Room for one byte at least: `read_buf` fills what room there is.
    fn make_room(&mut self) {
        let (length, room) = (self.bytes.len(), self.bytes.capacity());
        if length == room {
            let larger = (2 * room).clamp(Self::SMALL, Self::LARGE);
            self.bytes.reserve_exact(larger - length);
        }
    }

    /// Where the next message is, once it is whole.
    fn whole(&self) -> Option<Range<usize>> {
        let start = self.taken + 2;
        let end = start + self.length().filter(|&length| length > 0)?;
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
    use std::num::NonZeroUsize;

    use tokio::io::{DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::sleep;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::config::Tcp;
    use crate::serve::clients::Clients;

    const IDLE: Duration = Duration::from_secs(10);

    /// A conversation with a server that has no zones: it refuses everything.
    fn talk(stop: &CancellationToken) -> (DuplexStream, JoinHandle<()>) {
        let (ours, theirs) = duplex(1 << 16);
        let way = Way::for_tests();
        let limits = Tcp { clients: NonZeroUsize::MIN, per_client: NonZeroUsize::MIN, idle: IDLE };
        let clients = Clients::new(limits);
        let client = Client { way, seat: clients.seat(way.from.ip()).unwrap() };
        let house = House::for_tests(clients, IDLE, stop);
        (ours, tokio::spawn(converse(theirs, client, house)))
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
        for id in 8..20 {
            sleep(LINGER / 2).await;
            stream.write_all(&framed(id)).await.unwrap();
            assert_eq!(reply_id(&mut stream).await, id, "it was on the way");
        }
        talk.await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_falls_silent_is_told_of_the_end() {
        let stop = CancellationToken::new();
        let (mut stream, _talk) = talk(&stop);
        stop.cancel();
        let began = Instant::now();
        let mut answered = 0;
        loop {
            sleep(LINGER / 10).await;
            stream.write_all(&framed(1)).await.expect("it is still read");
            let Ok(length) = stream.read_u16().await else { break };
            stream.read_exact(&mut vec![0; length.into()]).await.unwrap();
            answered += 1;
        }
        assert!(answered > 90 && began.elapsed() <= FAREWELL + LINGER, "{answered} in {:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_message_ends_the_talk_once_those_before_it_are_answered() {
        let (mut stream, talk) = talk(&CancellationToken::new());
        stream.write_all(&[&framed(1)[..], &[0, 0], &framed(2)[..]].concat()).await.unwrap();
        assert_eq!(reply_id(&mut stream).await, 1);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        talk.await.unwrap();
    }

    #[tokio::test]
    async fn an_inbox_grows_with_what_arrives_and_is_small_again() {
        let mut inbox = Inbox::default();
        let longest = vec![0xff; Inbox::LARGE];
        let deadline = Instant::now() + IDLE;
        assert!(inbox.fill(&mut &longest[..2], deadline).await.is_err(), "only announced");
        assert_eq!(inbox.bytes.capacity(), Inbox::SMALL);
        inbox.fill(&mut &longest[2..], deadline).await.unwrap();
        assert_eq!(inbox.next().map(<[u8]>::len), Some(65_535));
        assert_eq!(inbox.bytes.capacity(), Inbox::LARGE);
        inbox.fill(&mut &framed(1)[..], deadline).await.unwrap();
        assert_eq!(inbox.bytes.capacity(), Inbox::SMALL);
    }
}
