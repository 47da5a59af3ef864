//! Verdicts under guard: which of them count, who waits, and what becomes of them when the suspicion turns.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;

use super::{Director, Stage, log};
use crate::health::{Guard, Observed, Rules, Ruling, Thresholds, Turn};
use crate::plan::Plan;
use crate::probe::Finding;
use crate::units::{Moment, ProbeId};

/// The guard of a plan's members. What is dialled is a member here, however many checks it has.
pub(super) fn guard(plan: &Plan) -> Guard {
    let asked = &plan.guard;
    let share = (!asked.addresses.is_empty()).then_some(asked.share);
    let mut members = HashMap::new();
    let mut number = |probe: &crate::plan::Probe| {
        let next = members.len() as u32;
        *members.entry(probe.target).or_insert(next)
    };
    let numbers = plan.probes.iter().map(&mut number).collect();
    Guard::new(Rules { share, most_leaving: asked.max_leaving }, numbers, round(plan))
}

/// The time in which each member is asked by one of its checks.
fn round(plan: &Plan) -> Duration {
    let mut shortest = HashMap::new();
    for probe in &plan.probes {
        let interval = shortest.entry(probe.target).or_insert(probe.check.interval);
        *interval = probe.check.interval.min(*interval);
    }
    shortest.into_values().max().unwrap_or_default()
}

impl Director {
    /// Whether the guards are to be asked.
    pub fn suspicion(&self) -> watch::Receiver<bool> {
        self.suspicion.subscribe()
    }

    /// How often they are.
    pub const fn guard_interval(&self) -> Duration {
        self.guard.interval()
    }

    /// A guard has answered.
    pub fn vouched(&mut self, now: Moment) {
        let turn = self.guard.hear(now.steady);
        self.turn(turn, now);
        self.publish(now);
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
        let turn = self.guard.note(id, evidence, now.steady);
        self.turn(turn, now);
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
