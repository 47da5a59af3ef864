//! Which members serve other code than the rest of their pool: what each told is compared, graces run, and whoever is held
//! back or let go again is told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Director, log};
use crate::health::{Agreement, Concord, Stance};
use crate::plan::{Condition, MemberId, Plan};
use crate::prose::some;
use crate::units::{Moment, PoolId};

/// The most of a version that is shown.
const SHOWN: usize = 48;
/// The most versions that are shown.
const MOST_SHOWN: usize = 4;

/// How far the members of each pool agree.
#[derive(Debug)]
pub(super) struct Agreements {
    pools: Vec<Agreement>,
    held_back: BTreeMap<MemberId, Other>,
    /// When the next grace of a pool is over.
    ends: BTreeMap<PoolId, Duration>,
}

/// The other version that a member serves, and since when it is held back for it, in seconds of Unix time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Other {
    version: String,
    since: u32,
}

impl Agreements {
    /// Nobody has told anything.
    pub(super) fn new(plan: &Plan) -> Self {
        let pools =
            plan.pools.iter().map(|pool| Agreement::new(pool.rules.version_grace, pool.members.len()));
        Self { pools: pools.collect(), held_back: BTreeMap::new(), ends: BTreeMap::new() }
    }

    /// Where a member stands, and what it is held back for.
    pub(super) fn of(&self, id: MemberId) -> (Stance, Option<Other>) {
        (self.pools[id.pool.index()].stance(id.place as usize), self.held_back.get(&id).cloned())
    }

    /// The same of a whole pool before it tells anything, by place.
    pub(super) fn resume(&mut self, pool: PoolId, grace: Duration, members: Vec<(Stance, Option<Other>)>) {
        let ids = (0..).map(|place| MemberId { pool, place });
        let (stances, others): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        self.held_back.extend(ids.zip(others).filter_map(|(id, other)| Some((id, other?))));
        self.pools[pool.index()] = Agreement::among(grace, stances);
    }

    /// Whether a member is held back.
    pub(super) fn holds_back(&self, id: MemberId) -> bool {
        self.held_back.contains_key(&id)
    }

    /// Since when a member is held back, and the version that it serves.
    pub(super) fn other(&self, id: MemberId) -> Option<(u32, &str)> {
        self.held_back.get(&id).map(|other| (other.since, shown(&other.version)))
    }

    /// When the next grace is over.
    pub(super) fn next(&self) -> Option<Duration> {
        self.ends.values().min().copied()
    }

    /// How the members of a pool disagree, in words; `None`: they do not.
    pub(super) fn told(&self, pool: PoolId) -> Option<String> {
        match self.pools[pool.index()].concord() {
            Concord::Silent | Concord::Unanimous(_) => None,
            Concord::Majority(version) => Some(format!("most serve {}", shown(version))),
            Concord::Divided(votes) => Some(format!("divided: {}", ranking(votes))),
        }
    }
}

impl Director {
    /// Compares what the members of a pool tell now; whether that makes a difference.
    pub(super) fn compare(&mut self, pool: PoolId, now: Moment) -> bool {
        let versions = self.versions(pool);
        let told: Vec<Option<&str>> = versions.iter().map(Option::as_deref).collect();
        let agreement = &mut self.agreements.pools[pool.index()];
        let before = agreement.concord().clone();
        agreement.hear(&told, now.steady);
        let is_news = *agreement.concord() != before;
        if is_news {
            log::concord(&self.plan.pools[pool.index()], &before, agreement.concord());
        }
        self.hold_back(pool, &versions, now) || is_news
    }

    /// Lets time pass; the pools in which somebody's grace is over.
    pub(super) fn end_graces(&mut self, now: Moment) -> Vec<PoolId> {
        let due = self.agreements.ends.iter().filter(|&(_, &end)| end <= now.steady);
        let mut due: Vec<PoolId> = due.map(|(&pool, _)| pool).collect();
        due.retain(|&pool| {
            self.agreements.pools[pool.index()].pass(now.steady);
            self.hold_back(pool, &self.versions(pool), now)
        });
        due
    }

    /// Takes down who is held back by now, and who is not any more; whether there is any.
    fn hold_back(&mut self, pool: PoolId, versions: &[Option<String>], now: Moment) -> bool {
        match self.agreements.pools[pool.index()].next() {
            Some(next) => self.agreements.ends.insert(pool, next),
            None => self.agreements.ends.remove(&pool),
        };
        let members = self.ids(pool).zip(versions);
        members.filter(|&(id, version)| self.mark(id, version.as_deref(), now)).count() > 0
    }

    /// Takes it down for one member; whether it is news.
    fn mark(&mut self, id: MemberId, version: Option<&str>, now: Moment) -> bool {
        let (pool, member) = (&self.plan.pools[id.pool.index()], self.plan.member(id));
        let (agreement, held_back) =
            (&self.agreements.pools[id.pool.index()], &mut self.agreements.held_back);
        if !agreement.holds_back(id.place as usize) {
            let was_held = held_back.remove(&id).is_some();
            if was_held {
                log::let_go(pool, &member.label, version);
            }
            return was_held;
        }
        let known = held_back.get(&id);
        let Some(version) = version.filter(|version| known.is_none_or(|known| known.version != *version))
        else {
            return false;
        };
        let since = known.map_or(now.unix, |known| known.since);
        held_back.insert(id, Other { version: version.to_owned(), since });
        log::held_back(pool, &member.label, version, agreement.concord());
        true
    }

    /// What each member of a pool tells.
    fn versions(&self, pool: PoolId) -> Vec<Option<String>> {
        let members = self.plan.pools[pool.index()].members.iter();
        members.map(|member| self.version(&member.condition)).collect()
    }

    /// What its probes were told, each version once.
    fn version(&self, condition: &Condition) -> Option<String> {
        let mut versions: Vec<&str> = Vec::new();
        for probe in condition.probes() {
            if let Some(version) = self.tales[probe.index()].version.as_deref()
                && !versions.contains(&version)
            {
                versions.push(version);
            }
        }
        (!versions.is_empty()).then(|| versions.join(" + "))
    }
}

/// Each version with its votes, as far as there is room.
pub(super) fn ranking(votes: &[(String, usize)]) -> String {
    let told = |(version, votes): &(String, usize)| format!("{} by {votes}", shown(version));
    some(&votes.iter().map(told).collect::<Vec<String>>(), MOST_SHOWN)
}

/// As much of a version as is shown.
pub(super) fn shown(version: &str) -> &str {
    version.char_indices().nth(SHOWN).map_or(version, |(end, _)| &version[..end])
}
