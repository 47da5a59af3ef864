//! What became of queries and replies, counted where it happens and summed where it is read.
//!
//! Each UDP worker has a tally of its own, on cache lines of its own, so that no count waits for another. Only the worker
//! writes to it, with plain loads and stores. Each other transport has one, which its connections share.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::counts::{Counted, Counts, Kind, PoolKey};
use crate::answer::{Outcome, Via};
use crate::snapshot::{Cell, Roster};

/// How a query comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// TCP.
    Tcp,
    /// DNS over TLS.
    Dot,
    /// DNS over HTTPS, with HTTP/2.
    Doh,
    /// DNS over HTTPS, with HTTP/3.
    Doh3,
    /// DNS over QUIC.
    Doq,
}

impl Transport {
    /// Every one.
    pub const ALL: [Self; 6] = [Self::Udp, Self::Tcp, Self::Dot, Self::Doh, Self::Doh3, Self::Doq];

    /// As metrics and logs name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Dot => "dot",
            Self::Doh => "doh",
            Self::Doh3 => "doh3",
            Self::Doq => "doq",
        }
    }

    /// What that is to an answer.
    pub(super) const fn via(self) -> Via {
        match self {
            Self::Udp => Via::Datagram,
            Self::Tcp => Via::Stream,
            Self::Dot | Self::Doh | Self::Doh3 | Self::Doq => Via::Encrypted,
        }
    }
}

/// What can happen besides a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A query came in, or what should have been one.
    Received,
    /// It was no query, or cut off, or from where no reply can go.
    Dropped,
    /// The reply was truncated: the client has to ask over TCP.
    Truncated,
    /// The reply was left out, or truncated, because its network had too many.
    Limited,
    /// The client has shown a valid DNS cookie.
    Known,
    /// The kernel refused the reply.
    Lost,
    /// Nobody who listens in was told of it: there was no room.
    Untold,
}

impl Event {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Received,
        Self::Dropped,
        Self::Truncated,
        Self::Limited,
        Self::Known,
        Self::Lost,
        Self::Untold,
    ];
}

/// Counters that are being written.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Tally {
    events: [AtomicU64; Event::ALL.len()],
    cells: [AtomicU64; Cell::COUNT],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            events: [const { AtomicU64::new(0) }; Event::ALL.len()],
            cells: [const { AtomicU64::new(0) }; Cell::COUNT],
        }
    }
}

impl Tally {
    /// Counts an event, from the one thread that writes here.
    pub(super) fn add(&self, event: Event, count: usize) {
        add(&self.events[event as usize], count as u64);
    }

    /// Counts a reply, from the one thread that writes here.
    #[inline(always)]
    pub(super) fn reply(&self, cell: Cell) {
        add(&self.cells[cell.index()], 1);
    }

    /// Counts a query over a stream and what became of it, from any thread.
    pub(super) fn note(&self, outcome: Outcome) {
        self.share(Event::Received);
        match outcome {
            Outcome::Drop => self.share(Event::Dropped),
            Outcome::Reply(reply) => {
                self.cells[reply.cell.index()].fetch_add(1, Ordering::Relaxed);
                if reply.is_truncated {
                    self.share(Event::Truncated);
                }
                if reply.is_known {
                    self.share(Event::Known);
                }
            }
        }
    }

    /// Counts what another one has counted, whose thread is gone.
    pub(super) fn take_over(&self, gone: &Self) {
        let pairs = self.events.iter().zip(&gone.events).chain(self.cells.iter().zip(&gone.cells));
        pairs.for_each(|(own, gone)| add(own, gone.load(Ordering::Relaxed)));
    }

    /// Counts an event, from any thread of those that only write so.
    pub(super) fn share(&self, event: Event) {
        self.events[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What has been counted over `transport`, by what `roster` says that cells mean.
    pub(super) fn read(&self, transport: Transport, roster: &Roster) -> Counts {
        let mut counts = Counts::default();
        for event in Event::ALL {
            let count = self.events[event as usize].load(Ordering::Relaxed);
            counts.add(Counted::Event(transport, event), count);
        }
        for (index, cell) in self.cells.iter().enumerate() {
            let count = cell.load(Ordering::Relaxed);
            let Some(meaning) = (count > 0).then(|| roster.meaning(index)).flatten() else { continue };
            if let Some(name) = meaning.pool {
                let record_type = meaning.record_type.clone();
                counts.add(Counted::Pool(PoolKey { name, record_type }), count);
            }
            let kind = Kind { record_type: meaning.record_type, rcode: meaning.rcode.to_owned() };
            counts.add(Counted::Reply(transport, kind), count);
        }
        counts
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Reply;

    #[test]
    fn queries_over_streams_are_counted_with_what_became_of_them() {
        let tally = Tally::default();
        let reply = |cell| Reply { len: 12, cell, is_truncated: false, is_known: false };
        tally.note(Outcome::Drop);
        tally.note(Outcome::Reply(reply(Cell::of(5, 28))));
        tally.note(Outcome::Reply(Reply { is_truncated: true, is_known: true, ..reply(Cell::of(0, 1)) }));
        let counts = tally.read(Transport::Doq, &Roster::default());
        let happened =
            [Event::Received, Event::Dropped, Event::Truncated, Event::Known].map(|e| counts.of(e));
        assert_eq!(happened, [3, 1, 1, 1]);
        assert_eq!((counts.replies("REFUSED"), counts.replies("NOERROR")), (1, 1));
        let overs: Vec<Transport> = counts
            .iter()
            .filter_map(|(what, _)| match what {
                Counted::Event(transport, _) | Counted::Reply(transport, _) => Some(*transport),
                Counted::Pool(_) => None,
            })
            .collect();
        assert!(overs.iter().all(|over| *over == Transport::Doq) && overs.len() == 6, "{overs:?}");
    }
}
