//! Who of a pool is answered: the live members, or what `fail-open` says when too few are.
//!
//! ```text
//!  enough live? ──yes──▶ the live
//!       │no
//!  enough with the doubtful? ──yes──▶ live and doubtful, failing open
//!       │no
//!  fail-open: all but the drained and the foreign, those of before, or the live, failing open
//! ```

use serde::{Deserialize, Serialize};

use crate::config::{FailOpen, Policy};
use crate::health::Standing;
use crate::plan::Pool;
use crate::units::{Presence, Ttl};

/// Who of a pool is answered, in the order of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineup {
    /// How much of its part each member gets.
    pub answered: Vec<Presence>,
    /// Why it is these.
    pub mode: Mode,
    /// Whether it may soon be others.
    pub outlook: Outlook,
}

/// Why a pool answers whom it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Enough members are live; these are they.
    Live,
    /// Fewer than `min-live` are: `fail-open` decided.
    FailingOpen,
}

impl Mode {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::FailingOpen => "failing-open",
        }
    }
}

/// Whether who is answered may soon be others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// No member has an unconfirmed change pending.
    Settled,
    /// Some member has.
    Unsettled,
}

impl Lineup {
    /// The lineup of `pool` whose members have these standings; `last` is the lineup before.
    pub fn of(pool: &Pool, standings: &[Standing], outlook: Outlook, last: Option<&Self>) -> Self {
        let enough = |least: Standing| {
            let count = standings.iter().filter(|&&standing| standing >= least).count();
            count >= pool.rules.min_live.of(standings.len())
        };
        let (answered, mode) = if enough(LEAST_LIVE) {
            (on_stage(pool, from(standings, LEAST_LIVE)), Mode::Live)
        } else if pool.rules.fail_open != FailOpen::None && enough(Standing::Doubtful) {
            (on_stage(pool, from(standings, Standing::Doubtful)), Mode::FailingOpen)
        } else {
            (open(pool, standings, last), Mode::FailingOpen)
        };
        Self { answered, mode, outlook }
    }

    /// The lineup of `pool` when all that is known of its members is old: it fails open, and where that means nobody, it
    /// stays as it is.
    pub fn blind(pool: &Pool, standings: &[Standing], last: Option<&Self>) -> Self {
        let answered = match (pool.rules.fail_open, last) {
            (FailOpen::None, Some(last)) => welcome(&last.answered, standings),
            _ => open(pool, standings, last),
        };
        Self { answered, mode: Mode::FailingOpen, outlook: Outlook::Unsettled }
    }

    /// The longest that anybody may keep the records of `pool`, or keep that there is none; `None`: as long as the zone says.
    pub fn most_kept(&self, pool: &Pool) -> Option<Ttl> {
        let is_brief = self.outlook == Outlook::Unsettled || self.mode == Mode::FailingOpen;
        is_brief.then_some(pool.rules.ttl_unsettled)
    }

    /// Who of `pool` is answered, as people call them.
    pub fn labels<'p>(&self, pool: &'p Pool) -> impl Iterator<Item = &'p str> {
        let members = pool.members.iter().zip(&self.answered);
        members.filter(|(_, presence)| presence.is_some()).map(|(member, _)| &*member.label)
    }

    /// How many members are answered.
    pub fn count(&self) -> usize {
        self.answered.iter().filter(|answered| answered.is_some()).count()
    }
}

/// Whoever is to have nothing of its part is not live enough to keep a pool from failing open.
const LEAST_LIVE: Standing = match Presence::percent(1) {
    Some(least) => Standing::Live(least),
    None => Standing::LIVE,
};

/// What is answered where there are too few even with the doubtful ones.
fn open(pool: &Pool, standings: &[Standing], last: Option<&Lineup>) -> Vec<Presence> {
    match (pool.rules.fail_open, last) {
        (FailOpen::None, _) => on_stage(pool, from(standings, LEAST_LIVE)),
        (FailOpen::LastLive, Some(last)) => {
            let whole =
                |presence: &Presence| if presence.is_some() { Presence::FULL } else { Presence::NONE };
            let before: Vec<Presence> = last.answered.iter().map(whole).collect();
            somebody(welcome(&before, standings)).unwrap_or_else(|| all(standings))
        }
        (FailOpen::All | FailOpen::LastLive, None) | (FailOpen::All, Some(_)) => all(standings),
    }
}

