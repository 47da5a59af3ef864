//! The two clocks: the one that never jumps, and the one on the wall.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{self, Instant};

use crate::units::Moment;

/// Tells moments, all counted from its start.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Now.
    pub fn now(&self) -> Moment {
        Moment { steady: self.0.elapsed(), unix: unix_now() }
    }

    /// Waits until the steady clock says so.
    pub(super) async fn sleep_until(&self, steady: Duration) {
        time::sleep_until(self.0 + steady).await;
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
