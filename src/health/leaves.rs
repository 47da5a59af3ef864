//! Who has left lately, on what evidence, and whether one more may.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::Evidence;
use crate::units::ProbeId;

/// Those that left in the last two intervals.
#[derive(Debug)]
pub(super) struct Leaves {
    interval: Duration,
    /// At most so many members leave in one interval; `None`: as many as fail.
    most: Option<usize>,
    latest: VecDeque<Leave>,
}

#[derive(Debug)]
struct Leave {
    at: Duration,
    probe: ProbeId,
    member: u32,
    evidence: Evidence,
}

impl Leaves {
    pub(super) const fn new(interval: Duration, most: Option<usize>) -> Self {
        Self { interval, most, latest: VecDeque::new() }
    }

    /// Whether a member may leave: fewer have within the interval than may, or it is one of them.
    pub(super) fn has_room(&self, member: u32, now: Duration) -> bool {
        let Some(most) = self.most else { return true };
        let recent = self.latest.iter().filter(|leave| now < leave.at + self.interval);
        let leaving: BTreeSet<u32> = recent.map(|leave| leave.member).collect();
        leaving.contains(&member) || leaving.len() < most
    }

    /// When there is room for one more, at the latest.
    pub(super) fn next_room(&self, now: Duration) -> Option<Duration> {
        self.most?;
        self.latest.iter().map(|leave| leave.at + self.interval).find(|&end| end > now)
    }

    pub(super) fn add(&mut self, probe: ProbeId, member: u32, evidence: Evidence, now: Duration) {
        while self.latest.front().is_some_and(|leave| leave.at + 2 * self.interval < now) {
            self.latest.pop_front();
        }
        self.latest.push_back(Leave { at: now, probe, member, evidence });
    }

    /// Those that left since then for nothing but silence.
    pub(super) fn silent_since(&self, then: Duration) -> Vec<ProbeId> {
        let silent = |leave: &&Leave| leave.at >= then && leave.evidence == Evidence::Silence;
        self.latest.iter().filter(silent).map(|leave| leave.probe).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Evidence::{Answer, Proof, Silence};

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Two may leave in ten seconds: who wants to, when, and whether there is room.
    #[test]
    fn so_many_leave_in_an_interval() {
        let mut leaves = Leaves::new(at(10), Some(2));
        for (now, member, has_room) in [
            (0, 0, true),
            (1, 1, true),
            (2, 2, false),
            (2, 1, true), // another probe of the same member
            (9, 2, false),
            (10, 2, true),
            (11, 3, false), // 1 and 2 have left
            (12, 3, true),
        ] {
            assert_eq!(leaves.has_room(member, at(now)), has_room, "{member} at {now}");
            if has_room {
                leaves.add(ProbeId(member), member, Silence, at(now));
            }
        }
        assert_eq!(leaves.next_room(at(12)), Some(at(20)));
        assert_eq!(leaves.next_room(at(22)), None);
    }

    #[test]
    fn who_left_for_silence_is_known_for_two_intervals() {
        let mut leaves = Leaves::new(at(10), None);
        for (now, probe, evidence) in
            [(0, 0, Silence), (5, 1, Proof), (6, 2, Answer), (7, 3, Silence), (21, 4, Silence)]
        {
            assert!(leaves.has_room(probe, at(now)));
            leaves.add(ProbeId(probe), probe, evidence, at(now));
        }
        assert_eq!(leaves.silent_since(at(0)), [ProbeId(3), ProbeId(4)]);
        assert_eq!(leaves.silent_since(at(8)), [ProbeId(4)]);
        assert_eq!(leaves.next_room(at(21)), None, "there is always room");
    }
}
