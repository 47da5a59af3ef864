//! The two clocks: the one that never jumps, and the one on the wall.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{self, Instant};

use crate::units::Moment;

/// Tells moments, all counted from one start.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    since: Instant,
    /// What the steady clock said then.
    steady: Duration,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self::resume(Duration::ZERO)
    }

    /// A clock whose steady hand says this now: it goes on where another one, of another process, was read.
    pub(super) fn resume(steady: Duration) -> Self {
        Self { since: Instant::now(), steady }
    }

    /// Now.
    pub fn now(&self) -> Moment {
        Moment { steady: self.steady + self.since.elapsed(), unix: unix_now() }
    }

    /// Waits until the steady clock says so.
    pub(super) async fn sleep_until(&self, steady: Duration) {
        time::sleep_until(self.since + steady.saturating_sub(self.steady)).await;
    }
}

/// Seconds of Unix time, until 2106 (RFC 9018 §4.3 counts as this does).
pub(super) fn unix_now() -> u32 {
    unix_time().as_secs() as u32
}

/// Unix time.
pub(super) fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
