//! Which members of a pool serve other code than the rest: an agent that meets now one, now the other applies now this
//! catalog, now that.
//!
//! Each member that told a version has a vote. A version that more than half of the votes name is the pool's. Who tells
//! another one for longer than the grace is held back, until it agrees. A deployment that rolls through the masters makes them
//! disagree as well, for less than the grace.
//!
//! ```text
//!             fewer votes than another version            grace is over, and there is a majority
//!   agrees ───────────────────────────────────▶ dissents ────────────────────────────────────────▶ held back
//!     ▲                                            │                                                   │
//!     └───────────── no version has more votes ────┴───────────────────────────────────────────────────┘
//! ```
//!
//! Without a majority nobody is held back who was not before: nobody can say who is right. Who tells nothing has no vote,
//! and stays what it was.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a pool's members make of each other's versions, as time passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    grace: Duration,
    places: Vec<Stance>,
    concord: Concord,
}

/// Where one member stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stance {
    /// Since when fewer have its version than another one.
    dissents_since: Option<Duration>,
    held_back: bool,
}

/// How far the members of a pool agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concord {
    /// Nobody told a version.
    Silent,
    /// All who told one told this one.
    Unanimous(String),
    /// More than half of those who told one told this one.
    Majority(String),
    /// No version has more than half of the votes: each with its votes, the most first.
    Divided(Vec<(String, usize)>),
}

impl Agreement {
    /// Among so many members, of whom nothing is known.
    pub fn new(grace: Duration, members: usize) -> Self {
        Self::among(grace, vec![Stance::default(); members])
    }

    /// Among members of whom it is known where they stand, who have not told anything yet.
    pub const fn among(grace: Duration, stances: Vec<Stance>) -> Self {
        Self { grace, places: stances, concord: Concord::Silent }
    }

    /// Where the member at this place stands.
    pub fn stance(&self, place: usize) -> Stance {
        self.places[place]
    }

    /// Takes in what each member tells `now`; `None`: nothing.
    pub fn hear(&mut self, versions: &[Option<&str>], now: Duration) {
        let mut votes = BTreeMap::new();
        for version in versions.iter().copied().flatten() {
            *votes.entry(version).or_insert(0_usize) += 1;
        }
        let most = votes.values().copied().max().unwrap_or(0);
        self.concord = concord(&votes);
        for (place, version) in self.places.iter_mut().zip(versions) {
            let Some(version) = version else { continue };
            if votes[version] == most {
                *place = Stance::default();
            } else {
                place.dissents_since.get_or_insert(now);
            }
        }
        self.pass(now);
    }

    /// Lets time pass: whose grace is over is held back, where there is a majority.
    pub fn pass(&mut self, now: Duration) {
        if !self.concord.is_decided() {
            return;
        }
        for place in &mut self.places {
            let over = place.dissents_since.is_some_and(|since| now.saturating_sub(since) >= self.grace);
            place.held_back |= over;
        }
    }

    /// When the next member will be held back if nothing changes; `None`: nobody will.
    pub fn next(&self) -> Option<Duration> {
        let waiting = self.places.iter().filter(|place| !place.held_back);
        let ends = waiting.filter_map(|place| place.dissents_since?.checked_add(self.grace));
        ends.min().filter(|_| self.concord.is_decided())
    }

    /// Whether the member at this place is held back.
    pub fn holds_back(&self, place: usize) -> bool {
        self.places[place].held_back
    }

    /// How far they agree.
    pub const fn concord(&self) -> &Concord {
        &self.concord
    }
}

fn concord(votes: &BTreeMap<&str, usize>) -> Concord {
    let all: usize = votes.values().sum();
    let mut ranking: Vec<(String, usize)> =
        votes.iter().map(|(version, &votes)| ((*version).to_owned(), votes)).collect();
    ranking.sort_by_key(|&(_, votes)| std::cmp::Reverse(votes));
    match ranking.first() {
        None => Concord::Silent,
        Some((version, votes)) if *votes == all => Concord::Unanimous(version.clone()),
        Some((version, votes)) if 2 * votes > all => Concord::Majority(version.clone()),
        Some(_) => Concord::Divided(ranking),
    }
}

