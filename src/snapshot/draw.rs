//! Which records of a pool a query is answered with, and in which order, where it is not simply their turn.
//!
//! - **sticky**: rendezvous hashing. Each record has a key, each client network a number, and the two together a
//!   score; the highest scores are answered. A record that leaves takes only its own scores with it, so that only
//!   those networks move for which it was first, and move back when it returns. Keys are `SipHash` of the rdata: two
//!   servers with the same zone agree, today and after any upgrade.
//! - **weighted**: drawn without replacement, each with a chance in proportion to its weight.
//!
//! Both look at every record for each that they pick, which is why an answer has at most [`MOST_DRAWN`] of them.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::units::MOST_DRAWN;

/// How the records of a ring are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// The next rotation.
    #[default]
    Turn,
    /// The highest scores for the client's network; each record has a key.
    Sticky,
    /// By chance; each record has a weight.
    Weighted,
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

/// The `wanted` highest scores for a client's network, best first.
pub(super) fn sticky(keys: &[u64], network: u64, wanted: u16) -> Places {
    let wanted = usize::from(wanted).min(MOST_DRAWN);
    let mut best = [(0_u64, 0_u16); MOST_DRAWN];
    let mut len = 0;
    for (place, key) in keys.iter().enumerate() {
        let mut next = (mix(key ^ network), place as u16);
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
pub(super) fn weighted(weights: &[u64], turn: u32, wanted: u16) -> Places {
    let mut left: u64 = weights.iter().sum();
    let mut places = [0; MOST_DRAWN];
    let wanted = usize::from(wanted).min(MOST_DRAWN).min(weights.len());
    let mut chance = u64::from(turn) << 32;
    for drawn in 0..wanted {
        let mut at = ((u128::from(chance) * u128::from(left)) >> 64) as u64;
        let undrawn = |place: &usize| !places[..drawn].contains(&(*place as u16));
        let chosen = (0..weights.len()).filter(undrawn).find(|&place| {
            let is_it = at < weights[place];
            at = at.wrapping_sub(weights[place]);
            is_it
        });
        let Some(place) = chosen else { return Places::Drawn(places, drawn as u16) };
        places[drawn] = place as u16;
        left -= weights[place];
        chance = mix(chance);
    }
    Places::Drawn(places, wanted as u16)
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

    fn places(places: Places) -> Vec<u16> {
        match places {
            Places::Run(..) => unreachable!("drawn"),
            Places::Drawn(places, len) => places[..usize::from(len)].to_vec(),
        }
    }

    #[test]
    fn the_best_scores_come_first_and_no_record_twice() {
        let keys: Vec<u64> = (0..50_u8).map(|i| key(&[i])).collect();
        let mut by_score: Vec<u16> = (0..50).collect();
        by_score.sort_by_key(|&place| std::cmp::Reverse(mix(keys[usize::from(place)] ^ 7)));
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
            let mut all = places(weighted(&[1, 100, 5], turn, 8));
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2]);
        }
    }

    #[test]
    fn a_record_without_weight_is_drawn_by_nobody() {
        assert_eq!(places(weighted(&[0, 1], 0, 2)), [1]);
        assert_eq!(places(weighted(&[0, 0], 0, 2)), [0; 0]);
    }
}
