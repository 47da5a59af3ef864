//! What is seen of a member by its probes, and which of it decides.

use serde::{Deserialize, Serialize};

use super::news::News;
use crate::health::Observed;
use crate::plan::Condition;

/// What is observed by one probe, and since when, in seconds of Unix time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Sighting {
    pub(super) observed: Observed,
    pub(super) since: Option<u32>,
    pub(super) news: News,
}

/// What decides how a member is: the worst of what it needs, the best of what is enough. It is up since the last of
/// all parts came up, or the first of any; it is down the other way round.
pub(super) fn sight(condition: &Condition, sightings: &[Sighting]) -> Sighting {
    let parts = |parts: &[Condition]| parts.iter().map(|part| sight(part, sightings)).collect::<Vec<_>>();
    let decisive = match condition {
        Condition::Probe(id) => Some(sightings[id.index()]),
        Condition::All(all) => parts(all).into_iter().reduce(|a, b| if b.is_worse(a) { b } else { a }),
        Condition::Any(any) => parts(any).into_iter().reduce(|a, b| if a.is_worse(b) { b } else { a }),
    };
    decisive.unwrap_or(Sighting::NONE)
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

    /// Of two that are up the later one is worse: it was down longer. Of two that are not, the earlier one.
    fn is_worse(self, other: Self) -> bool {
        let (own, others) = (self.observed.standing(), other.observed.standing());
        let longer = if self.observed.is_up() { self.since > other.since } else { self.since < other.since };
        own < others || own == others && longer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Reason::{self, Refused, ServiceState};
    use crate::units::ProbeId;

    fn up(since: u32) -> Sighting {
        Sighting { observed: Observed::UP, since: Some(since), news: News::Prompt }
    }

    fn down(reason: Reason, since: u32) -> Sighting {
        Sighting { observed: Observed::down(reason), since: Some(since), news: News::Prompt }
    }

    #[test]
    fn what_decides_is_told() {
        let [early, late, dead, deader, doubted] =
            [up(1), up(5), down(Refused, 3), down(Refused, 2), down(ServiceState, 4)];
        for (all_of, all, any) in [
            ([early, late], late, early),
            ([late, early], late, early),
            ([early, dead], dead, early),
            ([dead, deader], deader, dead),
            ([deader, dead], deader, dead),
            ([doubted, dead], dead, doubted),
        ] {
            let parts = || vec![Condition::Probe(ProbeId(0)), Condition::Probe(ProbeId(1))];
            let said = |condition| {
                let Sighting { observed, since, .. } = sight(&condition, &all_of);
                (observed, since)
            };
            assert_eq!(said(Condition::All(parts())), (all.observed, all.since), "all of {all_of:?}");
            assert_eq!(said(Condition::Any(parts())), (any.observed, any.since), "any of {all_of:?}");
        }
    }
}
