//! One member's probes, one after another.
//!
//! ```text
//!            ┌───────────────── slot, recheck, or a bell ─────────────────┐
//!            ▼                                                            │
//!  pause ─▶ ask ──┬─ answer ─▶ tell ─▶ pace ─────────────────────────────▶┤
//!            ▲    ├─ overdue ─▶ say so, ask again beside it ─▶ tell both ─┘
//!            └────┴─ loss: what was asked before it does not count
//! ```

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, pending, select};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::Finding;
use super::bell::{Bell, Ring};
use super::schedule::{Ask, Event};
use super::tripwire::Wire;
use super::turns::{Belief, Turns, alone};
use crate::config::Check;
use crate::health::{Observed, Pace, Reason, Verdict};
use crate::units::ProbeId;

/// All that one probe needs.
pub(super) struct Round<A> {
    pub(super) id: ProbeId,
    pub(super) check: Arc<Check>,
    pub(super) ask: Arc<A>,
    pub(super) turns: Arc<Turns>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) wire: Option<Arc<Wire<A>>>,
    pub(super) bell: Arc<Bell>,
    /// What is known of the member from before.
    pub(super) known: Observed,
    /// When it asks first, or where something is known, holds the idle connection.
    pub(super) first: Instant,
    /// One of the moments that lie an interval apart, at which it asks later.
    pub(super) slot: Instant,
    /// Whether it waits for its turn.
    pub(super) in_line: AtomicBool,
    /// Where a check asks one member at a time: whose turn it is.
    pub(super) lone: Option<Arc<Semaphore>>,
}

/// Why a member is asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// It is time.
    Due,
    /// The idle connection to it was lost.
    Loss,
}

/// From a probe that was cut off after a loss to the next, where `recheck` is not shorter: it was accepted by what is about
/// to be closed.
const AFTERMATH: Duration = Duration::from_millis(50);

/// Why the first question was not enough.
enum More {
    Overdue,
    Loss,
}

/// What was found, and why it was asked for.
struct Answer {
    finding: Finding,
    cause: Cause,
}

/// What a verdict came to.
#[derive(Clone, Copy)]
struct Outcome {
    verdict: Verdict,
    cause: Cause,
    /// The last ring that was heard before the question.
    heard: Ring,
    pace: Pace,
}

/// A question under way.
type Asking<'r> = Pin<Box<dyn Future<Output = Answer> + Send + 'r>>;

impl<A: Ask> Round<A> {
    /// Until nobody listens. What a probe needs is in a box: most members are between two of them most of the time.
    pub(super) async fn repeat(self) {
        sleep_until(self.first).await;
        let (mut cause, mut belief) = (Cause::Due, Belief::Down);
        if let Some(last) = Outcome::of(self.known) {
            belief = self.believe(last);
            cause = self.pause(last).await;
        }
        while let Some(outcome) = Box::pin(self.once(cause, belief)).await {
            belief = self.believe(outcome);
            cause = self.pause(outcome).await;
        }
    }

    /// Asks, and tells what was found. A pass settles the matter, a fail waits for the question beside it, if there is
    /// one, so that both count.
    async fn once(&self, cause: Cause, belief: Belief) -> Option<Outcome> {
        let _turn = alone(self.lone.as_deref()).await;
        let heard = self.bell.last();
        let (answer, other) = self.saying_so(belief, self.first_answer(cause, belief)).await?;
        let outcome = self.tell(answer, heard).await?;
        match other {
            Some(other) if outcome.verdict != Verdict::Pass => {
                self.tell(self.saying_so(belief, other).await?, heard).await
            }
            _ => Some(outcome),
        }
    }

    /// What is found first, and the question that is still under way beside it.
    async fn first_answer(&self, mut cause: Cause, belief: Belief) -> (Answer, Option<Asking<'_>>) {
        loop {
            let first = self.question(cause, belief);
            let first = match select(first, pin!(self.more(belief))).await {
                Either::Left((answer, _)) => return (answer, None),
                Either::Right((More::Overdue, first)) => first,
                Either::Right((More::Loss, _)) => {
                    cause = Cause::Loss;
                    continue;
                }
            };
            let (Either::Left((answer, other)) | Either::Right((answer, other))) =
                select(first, self.question(cause, belief)).await;
            return (answer, Some(other));
        }
    }

