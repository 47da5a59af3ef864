//! What is told about a pool, in words.

use super::news::News;
use crate::health::Observed;
use crate::plan::{Member, Pool};
use crate::snapshot::{Account, Line, Lineup, Mode};

/// What is observed by one probe, and since when, in seconds of Unix time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    pub(super) observed: Observed,
    pub(super) since: Option<u32>,
    pub(super) news: News,
}

impl Sighting {
    /// Before the first verdict.
    pub(super) const NONE: Self = Self { observed: Observed::Unknown, since: None, news: News::Prompt };

    /// Whether no change seems near. That an answer of somebody who is down is late is nothing new.
    pub(super) fn is_settled(&self) -> bool {
        self.observed.is_settled()
            && match self.news {
                News::Prompt => true,
                News::Overdue => !self.observed.is_up(),
                News::Stale => false,
            }
    }
}

/// The account of a pool: who is answered since `since`, and how each member is.
pub(super) fn account(pool: &Pool, lineup: &Lineup, since: u32, sightings: &[Sighting]) -> Account {
    let mode = match lineup.mode {
        Mode::Live => "",
        Mode::FailingOpen => ", failing open",
    };
    let text = format!("{} {}/{} answered{mode}", pool.record_type, lineup.count(), pool.members.len());
    let head = Line { text, since: Some(since) };
    let members = pool
        .members
        .iter()
        .zip(&lineup.answered)
        .map(|(member, presence)| line(member, presence.is_some(), sightings));
    Account { lines: [head].into_iter().chain(members).collect() }
}

fn line(member: &Member, answered: bool, sightings: &[Sighting]) -> Line {
    let ids = member.condition.probes();
    let probes = || ids.iter().map(|probe| sightings[probe.index()]);
    let worst = probes().find(|sighting| !sighting.observed.is_up());
    let (observed, since) = match worst {
        Some(worst) => (worst.observed, worst.since),
        None => (Observed::UP, probes().filter_map(|sighting| sighting.since).max()),
    };
    let stale = if probes().any(|sighting| sighting.news == News::Stale) { ", stale" } else { "" };
    let reason = observed.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let place = if answered == observed.is_up() {
        ""
    } else if answered {
        ", answered"
    } else {
        ", not answered"
    };
    Line { text: format!("{} {}{reason}{place}{stale}", member.label, observed.as_str()), since }
}
