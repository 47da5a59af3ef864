//! What administrators are shown of everything that the director knows. Drawing it changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::news::News;
use super::sighting::{Sighting, sight};
use super::{Director, Refusal};
use crate::admin::status::{self, Pool, Prober, SoFar, Stray, Transition, Zone, is_soon};
use crate::health::{Level, Observed, Order, Reason};
use crate::plan::{MemberId, Origin, Whom};
use crate::snapshot::Outlook;
use crate::units::{Moment, PoolId, ProbeId};

/// The director's part of a [`Status`](status::Status).
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Whether what probes find can be believed.
    pub prober: Prober,
    /// The zones, in the order of the config.
    pub zones: Vec<Zone>,
    /// The pools, in the order of the config; of those that were asked for.
    pub pools: Vec<Pool>,
    /// Which pools of the plan these are.
    pub ids: Vec<PoolId>,
    /// What the plan was made of.
    pub origin: Arc<Origin>,
    /// Orders on members that are in no pool.
    pub strays: Vec<Stray>,
    /// What changed last.
    pub transitions: Vec<Transition>,
}

impl Director {
    /// Everything, or what there is of the members that are meant.
    ///
    /// # Errors
    /// [`Refusal::Nobody`]
    pub fn view(&self, whom: Option<&Whom>, now: Moment) -> Result<View, Refusal> {
        let named = whom.map(|whom| self.named(whom)).transpose()?;
        let shown = |id: &MemberId| named.as_ref().is_none_or(|named| named.contains(id));
        let mut view = View {
            prober: self.prober(now),
            zones: self.zones(),
            pools: Vec::new(),
            ids: Vec::new(),
            origin: Arc::clone(&self.plan.origin),
            strays: self.orders.strays().map(|(member, order)| stray(member, order)).collect(),
            transitions: self.history.told(),
        };
        for (id, _) in self.plan.pool_ids() {
            let members: Vec<MemberId> = self.ids(id).filter(&shown).collect();
            if !members.is_empty() {
                view.pools.push(self.pool(id, &members, now));
                view.ids.push(id);
            }
        }
        Ok(view)
    }

    fn named(&self, whom: &Whom) -> Result<BTreeSet<MemberId>, Refusal> {
        let named = self.plan.members(whom);
        if named.is_empty() { Err(self.nobody(whom)) } else { Ok(named.into_iter().collect()) }
    }

    fn prober(&self, now: Moment) -> Prober {
        let lags = (0..self.plan.probes.len() as u32).map(|probe| self.lag(ProbeId(probe), now));
        Prober {
            probes: self.plan.probes.len(),
            stale: *self.stale.borrow(),
            lag_ms: lags.max().unwrap_or_default().as_millis() as u64,
            frozen: self.guard.is_blind(),
        }
    }

    /// By how much news of a probe are late that does its work: it is silent for an interval and a timeout, and in line.
    fn lag(&self, probe: ProbeId, now: Moment) -> Duration {
        let check = &self.plan.probes[probe.index()].check;
        let usual = check.interval + check.timeout + self.queues[probe.index()];
        let silence = self.vigil.as_ref().map(|vigil| vigil.silence(probe, now.steady));
        silence.unwrap_or_default().saturating_sub(usual)
    }

    fn zones(&self) -> Vec<Zone> {
        let zones = self.plan.zones.iter().zip(self.serials());
        let zone = zones.map(|(zone, serial)| Zone {
            name: zone.origin.to_string(),
            serial: serial.0,
            records: zone.records.len(),
        });
        zone.collect()
    }

    fn pool(&self, id: PoolId, members: &[MemberId], now: Moment) -> Pool {
        let (pool, lineup) = (&self.plan.pools[id.index()], &self.lineups[id.index()]);
        Pool {
            name: pool.name.to_string(),
            record_type: pool.record_type.to_string(),
            policy: pool.rules.policy.as_str().to_owned(),
            mode: lineup.mode,
            settled: lineup.outlook == Outlook::Settled,
            since: self.began[id.index()],
            min_live: pool.rules.min_live.of(pool.members.len()),
            size: pool.members.len(),
            answered: lineup.count(),
            ttl: lineup.most_kept(pool).map_or(pool.ttl, |most| pool.ttl.min(most)).seconds(),
            versions: self.agreements.told(id),
            queries: 0,
            members: members.iter().map(|&member| self.shown(member, now)).collect(),
        }
    }

