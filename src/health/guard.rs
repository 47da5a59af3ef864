//! The suspicion against oneself: when many members fall silent at once, it is more likely that onstage has lost the
//! network than that they all died.
//!
//! ```text
//!            a share of the members                somebody answers:
//!            falls silent in one round             who waits leaves
//!  clear ──────────────────────────────▶ asking ──────────────────────▶ vouched ──▶ clear: fewer are silent
//!    ▲                                    ▲  │ nobody does,              │
//!    │ somebody answers:                  │  ▼ in time                   │
//!    └─── verdicts count anew ────────────│ blind                        │
//!                                         └────── still silent, and nobody has answered for an interval
//! ```
//!
//! While it is asking, nobody leaves for being silent. While it is blind, silence is no verdict at all, and who left for
//! it just before is taken back. Whoever answers vouches for the network, be it a guard or a member, and whatever the
//! answer is: a refused connection has come all the way, too. Without guards nothing is suspected.
//!
//! A round is the time in which every member is asked, and could have answered: an interval and a timeout.
//!
//! Beside that there may be a bound on how many members leave in one interval.

use std::time::Duration;

use super::Evidence;
use super::leaves::Leaves;
use super::silence::Silence;
use crate::units::{ProbeId, Share};

/// When to suspect oneself, and how many may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// So many of the members that were not silent before, and two at least; `None`: there is nobody to ask.
    pub share: Option<Share>,
    /// At most so many of the members leave in one interval, one at least; `None`: as many as fail.
    pub most_leaving: Option<Share>,
}

/// What is made of a verdict that takes a member down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// It leaves.
    Leave,
    /// It stays for now, and is ruled on again.
    Wait,
}

/// What has just become of the suspicion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// The guards are to be asked.
    Asking,
    /// Somebody has answered: who waits is ruled on again.
    Vouched,
    /// Nobody has. These left for their silence just before, and are taken back.
    Blind(Vec<ProbeId>),
    /// Somebody answers again: verdicts count from now on.
    Seeing,
}

/// What is thought of the network. Times are counted from any start that never jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Clear,
    Asking { since: Duration },
    Vouched { heard: Duration },
    Blind,
}

/// Watches how many members are silent, and how many leave.
#[derive(Debug)]
pub struct Guard {
    rules: Rules,
    interval: Duration,
    round: Duration,
    /// The member of each probe: probes of one address are one member here.
    members: Vec<u32>,
    silence: Silence,
    sight: Sight,
    /// When the last blindness ended: what was asked before counts for nothing.
    seeing_since: Duration,
    leaves: Leaves,
}

impl Guard {
    /// Nobody is silent. `members`: the member of each probe, numbered from 0; `interval`: in which all of them are
    /// asked once; `round`: in which all of them could have answered, too.
    pub fn new(rules: Rules, members: Vec<u32>, interval: Duration, round: Duration) -> Self {
        let count = members.iter().max().map_or(0, |&last| last as usize + 1);
        let most = rules.most_leaving.map(|most| most.of(count).max(1));
        let (silence, sight, leaves) =
            (Silence::new(count), Sight::Clear, Leaves::new(interval, most, 2 * round));
        Self { rules, interval, round, members, silence, sight, seeing_since: Duration::ZERO, leaves }
    }

    /// Whether what was asked then, and is answered only now, says anything of the member: silence does not that began
    /// while nobody could be heard.
    pub fn counts(&self, evidence: Evidence, asked: Duration) -> bool {
        evidence != Evidence::Silence || (!self.is_blind() && asked >= self.seeing_since)
    }

    /// Takes in what counts: what one probe found, or that its answer is overdue, which is silence.
    pub fn note(&mut self, probe: ProbeId, evidence: Evidence, now: Duration) -> Option<Turn> {
        self.rules.share?;
        let is_silent = evidence == Evidence::Silence;
        self.silence.age(now.checked_sub(self.round));
        self.silence.note(self.member(probe), is_silent, now);
        if is_silent { self.suspect(now) } else { self.hear(now) }
    }

    /// A guard, or a member, has answered.
    pub fn hear(&mut self, now: Duration) -> Option<Turn> {
        match self.sight {
            Sight::Clear => None,
            Sight::Asking { .. } => {
                self.sight = Sight::Vouched { heard: now };
                Some(Turn::Vouched)
            }
            Sight::Vouched { .. } => {
                let heard = Sight::Vouched { heard: now };
                self.sight = if self.is_suspicious() { heard } else { Sight::Clear };
                None
            }
            Sight::Blind => {
                (self.sight, self.seeing_since) = (Sight::Clear, now);
                self.silence.forget();
                Some(Turn::Seeing)
            }
        }
    }

    /// Looks whether nobody has answered for too long.
    pub fn look(&mut self, now: Duration) -> Option<Turn> {
        match self.sight {
            Sight::Asking { since } if now >= since + self.round => {
                self.sight = Sight::Blind;
                Some(Turn::Blind(self.leaves.silent_since(since.saturating_sub(self.round))))
            }
            _ => None,
        }
    }

