//! Which records of a pool a query is answered with, and in which order, where it is not simply their turn.
//!
//! - **sticky**: rendezvous hashing. Each record has a key, each client network a number, and the two together a
//!   score; the highest scores are answered. A record that leaves takes only its own scores with it, so that only
//!   those networks move for which it was first, and move back when it returns. Keys are `SipHash` of the rdata: two
//!   servers with the same zone agree, today and after any upgrade.
//! - **weighted**: drawn without replacement, each with a chance in proportion to its weight.
//! - **partial**: a rotation of those that take part.
//!
//! A record that gets a part of its usual part only takes part in so many answers, and is passed over in the others, as
//! if it were not there: what chance decides with sticky is the network, so that it has the same networks until it gets
//! more of them; and the turn elsewhere.
//!
//! All look at every record for each that they pick, which is why an answer has at most [`MOST_DRAWN`] of them.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::units::{MOST_DRAWN, Presence};

/// How the records of a ring are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// The next rotation.
    #[default]
    Turn,
    /// The next rotation of those that take part.
    Partial,
    /// The highest scores for the client's network; each record has a key.
    Sticky,
    /// By chance; each record has a weight.
    Weighted,
}

/// What an order has to know of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stake {
    /// Its key or its weight.
    pub(super) value: u64,
    /// In how many of [`ALL`] answers it takes part.
    pub(super) part: u64,
}

/// The part of a record that is there whenever there is room.
pub(super) const ALL: u64 = 1 << 32;

/// What a presence is beside the `best` one.
pub(super) fn part(presence: Presence, best: Presence) -> u64 {
    ALL * u64::from(presence.as_percent()) / u64::from(best.as_percent().max(1))
}

/// The records that were chosen, by place in their ring.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Places {
    /// So many from this place on.
    Run(usize, u16),
    /// These, in this order.
    Drawn([u16; MOST_DRAWN], u16),
}

impl Places {
    /// How many they are.
    pub(crate) const fn len(&self) -> u16 {
        match self {
            Self::Run(_, len) | Self::Drawn(_, len) => *len,
        }
    }
}

/// What identifies a record to [`sticky`].
pub(super) fn key(rdata: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(rdata);
    hasher.finish()
}

/// `wanted` of the records that take part, from one of them on that `turn` decides: each of them is first equally often.
pub(super) fn partial(stakes: &[Stake], turn: u32, wanted: u16) -> Places {
    let present = || (0..stakes.len()).filter(|&place| stakes[place].is_present(turn, place));
    let count = present().count();
    let first = ((u64::from(turn) * count as u64) >> 32) as usize;
    let chosen = present().chain(present()).skip(first).take(count.min(wanted.into()));
    let (mut places, mut len) = ([0; MOST_DRAWN], 0);
    for (room, place) in places.iter_mut().zip(chosen) {
        *room = place as u16;
        len += 1;
    }
    Places::Drawn(places, len)
}

/// The `wanted` highest scores for a client's network, best first.
pub(super) fn sticky(stakes: &[Stake], network: u64, wanted: u16) -> Places {
    let wanted = usize::from(wanted).min(MOST_DRAWN);
    let mut best = [(0_u64, 0_u16); MOST_DRAWN];
    let mut len = 0;
    for (place, stake) in stakes.iter().enumerate() {
        let score = mix(stake.value ^ network);
        if !stake.takes_part(score) {
            continue;
        }
        let mut next = (score, place as u16);
        for better in &mut best[..len] {
            if next.0 > better.0 {
                std::mem::swap(better, &mut next);
            }
        }
        if len < wanted {
            best[len] = next;
            len += 1;
        }
    }
    Places::Drawn(best.map(|(_, place)| place), len as u16)
}

/// `wanted` records by weight, no record twice. `turn` decides: the first of them are spread over all turns as evenly
/// as turns are.
pub(super) fn weighted(stakes: &[Stake], turn: u32, wanted: u16) -> Places {
    let weight = |place: usize| if stakes[place].is_present(turn, place) { stakes[place].value } else { 0 };
    let mut left: u64 = (0..stakes.len()).map(weight).sum();
    let mut places = [0; MOST_DRAWN];
    let wanted = usize::from(wanted).min(MOST_DRAWN).min(stakes.len());
    let mut chance = u64::from(turn) << 32;
    for drawn in 0..wanted {
        let mut at = ((u128::from(chance) * u128::from(left)) >> 64) as u64;
        let undrawn = |place: &usize| !places[..drawn].contains(&(*place as u16));
        let chosen = (0..stakes.len()).filter(undrawn).find(|&place| {
            let is_it = at < weight(place);
            at = at.wrapping_sub(weight(place));
            is_it
        });
        let Some(place) = chosen else { return Places::Drawn(places, drawn as u16) };
        places[drawn] = place as u16;
        left -= stakes[place].value;
        chance = mix(chance);
    }
    Places::Drawn(places, wanted as u16)
}

