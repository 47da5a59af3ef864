//! The pulse of the director: whoever watches this process hears of it only while the director answers.
//!
//! ```text
//!  service manager ◀── sign of life ── feed ── question ──▶ director
//!                                        ▲                      │
//!                                        └────── answer ────────┘
//! ```
//!
//! A server whose director hangs still answers queries, with whom it knew last. So it is no good witness of itself: the
//! question passes through the runtime of the probes and the director's thread, and a sign is given when it is back.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

/// So many signs in the time after which the service manager gives up.
const SIGNS: u32 = 2;

/// Asks the director whether it is there. Every clone asks the same one.
#[derive(Debug, Clone)]
pub struct Pulse(mpsc::Sender<Beat>);

/// One question.
#[derive(Debug)]
pub(super) struct Beat(oneshot::Sender<()>);

impl Pulse {
    /// A way to ask, and where the questions arrive.
    pub(super) fn new() -> (Self, mpsc::Receiver<Beat>) {
        let (sender, beats) = mpsc::channel(1);
        (Self(sender), beats)
    }

    /// Waits for the director's answer. False: there is no director any more.
    pub async fn beats(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.0.send(Beat(reply)).await.is_ok() && answer.await.is_ok()
    }

    /// Calls `sign` twice in each `within`, the first time at once, as long as the director answers; ends with it.
    pub async fn feed(self, within: Duration, sign: impl Fn()) {
        let mut signs = interval(within / SIGNS);
        signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            signs.tick().await;
            if !self.beats().await {
                return;
            }
            sign();
        }
    }
}

impl Beat {
    /// The director's answer.
    pub(super) fn answer(self) {
        let _ = self.0.send(()); // who asked has given up
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::sleep;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn there_is_no_sign_while_the_director_hangs() {
        let (pulse, mut beats) = Pulse::new();
        let signs = Arc::new(AtomicU32::new(0));
        let feed = tokio::spawn(pulse.feed(WITHIN, {
            let signs = Arc::clone(&signs);
            move || {
                signs.fetch_add(1, Ordering::Relaxed);
            }
        }));
        let given = || signs.load(Ordering::Relaxed);
        for _ in 0..4 {
            beats.recv().await.unwrap().answer();
        }
        sleep(10 * WITHIN).await;
        assert_eq!(given(), 4, "the fifth question waits");
        beats.recv().await.unwrap().answer();
        sleep(WITHIN / 10).await;
        assert_eq!(given(), 5, "it is back");
        drop(beats);
        feed.await.unwrap();
        assert_eq!(given(), 5);
    }
}
