//! How far each member of a pool may be answered: what its probes found, whether it serves the code of the others, its order,
//! its ramp.

use std::time::Duration;

use super::Director;
use crate::health::{Standing, Word};
use crate::plan::MemberId;
use crate::units::{Moment, PoolId};

impl Director {
    /// What is observed of a member.
    pub(super) fn observed_standing(&self, id: MemberId) -> Standing {
        let seen = self.plan.member(id).condition.standing(&|probe| self.seen(probe));
        if self.agreements.holds_back(id) { seen.min(Standing::Doubtful) } else { seen }
    }

    /// The same under its order.
    pub(super) fn standing(&self, id: MemberId, now: Moment) -> Standing {
        self.observed_standing(id).under(self.orders.on(id), now.unix)
    }

    /// Those of a pool, by place.
    pub(super) fn standings(&self, pool: PoolId, now: Moment) -> Vec<Standing> {
        self.ids(pool).map(|id| self.standing(id, now)).collect()
    }

    /// The same on their ramps. An order to answer a member is an order to answer it at once.
    pub(super) fn climbed(&mut self, pool: PoolId, now: Moment) -> Vec<Standing> {
        let standings = self.standings(pool, now);
        let usual = self.plan.pools[pool.index()].rules.ramp;
        let ids = self.ids(pool);
        let mut climb = |(id, standing)| {
            let is_forced = self.orders.on(id).is_some_and(|order| order.word == Word::Force);
            let length = if is_forced { Duration::ZERO } else { usual };
            self.ramps.climb(id, standing, length, now.steady)
        };
        ids.zip(standings).map(&mut climb).collect()
    }

    /// The members of a pool.
    pub(super) fn ids(&self, pool: PoolId) -> impl Iterator<Item = MemberId> + use<> {
        let count = self.plan.pools[pool.index()].members.len() as u32;
        (0..count).map(move |place| MemberId { pool, place })
    }
}
