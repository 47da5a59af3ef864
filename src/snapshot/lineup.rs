//! Who of a pool is answered: the live members, or what `fail-open` says when too few are.

use crate::config::{FailOpen, Policy};
use crate::plan::Pool;

/// Who of a pool is answered, in the order of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineup {
    /// Whether each member is answered.
    pub answered: Vec<bool>,
    /// Why it is these.
    pub mode: Mode,
}

/// Why a pool answers whom it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Enough members are live; these are they.
    Live,
    /// Fewer than `min-live` are: `fail-open` decided.
    FailingOpen,
}

impl Lineup {
    /// The lineup of `pool` when `live` says of each member whether it is live; `last` is the lineup before.
    pub fn of(pool: &Pool, live: &[bool], last: Option<&Self>) -> Self {
        let count = live.iter().filter(|&&live| live).count();
        if count >= pool.min_live.of(live.len()) {
            return Self { answered: on_stage(pool, live), mode: Mode::Live };
        }
        let answered = match pool.fail_open {
            FailOpen::None => on_stage(pool, live),
            FailOpen::All => vec![true; live.len()],
            FailOpen::LastLive => match last {
                Some(last) if last.answered.contains(&true) => last.answered.clone(),
                _ => vec![true; live.len()],
            },
        };
        Self { answered, mode: Mode::FailingOpen }
    }

    /// How many members are answered.
    pub fn count(&self) -> usize {
        self.answered.iter().filter(|&&answered| answered).count()
    }
}

/// Those of the live that are answered: all, or with `failover` those of the lowest tier among them.
fn on_stage(pool: &Pool, live: &[bool]) -> Vec<bool> {
    if pool.policy != Policy::Failover {
        return live.to_vec();
    }
    let members = || pool.members.iter().zip(live);
    let lowest = members().filter(|&(_, &live)| live).map(|(member, _)| member.tier).min();
    members().map(|(member, &live)| live && Some(member.tier) == lowest).collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use hickory_proto::rr::RecordType;

    use super::*;
    use crate::name::Name;
    use crate::units::Share;

    fn pool(min_live: Share, fail_open: FailOpen) -> Pool {
        Pool {
            name: Name::parse("puppet.example.org").unwrap(),
            record_type: RecordType::A,
            members: Vec::new(),
            policy: Policy::RoundRobin,
            max_answers: NonZeroU16::MAX,
            min_live,
            fail_open,
        }
    }

    #[test]
    fn live_members_are_answered_while_there_are_enough() {
        let pool = pool(Share::Count(1), FailOpen::All);
        let lineup = Lineup::of(&pool, &[true, false, true], None);
        assert_eq!(lineup, Lineup { answered: vec![true, false, true], mode: Mode::Live });
    }

    #[test]
    fn too_few_live_members_fail_open_as_told() {
        let live = [false, false, true];
        let last = Lineup { answered: vec![true, false, true], mode: Mode::Live };
        for (fail_open, expected) in [
            (FailOpen::All, [true, true, true]),
            (FailOpen::LastLive, [true, false, true]),
            (FailOpen::None, [false, false, true]),
        ] {
            let pool = pool(Share::Percent(50), fail_open);
            let lineup = Lineup::of(&pool, &live, Some(&last));
            assert_eq!(
                lineup,
                Lineup { answered: expected.to_vec(), mode: Mode::FailingOpen },
                "{fail_open:?}"
            );
        }
    }

    #[test]
    fn without_a_last_lineup_all_are_answered() {
        let pool = pool(Share::Count(1), FailOpen::LastLive);
        assert_eq!(Lineup::of(&pool, &[false, false], None).answered, [true, true]);
        let nobody = Lineup { answered: vec![false, false], mode: Mode::Live };
        assert_eq!(Lineup::of(&pool, &[false, false], Some(&nobody)).answered, [true, true]);
    }
}
