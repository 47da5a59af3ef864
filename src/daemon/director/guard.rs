//! Verdicts under guard: which of them count, who waits, and what becomes of them when the suspicion turns.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;

use super::{Director, Stage, log};
use crate::config::{Check, Kind};
use crate::health::{Evidence, Guard, Observed, Rules, Ruling, Thresholds, Turn};
use crate::plan::{Plan, Probe};
use crate::probe::Finding;
use crate::units::{Moment, ProbeId};

/// The guard of a plan's members. What is dialled is a member here, however many checks it has.
pub(super) fn guard(plan: &Plan) -> Guard {
    let asked = &plan.guard;
    let share = (!asked.addresses.is_empty()).then_some(asked.share);
    let mut members = HashMap::new();
    let mut number = |probe: &Probe| {
        let next = members.len() as u32;
        *members.entry(probe.target).or_insert(next)
    };
    let numbers = plan.probes.iter().map(&mut number).collect();
    let interval = Director::guard_interval(plan);
    let round = longest(plan, |check| check.interval + check.timeout);
    Guard::new(Rules { share, most_leaving: asked.max_leaving }, numbers, interval, round)
}

/// The longest that any member takes for what takes so long with one of its checks.
fn longest(plan: &Plan, takes: impl Fn(&Check) -> Duration) -> Duration {
    let mut shortest = HashMap::new();
    for probe in &plan.probes {
        let (own, least) = (takes(&probe.check), shortest.entry(probe.target).or_insert(Duration::MAX));
        *least = own.min(*least);
    }
    shortest.into_values().max().unwrap_or_default()
}

impl Director {
    /// Whether the guards are to be asked.
    pub fn suspicion(&self) -> watch::Receiver<bool> {
        self.suspicion.subscribe()
    }

    /// How often they are, of a plan.
    pub fn guard_interval(plan: &Plan) -> Duration {
        longest(plan, |check| check.interval)
    }

    /// A guard has answered.
    pub fn vouched(&mut self, now: Moment) {
        let turn = self.guard.hear(now.steady);
        self.turn(turn, now);
        self.publish(now);
    }

    /// An answer is overdue: that is silence already, and told sooner than by a timeout.
    pub(super) fn miss(&mut self, id: ProbeId, now: Moment) {
        let asked = now.steady.saturating_sub(self.plan.probes[id.index()].check.recheck);
        if matches!(self.stage, Stage::Open(_)) && self.guard.counts(Evidence::Silence, asked) {
            self.witness(id, Evidence::Silence, now);
        }
    }

    /// Takes in what one probe says of the network. Nobody knows what a command has met, or whether it went there at all.
    fn witness(&mut self, id: ProbeId, evidence: Evidence, now: Moment) {
        if !matches!(self.plan.probes[id.index()].check.kind, Kind::Exec(_)) {
            let turn = self.guard.note(id, evidence, now.steady);
            self.turn(turn, now);
        }
    }

    /// What one more verdict makes of what is observed, if it counts.
    pub(super) fn heed(&mut self, id: ProbeId, finding: &Finding, now: Moment) -> Observed {
        let check = &self.plan.probes[id.index()].check;
        let thresholds = Thresholds { fall: check.fall, rise: check.rise };
        if matches!(self.stage, Stage::Rehearsal) {
            return self.sightings[id.index()].observed.after(finding.verdict, thresholds);
        }
        let evidence = finding.verdict.evidence();
        if !self.guard.counts(evidence, now.steady.saturating_sub(finding.latency)) {
            return self.sightings[id.index()].observed;
        }
        self.witness(id, evidence, now);
        let before = self.sightings[id.index()].observed;
        let after = before.after(finding.verdict, thresholds);
        let leaves = before.is_up() && !after.is_up();
        if leaves && self.guard.rule(id, evidence, now.steady) == Ruling::Wait {
            if self.waiting.insert(id, finding.clone()).is_none() {
                log::waits(&self.plan.probes[id.index()], self.guard.is_asking());
            }
            return before;
        }
        self.waiting.remove(&id);
        after
    }

    /// What is due by now.
    pub(super) fn mount_guard(&mut self, now: Moment) {
        let turn = self.guard.look(now.steady);
        self.turn(turn, now);
        if !self.guard.is_asking() {
            self.rule_again(now);
        }
    }

    /// When something will be, by the steady clock.
    pub(super) fn next_watch(&self, now: Moment) -> Option<Duration> {
        let room = if self.waiting.is_empty() { None } else { self.guard.next_room(now.steady) };
        self.guard.next_look().into_iter().chain(room).min()
    }

    /// These were silent before: while many are, nobody leaves for it.
    pub(super) fn suspect(&mut self, silent: impl Iterator<Item = ProbeId>, now: Moment) {
        for id in silent {
            self.witness(id, Evidence::Silence, now);
        }
        self.tell_suspicion();
    }

    fn turn(&mut self, turn: Option<Turn>, now: Moment) {
        let Some(turn) = turn else { return };
        match turn {
            Turn::Asking => {}
            Turn::Vouched => self.rule_again(now),
            Turn::Blind(taken_back) => self.freeze(&taken_back, now),
            Turn::Seeing => {
                log::seeing();
                self.draw_all();
            }
        }
        self.tell_suspicion();
    }

    fn tell_suspicion(&self) {
        self.suspicion
            .send_if_modified(|asking| std::mem::replace(asking, self.guard.is_asking()) != *asking);
    }

    /// Those who wait leave, as far as they may.
    fn rule_again(&mut self, now: Moment) {
        for (id, finding) in std::mem::take(&mut self.waiting) {
            let evidence = finding.verdict.evidence();
            match (finding.verdict.reason(), self.guard.rule(id, evidence, now.steady)) {
                (Some(reason), Ruling::Leave) => self.observe(id, Observed::down(reason), &finding, now),
                _ => drop(self.waiting.insert(id, finding)),
            }
        }
    }

    /// What is observed stays as it is, and was before the network went: of what silence has told since nothing is left.
    fn freeze(&mut self, taken_back: &[ProbeId], now: Moment) {
        log::blind(self.guard.silent());
        self.waiting.clear();
        for sighting in self.sightings.iter_mut().filter(|sighting| sighting.observed.is_up()) {
            sighting.observed = Observed::UP;
        }
        for &id in taken_back {
            let sighting = &mut self.sightings[id.index()];
            if !sighting.observed.is_up() {
                (sighting.observed, sighting.since) = (Observed::UP, Some(now.unix));
                log::taken_back(&self.plan.probes[id.index()]);
            }
        }
        self.moved.extend((0..self.sightings.len() as u32).map(ProbeId));
        self.draw_all();
    }

    /// Every pool is to be drawn anew.
    fn draw_all(&mut self) {
        self.due.extend(self.plan.pool_ids().map(|(id, _)| id));
    }
}