impl Stake {
    /// Whether it takes part in the answer of a turn. Places count from one here: [`weighted`] draws by the number that
    /// would be the first's.
    fn is_present(self, turn: u32, place: usize) -> bool {
        self.takes_part(u64::from(turn) << 32 | (place as u64 + 1))
    }

    /// Whether it takes part where `chance` decides.
    fn takes_part(self, chance: u64) -> bool {
        self.part == ALL || mix(chance) >> 32 < self.part
    }
}

/// Spreads a number over all others, one to one: the finalizer of `SplitMix64` (Steele, Lea and Flood, 2014).
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(values: impl IntoIterator<Item = u64>) -> Vec<Stake> {
        values.into_iter().map(|value| Stake { value, part: ALL }).collect()
    }

    fn places(places: Places) -> Vec<u16> {
        match places {
            Places::Run(..) => unreachable!("drawn"),
            Places::Drawn(places, len) => places[..usize::from(len)].to_vec(),
        }
    }

    #[test]
    fn the_best_scores_come_first_and_no_record_twice() {
        let keys = all((0..50_u8).map(|i| key(&[i])));
        let mut by_score: Vec<u16> = (0..50).collect();
        by_score.sort_by_key(|&place| std::cmp::Reverse(mix(keys[usize::from(place)].value ^ 7)));
        assert_eq!(places(sticky(&keys, 7, 50)), by_score[..MOST_DRAWN]);
        assert_eq!(places(sticky(&keys[..3], 7, 2)).len(), 2);
        assert_eq!(places(sticky(&[], 7, 2)), [0; 0]);
    }

    #[test]
    fn keys_are_the_same_in_every_version() {
        assert_eq!(key(&[172, 16, 1, 10]), KEY_OF_172_16_1_10);
    }

    /// Whoever changes this moves every client of every sticky pool.
    const KEY_OF_172_16_1_10: u64 = 14_051_196_696_101_934_740;

    #[test]
    fn every_record_is_drawn_once_when_all_are() {
        for turn in [0, 1, u32::MAX / 2, u32::MAX] {
            let mut all = places(weighted(&all([1, 100, 5]), turn, 8));
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2]);
        }
    }

    #[test]
    fn a_record_without_weight_is_drawn_by_nobody() {
        assert_eq!(places(weighted(&all([0, 1]), 0, 2)), [1]);
        assert_eq!(places(weighted(&all([0, 0]), 0, 2)), [0; 0]);
    }

    #[test]
    fn presences_are_parts_of_the_best_one() {
        let percent = |percent| Presence::percent(percent).unwrap();
        assert_eq!(part(percent(10), percent(10)), ALL);
        assert_eq!(part(percent(25), percent(50)), ALL / 2);
        assert_eq!(part(percent(1), percent(100)), ALL / 100);
    }

    /// More members than an answer draws, every second with a part of its part.
    #[test]
    fn a_partial_rotation_is_of_those_that_take_part_and_as_long_as_wanted() {
        let stakes: Vec<Stake> = (0..100)
            .map(|place| Stake { value: 0, part: if place % 2 == 0 { ALL } else { ALL / 4 } })
            .collect();
        for turn in (0..200_u32).map(|i| i.wrapping_mul(0x9e37_79b9)) {
            let present: Vec<u16> =
                (0..100).filter(|&place| stakes[usize::from(place)].is_present(turn, place.into())).collect();
            assert!((0..100).step_by(2).all(|place| present.contains(&place)));
            for wanted in [1, 8, 100] {
                let drawn = places(partial(&stakes, turn, wanted));
                let start = present.iter().position(|place| *place == drawn[0]).unwrap();
                let circle = present.iter().cycle().skip(start).copied();
                assert_eq!(drawn, circle.take(MOST_DRAWN.min(wanted.into())).collect::<Vec<_>>());
            }
        }
        assert_eq!(places(partial(&[], 0, 2)), [0; 0]);
    }

    /// Whether the first record takes part says nothing about who comes second.
    #[test]
    fn taking_part_and_being_drawn_are_decided_apart() {
        let mut stakes = all([1; 4]);
        stakes[0].part = ALL / 10;
        let drawn = (0..4000_u32).map(|i| places(weighted(&stakes, i.wrapping_mul(0x9e37_79b9), 4)));
        let mut seconds = [0; 4];
        for drawn in drawn.filter(|drawn| drawn.len() == 4 && drawn[0] == 3) {
            seconds[usize::from(drawn[1])] += 1;
        }
        assert!(seconds[..3].iter().all(|count| (15..60).contains(count)), "{seconds:?}");
    }
}
