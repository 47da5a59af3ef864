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
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tracing::warn;

use super::Manner;
use super::batch::{Batch, Wait};
use super::limit::admit;
use super::tally::{Event, Tally, Transport};
use super::tap::{Moments, Tap};
use super::trouble::Trouble;
use super::way::Way;
use crate::answer::{Peer, Rotation, Via, answer};

/// How long a worker waits in recvmmsg(2) before it sleeps, and how long for an interface that is behind. While
/// queries come in more often than this, it is also how late a stop may be seen.
const NAP: Duration = Duration::from_millis(100);
/// How long a worker rests when the system cannot even receive.
const REST: u16 = 50; // milliseconds
/// How many batches a worker still answers once it should stop: more than a socket's buffer holds.
const LAST_BATCHES: usize = 256;

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
    pub(super) fn start(sockets: Vec<UdpSocket>, manner: &Manner) -> io::Result<Self> {
        let (ear, pipe) = io::pipe()?;
        let bell = Bell { rung: Arc::default(), _pipe: pipe };
        let mut workers = Self { threads: Vec::new(), tallies: Vec::new(), bell };
        let mut cpus = manner.cpus.iter().copied().cycle();
        for socket in sockets {
            socket.set_read_timeout(Some(NAP))?;
            socket.set_write_timeout(Some(NAP))?;
            workers.hire(socket, ear.try_clone()?, manner.clone(), cpus.next())?;
        }
        Ok(workers)
    }

    fn hire(
        &mut self,
        socket: UdpSocket,
        ear: PipeReader,
        manner: Manner,
        cpu: Option<usize>,
    ) -> io::Result<()> {
        let tally = Arc::<Tally>::default();
        self.tallies.push(Arc::clone(&tally));
        let rung = Arc::clone(&self.bell.rung);
        let work = move || {
            if let Some(cpu) = cpu {
                stay_on(cpu);
            }
            let (batch, rotation) = (Batch::new(), Rotation::new(fastrand::u32(..)));
            Worker { socket, ear, rung, manner, batch, rotation, tally }.work();
        };
        self.threads.push(Builder::new().name("onstage-udp".to_owned()).spawn(work)?);
        Ok(())
    }

    /// Where each of them counts what became of its datagrams.
    pub(super) fn tallies(&self) -> &[Arc<Tally>] {
        &self.tallies
    }

    /// Stops all workers; what has arrived is answered before.
    pub(super) fn stop(self) {
        let Self { threads, bell, .. } = self;
        drop(bell);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// A thread's belongings.
struct Worker {
    socket: UdpSocket,
    ear: PipeReader,
    rung: Arc<AtomicBool>,
    manner: Manner,
    batch: Batch,
    rotation: Rotation,
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
        let (snapshot, asked) = (self.manner.reader.load(), (self.manner.clock)());
        let now = asked.as_secs() as u32;
        let (limiter, tally, rotation) = (self.manner.limiter.as_deref(), &*self.tally, &mut self.rotation);
        let hidden = self.batch.answer(|addr, query, reply| {
            let peer = Peer { addr, via: Via::Datagram, now };
            let outcome = answer(snapshot, &peer, query, rotation, reply);
            admit(limiter, &peer, outcome, reply, tally)
        });
        if let Some(tap) = &self.manner.tap {
            let moments = Moments { asked, answered: (self.manner.clock)() };
            let untold = tell(tap, moments, &self.batch, self.socket.local_addr().ok());
            self.tally.add(Event::Untold, untold);
        }
        self.tally.add(Event::Received, received);
        self.tally.add(Event::Dropped, hidden);
        self.tally.add(Event::Lost, self.batch.send(&self.socket).lost);
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

/// Tells those who listen of a batch that has its replies; of how many exchanges there was no telling. `ours`: where the
/// socket is bound.
#[cold]
fn tell(tap: &Tap, moments: Moments, batch: &Batch, ours: Option<SocketAddr>) -> usize {
    let mut untold = 0;
    batch.show(|from, to, query, reply| {
        let to = ours.map(|ours| SocketAddr::new(to.unwrap_or(ours.ip()), ours.port()));
        let way = Way { transport: Transport::Udp, from, to };
        untold += tap.tell(&way, moments, query, reply);
    });
    untold
}

/// Binds this thread to a CPU. One that does not exist is a mistake in the config that costs nothing but this.
fn stay_on(cpu: usize) {
    let mut cpus = CpuSet::new();
    if let Err(e) = cpus.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &cpus)) {
        warn!(cpu, %e, "cannot bind a UDP thread to its CPU");
    }
}

/// An error is an interruption, or no memory: the caller looks again either way.
fn await_input<const N: usize>(files: [BorrowedFd<'_>; N], timeout: PollTimeout) {
    let _ = poll(&mut files.map(|file| PollFd::new(file, PollFlags::POLLIN)), timeout);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::counts::Counts;
    use crate::snapshot::Roster;

    /// A header: a query, or a response.
    const fn header(qr: u8) -> [u8; 12] {
        [0, 7, qr, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn start() -> (Workers, UdpSocket) {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        (Workers::start(vec![server], &Manner::for_tests()).unwrap(), client)
    }

    /// What they counted until their end.
    fn counted(workers: Workers) -> Counts {
        let tallies = workers.tallies().to_vec();
        workers.stop();
        tallies.iter().map(|tally| tally.read(Transport::Udp, &Roster::default())).sum()
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
        let counts = counted(workers);
        let [received, dropped, lost] = [Event::Received, Event::Dropped, Event::Lost].map(|e| counts.of(e));
        assert_eq!((received, dropped, lost), (5, 3, 0)); // what is cut off, or empty, is no query either
        assert_eq!(counts.replies("FORMERR"), 2);
    }

    #[test]
    fn what_has_arrived_is_answered_before_the_end() {
        for _ in 0..20 {
            let (workers, client) = start();
            for _ in 0..200 {
                client.send(&header(0)).unwrap();
            }
            assert_eq!(counted(workers).replies("FORMERR"), 200);
        }
    }

    #[test]
    fn idle_workers_wake_up_to_stop() {
        let (workers, _client) = start();
        assert_eq!(counted(workers), Counts::default());
    }
}
