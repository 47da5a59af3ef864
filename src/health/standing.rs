//! How far a member may be answered: what observed, orders and everything else known of it add up to.
//!
//! ```text
//!  Foreign < Drained < Down < Doubtful < Live(1 %) < … < Live(100 %)
//! ```
//!
//! A member that needs several probes is as good as the worst of them, or as the best, as its check says.

use super::Observed;
use crate::units::Presence;

/// How far a member may be answered now. A later one is a better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Its certificate is not the site's: it is not answered while there is anybody else, dead or drained.
    Foreign,
    /// An operator keeps it out: it is not answered while anybody else can be.
    Drained,
    /// It cannot serve.
    Down,
    /// It answers, but clients are better off with others: overloaded, broken or other code, a database that is gone.
    /// What all members share is no reason to answer none of them, or to answer dead ones beside them.
    Doubtful,
    /// It can serve so much of its usual part.
    Live(Presence),
}

impl Standing {
    /// It can serve all of its part.
    pub const LIVE: Self = Self::Live(Presence::FULL);

    /// Whether it may be answered while there are enough like it.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Live(_))
    }
}

impl Observed {
    /// What one probe makes of a member.
    pub const fn standing(self) -> Standing {
        match self {
            Self::Up { .. } => Standing::LIVE,
            Self::Down { reason, .. } if reason.is_doubt() => Standing::Doubtful,
            Self::Down { reason, .. } if reason.is_foreign() => Standing::Foreign,
            Self::Down { .. } | Self::Unknown => Standing::Down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Reason;

    #[test]
    fn a_member_that_answers_is_better_than_one_that_does_not() {
        let half = Presence::percent(50).unwrap();
        let ascending = [
            Standing::Foreign,
            Standing::Drained,
            Standing::Down,
            Standing::Doubtful,
            Standing::Live(half),
            Standing::LIVE,
        ];
        assert!(ascending.is_sorted());
        assert_eq!(Observed::UP.standing(), Standing::LIVE);
        assert_eq!(Observed::down(Reason::ServiceState).standing(), Standing::Doubtful);
        assert_eq!(Observed::down(Reason::Refused).standing(), Standing::Down);
        assert_eq!(Observed::down(Reason::TlsUntrusted).standing(), Standing::Foreign);
        assert_eq!(Observed::Unknown.standing(), Standing::Down);
    }
}
