//! What members tell besides their verdicts, and what it adds up to: how busy each of them is,
//! and, with what its pool's others told (`agreements.rs`), whether it serves their code.

use serde::{Deserialize, Serialize};

use super::{Director, log};
use crate::config::{Kind, LoadCheck};
use crate::health::{Burden, Level, Limits, Load, Observed, Reason, Standing, Thresholds, Verdict};
use crate::plan::{Member, Probe};
use crate::probe::Finding;
use crate::snapshot::Account;
use crate::units::{Moment, PoolId, ProbeId};

/// What was told to one probe.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Tale {
    burden: Burden,
    /// How busy it said last that it is.
    pub(super) load: Option<Load>,
    /// Since when it is so busy, in seconds of Unix time.
    since: Option<u32>,
    /// What is presumed of it until it has a verdict.
    pub(super) presumed: Presumed,
    /// The version of the code that it serves, while it is up.
    pub(super) version: Option<String>,
    /// When the certificate expires that it showed last, in seconds of Unix time.
    pub(super) valid_until: Option<u32>,
}

/// What is presumed of a member whose turn has not come yet, with a check that asks one at a time. The first of ten masters
/// to have compiled a catalog must not be the only one that is answered until the others have, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Presumed {
    /// That it is as its other checks say.
    #[default]
    Fit,
    /// That it is as doubtful as when the last run stopped.
    Unfit,
}

/// Whether nothing is answered before this probe had a verdict, within `first-round`.
pub(super) fn is_awaited(probe: &Probe) -> bool {
    !probe.check.kind.asks_one_at_a_time()
}

impl Director {
    /// Takes in what a member told, and whether it is up; whether that makes a difference.
    pub(super) fn listen(&mut self, id: ProbeId, finding: &Finding, now: Moment) -> bool {
        let is_other_code = self.hear_version(id, finding, now);
        let (probe, tale) = (&self.plan.probes[id.index()], &mut self.tales[id.index()]);
        let before = tale.burden.level();
        tale.burden = burden(tale.burden, probe, finding);
        tale.load = finding.told.load.or(tale.load);
        tale.valid_until = finding.told.valid_until.or(tale.valid_until);
        let after = tale.burden.level();
        if !self.sightings[id.index()].observed.is_up() {
            tale.burden = Burden::default(); // it comes back as another one
        } else if before != after {
            tale.since = Some(now.unix);
            log::load(probe, before, after, finding.told.load);
        }
        is_other_code || before != tale.burden.level()
    }

    /// Whether what it told of its code makes a difference in a pool.
    fn hear_version(&mut self, id: ProbeId, finding: &Finding, now: Moment) -> bool {
        let (is_up, tale) = (self.sightings[id.index()].observed.is_up(), &mut self.tales[id.index()]);
        let version = match finding.verdict {
            _ if !is_up => None,
            Verdict::Pass => finding.told.version.clone(),
            Verdict::Fail(_) | Verdict::Leaving(_) => tale.version.clone(),
        };
        if tale.version == version {
            return false;
        }
        tale.version = version;
        let pools = self.pools[id.index()].clone();
        pools.into_iter().filter(|&pool| self.compare(pool, now)).count() > 0
    }

    /// What one probe makes of a member.
    pub(super) fn seen(&self, id: ProbeId) -> Standing {
        let (probe, tale) = (&self.plan.probes[id.index()], &self.tales[id.index()]);
        let observed = self.sightings[id.index()].observed;
        match &probe.check.kind {
            Kind::Load(check) => observed.standing().min(tale.burden.level().standing(&limits(check))),
            _ if observed == Observed::Unknown && !is_awaited(probe) => tale.presumed.standing(),
            _ => observed.standing(),
        }
    }

    /// Adds to the account of a pool what its members told.
    pub(super) fn retell(&self, pool: PoolId, account: &mut Account) {
        let members = &self.plan.pools[pool.index()].members;
        let Some((head, lines)) = account.lines.split_first_mut() else { return };
        if let Some(told) = self.agreements.told(pool) {
            head.text += ", ";
            head.text += &told;
        }
        for ((id, member), line) in self.ids(pool).zip(members).zip(lines) {
            if let Some((since, version)) = self.agreements.other(id) {
                line.text = format!("{}, {}: {version}", line.text, Reason::OtherVersion);
                line.since = Some(since);
            }
            if let Some((level, since)) = self.level(member) {
                line.text =
                    format!("{}, {}", line.text, level.reason().map_or(level.as_str(), |r| r.as_str()));
                line.since = since;
            }
        }
    }

    /// How busy a member is, and since when, where that makes a difference.
    pub(super) fn level(&self, member: &Member) -> Option<(Level, Option<u32>)> {
        if member.condition.standing(&|probe| self.seen(probe)) == Standing::LIVE {
            return None;
        }
        let tales = member.condition.probes().into_iter().map(|probe| &self.tales[probe.index()]);
        let worst = tales.max_by_key(|tale| tale.burden.level())?;
        let level = worst.burden.level();
        (level != Level::Calm).then_some((level, worst.since))
    }
}

impl Presumed {
    const fn standing(self) -> Standing {
        match self {
            Self::Fit => Standing::LIVE,
            Self::Unfit => Standing::Doubtful,
        }
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
