//! When members are asked: each at moments that lie its interval apart, spread evenly over all of them; sooner where a
//! verdict was unexpected; twice at once where one is overdue; at once where the idle connection to a member is lost, or
//! somebody wants to know.
//!
//! ```text
//!  frozen member, timeout 2 s, recheck 0.5 s, fall 2:
//!
//!  0 s      0.5 s                    2 s       2.5 s
//!  ├ ask ───────────────────────────▶│ fail 1
//!           │ overdue: the pool is unsettled
//!           └ ask again beside it ─────────────▶│ fail 2: down
//!
//!  killed member, tripwire:
//!
//!  0 s
//!  ├ the connection is lost ── ask: refused ── down
//! ```
//!
//! One task a probe. It knows how to ask and when; what the verdicts mean is for whoever listens, and comes
//! back as a [`Pace`].

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::future::pending;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::round::Round;
use super::turns::{Lone, Turns};
use super::{Finding, Held, tripwire};
use crate::health::{Observed, Pace};
use crate::plan::Probe;
use crate::units::ProbeId;

pub use super::bell::{Bells, Ring};

/// From one probe of the first round to the next.
const FIRST_GAP: Duration = Duration::from_micros(100);
/// From the first probe of the first round to the last.
const FIRST_SPREAD: Duration = Duration::from_secs(1);
/// Each multiple of it, modulo 1, falls into the largest gap that those before have left.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// Asks members. The real one dials; tests script theirs.
pub trait Ask: Send + Sync + 'static {
    /// What this probe finds now.
    fn ask(&self, probe: ProbeId) -> impl Future<Output = Finding> + Send;

    /// Holds an idle connection to the address of this probe, and ends with it. As long as nobody says otherwise, no
    /// connection is ever lost.
    fn hold(&self, _probe: ProbeId) -> impl Future<Output = Held> + Send {
        pending()
    }
}

/// News of a probe, for whoever judges it.
#[derive(Debug)]
pub enum Event {
    /// It found something.
    Found {
        /// Which probe.
        probe: ProbeId,
        /// What it found.
        finding: Finding,
        /// Who of those that rang has an answer with it.
        ring: Ring,
        /// When to ask again. Dropped without an answer, the probe stops.
        pace: oneshot::Sender<Pace>,
    },
    /// Its answer is overdue: `recheck` has passed without one. Told again while it waits for its turn.
    Overdue {
        /// Which probe.
        probe: ProbeId,
    },
}

impl Event {
    /// Which probe it is about.
    pub const fn probe(&self) -> ProbeId {
        match self {
            Self::Found { probe, .. } | Self::Overdue { probe } => *probe,
        }
    }
}

/// The running probes.
#[derive(Debug)]
pub struct Schedule {
    bells: Bells,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Schedule {
    /// Starts to ask every member of `probes`, as soon as can be without a crowd.
    pub fn start(probes: &[Probe], ask: &Arc<impl Ask>, events: &mpsc::Sender<Event>) -> Self {
        Self::resume(probes, &vec![Observed::Unknown; probes.len()], ask, events)
    }

    /// Goes on asking those of whom something is `known`, each at its next moment, or soon, where a change is pending; the
    /// others are asked as soon as can be.
    pub fn resume(
        probes: &[Probe],
        known: &[Observed],
        ask: &Arc<impl Ask>,
        events: &mpsc::Sender<Event>,
    ) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let turns = Arc::new(Turns::new());
        let gap = FIRST_GAP.min(FIRST_SPREAD / probes.len().max(1) as u32);
        let (now, offset) = (Instant::now(), fastrand::f64());
        let mut lone = Lone::default();
        let wires = tripwire::string(probes, ask, &tasks, &stop);
        let bells = wires.iter().map(|(_, bell)| Arc::clone(bell)).collect();
        for (((i, probe), known), (wire, bell)) in (0_u32..).zip(probes).zip(known).zip(wires) {
            let round = Round {
                id: ProbeId(i),
                check: Arc::clone(&probe.check),
                ask: Arc::clone(ask),
                turns: Arc::clone(&turns),
                events: events.clone(),
                wire,
                bell,
                known: *known,
                first: now + gap * i,
                slot: now + probe.check.interval.mul_f64((offset + GOLDEN * f64::from(i)).fract()),
                in_line: AtomicBool::new(false),
                lone: lone.of(&probe.check),
            };
            let rounds = Box::pin(round.repeat()); // in a box, or it would be there twice
            tasks.spawn(stop.clone().run_until_cancelled_owned(rounds));
        }
        tasks.close();
        Self { bells, tasks, stop }
    }

    /// The way to have members asked now.
    pub fn bells(&self) -> Bells {
        self.bells.clone()
    }

    /// Stops all probes, those in flight too.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}
