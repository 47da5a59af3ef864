//! UDP: one thread a worker, each with a socket of its own that shares the port (`SO_REUSEPORT`).
//!
//! ```text
//!         ┌──────────── a batch ────────────┐
//!         ▼                                 │
//!  ──▶ receive ──▶ answer each ──▶ send ────┘      blocks in recvmmsg(2): two system calls a batch
//!         │ nothing for a while
//!         ▼
//!       sleep ──▶ a query: receive                 poll(2) on the socket and on the bell: an idle
//!         │                                        server does not wake up to see that it is idle
//!         └ the bell: answer what is there, end
//! ```

use std::io::{self, PipeReader, PipeWriter};
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing::warn;

use super::batch::{Batch, Sent, Wait};
use super::trouble::Trouble;
use crate::answer::{Outcome, Peer, ReplyBuf, Via, answer};
use crate::snapshot::Reader;

/// How long a worker waits in recvmmsg(2) before it sleeps, and how long for an interface that is behind. While
/// queries come in more often than this, it is also how late a stop may be seen.
const NAP: Duration = Duration::from_millis(100);
/// How long a worker rests when the system cannot even receive.
const REST: u16 = 50; // milliseconds
/// How many batches a worker still answers once it should stop: more than a socket's buffer holds.
const LAST_BATCHES: usize = 256;

/// What became of the datagrams of all workers: `received` is the sum of the others, once a batch has been sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Datagrams {
    /// Taken from the sockets.
    pub received: u64,
    /// Replies that the kernel took.
    pub answered: u64,
    /// Not replied to: not a query, cut off, or from port 0.
    pub dropped: u64,
    /// Replies that the kernel refused.
    pub lost: u64,
}

/// The threads that answer. They end once this is gone.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    tallies: Vec<Arc<Tally>>,
    bell: Bell,
}

/// Tells all workers to stop once it is dropped: the busy ones by the flag, the sleeping ones by the end of the
/// pipe that they listen to. Unlike shutdown(2), it leaves the socket as it is.
#[derive(Debug)]
struct Bell {
    rung: Arc<AtomicBool>,
    _pipe: PipeWriter,
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.rung.store(true, Ordering::Relaxed); // before the pipe, which is dropped next
    }
}

impl Workers {
    /// One for each socket.
    pub(super) fn start(sockets: Vec<UdpSocket>, reader: &Reader) -> io::Result<Self> {
        let (ear, pipe) = io::pipe()?;
        let bell = Bell { rung: Arc::default(), _pipe: pipe };
        let mut workers = Self { threads: Vec::new(), tallies: Vec::new(), bell };
        for socket in sockets {
            socket.set_read_timeout(Some(NAP))?;
            socket.set_write_timeout(Some(NAP))?;
            workers.hire(socket, ear.try_clone()?, reader.clone())?;
        }
        Ok(workers)
    }

    fn hire(&mut self, socket: UdpSocket, ear: PipeReader, reader: Reader) -> io::Result<()> {
        let tally = Arc::<Tally>::default();
        self.tallies.push(Arc::clone(&tally));
        let rung = Arc::clone(&self.bell.rung);
        let work = move || {
            let (batch, reply) = (Batch::new(), ReplyBuf::new(fastrand::u32(..)));
            Worker { socket, ear, rung, reader, batch, reply, tally }.work();
        };
        self.threads.push(Builder::new().name("onstage-udp".to_owned()).spawn(work)?);
        Ok(())
    }

    /// What became of the datagrams so far.
    pub(super) fn datagrams(&self) -> Datagrams {
        self.tallies.iter().fold(Datagrams::default(), |sum, tally| tally.add_to(sum))
    }

    /// Stops all workers; what has arrived is answered before.
    pub(super) fn stop(self) -> Datagrams {
        let Self { threads, tallies, bell } = self;
        drop(bell);
        for thread in threads {
            let _ = thread.join();
        }
        tallies.iter().fold(Datagrams::default(), |sum, tally| tally.add_to(sum))
    }
}

/// What became of one worker's datagrams. Only the worker writes, so that no write waits for another; on cache
/// lines of its own (two, since the processor fetches them in pairs), so that no worker's writes slow another's.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Tally {
    received: AtomicU64,
    answered: AtomicU64,
    dropped: AtomicU64,
    lost: AtomicU64,
}

