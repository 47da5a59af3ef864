//! The state machine of one member.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Reason, Verdict};

/// What the verdicts of a member add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observed {
    /// No verdict yet.
    Unknown,
    /// It can serve; `fails` probes in a row said otherwise (fewer than `fall`).
    Up {
        /// Fails in a row.
        fails: u32,
    },
    /// It cannot serve; `passes` probes in a row said otherwise (fewer than `rise`).
    Down {
        /// Passes in a row.
        passes: u32,
        /// Why, as the last probe that did not pass had it.
        reason: Reason,
    },
}

/// How many verdicts in a row change what is observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Fails in a row until down.
    pub fall: NonZeroU32,
    /// Passes in a row until up.
    pub rise: NonZeroU32,
}

/// When a member should be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// After the check's `interval`: nothing is pending.
    Interval,
    /// After the check's `recheck`: the last verdict contradicts what is observed.
    Recheck,
}

impl Observed {
    /// Up, with nothing pending.
    pub const UP: Self = Self::Up { fails: 0 };

    /// Down, with nothing pending.
    pub const fn down(reason: Reason) -> Self {
        Self::Down { passes: 0, reason }
    }

    /// The state after one more verdict.
    ///
    /// The first verdict decides at once. A pass forgets earlier fails, and a fail forgets earlier passes.
    #[must_use]
    pub fn after(self, verdict: Verdict, thresholds: Thresholds) -> Self {
        match (self, verdict) {
            (Self::Unknown | Self::Up { .. }, Verdict::Pass) => Self::UP,
            (Self::Unknown | Self::Down { .. }, Verdict::Fail(reason)) | (_, Verdict::Leaving(reason)) => {
                Self::down(reason)
            }
            (Self::Up { fails }, Verdict::Fail(reason)) => match fails + 1 {
                fails if fails >= thresholds.fall.get() => Self::down(reason),
                fails => Self::Up { fails },
            },
            (Self::Down { passes, reason }, Verdict::Pass) => match passes + 1 {
                passes if passes >= thresholds.rise.get() => Self::UP,
                passes => Self::Down { passes, reason },
            },
        }
    }

    /// Whether the member may be answered as far as probes can tell.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// Whether no change is pending.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Up { fails: 0 } | Self::Down { passes: 0, .. })
    }

    /// When to ask again.
    pub const fn pace(self) -> Pace {
        if self.is_settled() { Pace::Interval } else { Pace::Recheck }
    }

    /// Why it is down.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Down { reason, .. } => Some(reason),
            Self::Unknown | Self::Up { .. } => None,
        }
    }

    /// The word for it, without the counts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up { .. } => "up",
            Self::Down { .. } => "down",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reason::{Refused, ReplyTimeout, ServiceState};
    use Verdict::{Fail, Leaving, Pass};

    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();
    const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();
    const LIMITS: Thresholds = Thresholds { fall: TWO, rise: THREE };
    const UP: Observed = Observed::UP;
    const DOWN: Observed = Observed::down(Refused);

    /// The whole transition table, a row a cell.
    #[test]
    fn every_state_and_every_verdict() {
        let wavering = Observed::Up { fails: 1 };
        let one = Observed::Down { passes: 1, reason: Refused };
        let two = Observed::Down { passes: 2, reason: Refused };
        for (before, verdict, after) in [
            (Observed::Unknown, Pass, UP),
            (Observed::Unknown, Fail(Refused), DOWN),
            (Observed::Unknown, Leaving(Refused), DOWN),
            (UP, Pass, UP),
            (UP, Fail(Refused), wavering),
            (UP, Leaving(ServiceState), Observed::down(ServiceState)),
            (wavering, Pass, UP),
            (wavering, Fail(Refused), DOWN),
            (wavering, Fail(ReplyTimeout), Observed::down(ReplyTimeout)),
            (wavering, Leaving(Refused), DOWN),
            (DOWN, Pass, one),
            (DOWN, Fail(ReplyTimeout), Observed::down(ReplyTimeout)),
            (DOWN, Leaving(Refused), DOWN),
            (one, Pass, two),
            (one, Fail(Refused), DOWN),
            (two, Pass, UP),
            (two, Leaving(Refused), DOWN),
        ] {
            assert_eq!(before.after(verdict, LIMITS), after, "{before:?} after {verdict:?}");
        }
    }

    #[test]
    fn with_one_the_first_contradiction_decides() {
        let limits = Thresholds { fall: NonZeroU32::MIN, rise: NonZeroU32::MIN };
        assert_eq!(UP.after(Fail(Refused), limits), DOWN);
        assert_eq!(DOWN.after(Pass, limits), UP);
    }

    #[test]
    fn what_is_pending_is_asked_again_soon() {
        assert_eq!(UP.pace(), Pace::Interval);
        assert_eq!(UP.after(Fail(Refused), LIMITS).pace(), Pace::Recheck);
        assert_eq!(DOWN.after(Pass, LIMITS).pace(), Pace::Recheck);
        assert_eq!(DOWN.pace(), Pace::Interval);
    }
}
