//! What the director says in the log: one line for each transition.

use tracing::{info, warn};

use super::agreements::{ranking, shown};
use crate::health::{Concord, Level, Load, Observed, Order, Reason, Remark, Verdict};
use crate::plan::{Pool, Probe};
use crate::probe::Finding;
use crate::prose::some;
use crate::snapshot::{Lineup, Mode};
use crate::units::Date;

/// So many members of a pool are named in one line.
const MOST_LABELS: usize = 32;

/// A member went up or down.
pub(super) fn transition(probe: &Probe, before: Observed, after: Observed, finding: &Finding) {
    let (member, check) = (probe.target, &probe.check.name);
    let (was, now) = (before.as_str(), after.as_str());
    match finding.verdict {
        Verdict::Pass => info!(%member, check, was, now, "member"),
        Verdict::Fail(reason) | Verdict::Leaving(reason) => {
            warn!(%member, check, was, now, %reason, detail = finding.detail, "member");
        }
    }
}

/// A member got busier, or calmer.
pub(super) fn load(probe: &Probe, before: Level, after: Level, load: Option<Load>) {
    let (member, check) = (probe.target, &probe.check.name);
    let (was, now, load) = (before.as_str(), after.as_str(), load.map(|load| load.to_string()));
    match after {
        Level::Saturated => warn!(%member, check, was, now, load, "member is overloaded"),
        Level::Calm | Level::Busy => info!(%member, check, was, now, load, "member"),
    }
}

/// The members of a pool agree otherwise than before.
pub(super) fn concord(pool: &Pool, before: &Concord, after: &Concord) {
    let (pool, kind) = (&pool.name, pool.record_type);
    match (before, after) {
        (_, Concord::Divided(votes)) => {
            let versions = ranking(votes);
            warn!(%pool, %kind, versions, "members serve different code, and no version is that of most of them");
        }
        (Concord::Divided(_), Concord::Unanimous(version) | Concord::Majority(version)) => {
            info!(%pool, %kind, version = shown(version), "most members serve one version of the code again");
        }
        _ => {}
    }
}

/// A member is held back for the code that it serves.
pub(super) fn held_back(pool: &Pool, member: &str, version: &str, concord: &Concord) {
    let most = match concord {
        Concord::Majority(most) | Concord::Unanimous(most) => Some(shown(most)),
        Concord::Silent | Concord::Divided(_) => None,
    };
    let (pool, kind, version, reason) = (&pool.name, pool.record_type, shown(version), Reason::OtherVersion);
    warn!(%pool, %kind, member, version, most, %reason, "member is held back");
}

/// It serves what the others do, or nobody can say any more who is right.
pub(super) fn let_go(pool: &Pool, member: &str, version: Option<&str>) {
    let (pool, kind, version) = (&pool.name, pool.record_type, version.map(shown));
    info!(%pool, %kind, member, version, "member is no longer held back");
}

/// Nothing was heard of so many probes for so long that what they said is old.
pub(super) fn stale(probes: usize, of: usize) {
    warn!(probes, of, "the prober has stalled: verdicts are stale, and pools without another fail open");
}

/// Something is heard of all probes again.
pub(super) fn fresh() {
    info!("the prober is back: no verdict is stale");
}

/// Others of a pool are answered than before; `blind`: all of its verdicts are stale.
pub(super) fn lineup(pool: &Pool, lineup: &Lineup, blind: bool) {
    let labels: Vec<&str> = lineup.labels(pool).collect();
    let answered = some(&labels, MOST_LABELS);
    let (pool, kind) = (&pool.name, pool.record_type);
    match lineup.mode {
        Mode::Live => info!(%pool, %kind, answered, "pool"),
        Mode::FailingOpen if blind => {
            warn!(%pool, %kind, answered, "pool fails open: its verdicts are stale");
        }
        Mode::FailingOpen => warn!(%pool, %kind, answered, "pool fails open: too few members are live"),
    }
}

/// A member fails, and may not leave yet.
pub(super) fn waits(probe: &Probe, is_asking: bool) {
    let (member, check) = (probe.target, &probe.check.name);
    if is_asking {
        warn!(%member, check, "member waits: many are silent at once, and the guards are asked");
    } else {
        warn!(%member, check, "member waits: as many have left as may in one interval");
    }
}

/// Nobody answers.
pub(super) fn blind((silent, of): (usize, usize)) {
    warn!(silent, of, "no member answers, and no guard: the network is gone, and what is observed is frozen");
}

/// A member left before it was clear that nobody answers.
pub(super) fn taken_back(probe: &Probe) {
    info!(member = %probe.target, check = probe.check.name, was = "down", now = "up", "member is taken back");
}

/// Somebody answers again.
pub(super) fn seeing() {
    info!("somebody answers again: verdicts count from now on");
}

/// Somebody gave an order.
pub(super) fn order(member: &str, order: &Order) {
    let Order { word, who, why, until, .. } = order;
    let until = until.map(|until| Date(until).to_string());
    info!(member, order = word.participle(), %who, %why, until, "order");
}

/// Somebody took it back.
pub(super) fn released(member: &str, who: &Remark) {
    info!(member, order = "released", %who, "order");
}

/// Its time has come.
pub(super) fn order_over(member: &str, order: &Order) {
    info!(member, order = "over", was = order.word.participle(), who = %order.who, "order");
}

/// It is kept for a member that may come back.
pub(super) fn stray(member: &str, order: &Order) {
    warn!(member, order = order.word.participle(), who = %order.who, "there is no such member: its order is kept");
}
