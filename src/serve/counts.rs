//! What became of queries and replies, summed over all who count, by what it means.
//!
//! Whatever is in here can be added to what another process counted before: it knows no cell and no worker.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::AddAssign;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::tally::{Event, Tally, Transport};
use crate::snapshot::Reader;

/// How often each thing has happened. What never has is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Counted, u64)>", into = "Vec<(Counted, u64)>")]
pub struct Counts(BTreeMap<Counted, u64>);

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// What happened besides a reply.
    Event(Transport, Event),
    /// Replies, those that are a pool's among them.
    Reply(Transport, Kind),
    /// Replies with the members of a pool.
    Pool(PoolKey),
}

/// What was asked for and said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Kind {
    /// The type: `A`; `other` for rare ones, `none` where no question could be read.
    pub record_type: String,
    /// The rcode: `NOERROR`.
    pub rcode: String,
}

/// Which pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PoolKey {
    /// Its name.
    pub name: String,
    /// The type of its records.
    pub record_type: String,
}

/// Of each UDP worker what it counts, and what those have counted that are gone. The sum never falls.
#[derive(Debug, Default)]
pub(super) struct Workers {
    tallies: Vec<Arc<Tally>>,
    gone: Tally,
    /// What the process before this one has counted.
    before: Counts,
}

/// Reads what all who count have counted, while they go on. Clones read the same.
#[derive(Debug, Clone)]
pub struct Counter {
    pub(super) reader: Reader,
    pub(super) workers: Arc<Mutex<Workers>>,
    /// Of each transport; that of UDP is written by nobody.
    pub(super) streams: Arc<[Tally]>,
}

impl Counter {
    /// What became of queries so far, since the server was started, be it in another process.
    pub fn read(&self) -> Counts {
        let snapshot = Arc::clone(self.reader.clone().load());
        let workers = self.workers.lock();
        let tallies = workers.tallies.iter().map(|tally| &**tally).chain([&workers.gone]);
        let all = tallies
            .map(|tally| (Transport::Udp, tally))
            .chain(Transport::ALL.into_iter().zip(&*self.streams));
        let counts = all.map(|(transport, tally)| tally.read(transport, snapshot.roster()));
        counts.chain([workers.before.clone()]).sum()
    }
}

impl Workers {
    /// These count from now on, too.
    pub(super) fn hire(&mut self, tallies: &[Arc<Tally>]) {
        // Whoever is gone has given up its own reference, and writes no more.
        let gone = self.tallies.extract_if(.., |tally| Arc::strong_count(tally) == 1);
        gone.for_each(|tally| self.gone.take_over(&tally));
        self.tallies.extend_from_slice(tallies);
    }

    /// Another process has counted this.
    pub(super) fn remember(&mut self, before: Counts) {
        self.before += before;
    }
}

impl Counts {
    /// Adds to what has happened.
    pub(super) fn add(&mut self, what: Counted, count: u64) {
        if count > 0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// What has happened since then.
    #[must_use]
    pub fn since(self, then: &Self) -> Self {
        let mut since = Self::default();
        for (what, count) in self.0 {
            let more = count.saturating_sub(then.get(&what));
            since.add(what, more);
        }
        since
    }

    /// Everything that has happened.
    pub fn iter(&self) -> impl Iterator<Item = (&Counted, u64)> {
        self.0.iter().map(|(what, &count)| (what, count))
    }

    /// How often one thing has happened.
    pub fn get(&self, what: &Counted) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// How often something happened, over every transport.
    pub fn of(&self, event: Event) -> u64 {
        self.sum(|what| matches!(what, Counted::Event(_, happened) if *happened == event))
    }

    /// How many replies had an rcode, by its name, over every transport.
    pub fn replies(&self, rcode: &str) -> u64 {
        self.sum(|what| matches!(what, Counted::Reply(_, kind) if kind.rcode == rcode))
    }

    /// How many replies had a pool's members.
    pub fn pool(&self, name: &str, record_type: &str) -> u64 {
        let (name, record_type) = (name.to_owned(), record_type.to_owned());
        self.get(&Counted::Pool(PoolKey { name, record_type }))
    }

    fn sum(&self, is_meant: impl Fn(&Counted) -> bool) -> u64 {
        self.iter().filter(|(what, _)| is_meant(what)).map(|(_, count)| count).sum()
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        other.0.into_iter().for_each(|(what, count)| self.add(what, count));
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, counts| {
            sum += counts;
            sum
        })
    }
}

/// JSON has no maps with keys that are not strings.
impl From<Vec<(Counted, u64)>> for Counts {
    fn from(pairs: Vec<(Counted, u64)>) -> Self {
        let mut counts = Self::default();
        for (what, count) in pairs {
            counts.add(what, count);
        }
        counts
    }
}

impl From<Counts> for Vec<(Counted, u64)> {
    fn from(counts: Counts) -> Self {
        counts.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_process_counted_the_next_goes_on_from() {
        let kind = Kind { record_type: "A".to_owned(), rcode: "NOERROR".to_owned() };
        let key = PoolKey { name: "puppet.example.org".to_owned(), record_type: "A".to_owned() };
        let mut counts = Counts::default();
        counts.add(Counted::Event(Transport::Udp, Event::Received), 2);
        counts.add(Counted::Event(Transport::Doh, Event::Received), 3);
        counts.add(Counted::Event(Transport::Doh, Event::Lost), 0);
        counts.add(Counted::Reply(Transport::Udp, kind), 4);
        counts.add(Counted::Pool(key), 1);
        let handed_over: Counts = serde_json::from_str(&serde_json::to_string(&counts).unwrap()).unwrap();
        assert_eq!(handed_over, counts);
        counts += handed_over;
        assert_eq!((counts.of(Event::Received), counts.of(Event::Lost)), (10, 0));
        assert_eq!((counts.replies("NOERROR"), counts.replies("REFUSED")), (8, 0));
        assert_eq!(
            (counts.pool("puppet.example.org", "A"), counts.pool("puppet.example.org", "SRV")),
            (2, 0)
        );
        assert_eq!(counts.iter().count(), 4);
        assert_eq!(counts.clone().since(&counts), Counts::default());
        let mut more = counts.clone();
        more.add(Counted::Event(Transport::Udp, Event::Received), 5);
        assert_eq!(more.since(&counts).iter().map(|(_, count)| count).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn what_the_gone_have_counted_stays_counted() {
        let count = |received| {
            let tally = Arc::<Tally>::default();
            tally.add(Event::Received, received);
            tally
        };
        let (first, second) = (count(3), count(4));
        let mut workers = Workers::default();
        workers.hire(&[Arc::clone(&first)]);
        first.add(Event::Received, 10);
        drop(first);
        workers.hire(&[Arc::clone(&second)]);
        assert_eq!(workers.tallies.len(), 1);
        let reader = crate::snapshot::Publisher::new(crate::snapshot::Snapshot::default()).reader();
        let counter = Counter { reader, workers: Arc::new(Mutex::new(workers)), streams: Arc::default() };
        assert_eq!(counter.read().of(Event::Received), 17);
        let before = counter.read();
        counter.workers.lock().remember(before);
        second.add(Event::Received, 1);
        assert_eq!(counter.read().of(Event::Received), 35);
    }
}