impl Concord {
    /// Whether it can be said which version is the pool's.
    const fn is_decided(&self) -> bool {
        matches!(self, Self::Unanimous(_) | Self::Majority(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: u64 = 900;

    /// What four members tell at a time, `.` for nothing, and who of them is held back then, in seconds.
    type Scene = (u64, &'static str, &'static str);

    fn play(scenes: &[Scene]) {
        let mut agreement = Agreement::new(Duration::from_secs(GRACE), 4);
        for &(now, told, held_back) in scenes {
            let versions: Vec<Option<&str>> =
                (0..4).map(|i| Some(&told[i..=i]).filter(|version| *version != ".")).collect();
            agreement.hear(&versions, Duration::from_secs(now));
            let held: String =
                (0..4).map(|place| if agreement.holds_back(place) { 'x' } else { '-' }).collect();
            assert_eq!(held, held_back, "at {now}: {told}");
        }
    }

    #[test]
    fn who_tells_another_version_for_longer_than_the_grace_is_held_back() {
        play(&[
            (0, "....", "----"),
            (0, "aaab", "----"),
            (GRACE - 1, "aaab", "----"),
            (GRACE, "aaab", "---x"),
            (GRACE + 50, "aaac", "---x"),
            (GRACE + 100, "aaaa", "----"),
        ]);
    }

    #[test]
    fn the_clock_runs_from_when_the_disagreement_began() {
        play(&[(0, "aaaa", "----"), (5000, "aaab", "----"), (5800, "aaab", "----"), (5900, "aaab", "---x")]);
    }

    #[test]
    fn a_deployment_that_rolls_holds_nobody_back_unless_it_stops() {
        play(&[
            (0, "aaaa", "----"),
            (300, "baaa", "----"),
            (600, "bbaa", "----"),
            (900, "bbba", "----"),
            (1200, "bbbb", "----"),
            (1500, "cbbb", "----"),
            (1600, "ccbb", "----"),
            (1700, "cccb", "----"), // the majority moved: the one behind has its own grace
            (2400, "cccb", "----"),
            (2600, "cccb", "---x"),
        ]);
    }

    #[test]
    fn without_a_majority_nobody_is_held_back() {
        play(&[
            (0, "aabb", "----"),
            (10_000, "aabb", "----"),
            (10_001, "abcd", "----"),
            (20_000, "abcd", "----"),
        ]);
        play(&[(0, "aabc", "----"), (10_000, "aabc", "----")]);
    }

    /// `d` is stale for good; nobody wants to meet it because the others are being deployed, either.
    #[test]
    fn who_is_held_back_stays_so_while_the_others_are_divided() {
        play(&[
            (0, "aaad", "----"),
            (1000, "aaad", "---x"),
            (1100, "baad", "---x"),
            (1200, "bbad", "---x"),
            (1300, "bbbd", "---x"),
        ]);
    }

    #[test]
    fn in_a_tie_nobody_can_say_who_is_right() {
        play(&[(0, "aab.", "----"), (1000, "aab.", "--x-"), (1100, "a.b.", "----"), (9000, "a.b.", "----")]);
    }

    #[test]
    fn who_tells_nothing_has_no_vote_and_is_forgotten_nothing() {
        play(&[
            (0, "aab.", "----"),
            (1000, "aab.", "--x-"),
            (1100, "aa..", "--x-"),
            (1200, "aab.", "--x-"),
            (1300, "aaa.", "----"),
        ]);
    }

    #[test]
    fn a_grace_goes_on_among_others() {
        let mut before = Agreement::new(Duration::from_secs(GRACE), 3);
        before.hear(&[Some("a"), Some("a"), Some("b")], Duration::from_secs(10));
        let stances = vec![before.stance(2), Stance::default(), before.stance(1)];
        let mut after = Agreement::among(Duration::from_secs(GRACE), stances);
        after.hear(&[Some("b"), Some("a"), Some("a")], Duration::from_secs(100));
        assert_eq!(after.next(), Some(Duration::from_secs(10 + GRACE)));
    }

    #[test]
    fn it_wants_to_be_woken_when_the_next_grace_is_over() {
        let mut agreement = Agreement::new(Duration::from_secs(GRACE), 3);
        let mut hear = |versions: [Option<&str>; 3], now| {
            agreement.hear(&versions, Duration::from_secs(now));
            agreement.next().map(|next| next.as_secs())
        };
        assert_eq!(hear([Some("a"), Some("a"), None], 5), None);
        assert_eq!(hear([Some("a"), Some("a"), Some("b")], 10), Some(10 + GRACE));
        assert_eq!(hear([Some("a"), None, Some("b")], 20), None, "a tie");
        assert_eq!(hear([Some("a"), Some("a"), Some("b")], 30), Some(30 + GRACE));
        assert_eq!(hear([Some("a"), Some("a"), Some("b")], 30 + GRACE), None, "held back already");
    }

    #[test]
    fn how_far_they_agree_is_said() {
        let mut agreement = Agreement::new(Duration::ZERO, 4);
        let owned = |version: &str| version.to_owned();
        for (versions, concord) in [
            ([None, None, None, None], Concord::Silent),
            ([None, Some("a"), None, Some("a")], Concord::Unanimous(owned("a"))),
            ([Some("b"), Some("a"), None, Some("a")], Concord::Majority(owned("a"))),
            (
                [Some("c"), Some("b"), Some("a"), Some("b")],
                Concord::Divided(vec![(owned("b"), 2), (owned("a"), 1), (owned("c"), 1)]),
            ),
        ] {
            agreement.hear(&versions, Duration::ZERO);
            assert_eq!(agreement.concord(), &concord);
        }
    }
}