impl Tally {
    fn note(&self, received: usize, replies: Sent) {
        let dropped = received - replies.sent - replies.lost;
        let counters = [&self.received, &self.answered, &self.dropped, &self.lost];
        for (counter, more) in counters.into_iter().zip([received, replies.sent, dropped, replies.lost]) {
            counter.store(counter.load(Ordering::Relaxed) + more as u64, Ordering::Relaxed);
        }
    }

    fn add_to(&self, sum: Datagrams) -> Datagrams {
        Datagrams {
            received: sum.received + self.received.load(Ordering::Relaxed),
            answered: sum.answered + self.answered.load(Ordering::Relaxed),
            dropped: sum.dropped + self.dropped.load(Ordering::Relaxed),
            lost: sum.lost + self.lost.load(Ordering::Relaxed),
        }
    }
}

/// A thread's belongings.
struct Worker {
    socket: UdpSocket,
    ear: PipeReader,
    rung: Arc<AtomicBool>,
    reader: Reader,
    batch: Batch,
    reply: ReplyBuf,
    tally: Arc<Tally>,
}

impl Worker {
    fn work(mut self) {
        let mut trouble = Trouble::default();
        while !self.rung.load(Ordering::Relaxed) {
            match self.exchange(Wait::ForOne) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.sleep(),
                Err(e) => {
                    if trouble.is_news() {
                        warn!(%e, "cannot receive UDP queries for now");
                    }
                    self.rest();
                }
            }
        }
        for _ in 0..LAST_BATCHES {
            if self.exchange(Wait::Not).is_err() {
                return;
            }
        }
    }

    /// One batch in, one batch out, from one snapshot.
    fn exchange(&mut self, wait: Wait) -> io::Result<()> {
        let received = self.batch.receive(&self.socket, wait)?;
        let snapshot = self.reader.load();
        for query in self.batch.queries() {
            let peer = Peer { addr: query.peer, via: Via::Datagram };
            if answer(snapshot, &peer, query.bytes(), &mut self.reply) == Outcome::Reply {
                query.reply(self.reply.as_bytes());
            }
        }
        self.tally.note(received, self.batch.send(&self.socket));
        Ok(())
    }

    /// Until there is a query, or the bell rings.
    fn sleep(&self) {
        await_input([self.socket.as_fd(), self.ear.as_fd()], PollTimeout::NONE);
    }

    /// Until [`REST`] is over, or the bell rings.
    fn rest(&self) {
        await_input([self.ear.as_fd()], PollTimeout::from(REST));
    }
}

/// An error is an interruption, or no memory: the caller looks again either way.
fn await_input<const N: usize>(files: [BorrowedFd<'_>; N], timeout: PollTimeout) {
    let _ = poll(&mut files.map(|file| PollFd::new(file, PollFlags::POLLIN)), timeout);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Publisher, Snapshot};

    /// A header: a query, or a response.
    const fn header(qr: u8) -> [u8; 12] {
        [0, 7, qr, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn start() -> (Workers, UdpSocket) {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let reader = Publisher::new(Snapshot::default()).reader();
        (Workers::start(vec![server], &reader).unwrap(), client)
    }

    #[test]
    fn each_datagram_is_counted_once() {
        let (workers, client) = start();
        for datagram in [&header(0)[..], &header(0x80), &[0; 5000], &[], &header(0)] {
            client.send(datagram).unwrap();
        }
        for _ in 0..2 {
            client.recv(&mut [0; 512]).unwrap();
        }
        let counted = Datagrams { received: 5, answered: 2, dropped: 3, lost: 0 };
        assert_eq!(workers.stop(), counted);
    }

    #[test]
    fn what_has_arrived_is_answered_before_the_end() {
        for _ in 0..20 {
            let (workers, client) = start();
            for _ in 0..200 {
                client.send(&header(0)).unwrap();
            }
            assert_eq!(workers.stop().answered, 200);
        }
    }

    #[test]
    fn idle_workers_wake_up_to_stop() {
        let (workers, _client) = start();
        assert_eq!(workers.stop(), Datagrams::default());
    }
}
