//! What the director counts: verdicts, changes and publications since the start.
//!
//! It is bounded by the config: an entry for each check and each pool. Everything in it goes by name, so that it can be
//! handed over to another process, and outlasts another plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Where the director counts, and others read. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Entries>>);

/// What has been counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Entries {
    /// By check.
    pub checks: BTreeMap<String, Probes>,
    /// By pool and type: how often others were answered than before.
    pub lineups: BTreeMap<String, BTreeMap<String, u64>>,
    /// Publications, and how long they took.
    pub publications: Histogram,
    /// Reloads.
    #[serde(default)]
    pub reloads: Reloads,
}

/// What became of reloads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloads {
    /// How many put another config into effect.
    pub done: u64,
    /// How many were refused, and changed nothing.
    pub refused: u64,
    /// Whether the last one was. A process starts with a config that makes sense.
    #[serde(skip)]
    pub last_was_refused: bool,
}

/// What came of the probes of a check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Probes {
    /// Verdicts by reason; a pass has none: the empty text.
    pub verdicts: BTreeMap<String, u64>,
    /// Members that were observed otherwise than before, by what they are observed as.
    pub transitions: BTreeMap<String, u64>,
    /// How long probes took.
    pub durations: Histogram,
}

/// What durations are told apart by, in seconds: publications take microseconds, probes milliseconds or seconds.
const BOUNDS: [f64; 15] =
    [0.000_01, 0.000_1, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Durations, by what they are at most.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many were longer than the bound before and not longer than this one; the last entry has no bound.
    counts: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

impl Histogram {
    fn add(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let place = BOUNDS.iter().position(|&bound| seconds <= bound).unwrap_or(BOUNDS.len());
        self.counts[place] += 1;
        self.sum += duration;
    }

    /// How many were between two bounds, by the upper one in seconds; the last has none.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        BOUNDS.into_iter().chain([f64::INFINITY]).zip(self.counts).collect()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What they add up to.
    pub const fn sum(&self) -> Duration {
        self.sum
    }
}

impl Journal {
    /// Goes on from what another process counted.
    pub fn going_on(entries: Entries) -> Self {
        Self(Arc::new(Mutex::new(entries)))
    }

    /// All of it, as it is now.
    pub fn entries(&self) -> Entries {
        self.with(|entries| entries.clone())
    }

    /// A probe of a check took so long, and found this; no reason is a pass.
    pub fn verdict(&self, check: &str, reason: Option<&str>, took: Duration) {
        self.with(|entries| {
            let probes = named(&mut entries.checks, check);
            *named(&mut probes.verdicts, reason.unwrap_or_default()) += 1;
            probes.durations.add(took);
        });
    }

    /// A member is observed otherwise than before.
    pub fn transition(&self, check: &str, to: &str) {
        self.with(|entries| *named(&mut named(&mut entries.checks, check).transitions, to) += 1);
    }

    /// Others of a pool are answered than before.
    pub fn lineup(&self, pool: &str, record_type: &str) {
        self.with(|entries| *named(named(&mut entries.lineups, pool), record_type) += 1);
    }

    /// A snapshot was published, which took so long.
    pub fn published(&self, took: Duration) {
        self.with(|entries| entries.publications.add(took));
    }

    /// Somebody wanted another config to be put into effect, and it was, or was refused.
    pub fn reloaded(&self, is_done: bool) {
        self.with(|Entries { reloads, .. }| {
            *(if is_done { &mut reloads.done } else { &mut reloads.refused }) += 1;
            reloads.last_was_refused = !is_done;
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut Entries) -> T) -> T {
        look(&mut self.0.lock())
    }
}

/// The entry of a name. Names are copied once.
fn named<'m, T: Default>(entries: &'m mut BTreeMap<String, T>, name: &str) -> &'m mut T {
    if !entries.contains_key(name) {
        entries.insert(name.to_owned(), T::default());
    }
    match entries.get_mut(name) {
        Some(entry) => entry,
        None => unreachable!("it was put there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_below_their_bounds() {
        let journal = Journal::default();
        for milliseconds in [0, 2, 3, 700, 60_000] {
            journal.verdict("puppetserver", None, Duration::from_millis(milliseconds));
        }
        let durations = &journal.entries().checks["puppetserver"].durations;
        let counted: Vec<u64> = durations.buckets().iter().map(|(_, count)| *count).collect();
        assert_eq!(counted, [1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!((durations.count(), durations.sum()), (5, Duration::from_millis(60_705)));
    }

    #[test]
    fn what_one_process_counted_the_next_goes_on_from() {
        let journal = Journal::default();
        journal.verdict("tcp", Some("refused"), Duration::from_millis(1));
        journal.transition("tcp", "down");
        journal.lineup("p.example", "A");
        journal.published(Duration::from_micros(20));
        journal.reloaded(true);
        journal.reloaded(false);
        let handed_over = serde_json::to_string(&journal.entries()).unwrap();
        let next = Journal::going_on(serde_json::from_str(&handed_over).unwrap());
        next.verdict("tcp", Some("refused"), Duration::from_millis(1));
        next.lineup("p.example", "A");
        let Entries { checks, lineups, publications, reloads } = next.entries();
        assert_eq!(reloads, Reloads { done: 1, refused: 1, last_was_refused: false });
        let Probes { verdicts, transitions, durations } = &checks["tcp"];
        assert_eq!((verdicts["refused"], transitions["down"], durations.count()), (2, 1, 2));
        assert_eq!((lineups["p.example"]["A"], publications.count()), (2, 1));
    }
}
