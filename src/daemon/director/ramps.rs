//! Who came back, since when, and when each of them gets more of its part.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::health::{Rise, Standing, ramp};
use crate::plan::MemberId;
use crate::units::PoolId;

/// The members that are on their ramps, and who was live when last looked at.
#[derive(Debug, Default)]
pub(super) struct Ramps {
    /// By pool and place.
    live: Vec<Vec<bool>>,
    rising: BTreeMap<MemberId, Rising>,
    /// When each of them gets more.
    steps: BTreeSet<(Duration, MemberId)>,
}

#[derive(Debug, Clone, Copy)]
struct Rising {
    since: Duration,
    next: Duration,
}

impl Ramps {
    /// Whoever is live at the start is warm.
    pub(super) fn start(standings: &[Vec<Standing>]) -> Self {
        let live = |pool: &Vec<Standing>| pool.iter().map(|standing| standing.is_live()).collect();
        Self { live: standings.iter().map(live).collect(), ..Self::default() }
    }

    /// What was known of a member before: whether it was live, and since when it rises.
    pub(super) fn resume(&mut self, id: MemberId, was_live: bool, since: Option<Duration>) {
        self.live[id.pool.index()][id.place as usize] = was_live;
        if let Some(since) = since {
            self.rising.insert(id, Rising { since, next: since });
            self.steps.insert((since, id));
        }
    }

    /// Whether a member was live when last looked at, and since when it rises.
    pub(super) fn of(&self, id: MemberId) -> (bool, Option<Duration>) {
        let was_live = self.live[id.pool.index()][id.place as usize];
        (was_live, self.rising.get(&id).map(|rising| rising.since))
    }

    /// The standing of a member that is looked at `now`: who was not live when last looked at begins a ramp of this
    /// `length`.
    pub(super) fn climb(
        &mut self,
        id: MemberId,
        standing: Standing,
        length: Duration,
        now: Duration,
    ) -> Standing {
        let was_live =
            std::mem::replace(&mut self.live[id.pool.index()][id.place as usize], standing.is_live());
        let since = match self.rising.remove(&id) {
            Some(rising) => {
                self.steps.remove(&(rising.next, id));
                rising.since
            }
            None if was_live => return standing,
            None => now,
        };
        let Standing::Live(most) = standing else { return standing };
        let Rise { presence, next_in } = ramp(length, now.saturating_sub(since));
        if let Some(next_in) = next_in {
            let next = now.saturating_add(next_in);
            self.rising.insert(id, Rising { since, next });
            self.steps.insert((next, id));
        }
        Standing::Live(presence.min(most))
    }

    /// When the next of them gets more.
    pub(super) fn next(&self) -> Option<Duration> {
        self.steps.first().map(|&(next, _)| next)
    }

    /// The pools in which somebody gets more by now.
    pub(super) fn due(&self, now: Duration) -> BTreeSet<PoolId> {
        self.steps.iter().take_while(|&&(next, _)| next <= now).map(|(_, id)| id.pool).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Presence;

    const ID: MemberId = MemberId { pool: PoolId(0), place: 0 };
    const LENGTH: Duration = Duration::from_secs(90);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn live(percent: u8) -> Standing {
        Standing::Live(Presence::percent(percent).unwrap())
    }

    #[test]
    fn who_comes_back_rises_and_who_was_there_does_not() {
        let mut ramps = Ramps::start(&[vec![Standing::LIVE]]);
        for (now, standing, climbed, next) in [
            (0, Standing::LIVE, Standing::LIVE, None),
            (10, Standing::Down, Standing::Down, None),
            (20, Standing::LIVE, live(10), Some(30)),
            (29, Standing::LIVE, live(10), Some(30)),
            (30, live(15), live(15), Some(40)),
            (31, Standing::Drained, Standing::Drained, None),
            (50, Standing::LIVE, live(10), Some(60)),
            (95, Standing::LIVE, live(50), Some(100)),
            (140, Standing::LIVE, Standing::LIVE, None),
            (150, Standing::LIVE, Standing::LIVE, None),
        ] {
            assert_eq!(ramps.climb(ID, standing, LENGTH, at(now)), climbed, "at {now}");
            assert_eq!(ramps.next(), next.map(at), "at {now}");
            assert!(ramps.due(at(now)).is_empty());
            assert_eq!(ramps.due(at(1000)).len(), usize::from(next.is_some()));
        }
    }

    #[test]
    fn a_ramp_goes_on_where_it_was() {
        let mut before = Ramps::start(&[vec![Standing::Down]]);
        before.climb(ID, Standing::LIVE, LENGTH, at(20));
        let mut after = Ramps::start(&[vec![Standing::LIVE]]);
        let (was_live, since) = before.of(ID);
        after.resume(ID, was_live, since);
        assert_eq!(after.climb(ID, Standing::LIVE, LENGTH, at(65)), live(50));
        assert_eq!(after.next(), Some(at(70)));
    }

    #[test]
    fn without_a_ramp_all_of_it_comes_at_once() {
        let mut ramps = Ramps::start(&[vec![Standing::Down]]);
        assert_eq!(ramps.climb(ID, Standing::LIVE, Duration::ZERO, at(5)), Standing::LIVE);
        assert_eq!(ramps.next(), None);
    }
}
