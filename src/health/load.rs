//! How busy a master is: what it says of its JRuby instances, and what a row of such readings adds up to.
//!
//! A catalog is compiled by one JRuby instance, and who finds none free waits in line. Instances that are all taken are no
//! trouble by themselves: a busy master's always are. Trouble is a line in which somebody has stood for long, or from which
//! somebody was sent away. One reading is one glance, so that it takes several in a row, and to get better a lower
//! threshold than to get worse.
//!
//! ```text
//!           worse x fall                        worse x fall
//!   calm ─────────────────▶ busy ─────────────────────────────────▶ saturated
//!     ▲                     │  ▲                                        │
//!     └──── better x rise ──┘  └───────────── better x rise ────────────┘
//!
//!   worse:  the oldest request has waited for `busy` (`saturated`), or somebody was sent away
//!   better: it has not even waited for half of that
//! ```

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Reason, Standing, Thresholds};
use crate::prose::plural;
use crate::units::Presence;

/// One reading of a master's JRuby instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Load {
    /// How many it has.
    pub instances: u32,
    /// How many of them do nothing.
    pub free: u32,
    /// Requests that wait for one.
    pub waiting: u32,
    /// How long the first in line has waited.
    pub oldest_wait: Duration,
    /// How long the longest of the requests that are worked on has been.
    pub longest_run: Duration,
    /// Requests that were sent away since it started, because too many waited (`max-queued-requests`).
    pub turned_away: u64,
    /// Whether the free ones can be had.
    pub pool: Access,
}

/// Whether free instances are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// They are.
    Open,
    /// They are kept back until all of them can be replaced.
    Locked,
}

/// How long the first in line may have waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From this on the master is busy.
    pub busy: Duration,
    /// From this on it is saturated.
    pub saturated: Duration,
    /// How much of its part a busy one gets.
    pub share: Presence,
}

/// How busy a master is. A later one is a worse one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Who asks gets an instance soon.
    #[default]
    Calm,
    /// Who asks waits.
    Busy,
    /// Who asks waits for long, or is sent away.
    Saturated,
}

/// What the readings of one master add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Burden {
    level: Level,
    /// Readings in a row that say otherwise, and the least that all of them say.
    otherwise: Option<(Level, u32)>,
    /// How many were sent away by the last reading.
    turned_away: Option<u64>,
}

impl Burden {
    /// How busy it is.
    pub const fn level(self) -> Level {
        self.level
    }

    /// The burden after one more reading: `fall` in a row make it worse, `rise` better.
    #[must_use]
    pub fn after(self, load: &Load, limits: &Limits, thresholds: Thresholds) -> Self {
        let sent_away = self.turned_away.is_some_and(|before| load.turned_away > before);
        let (least, most) = if sent_away {
            (Level::Saturated, Level::Saturated)
        } else {
            (load.level(limits.busy, limits.saturated), load.level(limits.busy / 2, limits.saturated / 2))
        };
        let next = Self { turned_away: Some(load.turned_away), ..self };
        if least > self.level {
            next.towards(least, Level::min, thresholds.fall.get())
        } else if most < self.level {
            next.towards(most, Level::max, thresholds.rise.get())
        } else {
            Self { otherwise: None, ..next }
        }
    }

    /// One more reading that says `level`; after `enough` of them in a row the nearest of what they said is true.
    fn towards(self, level: Level, nearer: fn(Level, Level) -> Level, enough: u32) -> Self {
        let same_way = self.otherwise.filter(|(before, _)| (*before > self.level) == (level > self.level));
        let (level, readings) = same_way.map_or((level, 1), |(before, n)| (nearer(before, level), n + 1));
        if readings >= enough {
            Self { level, otherwise: None, ..self }
        } else {
            Self { otherwise: Some((level, readings)), ..self }
        }
    }
}

impl Load {
    /// What one glance says, where waiting so long means so much.
    fn level(&self, busy: Duration, saturated: Duration) -> Level {
        let none_to_be_had = self.free == 0 || self.pool == Access::Locked;
        if self.waiting == 0 || !none_to_be_had || self.oldest_wait < busy {
            Level::Calm
        } else if self.oldest_wait < saturated {
            Level::Busy
        } else {
            Level::Saturated
        }
    }
}

impl Level {
    /// How far a member that is so busy may be answered.
    pub const fn standing(self, limits: &Limits) -> Standing {
        match self {
            Self::Calm => Standing::LIVE,
            Self::Busy => Standing::Live(limits.share),
            Self::Saturated => Standing::Doubtful,
        }
    }

