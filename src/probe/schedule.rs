//! When members are asked: each at its interval, sooner where a verdict was unexpected, twice at once where one
//! is overdue.
//!
//! ```text
//!  frozen member, timeout 2 s, recheck 0.5 s, fall 2:
//!
//!  0 s      0.5 s                    2 s       2.5 s
//!  ├ ask ───────────────────────────▶│ fail 1
//!           └ ask again beside it ─────────────▶│ fail 2: down
//! ```
//!
//! One task a probe. It knows how to ask and when; what the verdicts mean is for whoever listens, and comes
//! back as a [`Pace`].

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Finding;
use crate::config::Check;
use crate::health::{Pace, Verdict};
use crate::plan::Probe;
use crate::units::ProbeId;

/// Probes in flight at once: connections, and so file descriptors, that a site full of frozen members may hold.
const IN_FLIGHT: usize = 1024;

/// Asks one member once. The real one dials; tests script theirs.
pub trait Ask: Send + Sync + 'static {
    /// What this probe finds now.
    fn ask(&self, probe: ProbeId) -> impl Future<Output = Finding> + Send;
}

/// What a probe found, for whoever judges it.
#[derive(Debug)]
pub struct Event {
    /// Which probe.
    pub probe: ProbeId,
    /// What it found.
    pub finding: Finding,
    /// When to ask again. Dropped without an answer, the probe stops.
    pub pace: oneshot::Sender<Pace>,
}

/// The running probes.
#[derive(Debug)]
pub struct Schedule {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Schedule {
    /// Starts to ask every member of `probes`, all of them at once; later rounds spread over the interval.
    pub fn start(probes: &[Probe], ask: &Arc<impl Ask>, events: &mpsc::Sender<Event>) -> Self {
        let schedule = Self { tasks: TaskTracker::new(), stop: CancellationToken::new() };
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
        for (i, probe) in probes.iter().enumerate() {
            let round = Round {
                id: ProbeId(i as u32),
                check: Arc::clone(&probe.check),
                ask: Arc::clone(ask),
                in_flight: Arc::clone(&in_flight),
                events: events.clone(),
            };
            schedule.tasks.spawn(schedule.stop.clone().run_until_cancelled_owned(round.repeat()));
        }
        schedule.tasks.close();
        schedule
    }

    /// Stops all probes, those in flight too.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// One member's probes, one after another.
struct Round<A> {
    id: ProbeId,
    check: Arc<Check>,
    ask: Arc<A>,
    in_flight: Arc<Semaphore>,
    events: mpsc::Sender<Event>,
}

impl<A: Ask> Round<A> {
    /// Until nobody listens.
    async fn repeat(self) {
        let mut spread = 0.1..1.0; // the first pause puts members in different places of the interval
        while let Some(pace) = self.once().await {
            let pause = match pace {
                Pace::Recheck => self.check.recheck,
                Pace::Interval => jitter(self.check.interval, spread),
            };
            spread = 0.95..1.0;
            sleep(pause).await;
        }
    }

    /// Asks; where the answer is overdue, asks again beside it. A pass of either settles the matter, a fail
    /// waits for the other one, so that both count.
    async fn once(&self) -> Option<Pace> {
        let mut first = pin!(self.ask_bounded());
        match timeout(self.check.recheck, first.as_mut()).await {
            Ok(finding) => self.tell(finding).await,
            Err(_overdue) => {
                let second = pin!(self.ask_bounded());
                let (finding, other) = match select(first, second).await {
                    Either::Left((finding, second)) => (finding, second),
                    Either::Right((finding, first)) => (finding, first),
                };
                let passed = finding.verdict == Verdict::Pass;
                let pace = self.tell(finding).await?;
                if passed { Some(pace) } else { self.tell(other.await).await }
            }
        }
    }

    async fn ask_bounded(&self) -> Finding {
        let _permit = self.in_flight.acquire().await;
        self.ask.ask(self.id).await
    }

    async fn tell(&self, finding: Finding) -> Option<Pace> {
        let (pace, answer) = oneshot::channel();
        self.events.send(Event { probe: self.id, finding, pace }).await.ok()?;
        answer.await.ok()
    }
}

/// A pause somewhere in `share` of the interval, so that members do not stay in step.
fn jitter(interval: Duration, share: std::ops::Range<f64>) -> Duration {
    interval.mul_f64(share.start + fastrand::f64() * (share.end - share.start))
}