/// Those of them that are neither drained nor foreign.
fn welcome(answered: &[Presence], standings: &[Standing]) -> Vec<Presence> {
    let is_welcome = |standing: Standing| standing > Standing::Drained;
    let each = answered.iter().zip(standings);
    each.map(|(&presence, &standing)| if is_welcome(standing) { presence } else { Presence::NONE }).collect()
}

/// All but the drained and the foreign; where there are no others, the drained; and if everybody is foreign, it is more
/// likely that the site has got a new CA than that nobody is left of it (`docs/design/foreign.md`).
fn all(standings: &[Standing]) -> Vec<Presence> {
    let somebody = |least| somebody(from(standings, least));
    let known = somebody(Standing::Down).or_else(|| somebody(Standing::Drained));
    known.unwrap_or_else(|| from(standings, Standing::Foreign))
}

/// `None` where nobody is answered.
fn somebody(answered: Vec<Presence>) -> Option<Vec<Presence>> {
    answered.iter().any(|presence| presence.is_some()).then_some(answered)
}

/// Those that are at least so good. Where these are others than the live, a live one is not spared for their sake.
fn from(standings: &[Standing], least: Standing) -> Vec<Presence> {
    let presence = |standing: &Standing| match *standing {
        standing if standing < least => Presence::NONE,
        Standing::Live(presence) if least.is_live() => presence,
        _ => Presence::FULL,
    };
    standings.iter().map(presence).collect()
}

