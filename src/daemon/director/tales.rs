//! What members tell besides their verdicts, and what it adds up to: how busy each of them is.

use super::{Director, log};
use crate::config::{Kind, LoadCheck};
use crate::health::{Burden, Level, Limits, Standing, Thresholds};
use crate::plan::{Member, Probe};
use crate::probe::Finding;
use crate::snapshot::Account;
use crate::units::{Moment, PoolId, ProbeId};

/// What was told to one probe.
#[derive(Debug, Clone, Default)]
pub(super) struct Tale {
    burden: Burden,
    /// Since when it is so busy, in seconds of Unix time.
    since: Option<u32>,
}

impl Director {
    /// Takes in what a member told, and whether it is up; whether that makes a difference.
    pub(super) fn listen(&mut self, id: ProbeId, finding: &Finding, now: Moment) -> bool {
        let (probe, tale) = (&self.plan.probes[id.index()], &mut self.tales[id.index()]);
        let before = tale.burden.level();
        tale.burden = burden(tale.burden, probe, finding);
        let after = tale.burden.level();
        if !self.sightings[id.index()].observed.is_up() {
            tale.burden = Burden::default(); // it comes back as another one
        } else if before != after {
            tale.since = Some(now.unix);
            log::load(probe, before, after, finding.told.load);
        }
        before != tale.burden.level()
    }

    /// What one probe makes of a member.
    pub(super) fn seen(&self, id: ProbeId) -> Standing {
        let observed = self.sightings[id.index()].observed.standing();
        match &self.plan.probes[id.index()].check.kind {
            Kind::Load(check) => observed.min(self.tales[id.index()].burden.level().standing(&limits(check))),
            _ => observed,
        }
    }

    /// Adds to the account of a pool what its members told.
    pub(super) fn retell(&self, pool: PoolId, account: &mut Account) {
        let members = &self.plan.pools[pool.index()].members;
        for (member, line) in members.iter().zip(account.lines.iter_mut().skip(1)) {
            if let Some((level, since)) = self.level(member) {
                line.text =
                    format!("{}, {}", line.text, level.reason().map_or(level.as_str(), |r| r.as_str()));
                line.since = since;
            }
        }
    }

    /// How busy a member is, and since when, where that makes a difference.
    fn level(&self, member: &Member) -> Option<(Level, Option<u32>)> {
        if member.condition.standing(&|probe| self.seen(probe)) == Standing::LIVE {
            return None;
        }
        let tales = member.condition.probes().into_iter().map(|probe| &self.tales[probe.index()]);
        let worst = tales.max_by_key(|tale| tale.burden.level())?;
        let level = worst.burden.level();
        (level != Level::Calm).then_some((level, worst.since))
    }
}

/// The burden after what a probe found, which may have nothing to say about it.
fn burden(burden: Burden, probe: &Probe, finding: &Finding) -> Burden {
    match (&probe.check.kind, &finding.told.load) {
        (Kind::Load(check), Some(load)) => {
            let thresholds = Thresholds { fall: probe.check.fall, rise: probe.check.rise };
            burden.after(load, &limits(check), thresholds)
        }
        _ => burden,
    }
}

const fn limits(check: &LoadCheck) -> Limits {
    Limits { busy: check.busy, saturated: check.saturated, share: check.busy_share }
}