    /// When to look; `None`: not before something is noted.
    pub fn next_look(&self) -> Option<Duration> {
        match self.sight {
            Sight::Asking { since } => Some(since + self.round),
            Sight::Clear | Sight::Vouched { .. } | Sight::Blind => None,
        }
    }

    /// When to rule again on those who wait because too many have left.
    pub fn next_room(&self, now: Duration) -> Option<Duration> {
        self.leaves.next_room(now)
    }

    /// Whether the member of a probe is silent.
    pub fn is_silent(&self, probe: ProbeId) -> bool {
        self.silence.is_silent(self.member(probe))
    }

    /// How many members are silent, and how many there are.
    pub const fn silent(&self) -> (usize, usize) {
        self.silence.silent()
    }

    /// Whether the guards are to be asked.
    pub const fn is_asking(&self) -> bool {
        matches!(self.sight, Sight::Asking { .. } | Sight::Blind)
    }

    /// Whether silence is no verdict.
    pub const fn is_blind(&self) -> bool {
        matches!(self.sight, Sight::Blind)
    }

    /// Whether a member leaves that a verdict takes down.
    pub fn rule(&mut self, probe: ProbeId, evidence: Evidence, now: Duration) -> Ruling {
        let (member, is_proven) = (self.member(probe), evidence == Evidence::Proof);
        if !is_proven && (self.is_asking() || !self.leaves.has_room(member, now)) {
            return Ruling::Wait;
        }
        // Who is silent while somebody else answers leaves on that answer.
        let is_vouched = matches!(self.sight, Sight::Vouched { .. });
        self.leaves.add(probe, member, if is_vouched { Evidence::Answer } else { evidence }, now);
        Ruling::Leave
    }

    fn suspect(&mut self, now: Duration) -> Option<Turn> {
        let may_suspect = match self.sight {
            Sight::Clear => true,
            Sight::Vouched { heard } => now >= heard + self.interval,
            Sight::Asking { .. } | Sight::Blind => false,
        };
        if !may_suspect {
            return None;
        }
        self.sight = if self.is_suspicious() { Sight::Asking { since: now } } else { Sight::Clear };
        self.is_asking().then_some(Turn::Asking)
    }

    fn is_suspicious(&self) -> bool {
        let silent = self.silence.fresh();
        self.rules.share.is_some_and(|share| silent >= 2 && silent >= share.of(self.silence.watched()))
    }

