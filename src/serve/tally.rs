//! What became of queries and replies, counted where it happens and summed where it is read.
//!
//! Each worker has a tally of its own, on cache lines of its own, so that no count waits for another. Only the worker
//! writes to it, with plain loads and stores. TCP connections share one.

use std::iter::Sum;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// What can happen besides a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

const EVENTS: usize = 6;
/// Rcodes up to BADCOOKIE (RFC 7873 §8), and more, to a power of two.
const RCODES: usize = 32;

/// Counters that are being written.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Tally {
    events: [AtomicU64; EVENTS],
    rcodes: [AtomicU64; RCODES],
}

/// Counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    events: [u64; EVENTS],
    rcodes: [u64; RCODES],
}

/// The tallies of all workers, and what those have counted that are gone. The sum never falls.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    gone: Counts,
    workers: Vec<Arc<Tally>>,
}

impl Tallies {
    /// Reads these from now on, too.
    pub(super) fn watch(&mut self, workers: &[Arc<Tally>]) {
        // Whoever is gone has given up its own reference, and writes no more.
        let (gone, here): (Vec<_>, Vec<_>) =
            self.workers.drain(..).partition(|tally| Arc::strong_count(tally) == 1);
        self.workers = here;
        self.workers.extend_from_slice(workers);
        self.add(&gone.iter().map(|tally| tally.read()).sum());
    }

    /// Something was counted elsewhere.
    pub(super) fn add(&mut self, counts: &Counts) {
        self.gone = [self.gone, *counts].into_iter().sum();
    }

    /// What has been counted.
    pub(super) fn read(&self) -> Counts {
        self.workers.iter().map(|tally| tally.read()).chain([self.gone]).sum()
    }
}

impl Tally {
    /// Counts an event, from the one thread that writes here.
    pub(super) fn add(&self, event: Event, count: usize) {
        add(&self.events[event as usize], count as u64);
    }

    /// Counts a reply, from the one thread that writes here.
    pub(super) fn reply(&self, rcode: u16) {
        add(&self.rcodes[usize::from(rcode) % RCODES], 1);
    }

    /// What has been counted.
    pub(super) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts { events: self.events.each_ref().map(read), rcodes: self.rcodes.each_ref().map(read) }
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

impl Counts {
    /// How often something happened.
    pub const fn of(&self, event: Event) -> u64 {
        self.events[event as usize]
    }

    /// What was counted since then.
    #[must_use]
    pub fn since(mut self, then: &Self) -> Self {
        let less = |now: &mut u64, then: &u64| *now = now.saturating_sub(*then);
        self.events.iter_mut().zip(&then.events).for_each(|(now, then)| less(now, then));
        self.rcodes.iter_mut().zip(&then.rcodes).for_each(|(now, then)| less(now, then));
        self
    }

    /// How many replies had an rcode.
    pub fn replies(&self, rcode: u16) -> u64 {
        self.rcodes.get(usize::from(rcode)).copied().unwrap_or_default()
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, counts| {
            sum.events.iter_mut().zip(counts.events).for_each(|(sum, count)| *sum += count);
            sum.rcodes.iter_mut().zip(counts.rcodes).for_each(|(sum, count)| *sum += count);
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gone_have_counted_stays_counted() {
        let mut tallies = Tallies::default();
        let [first, second] = [3, 4].map(|count| {
            let tally = Arc::<Tally>::default();
            tally.add(Event::Received, count);
            tally
        });
        tallies.watch(&[Arc::clone(&first)]);
        first.add(Event::Received, 10);
        drop(first);
        tallies.watch(&[Arc::clone(&second)]);
        assert_eq!((tallies.workers.len(), tallies.read().of(Event::Received)), (1, 17));
        let before = tallies.read();
        tallies.add(&before);
        second.add(Event::Received, 1);
        assert_eq!(tallies.read().of(Event::Received), 35);
    }
}
