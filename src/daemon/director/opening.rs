//! The first publication of a director: what it knows by then becomes what is answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::legacy::Legacy;
use super::news::{News, patience};
use super::ramps::Ramps;
use super::tales::Presumed;
use super::{Director, Stage, log};
use crate::daemon::state::State;
use crate::health::{Observed, Standing, Vigil};
use crate::snapshot::{Lineup, Publisher};
use crate::units::{CookieSecret, Moment, PoolId, ZoneId};

impl Director {
    /// Ends the first round: who has no verdict yet is taken as `state` left them, and the first snapshot is
    /// compiled and published.
    pub fn open(&mut self, state: &State, now: Moment) -> &Publisher {
        for ((probe, sighting), tale) in self.plan.probes.iter().zip(&mut self.sightings).zip(&mut self.tales)
        {
            match (sighting.observed, state.up.get(&probe.key())) {
                (Observed::Unknown, Some(true)) => sighting.observed = Observed::UP,
                (Observed::Unknown, Some(false)) => tale.presumed = Presumed::Unfit,
                _ => {}
            }
        }
        self.open_after(&Legacy::default(), &BTreeSet::new(), None, now)
    }

    /// Opens where another director has been at work: pools go on from what was answered of them, zones of which nothing has
    /// changed (they may be among the `same`) keep their serials, and `publisher` goes on publishing.
    pub(super) fn open_after(
        &mut self,
        legacy: &Legacy,
        same: &BTreeSet<String>,
        publisher: Option<Publisher>,
        now: Moment,
    ) -> &Publisher {
        self.unknown = 0;
        let probes = self.plan.probes.iter().zip(&self.queues);
        let patience = probes.map(|(probe, &queue)| patience(&probe.check, News::Prompt) + queue);
        self.vigil = Some(Vigil::begin(patience, now.steady));
        (self.due, self.moved) = Default::default();
        self.views.send_replace(self.observed());
        self.end_orders(now);
        self.start_ramps(legacy, now);
        let changed = self.draw_first(legacy, now);
        self.settle_serials(legacy, same, &changed);
        let accounts = (0..self.lineups.len()).map(|pool| Arc::new(self.account(pool))).collect();
        let first = self.compiler.compile(&self.lineups, &self.serials());
        let first = first.with_accounts(accounts).with_secrets(self.first_secrets(legacy));
        self.stage = Stage::Open(match publisher {
            Some(publisher) => {
                publisher.publish(first);
                publisher
            }
            None => Publisher::new(first),
        });
        match &self.stage {
            Stage::Open(publisher) => publisher,
            Stage::Rehearsal => unreachable!("set above"),
        }
    }

    /// Members of new pools are warm; those that are new in a pool rise as any that come back.
    fn start_ramps(&mut self, legacy: &Legacy, now: Moment) {
        let standings: Vec<Vec<Standing>> =
            self.plan.pool_ids().map(|(id, _)| self.standings(id, now)).collect();
        self.ramps = Ramps::start(&standings);
        for (id, pool) in self.plan.pool_ids() {
            let Some(known) = legacy.pool(pool) else { continue };
            for (id, member) in self.ids(id).zip(&pool.members) {
                let (was_live, since) = known.ramp(member);
                self.ramps.resume(id, was_live, since);
            }
        }
    }

    /// Draws all lineups; the pools of which others are answered than before, or otherwise.
    fn draw_first(&mut self, legacy: &Legacy, now: Moment) -> Vec<PoolId> {
        let plan = Arc::clone(&self.plan);
        let mut changed = Vec::new();
        (self.lineups, self.began) = Default::default();
        for (id, pool) in plan.pool_ids() {
            let known = legacy.pool(pool);
            let last: Option<Lineup> = known.map(|known| known.lineup(pool));
            let lineup = self.lineup(id, last.as_ref(), now);
            let goes_on = known.zip(last.as_ref()).filter(|(known, last)| {
                known.has_only(pool) && (&last.answered, last.mode) == (&lineup.answered, lineup.mode)
            });
            self.began.push(goes_on.map_or(now.unix, |(known, _)| known.began()));
            if goes_on.is_none() {
                log::lineup(pool, &lineup, self.is_blind(id));
                if let Some(last) = &last {
                    self.history.turned(pool, last.mode, lineup.mode, now.unix);
                    self.journal.lineup(&pool.name.to_string(), &pool.record_type.to_string());
                }
            }
            if last.as_ref() != Some(&lineup) {
                changed.push(id);
            }
            self.lineups.push(lineup);
        }
        changed
    }

    /// A zone that is answered otherwise than before gets another serial: that of its file, if that is a later one.
    fn settle_serials(&mut self, legacy: &Legacy, same: &BTreeSet<String>, changed: &[PoolId]) {
        let changed: BTreeSet<ZoneId> =
            changed.iter().flat_map(|&pool| self.compiler.zones_of(pool)).collect();
        for ((i, zone), lease) in (0..).zip(&self.plan.zones).zip(&mut self.leases) {
            let origin = zone.origin.to_string();
            let is_same = same.contains(&origin) && !changed.contains(&ZoneId(i));
            if !is_same && legacy.serial(&origin) == Some(lease.now()) {
                lease.advance();
            }
        }
    }

    /// The secrets that a file has; else those that the director before has made. None: they are still to be made.
    fn first_secrets(&self, legacy: &Legacy) -> Arc<[CookieSecret]> {
        if self.makes_secrets() { legacy.own_secrets().into() } else { Arc::clone(&self.plan.secrets) }
    }
}