    fn member(&self, probe: ProbeId) -> u32 {
        self.members[probe.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Evidence::{Answer, Proof, Silence};

    const INTERVAL: Duration = Duration::from_secs(10);
    const ROUND: Duration = Duration::from_secs(15);
    const HALF: Rules = Rules { share: Some(Share::Percent(50)), most_leaving: None };

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Four members, each with one probe.
    fn guard(rules: Rules) -> Guard {
        Guard::new(rules, vec![0, 1, 2, 3], INTERVAL, ROUND)
    }

    /// What happens to a guard.
    #[derive(Debug, Clone, Copy)]
    enum Hears {
        Probe(u32, Evidence),
        Guard,
        Nothing,
    }
    use Hears::{Guard as Witness, Nothing, Probe};

    /// When what happens, and what is to be made of it.
    type Step = (u64, Hears, Option<Turn>);

    fn play(guard: &mut Guard, happens: Hears, now: u64) -> Option<Turn> {
        match happens {
            Probe(probe, evidence) => guard.note(ProbeId(probe), evidence, at(now)),
            Witness => guard.hear(at(now)),
            Nothing => guard.look(at(now)),
        }
    }

    /// Every state and what leads out of it.
    #[test]
    fn every_turn_of_the_suspicion() {
        let asking = [(0, Probe(0, Silence), None), (1, Probe(1, Silence), Some(Turn::Asking))];
        let vouched = [(2, Witness, Some(Turn::Vouched))];
        let blind = [(16, Nothing, Some(Turn::Blind(vec![])))];
        let stories: [(&str, Vec<&[Step]>); 10] = [
            (
                "one member alone is none of our business",
                vec![&[(0, Probe(0, Silence), None), (3, Probe(0, Silence), None)]],
            ),
            (
                "two, but not in one round",
                vec![&[(0, Probe(0, Silence), None), (15, Probe(1, Silence), None)]],
            ),
            (
                "one of them is back",
                vec![&[
                    (0, Probe(0, Silence), None),
                    (1, Probe(0, Answer), None),
                    (2, Probe(1, Silence), None),
                ]],
            ),
            ("a guard vouches", vec![&asking, &vouched, &[(3, Probe(2, Silence), None)]]),
            ("a member vouches", vec![&asking, &[(2, Probe(3, Answer), Some(Turn::Vouched))]]),
            ("a refusal vouches", vec![&asking, &[(2, Probe(0, Proof), Some(Turn::Vouched))]]),
            (
                "nobody does",
                vec![
                    &asking,
                    &[(10, Nothing, None)],
                    &blind,
                    &[(17, Probe(2, Silence), None), (50, Nothing, None)],
                ],
            ),
            (
                "sight comes back, and goes again",
                vec![
                    &asking,
                    &blind,
                    &[
                        (20, Witness, Some(Turn::Seeing)),
                        (21, Probe(0, Silence), None),
                        (22, Probe(1, Silence), Some(Turn::Asking)),
                    ],
                ],
            ),
            (
                "what was vouched for is vouched for an interval",
                vec![
                    &asking,
                    &vouched,
                    &[
                        (9, Probe(2, Silence), None),
                        (11, Probe(3, Silence), None),
                        (12, Probe(3, Silence), Some(Turn::Asking)),
                    ],
                ],
            ),
            (
                "who is gone counts no more",
                vec![
                    &asking,
                    &vouched,
                    &[(16, Probe(2, Silence), None), (17, Probe(3, Silence), Some(Turn::Asking))],
                ],
            ),
        ];
        for (story, steps) in stories {
            let mut guard = guard(HALF);
            for (now, happens, turn) in steps.into_iter().flatten() {
                assert_eq!(play(&mut guard, *happens, *now), *turn, "{story}: {happens:?} at {now}");
            }
        }
    }

    #[test]
    fn while_it_asks_only_who_is_proven_leaves() {
        let mut guard = guard(HALF);
        assert_eq!(guard.rule(ProbeId(0), Silence, at(0)), Ruling::Leave);
        play(&mut guard, Probe(0, Silence), 0);
        play(&mut guard, Probe(1, Silence), 1);
        assert_eq!((guard.is_asking(), guard.is_blind(), guard.next_look()), (true, false, Some(at(16))));
        assert_eq!(guard.rule(ProbeId(1), Silence, at(2)), Ruling::Wait);
        assert_eq!(guard.rule(ProbeId(2), Proof, at(2)), Ruling::Leave);
        assert_eq!(
            guard.look(at(16)),
            Some(Turn::Blind(vec![ProbeId(0)])),
            "it left for nothing but silence"
        );
        assert_eq!((guard.is_asking(), guard.is_blind(), guard.next_look()), (true, true, None));
        assert!(!guard.counts(Silence, at(16)) && guard.counts(Answer, at(16)));
        play(&mut guard, Witness, 17);
        assert!(
            !guard.counts(Silence, at(16)) && guard.counts(Answer, at(16)) && guard.counts(Silence, at(17))
        );
        assert_eq!(guard.rule(ProbeId(1), Silence, at(18)), Ruling::Leave);
        assert!(!guard.is_asking() && !guard.is_blind());
    }

    /// Who left while somebody vouched for the network is not taken back when the network goes later.
    #[test]
    fn who_was_silent_for_good_stays_away() {
        let mut guard = guard(Rules { share: Some(Share::Count(2)), most_leaving: None });
        for (now, happens) in [(0, Probe(0, Silence)), (1, Probe(1, Silence)), (2, Witness)] {
            play(&mut guard, happens, now);
        }
        assert_eq!(guard.rule(ProbeId(0), Silence, at(3)), Ruling::Leave);
        play(&mut guard, Probe(2, Silence), 16);
        assert_eq!(play(&mut guard, Probe(3, Silence), 17), Some(Turn::Asking));
        assert_eq!(guard.look(at(32)), Some(Turn::Blind(vec![])));
    }

    #[test]
    fn a_bound_holds_for_all_but_the_proven() {
        let mut guard = guard(Rules { share: None, most_leaving: Some(Share::Percent(25)) });
        for (now, probe, evidence, ruling) in [
            (0, 0, Silence, Ruling::Leave),
            (1, 1, Answer, Ruling::Wait),
            (2, 2, Proof, Ruling::Leave),
            (10, 1, Answer, Ruling::Wait), // the third left in spite of the bound, and counts
            (12, 1, Answer, Ruling::Leave),
        ] {
            assert_eq!(guard.rule(ProbeId(probe), evidence, at(now)), ruling, "{probe} at {now}");
        }
        assert_eq!(guard.next_room(at(12)), Some(at(22)));
    }

    #[test]
    fn probes_of_one_member_are_one() {
        let mut guard = Guard::new(HALF, vec![0, 0, 1], INTERVAL, ROUND);
        assert_eq!(play(&mut guard, Probe(0, Silence), 0), None);
        assert_eq!(play(&mut guard, Probe(1, Silence), 0), None);
        assert_eq!(play(&mut guard, Probe(2, Silence), 0), Some(Turn::Asking));
    }

    #[test]
    fn without_rules_it_does_nothing() {
        let mut guard = guard(Rules { share: None, most_leaving: None });
        for probe in 0..4 {
            assert_eq!(play(&mut guard, Probe(probe, Silence), 0), None);
            assert_eq!(guard.rule(ProbeId(probe), Silence, at(0)), Ruling::Leave);
        }
        assert_eq!((guard.next_look(), guard.next_room(at(0))), (None, None));
    }
}
