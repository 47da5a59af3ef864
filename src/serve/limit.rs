//! Response rate limiting: a network that asks for more than its share is probably not who is asking.
//!
//! Who forges a source address makes us send to whoever has it. Each IPv4 /24 and IPv6 /56 gets so many UDP replies a
//! second; of those above, some leave empty and truncated, so that a real client behind that address asks again over
//! TCP, which cannot be forged. Clients with a valid cookie are not counted (RFC 7873 §7), TCP is not limited at all.
//!
//! The table has a fixed size. A network has four places in it; where all are taken by others, the one with the fewest
//! replies this second gives way, so that a flood from random addresses cannot push out a network that is over its
//! share. Counts are shared by all workers without a lock: two that count at once may count one reply for two.

use std::sync::atomic::{AtomicU64, Ordering};

use super::tally::{Event, Tally};
use crate::answer::{Outcome, Peer, network, truncate};
use crate::config::RateLimit;

/// How many places there are, a power of two: 1 MiB.
const PLACES: usize = 1 << 17;
/// How many of them one network may have.
const WAYS: usize = 4;

/// Knows who has had how many replies.
#[derive(Debug)]
pub(super) struct Limiter {
    per_second: u64,
    slip: u64,
    /// Nobody can aim at another's places.
    seed: u64,
    places: Box<[AtomicU64]>,
}

/// A place: 24 bits of the network's hash, 16 of the second, 24 of replies.
#[derive(Debug, Clone, Copy)]
struct Place(u64);

/// Counts what became of a query; the length of the reply that leaves, if one does. Without a limiter all leave.
#[inline(always)]
pub(super) fn admit(
    limiter: Option<&Limiter>,
    peer: &Peer,
    outcome: Outcome,
    bytes: &mut [u8],
    tally: &Tally,
) -> Option<usize> {
    let Outcome::Reply(reply) = outcome else {
        tally.add(Event::Dropped, 1);
        return None;
    };
    if reply.is_known {
        tally.add(Event::Known, 1);
    } else if let Some(limiter) = limiter {
        let excess = limiter.excess(network(peer.addr), peer.now);
        if excess > 0 {
            tally.add(Event::Limited, 1);
            return limiter.slips(excess).then(|| {
                tally.reply(reply.cell);
                tally.add(Event::Truncated, 1);
                truncate(&mut bytes[..reply.len.into()])
            });
        }
    }
    tally.reply(reply.cell);
    if reply.is_truncated {
        tally.add(Event::Truncated, 1);
    }
    Some(reply.len.into())
}

