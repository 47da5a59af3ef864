//! How often members are asked, how many verdicts in a row count, whether a connection is held: what is usual for a kind,
//! and what a table says.

use std::num::NonZeroU32;
use std::ops::Range;

use serde_spanned::Spanned;

use crate::config::values::Pause;

/// How often members are asked, and how many verdicts in a row count.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Pacing {
    pub(in crate::config) interval: Pause,
    pub(in crate::config) timeout: Pause,
    pub(in crate::config) recheck: Pause,
    pub(in crate::config) fall: NonZeroU32,
    pub(in crate::config) rise: NonZeroU32,
    /// Whether members bear an idle connection, and its loss says something.
    pub(in crate::config) tripwire: bool,
}

impl Pacing {
    /// Of most kinds.
    pub(in crate::config) const USUAL: Self = Self {
        interval: Pause::from_millis(2000),
        timeout: Pause::from_millis(2000),
        recheck: Pause::from_millis(500),
        fall: TWO,
        rise: TWO,
        tripwire: true,
    };
    /// Of kinds that bear no idle connection: a server that logs each, and a command that has none.
    pub(in crate::config) const SESSION: Self = Self { tripwire: false, ..Self::USUAL };
    /// Of `puppetdb`: it takes 2 s to say that its database does not answer, which must not look like one that hangs.
    pub(in crate::config) const PUPPETDB: Self = Self { timeout: Pause::from_millis(5000), ..Self::USUAL };
    /// Of `puppet-load`: readings that are too near to each other see the same requests wait.
    pub(in crate::config) const LOAD: Self = Self {
        interval: Pause::from_millis(5000),
        timeout: Pause::from_millis(5000),
        recheck: Pause::from_millis(1000),
        fall: TWO,
        rise: TWO.saturating_add(1),
        tripwire: false, // a lost connection says nothing of how busy a master is
    };
    /// Of `puppet-catalog`: each is work for a master, and the first of the day takes long. One fail may be an accident of
    /// `PuppetDB`'s, so that it is asked again before it counts; one catalog proves that there are catalogs.
    pub(in crate::config) const CATALOG: Self = Self {
        interval: Pause::from_millis(300_000),
        timeout: Pause::from_millis(60_000),
        recheck: Pause::from_millis(10_000),
        fall: TWO,
        rise: NonZeroU32::MIN,
        tripwire: false, // a lost connection is no reason to compile a catalog
    };
}

const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

/// As much of it as stands in a table.
#[derive(Debug)]
pub(in crate::config) struct Written {
    pub(super) interval: Option<Spanned<Pause>>,
    pub(super) timeout: Option<Spanned<Pause>>,
    pub(super) recheck: Option<Spanned<Pause>>,
    pub(super) fall: Option<Spanned<NonZeroU32>>,
    pub(super) rise: Option<Spanned<NonZeroU32>>,
    pub(super) tripwire: Option<Spanned<bool>>,
}

impl Written {
    /// The rest as usual.
    pub(in crate::config) fn or(self, usual: Pacing) -> Pacing {
        Pacing {
            interval: self.interval.map_or(usual.interval, Spanned::into_inner),
            timeout: self.timeout.map_or(usual.timeout, Spanned::into_inner),
            recheck: self.recheck.map_or(usual.recheck, Spanned::into_inner),
            fall: self.fall.map_or(usual.fall, Spanned::into_inner),
            rise: self.rise.map_or(usual.rise, Spanned::into_inner),
            tripwire: self.tripwire.map_or(usual.tripwire, Spanned::into_inner),
        }
    }

    /// Its keys, with the places of their values.
    pub(in crate::config) fn places(&self) -> Vec<(&'static str, Range<usize>)> {
        let Self { interval, timeout, recheck, fall, rise, tripwire } = self;
        [
            ("interval", interval.as_ref().map(Spanned::span)),
            ("timeout", timeout.as_ref().map(Spanned::span)),
            ("recheck", recheck.as_ref().map(Spanned::span)),
            ("fall", fall.as_ref().map(Spanned::span)),
            ("rise", rise.as_ref().map(Spanned::span)),
            ("tripwire", tripwire.as_ref().map(Spanned::span)),
        ]
        .into_iter()
        .filter_map(|(key, span)| Some((key, span?)))
        .collect()
    }
}
