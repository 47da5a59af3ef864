//! A member that came back is cold: what it is asked for first takes it longest. So it gets a small part of its usual
//! share, and more of it step by step.
//!
//! ```text
//!  presence 100 %|                           ┌──────
//!                |                     ┌─────┘
//!                |               ┌─────┘
//!           10 % |─────┴ ─ ─ ─ ──┘
//!                +-----------------------------------▶ since it came back
//!                0                           length
//! ```
//!
//! In steps, since each is a new snapshot: ten presences, nine changes, however long the ramp.

use std::time::Duration;

use crate::units::Presence;

/// How far a member is up its ramp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rise {
    /// How much of its usual part it gets now.
    pub presence: Presence,
    /// When it gets more; `None`: it has all of it.
    pub next_in: Option<Duration>,
}

/// How many times the presence rises.
const RISES: u128 = 9;
/// In nanoseconds.
const SECOND: u128 = 1_000_000_000;

/// Where a member is that came back `elapsed` ago, on a ramp of this length; a length of zero is no ramp at all.
pub fn ramp(length: Duration, elapsed: Duration) -> Rise {
    let (nanos, length) = (elapsed.as_nanos(), length.as_nanos());
    if nanos >= length {
        return Rise { presence: Presence::FULL, next_in: None };
    }
    let risen = nanos * RISES / length;
    let next = ((risen + 1) * length).div_ceil(RISES) - nanos;
    let percent = (100 * (risen + 1) / (RISES + 1)) as u8;
    Rise {
        presence: Presence::percent(percent).unwrap_or(Presence::FULL),
        next_in: Some(Duration::new((next / SECOND) as u64, (next % SECOND) as u32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_rises_from_a_tenth_to_all_of_its_part() {
        for (length, elapsed, percent, next_in) in [
            (90, 0, 10, Some(10)),
            (90, 9, 10, Some(1)),
            (90, 10, 20, Some(10)),
            (90, 45, 50, Some(5)),
            (90, 89, 90, Some(1)),
            (90, 90, 100, None),
            (90, 1_000_000, 100, None),
            (0, 0, 100, None),
            (0, 5, 100, None),
        ] {
            let rise = ramp(Duration::from_secs(length), Duration::from_secs(elapsed));
            let wanted = (percent, next_in.map(Duration::from_secs));
            assert_eq!((rise.presence.as_percent(), rise.next_in), wanted, "{elapsed} of {length}");
        }
    }

    /// Who looks again when told to finds more each time, and nothing between.
    #[test]
    fn the_next_step_is_neither_early_nor_late() {
        for length in
            [Duration::from_nanos(1), Duration::from_millis(100), Duration::from_secs(7), Duration::MAX]
        {
            let (mut elapsed, mut seen) = (Duration::ZERO, Vec::new());
            for _ in 0..10 {
                let Rise { presence, next_in: Some(next) } = ramp(length, elapsed) else { break };
                let just_before = elapsed + next.saturating_sub(Duration::from_nanos(1));
                assert_eq!(ramp(length, just_before).presence, presence, "{elapsed:?} of {length:?}");
                seen.push(presence);
                elapsed += next;
            }
            assert!(seen.is_sorted_by(|a, b| a < b) && seen.len() <= 9, "{length:?}: {seen:?}");
            assert_eq!((elapsed, ramp(length, elapsed).presence), (length, Presence::FULL));
        }
    }
}