    fn shown(&self, id: MemberId, now: Moment) -> status::Member {
        let member = self.plan.member(id);
        let seen = sight(&member.condition, &self.sightings);
        let mut probes: Vec<ProbeId> = Vec::new();
        for probe in member.condition.probes() {
            if !probes.contains(&probe) {
                probes.push(probe);
            }
        }
        let expires = probes.iter().filter_map(|id| self.tales[id.index()].valid_until).min();
        status::Member {
            label: member.label.clone(),
            record: member.record_text.clone(),
            live: self.standing(id, now).is_live(),
            answered: self.lineups[id.pool.index()].answered[id.place as usize].as_percent(),
            observed: observed(seen.observed),
            reason: self.reason(id, seen).map(|reason| reason.to_string()),
            detail: self.detail(id, seen, &probes),
            since: seen.since,
            certificate_expires: expires,
            certificate_expires_soon: expires.is_some_and(|expires| is_soon(expires, now.unix)),
            order: self.orders.on(id).map(order),
            probes: probes.into_iter().map(|probe| self.asked(probe)).collect(),
        }
    }

    /// Why it is not up; where it is, why it is less than live.
    fn reason(&self, id: MemberId, seen: Sighting) -> Option<Reason> {
        let other = self.agreements.other(id).map(|_| Reason::OtherVersion);
        let busy = || self.level(self.plan.member(id)).and_then(|(level, _)| level.reason());
        seen.observed.reason().or(other).or_else(busy)
    }

    fn detail(&self, id: MemberId, seen: Sighting, probes: &[ProbeId]) -> Option<String> {
        if !matches!(seen.observed, Observed::Up { fails: 0 }) {
            let unsound = |probe: &&ProbeId| self.sightings[probe.index()].observed == seen.observed;
            let detail = probes.iter().find(unsound).map(|probe| self.recents[probe.index()].detail());
            return detail.filter(|detail| !detail.is_empty()).map(ToOwned::to_owned);
        }
        if let Some((_, version)) = self.agreements.other(id) {
            return Some(format!("serves {version}"));
        }
        let (level, _) = self.level(self.plan.member(id))?;
        let mut loads = probes.iter().filter_map(|probe| self.tales[probe.index()].load);
        loads.next().filter(|_| level != Level::Calm).map(|load| format!("{}: {load}", level.as_str()))
    }

    fn asked(&self, id: ProbeId) -> status::Probe {
        let (probe, sighting) = (&self.plan.probes[id.index()], self.sightings[id.index()]);
        status::Probe {
            target: probe.target,
            check: probe.check.name.clone(),
            so_far: self.so_far(id),
            since: sighting.since,
            stale: sighting.news == News::Stale,
            recent: self.recents[id.index()].told(),
        }
    }

    /// What the verdicts of one probe add up to.
    pub(super) fn so_far(&self, id: ProbeId) -> SoFar {
        let (check, seen) = (&self.plan.probes[id.index()].check, self.sightings[id.index()].observed);
        let (contradictions, threshold) = match seen {
            Observed::Unknown => (0, 1),
            Observed::Up { fails } => (fails, check.fall.get()),
            Observed::Down { passes, .. } => (passes, check.rise.get()),
        };
        SoFar { observed: observed(seen), contradictions, threshold }
    }
}

const fn observed(observed: Observed) -> status::Observed {
    match observed {
        Observed::Unknown => status::Observed::Unknown,
        Observed::Up { .. } => status::Observed::Up,
        Observed::Down { .. } => status::Observed::Down,
    }
}

fn order(order: &Order) -> status::Order {
    status::Order {
        word: order.word,
        who: order.who.to_string(),
        why: order.why.to_string(),
        since: order.since,
        until: order.until,
    }
}

fn stray(member: &str, kept: &Order) -> Stray {
    Stray { member: member.to_owned(), order: order(kept) }
}