    fn question(&self, cause: Cause, belief: Belief) -> Asking<'_> {
        Box::pin(async move {
            let _turn = self.turns.wait(belief, &self.in_line).await;
            Answer { finding: cause.weigh(self.ask.ask(self.id).await), cause }
        })
    }

    /// Ends when one question is not enough: something was lost, or a member that was up is late.
    async fn more(&self, belief: Belief) -> More {
        tokio::select! {
            () = self.bell.lost() => More::Loss,
            () = self.late(belief) => More::Overdue,
        }
    }

    async fn late(&self, belief: Belief) {
        if belief == Belief::Down || self.lone.is_some() {
            return pending().await;
        }
        sleep(self.check.recheck).await;
        while self.in_line.load(Ordering::Relaxed) {
            sleep(self.check.recheck).await; // nobody has asked the member yet
        }
    }

    /// Waits for an answer, and says that it is overdue when it is. `None`: nobody listens.
    async fn saying_so<T>(&self, belief: Belief, answer: impl Future<Output = T>) -> Option<T> {
        match select(pin!(answer), pin!(self.say_overdue(belief))).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(((), _)) => None,
        }
    }

    /// Says it once; again, as a sign of life, while it waits for its turn, and when it got it. Ends when nobody listens.
    async fn say_overdue(&self, belief: Belief) {
        if self.lone.is_some() {
            return pending().await; // it has a reason to ask one at a time: that the answer takes its time
        }
        sleep(self.check.recheck).await;
        while self.events.send(Event::Overdue { probe: self.id }).await.is_ok() {
            self.next_sign(belief).await;
        }
    }

    /// Ends with the wait, and after each interval of it in which the line moved: where nobody gets a turn any more, there
    /// is no life.
    async fn next_sign(&self, belief: Belief) {
        let (since, given) = (Instant::now(), self.turns.given(belief));
        let in_line = || self.in_line.load(Ordering::Relaxed);
        let mut waits = in_line();
        while !waits || since.elapsed() < self.check.interval || self.turns.given(belief) == given {
            let waited = waits;
            sleep(self.check.recheck).await;
            waits = in_line();
            if waited && !waits {
                break;
            }
        }
    }

    async fn tell(&self, Answer { finding, cause }: Answer, heard: Ring) -> Option<Outcome> {
        let verdict = finding.verdict;
        let (pace, listener) = oneshot::channel();
        self.events.send(Event::Found { probe: self.id, finding, ring: heard, pace }).await.ok()?;
        Some(Outcome { verdict, cause, heard, pace: listener.await.ok()? })
    }

    /// What is believed from now on; the tripwire goes by it.
    fn believe(&self, outcome: Outcome) -> Belief {
        match (outcome.verdict, outcome.pace) {
            (Verdict::Pass, Pace::Interval) => {
                self.wire.iter().for_each(|wire| wire.up(self.id));
                Belief::Up
            }
            (Verdict::Fail(_) | Verdict::Leaving(_), Pace::Interval) => {
                self.wire.iter().for_each(|wire| wire.down(self.id));
                Belief::Down
            }
            (_, Pace::Recheck) => Belief::Up,
        }
    }

    /// Why it is over.
    async fn pause(&self, outcome: Outcome) -> Cause {
        let now = Instant::now();
        let (until, cause) = match outcome.pace {
            Pace::Recheck if outcome.was_cut_off() => (now + self.check.recheck.min(AFTERMATH), Cause::Loss),
            Pace::Recheck => (now + self.check.recheck, Cause::Due),
            Pace::Interval => (next_slot(self.slot, self.check.interval, now), Cause::Due),
        };
        tokio::select! {
            () = sleep_until(until) => cause,
            () = self.bell.rung_after(outcome.heard) => cause,
            () = self.bell.lost() => Cause::Loss,
        }
    }
}

impl Outcome {
    /// What the last verdict came to that led to `known`.
    fn of(known: Observed) -> Option<Self> {
        let is_pass = known.is_up() == known.is_settled(); // a pending change is one verdict to the contrary
        let verdict = match known {
            Observed::Unknown => return None,
            Observed::Up { .. } | Observed::Down { .. } if is_pass => Verdict::Pass,
            Observed::Up { .. } | Observed::Down { .. } => {
                Verdict::Fail(known.reason().unwrap_or(Reason::Prober))
            }
        };
        Some(Self { verdict, cause: Cause::Due, heard: Ring::default(), pace: known.pace() })
    }

    /// Whether a connection was accepted and closed again right after another was lost.
    const fn was_cut_off(self) -> bool {
        let cut_off = matches!(self.verdict, Verdict::Fail(Reason::Closed | Reason::TlsHandshake));
        matches!(self.cause, Cause::Loss) && cut_off
    }
}

impl Cause {
    /// A connection that was lost and one that is refused: there is nothing left that could answer.
    fn weigh(self, finding: Finding) -> Finding {
        match (self, finding.verdict) {
            (Self::Loss, Verdict::Fail(Reason::Refused)) => {
                Finding { verdict: Verdict::Leaving(Reason::Refused), ..finding }
            }
            _ => finding,
        }
    }
}

/// The first moment after `now` that is a number of intervals from `slot`.
fn next_slot(slot: Instant, interval: Duration, now: Instant) -> Instant {
    let Some(since) = now.checked_duration_since(slot) else { return slot };
    let left = interval.as_nanos() - since.as_nanos() % interval.as_nanos();
    now + u64::try_from(left).map_or(interval, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn slots_lie_an_interval_apart() {
        let (slot, ms) = (Instant::now() + Duration::from_secs(5), Duration::from_millis);
        assert_eq!(next_slot(slot, ms(2000), slot - ms(3000)), slot, "none lies before the first");
        for (now, next) in [(0, 2000), (1, 2000), (1999, 2000), (2000, 4000), (7001, 8000)] {
            assert_eq!(next_slot(slot, ms(2000), slot + ms(now)), slot + ms(next), "{now}");
        }
    }
}
