//! Numbers that know their bounds.
//!
//! Each newtype can only hold what its RFC allows, so that no code behind it has to ask again.

use std::fmt;
use std::num::NonZeroU16;
use std::time::{Duration, UNIX_EPOCH};

/// A time to live in seconds, at most 2^31 - 1 (RFC 2181 §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u32);

impl Ttl {
    /// The largest TTL there is (RFC 2181 §8).
    pub const MAX: Self = Self(0x7fff_ffff);

    /// `None` when the top bit is set.
    pub const fn new(seconds: u32) -> Option<Self> {
        if seconds <= Self::MAX.0 { Some(Self(seconds)) } else { None }
    }

    /// The TTL in seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

/// A zone's serial. Ordered as RFC 1982 says, which is no total order: hence no `Ord`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Serial(pub u32);

impl Serial {
    /// The serial after this one, wrapping at 2^32 (RFC 1982 §3.1).
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// Whether `self` comes after `other` (RFC 1982 §3.2). False where the RFC leaves it undefined.
    pub const fn is_after(self, other: Self) -> bool {
        let distance = self.0.wrapping_sub(other.0);
        distance != 0 && distance < 0x8000_0000
    }
}

/// A key that DNS cookies are made and checked with (RFC 9018 §4: 128 bits).
#[derive(Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct CookieSecret(pub [u8; 16]);

/// Nobody should find one in a log.
impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret(..)")
    }
}

/// How many members of a pool must be live: a count, or a share of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// At least so many members.
    Count(u16),
    /// At least so many percent (0 to 100) of the members, rounded up.
    Percent(u8),
}

impl Share {
    /// The number of members out of `total` that this share asks for.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => usize::from(count),
            Self::Percent(percent) => (total * usize::from(percent)).div_ceil(100),
        }
    }
}

/// How much of its usual part a member gets, in percent: the chance that an answer that could have it has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Presence(u8);

impl Presence {
    /// It is not answered.
    pub const NONE: Self = Self(0);
    /// It is in every answer that has room for it.
    pub const FULL: Self = Self(100);

    /// `None` above 100.
    pub const fn percent(percent: u8) -> Option<Self> {
        if percent <= Self::FULL.0 { Some(Self(percent)) } else { None }
    }

    /// In percent.
    pub const fn as_percent(self) -> u8 {
        self.0
    }

    /// Whether it is answered at all.
    pub const fn is_some(self) -> bool {
        self.0 > 0
    }
}

/// A moment, by two clocks: what is measured goes by the steady one, what people said by the one on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Since a start that is the same for all moments of a run. It never jumps.
    pub steady: Duration,
    /// Seconds of Unix time, until 2106. Whoever sets the clock makes it jump, either way.
    pub unix: u32,
}

/// Seconds of Unix time, written as RFC 3339 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub u32);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(self.0.into())).fmt(f)
    }
}

/// The most records that an answer draws from a pool: drawing looks at all members for each of them.
pub const MOST_DRAWN: usize = 32;

/// The most records of a pool in one answer.
pub type MaxAnswers = NonZeroU16;

macro_rules! dense_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The position in the vector that this id counts.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

dense_id!(
    /// A zone of the plan.
    ZoneId
);
dense_id!(
    /// A pool of the plan.
    PoolId
);
dense_id!(
    /// A probed target of the plan: one (address, check), whichever pools share it.
    ProbeId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_compare_as_rfc_1982_says() {
        assert!(Serial(1).is_after(Serial(0)));
        assert!(Serial(0).is_after(Serial(u32::MAX)));
        assert!(!Serial(0).is_after(Serial(0)));
        assert!(!Serial(0x8000_0000).is_after(Serial(0)), "undefined in the RFC, false here");
        assert_eq!(Serial(u32::MAX).next(), Serial(0));
    }

    #[test]
    fn a_share_of_members_rounds_up() {
        assert_eq!(Share::Percent(50).of(3), 2);
        assert_eq!(Share::Percent(0).of(3), 0);
        assert_eq!(Share::Count(2).of(3), 2);
    }

    #[test]
    fn a_ttl_has_31_bits() {
        assert_eq!(Ttl::new(0x8000_0000), None);
        assert_eq!(Ttl::new(30).map(Ttl::seconds), Some(30));
    }
}