/// Those of them that are answered: all, or with `failover` those of the lowest tier among them.
fn on_stage(pool: &Pool, mut answered: Vec<Presence>) -> Vec<Presence> {
    if pool.rules.policy != Policy::Failover {
        return answered;
    }
    let present = pool.members.iter().zip(&answered).filter(|(_, presence)| presence.is_some());
    let lowest = present.map(|(member, _)| member.tier).min();
    for (member, presence) in pool.members.iter().zip(&mut answered) {
        if Some(member.tier) != lowest {
            *presence = Presence::NONE;
        }
    }
    answered
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;
    use std::time::Duration;

    use hickory_proto::rr::RecordType;

    use super::*;
    use crate::config::PoolRules;
    use crate::name::Name;
    use crate::units::Share;
    use Standing::{Doubtful, Down, Drained, Foreign};

    const LIVE: Standing = Standing::LIVE;
    const FULL: Presence = Presence::FULL;
    const NONE: Presence = Presence::NONE;

    fn pool(min_live: Share, fail_open: FailOpen) -> Pool {
        Pool {
            ttl: Ttl::MAX,
            name: Name::parse("puppet.example.org").unwrap(),
            record_type: RecordType::A,
            members: Vec::new(),
            rules: PoolRules {
                policy: Policy::RoundRobin,
                max_answers: NonZeroU16::MAX,
                min_live,
                fail_open,
                ttl_unsettled: Ttl::MAX,
                ramp: Duration::ZERO,
                version_grace: Duration::ZERO,
            },
        }
    }

    fn lineup(answered: &[Presence], mode: Mode) -> Lineup {
        Lineup { answered: answered.to_vec(), mode, outlook: Outlook::Settled }
    }

    #[test]
    fn live_members_are_answered_while_there_are_enough() {
        let pool = pool(Share::Count(1), FailOpen::All);
        let half = Presence::percent(50).unwrap();
        for (standings, answered) in [
            ([LIVE, Down, LIVE], [FULL, NONE, FULL]),
            ([Standing::Live(half), Doubtful, Drained], [half, NONE, NONE]),
        ] {
            let drawn = Lineup::of(&pool, &standings, Outlook::Settled, None);
            assert_eq!(drawn, lineup(&answered, Mode::Live));
        }
    }

    #[test]
    fn too_few_live_members_fail_open_as_told() {
        let last = lineup(&[FULL, NONE, FULL], Mode::Live);
        for (fail_open, standings, answered) in [
            (FailOpen::All, [Down, Down, LIVE], [FULL, FULL, FULL]),
            (FailOpen::LastLive, [Down, Down, LIVE], [FULL, NONE, FULL]),
            (FailOpen::None, [Down, Down, LIVE], [NONE, NONE, FULL]),
            (FailOpen::All, [Down, Drained, Down], [FULL, NONE, FULL]),
            (FailOpen::All, [Drained, Drained, Drained], [FULL, FULL, FULL]),
            (FailOpen::All, [Down, Foreign, Down], [FULL, NONE, FULL]),
            (FailOpen::All, [Drained, Foreign, Foreign], [FULL, NONE, NONE]),
            (FailOpen::All, [Foreign, Foreign, Foreign], [FULL, FULL, FULL]),
            (FailOpen::LastLive, [Foreign, Down, Down], [NONE, NONE, FULL]),
            (FailOpen::LastLive, [Drained, Down, Down], [NONE, NONE, FULL]),
            (FailOpen::LastLive, [Drained, Down, Drained], [NONE, FULL, NONE]),
            (FailOpen::LastLive, [Foreign, Down, Foreign], [NONE, FULL, NONE]),
            (FailOpen::None, [Foreign, Foreign, Foreign], [NONE, NONE, NONE]),
        ] {
            let pool = pool(Share::Percent(50), fail_open);
            let drawn = Lineup::of(&pool, &standings, Outlook::Settled, Some(&last));
            assert_eq!(drawn, lineup(&answered, Mode::FailingOpen), "{fail_open:?} {standings:?}");
        }
    }

    #[test]
    fn live_members_are_not_spared_for_the_sake_of_others() {
        let part = |percent| Presence::percent(percent).unwrap();
        let last = lineup(&[FULL, part(10), NONE], Mode::Live);
        for (fail_open, answered) in [
            (FailOpen::All, [FULL, FULL, FULL]),
            (FailOpen::LastLive, [FULL, FULL, NONE]),
            (FailOpen::None, [NONE, part(20), NONE]),
        ] {
            let pool = pool(Share::Count(2), fail_open);
            let standings = [Down, Standing::Live(part(20)), Down];
            let drawn = Lineup::of(&pool, &standings, Outlook::Settled, Some(&last));
            assert_eq!(drawn, lineup(&answered, Mode::FailingOpen), "{fail_open:?}");
        }
    }

    #[test]
    fn a_pool_of_members_without_any_part_fails_open() {
        let pool = pool(Share::Count(1), FailOpen::All);
        let drawn = Lineup::of(&pool, &[Standing::Live(NONE), Down], Outlook::Settled, None);
        assert_eq!(drawn, lineup(&[FULL, NONE], Mode::FailingOpen));
    }

    /// A database that all share is gone, and one member is dead besides.
    #[test]
    fn doubtful_members_are_answered_before_dead_ones() {
        for (fail_open, answered) in [
            (FailOpen::All, [FULL, NONE, FULL]),
            (FailOpen::LastLive, [FULL, NONE, FULL]),
            (FailOpen::None, [NONE, NONE, NONE]),
        ] {
            let pool = pool(Share::Count(1), fail_open);
            let drawn = Lineup::of(&pool, &[Doubtful, Down, Doubtful], Outlook::Settled, None);
            assert_eq!(drawn, lineup(&answered, Mode::FailingOpen), "{fail_open:?}");
        }
    }

    #[test]
    fn nobody_leaves_because_nobody_looks() {
        let last = lineup(&[FULL, NONE, NONE], Mode::Live);
        for (fail_open, answered) in [
            (FailOpen::All, [FULL, FULL, NONE]),
            (FailOpen::LastLive, [FULL, NONE, NONE]),
            (FailOpen::None, [FULL, NONE, NONE]),
        ] {
            let pool = pool(Share::Count(0), fail_open);
            let drawn = Lineup::blind(&pool, &[LIVE, Down, Drained], Some(&last));
            let expected = Lineup { outlook: Outlook::Unsettled, ..lineup(&answered, Mode::FailingOpen) };
            assert_eq!(drawn, expected, "{fail_open:?}");
        }
    }

    #[test]
    fn an_operators_word_holds_though_nobody_looks() {
        let last = lineup(&[FULL, FULL, NONE], Mode::Live);
        for (fail_open, answered) in [
            (FailOpen::All, [FULL, NONE, FULL]),
            (FailOpen::LastLive, [FULL, NONE, NONE]),
            (FailOpen::None, [FULL, NONE, NONE]),
        ] {
            let pool = pool(Share::Count(0), fail_open);
            let drawn = Lineup::blind(&pool, &[LIVE, Drained, Down], Some(&last));
            assert_eq!(drawn.answered, answered, "{fail_open:?}");
        }
    }

    #[test]
    fn without_a_last_lineup_all_are_answered() {
        let pool = pool(Share::Count(1), FailOpen::LastLive);
        let nobody = lineup(&[NONE, NONE], Mode::Live);
        for last in [None, Some(&nobody)] {
            let drawn = Lineup::of(&pool, &[Down, Down], Outlook::Settled, last);
            assert_eq!(drawn.answered, [FULL, FULL]);
        }
    }
}
