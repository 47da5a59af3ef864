//! The director's day: its work, and what interrupts it.
//!
//! ```text
//!            ┌────────────────── another plan ◀── reload
//!            ▼
//!  work ──▶ turn ──▶ tell all there is to know, and go on
//!   ▲        │
//!   │        └─────▶ tell all, and hold still ──▶ another process serves: the end, without a last word
//!   │                        │
//!   └──── it does not ◀──────┘
//! ```
//!
//! It has a thread of its own: whatever stalls probes must not stall who watches them. While it holds still, nothing is
//! published and nothing is written, so that what it told is the last there is to know.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::direction::Direction;
use super::director::{Heir, Legacy};
use super::keeper::Keeper;
use crate::health::Observed;
use crate::probe::schedule::{Event, Schedule};

/// How long it holds still, at the most.
pub(super) const STILLNESS: Duration = Duration::from_secs(10);

/// What is to become of a director.
#[derive(Debug)]
pub(super) enum Turn {
    /// It goes on with another plan.
    Succeed(Box<Succession>),
    /// It tells all it knows, and goes on.
    Tell(oneshot::Sender<Told>),
    /// It tells all it knows, and holds still until it hears what has become of that.
    HandOver(oneshot::Sender<Told>, oneshot::Receiver<Outcome>),
}

/// What it knows.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) legacy: Legacy,
    /// For how much longer cookies are made with the newest secret.
    pub(super) secret_left: Duration,
}

/// What became of a handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Another process serves.
    Taken,
}

/// Starts probes of whom something is observed.
pub(super) type Launch = Box<dyn FnOnce(&[Observed]) -> Schedule + Send>;

/// Another plan, and all that comes with it.
pub(super) struct Succession {
    pub(super) heir: Heir,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) answers: mpsc::Receiver<SocketAddr>,
    /// Starts its probes, with what is observed by then.
    pub(super) launch: Launch,
    /// Hears when it is done.
    pub(super) done: oneshot::Sender<()>,
}

impl fmt::Debug for Succession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Succession").field("heir", &self.heir).finish_non_exhaustive()
    }
}

/// Starts the thread. The receiver hears of its end, which comes after `stop`: probes are stopped, and `keeper` has kept the
/// last state, unless another process keeps it by then.
///
/// # Errors
/// The system has no thread or no timers for it.
pub(super) fn start(
    mut direction: Direction,
    schedule: Schedule,
    keeper: Keeper,
    stop: CancellationToken,
) -> io::Result<oneshot::Receiver<()>> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    let (ended, end) = oneshot::channel();
    let day = async move {
        let keeper = tokio::spawn(keeper.keep(direction.states()));
        direction.attend(schedule.bells());
        Day { direction, schedule, keeper, stop }.pass().await;
        let _ = ended.send(());
    };
    std::thread::Builder::new().name("director".to_owned()).spawn(move || runtime.block_on(day))?;
    Ok(end)
}

struct Day {
    direction: Direction,
    schedule: Schedule,
    keeper: JoinHandle<Keeper>,
    stop: CancellationToken,
}

impl Day {
    async fn pass(mut self) {
        while let Some(turn) = self.direction.work(&self.stop).await {
            match turn {
                Turn::Succeed(succession) => self.succeed(*succession),
                Turn::Tell(to) => drop(to.send(self.told())),
                Turn::HandOver(to, outcome) => {
                    if self.hand_over(to, outcome).await == Some(Outcome::Taken) {
                        return self.schedule.stop().await;
                    }
                }
            }
        }
        self.schedule.stop().await;
        self.direction.part();
        let _ = self.keeper.await;
    }

    fn succeed(&mut self, succession: Succession) {
        let Succession { heir, events, answers, launch, done } = succession;
        self.direction.succeed(heir, events, answers);
        let before = std::mem::replace(&mut self.schedule, launch(&self.direction.observed()));
        self.direction.attend(self.schedule.bells());
        tokio::spawn(before.stop());
        let _ = done.send(());
    }

    fn told(&self) -> Told {
        Told { legacy: self.direction.legacy(), secret_left: self.direction.secret_left() }
    }

    /// `None`: it goes on here.
    async fn hand_over(
        &mut self,
        to: oneshot::Sender<Told>,
        outcome: oneshot::Receiver<Outcome>,
    ) -> Option<Outcome> {
        let states = self.direction.keep_silent();
        let Ok(keeper) = (&mut self.keeper).await else { return None };
        if to.send(self.told()).is_ok() {
            let outcome = tokio::select! {
                outcome = timeout(STILLNESS, outcome) => outcome.ok().and_then(Result::ok),
                () = self.direction.refuse_orders() => None,
                () = self.stop.cancelled() => None,
            };
            if outcome.is_some() {
                return outcome;
            }
            warn!("the process that was to take over does not: this one goes on");
        }
        self.keeper = tokio::spawn(keeper.keep(states));
        None
    }
}