impl Limiter {
    /// `None`: there is no limit.
    pub(super) fn new(limit: RateLimit) -> Option<Self> {
        limit.per_second.map(|per_second| Self {
            per_second: per_second.get().into(),
            slip: limit.slip.into(),
            seed: fastrand::u64(..),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// Whether a reply so far above the share leaves nevertheless, empty and truncated.
    fn slips(&self, excess: u64) -> bool {
        self.slip > 0 && excess.is_multiple_of(self.slip)
    }

    /// How many replies above its share this is for a network; 0 where it is within.
    fn excess(&self, network: u64, now: u32) -> u64 {
        let hash = (network ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let set = (hash as usize & (PLACES / WAYS - 1)) * WAYS;
        let ways = &self.places[set..set + WAYS];
        let empty = Place::new(hash, now);
        let read = |way: &AtomicU64| Place(way.load(Ordering::Relaxed));
        let own = ways.iter().find(|way| read(way).is_like(empty));
        let way = own.or_else(|| ways.iter().min_by_key(|way| read(way).replies_at(empty)));
        let Some(way) = way else { return 0 };
        let place = if own.is_some() { read(way) } else { empty };
        way.store(place.next().0, Ordering::Relaxed);
        place.next().replies().saturating_sub(self.per_second)
    }
}

impl Place {
    const REPLIES: u64 = 0xff_ffff;

    fn new(hash: u64, now: u32) -> Self {
        Self(hash & !0xff_ffff_ffff | u64::from(now & 0xffff) << 24)
    }

    const fn replies(self) -> u64 {
        self.0 & Self::REPLIES
    }

    const fn is_like(self, other: Self) -> bool {
        self.0 & !Self::REPLIES == other.0 & !Self::REPLIES
    }

    /// The replies of the second that `other` is of.
    const fn replies_at(self, other: Self) -> u64 {
        let second = 0xffff << 24;
        if self.0 & second == other.0 & second { self.replies() } else { 0 }
    }

    const fn next(self) -> Self {
        if self.replies() < Self::REPLIES { Self(self.0 + 1) } else { self }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::answer::{Reply, Via};
    use crate::serve::counts::Counts;
    use crate::serve::tally::Transport;
    use crate::snapshot::{Cell, Roster};

    fn limiter(slip: u32) -> Option<Limiter> {
        Limiter::new(RateLimit { per_second: NonZeroU32::new(5), slip })
    }

    fn peer(address: &str, now: u32) -> Peer {
        Peer { addr: address.parse().unwrap(), via: Via::Datagram, now }
    }

    fn read(tally: &Tally) -> Counts {
        tally.read(Transport::Udp, &Roster::default())
    }

    fn admitted(limiter: Option<&Limiter>, peer: &Peer, is_known: bool, tally: &Tally) -> Option<usize> {
        // A question for the root, and three bytes of what would be records.
        let mut bytes = [0, 1, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 9, 9, 9];
        let reply = Reply { len: 20, cell: Cell::of(0, 1), is_truncated: false, is_known };
        let admitted = admit(limiter, peer, Outcome::Reply(reply), &mut bytes, tally);
        if admitted == Some(17) {
            assert_eq!((bytes[2], bytes[7]), (0x86, 0), "TC, and no records");
        }
        admitted
    }

    #[test]
    fn a_network_gets_its_share_each_second_and_every_other_reply_above_it_slips() {
        let (limiter, tally) = (limiter(2), Tally::default());
        for now in [7, 8] {
            for i in 0..5 {
                assert_eq!(
                    admitted(limiter.as_ref(), &peer(&format!("192.0.2.{i}"), now), false, &tally),
                    Some(20)
                );
            }
            let above: Vec<_> =
                (0..4).map(|_| admitted(limiter.as_ref(), &peer("192.0.2.99", now), false, &tally)).collect();
            assert_eq!(above, [None, Some(17), None, Some(17)]);
            assert_eq!(
                admitted(limiter.as_ref(), &peer("192.0.3.1", now), false, &tally),
                Some(20),
                "another network"
            );
        }
        let counts = read(&tally);
        assert_eq!((counts.of(Event::Limited), counts.of(Event::Truncated)), (8, 4));
        assert_eq!(counts.replies("NOERROR"), 16);
    }

    #[test]
    fn who_has_shown_a_cookie_is_not_counted() {
        let (limiter, tally) = (limiter(0), Tally::default());
        for _ in 0..50 {
            assert_eq!(admitted(limiter.as_ref(), &peer("2001:db8::1", 1), true, &tally), Some(20));
        }
        assert_eq!(read(&tally).of(Event::Known), 50);
        for _ in 0..5 {
            assert_eq!(admitted(limiter.as_ref(), &peer("2001:db8::2", 1), false, &tally), Some(20));
        }
        assert_eq!(admitted(limiter.as_ref(), &peer("2001:db8::3", 1), false, &tally), None);
    }

    #[test]
    fn a_flood_from_everywhere_pushes_out_nobody_who_is_over() {
        let (limiter, tally) = (limiter(0), Tally::default());
        let greedy = peer("198.51.100.1", 1);
        for _ in 0..100 {
            admitted(limiter.as_ref(), &greedy, false, &tally);
        }
        for i in 0..500_000_u32 {
            let address = std::net::Ipv4Addr::from_bits(i << 8).to_string();
            admitted(limiter.as_ref(), &peer(&address, 1), false, &tally);
        }
        assert_eq!(admitted(limiter.as_ref(), &greedy, false, &tally), None);
    }

    #[test]
    fn without_a_limit_all_replies_leave() {
        let (limiter, tally) = (None, Tally::default());
        for _ in 0..100 {
            assert_eq!(admitted(limiter.as_ref(), &peer("192.0.2.1", 1), false, &tally), Some(20));
        }
        assert_eq!(admit(limiter.as_ref(), &peer("192.0.2.1", 1), Outcome::Drop, &mut [], &tally), None);
    }
}
