//! The two clocks: the one that never jumps, and the one on the wall.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::units::Moment;

/// Tells moments, all counted from its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Now.
    pub(super) fn now(&self) -> Moment {
        Moment { steady: self.0.elapsed(), unix: unix_now() }
    }
}

/// Seconds of Unix time, until 2106 (RFC 9018 §4.3 counts as this does).
pub(super) fn unix_now() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as u32)
}
