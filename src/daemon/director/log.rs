//! What the director says in the log: one line for each transition.

use tracing::{info, warn};

use crate::health::{Observed, Verdict};
use crate::plan::{Pool, Probe};
use crate::probe::Finding;
use crate::snapshot::{Lineup, Mode};

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
    let members = pool.members.iter().zip(&lineup.answered).filter(|(_, presence)| presence.is_some());
    let labels: Vec<&str> = members.map(|(member, _)| member.label.as_str()).collect();
    let answered = match labels.len().checked_sub(MOST_LABELS) {
        None | Some(0) => labels.join(" "),
        Some(more) => format!("{} and {more} more", labels[..MOST_LABELS].join(" ")),
    };
    let (pool, kind) = (&pool.name, pool.record_type);
    match lineup.mode {
        Mode::Live => info!(%pool, %kind, answered, "pool"),
        Mode::FailingOpen if blind => {
            warn!(%pool, %kind, answered, "pool fails open: its verdicts are stale");
        }
        Mode::FailingOpen => warn!(%pool, %kind, answered, "pool fails open: too few members are live"),
    }
}
