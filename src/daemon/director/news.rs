//! What is said of members between two verdicts: that an answer is overdue, or that nothing is heard any more.
//!
//! ```text
//!            recheck has passed           nothing for two intervals
//!  prompt ─────────────────────▶ overdue ─────────────────────────▶ stale
//!    ▲                              │                                 │
//!    └──────────── a verdict ───────┴─────────────────────────────────┘
//! ```

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Director;
use super::log;
use crate::config::Check;
use crate::plan::Plan;
use crate::snapshot::Outlook;
use crate::units::{Moment, PoolId, ProbeId};

/// How old what is observed of a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum News {
    /// As old as it may be.
    Prompt,
    /// An answer is overdue.
    Overdue,
    /// Nothing was heard for so long that the prober must have stalled, or died.
    Stale,
}

/// No prober is called dead sooner, however often it asks: a busy machine is not.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// How long a probe may be silent after news. One that does its work is silent for an interval and until its answer is
/// overdue, or where that is never said, until its timeout; then for the rest of its timeout, or where it waits for its
/// turn, until the line has moved, at the latest when those in flight have met theirs. Two intervals, or two timeouts, where
/// these are longer, are more than each of these.
pub(super) fn patience(check: &Check, news: News) -> Duration {
    let longer = check.interval.max(check.timeout);
    let patience = match news {
        News::Overdue => (longer + 2 * check.recheck).min(2 * longer),
        News::Prompt | News::Stale if check.recheck >= check.timeout => 2 * longer + check.timeout / 2,
        News::Prompt | News::Stale => 2 * longer,
    };
    patience.max(LEAST_PATIENCE)
}

/// How long each probe may have to wait for its turn: for the timeouts of all others, where a check asks one at a time.
pub(super) fn queues(plan: &Plan) -> Vec<Duration> {
    let mut lines: HashMap<&str, u32> = HashMap::new();
    for probe in plan.probes.iter().filter(|probe| probe.check.kind.asks_one_at_a_time()) {
        *lines.entry(&probe.check.name).or_default() += 1;
    }
    let queue = |check: &Check| {
        let line = lines.get(check.name.as_str()).copied().unwrap_or_default();
        check.timeout.saturating_mul(line)
    };
    plan.probes.iter().map(|probe| queue(&probe.check)).collect()
}

impl Director {
    /// The answer of this probe is overdue: a member that was up is likely to leave. What follows is to be published.
    pub fn expect(&mut self, probe: ProbeId, now: Moment) {
        self.hear(probe, News::Overdue, now);
        self.miss(probe, now);
    }

    /// Looks whether probes are silent for too long: their verdicts are stale from then on. What follows is to be
    /// published.
    pub fn look(&mut self, now: Moment) {
        let silent = self.vigil.as_mut().map(|vigil| vigil.look(now.steady)).unwrap_or_default();
        let before = *self.stale.borrow();
        for probe in silent {
            self.note(probe, News::Stale);
        }
        if before == 0 && *self.stale.borrow() > 0 {
            log::stale(*self.stale.borrow(), self.plan.probes.len());
        }
    }

    /// When to look next, by the steady clock.
    pub fn next_look(&self) -> Option<Duration> {
        self.vigil.as_ref()?.next_look()
    }

    /// How many probes' verdicts are stale.
    pub fn stale(&self) -> watch::Receiver<usize> {
        self.stale.subscribe()
    }

    /// There is news of this probe.
    pub(super) fn hear(&mut self, probe: ProbeId, news: News, now: Moment) {
        if let Some(vigil) = &mut self.vigil {
            let check = &self.plan.probes[probe.index()].check;
            let patience = patience(check, news) + self.queues[probe.index()];
            vigil.hear(probe, patience, now.steady);
        }
        self.note(probe, news);
    }

    /// From now on this is how old the verdict of this probe is.
    fn note(&mut self, probe: ProbeId, news: News) {
        let sighting = &mut self.sightings[probe.index()];
        let before = sighting.news;
        if before == news {
            return;
        }
        sighting.news = news;
        self.due.extend(&self.pools[probe.index()]);
        match (before, news) {
            (_, News::Stale) => self.stale.send_modify(|stale| *stale += 1),
            (News::Stale, _) => self.stale.send_modify(|stale| *stale -= 1),
            _ => return,
        }
        if *self.stale.borrow() == 0 {
            log::fresh();
        }
    }

    /// Whether a change of somebody in the pool may be near, or whether nobody can tell.
    pub(super) fn outlook(&self, pool: PoolId) -> Outlook {
        if self.guard.is_blind() {
            return Outlook::Unsettled;
        }
        let mut probes = self.probes[pool.index()].iter();
        if probes.all(|probe| self.sightings[probe.index()].is_settled()) {
            Outlook::Settled
        } else {
            Outlook::Unsettled
        }
    }

    /// Whether nothing is known of the pool any more.
    pub(super) fn is_blind(&self, pool: PoolId) -> bool {
        let mut probes = self.probes[pool.index()].iter();
        *self.stale.borrow() > 0 && probes.all(|probe| self.sightings[probe.index()].news == News::Stale)
    }
}