    /// Why it may not be answered.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Calm | Self::Busy => None,
            Self::Saturated => Some(Reason::Overloaded),
        }
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Busy => "busy",
            Self::Saturated => "saturated",
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} free", self.free, plural(self.instances, "JRuby", "JRubies"))?;
        if self.pool == Access::Locked {
            f.write_str(", the pool locked")?;
        }
        if !self.longest_run.is_zero() {
            write!(f, ", one busy for {:.1} s", self.longest_run.as_secs_f64())?;
        }
        if self.waiting > 0 {
            write!(f, ", {} waiting, the first for {:.1} s", self.waiting, self.oldest_wait.as_secs_f64())?;
        }
        if self.turned_away > 0 {
            write!(f, ", {} sent away since it started", self.turned_away)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use Level::{Busy, Calm, Saturated};

    const LIMITS: Limits =
        Limits { busy: Duration::from_secs(2), saturated: Duration::from_secs(20), share: Presence::FULL };
    const THRESHOLDS: Thresholds =
        Thresholds { fall: NonZeroU32::new(2).unwrap(), rise: NonZeroU32::new(3).unwrap() };

    /// Every instance is taken, and somebody has waited for so many seconds.
    const fn waited(seconds: u64) -> Load {
        Load {
            instances: 4,
            free: 0,
            waiting: 3,
            oldest_wait: Duration::from_secs(seconds),
            longest_run: Duration::from_secs(30),
            turned_away: 0,
            pool: Access::Open,
        }
    }

    const IDLE: Load = Load { free: 4, waiting: 0, oldest_wait: Duration::ZERO, ..waited(0) };
    const FULL: Load = Load { waiting: 0, oldest_wait: Duration::ZERO, ..waited(0) };

    /// The levels that a row of readings leads through.
    fn levels(readings: &[Load]) -> Vec<Level> {
        let mut burden = Burden::default();
        let mut after = |load| {
            burden = burden.after(load, &LIMITS, THRESHOLDS);
            burden.level()
        };
        readings.iter().map(&mut after).collect()
    }

    #[test]
    fn it_takes_several_readings_to_change_and_lower_ones_to_come_back() {
        for (what, readings, expected) in [
            ("full, but nobody waits", vec![FULL; 3], vec![Calm; 3]),
            ("one glance", vec![waited(60), IDLE, waited(60), IDLE], vec![Calm; 4]),
            ("busy", vec![waited(2), waited(3), waited(3)], vec![Calm, Busy, Busy]),
            ("saturated", vec![waited(20), waited(25)], vec![Calm, Saturated]),
            (
                "the nearest of both",
                vec![waited(5), waited(25), waited(30), waited(35)],
                vec![Calm, Busy, Busy, Saturated],
            ),
            (
                "half of it is not low enough",
                vec![waited(2), waited(2), waited(1), waited(1), waited(1), waited(1)],
                vec![Calm, Busy, Busy, Busy, Busy, Busy],
            ),
            (
                "below half of it is, three times",
                vec![waited(2), waited(2), waited(0), waited(0), waited(0)],
                vec![Calm, Busy, Busy, Busy, Calm],
            ),
            (
                "a worse one between begins anew",
                vec![waited(2), waited(2), IDLE, IDLE, waited(2), IDLE, IDLE, IDLE],
                vec![Calm, Busy, Busy, Busy, Busy, Busy, Busy, Calm],
            ),
            (
                "down by what all of them say",
                vec![waited(20), waited(20), waited(5), IDLE, IDLE, IDLE, IDLE, IDLE],
                vec![Calm, Saturated, Saturated, Saturated, Busy, Busy, Busy, Calm],
            ),
        ] {
            assert_eq!(levels(&readings), expected, "{what}");
        }
    }

    #[test]
    fn who_is_sent_away_is_counted_from_one_reading_to_the_next() {
        let away = |turned_away| Load { turned_away, ..FULL };
        for (what, counts, expected) in [
            ("an old count", [7, 7, 7], [Calm, Calm, Calm]),
            ("more each time", [0, 1, 2], [Calm, Calm, Saturated]),
            ("more once", [0, 9, 9], [Calm, Calm, Calm]),
            ("the master was restarted", [9, 0, 0], [Calm, Calm, Calm]),
        ] {
            assert_eq!(levels(&counts.map(away)), expected, "{what}");
        }
    }

    #[test]
    fn instances_behind_a_lock_are_not_free() {
        let locked = Load { free: 4, pool: Access::Locked, ..waited(5) };
        assert_eq!(levels(&[locked; 2]), [Calm, Busy]);
        assert_eq!(levels(&[Load { pool: Access::Open, ..locked }; 2]), [Calm, Calm]);
    }

    #[test]
    fn a_busy_member_gets_less_and_a_saturated_one_is_doubtful() {
        let limits = Limits { share: Presence::percent(40).unwrap(), ..LIMITS };
        let standings = [Calm, Busy, Saturated].map(|level| level.standing(&limits));
        assert_eq!(standings, [Standing::LIVE, Standing::Live(limits.share), Standing::Doubtful]);
    }

    #[test]
    fn a_reading_is_told_in_words() {
        assert_eq!(IDLE.to_string(), "4 of 4 JRubies free, one busy for 30.0 s");
        assert_eq!(
            Load { turned_away: 2, pool: Access::Locked, ..waited(5) }.to_string(),
            "0 of 4 JRubies free, the pool locked, one busy for 30.0 s, 3 waiting, the first for 5.0 s, 2 sent away since it started"
        );
    }
}
