//! The director at work: news come in, publications go out, and somebody looks whether news still come.
//!
//! ```text
//!  events ──▶ take all that wait ──▶ publish, if the last time is long enough ago ──▶ keep the state, now and then
//!                   ▲                                                                         │
//!                   └──────────── an event, a look at the clock, a timer ◀────────────────────┘
//! ```
//!
//! It has a thread of its own: whatever stalls probes must not stall who watches them. However many members flap, it
//! publishes so seldom that most of the time is left for other things: what has changed meanwhile goes out together.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::clock::Clock;
use super::director::{Director, Kept};
use super::keeper::{Edition, Keeper};
use super::pulse::Beat;
use super::steering::Command;
use super::{WAITING_VERDICTS, cookies};
use crate::health::Observed;
use crate::probe::schedule::{Event, Schedule};

/// How long cookies are made with one secret, where no file says otherwise.
const SECRET_LIFE: Duration = Duration::from_secs(86_400);
/// From one publication to the next, at the least.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
/// The pause after a publication, in times of what it took.
const PAUSES: u32 = 4;
/// From one state that is kept to the next, at the least.
const STATE_PAUSE: Duration = Duration::from_secs(1);
/// So many publications without a change of anybody's health are a reason to keep the state, too: each may have taken a
/// serial out of a zone's lease.
const PUBLICATIONS: u32 = 256;

/// What the director is told.
#[derive(Debug)]
pub struct Inbox {
    /// What probes find, and whose answer is overdue.
    pub(super) events: mpsc::Receiver<Event>,
    /// What operators order.
    pub(super) commands: mpsc::Receiver<Command>,
    /// The guards that answered.
    pub(super) answers: mpsc::Receiver<SocketAddr>,
    /// Whether it is there at all.
    pub(super) beats: mpsc::Receiver<Beat>,
}

impl Inbox {
    /// Of a director that probes alone tell something.
    pub fn of_events(events: mpsc::Receiver<Event>) -> Self {
        let (commands, answers, beats) = (mpsc::channel(1).1, mpsc::channel(1).1, mpsc::channel(1).1);
        Self { events, commands, answers, beats }
    }
}

/// A director, and what it is told.
#[derive(Debug)]
pub struct Direction {
    director: Director,
    clock: Clock,
    inbox: Inbox,
    views: watch::Receiver<Vec<Observed>>,
    states: watch::Sender<Edition>,
    /// Nothing is published before.
    next_publication: Instant,
    /// No state is kept before.
    next_state: Instant,
    /// Publications since a state was kept.
    publications: u32,
    /// Whether orders have changed since then.
    kept: Kept,
}

impl Direction {
    /// Of a director that has opened.
    pub fn new(director: Director, inbox: Inbox, clock: Clock) -> Self {
        let now = Instant::now();
        Self {
            views: director.views(),
            states: watch::Sender::new(Edition { number: 0, state: director.state() }),
            director,
            clock,
            inbox,
            next_publication: now,
            next_state: now,
            publications: 0,
            kept: Kept::Same,
        }
    }

    /// What the next run should know: news when it is time to keep it.
    pub fn states(&self) -> watch::Receiver<Edition> {
        self.states.subscribe()
    }

    /// Until it is stopped.
    pub async fn run(mut self, stop: &CancellationToken) -> Director {
        let mut secrets = interval(SECRET_LIFE); // its first tick is now
        secrets.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.catch_up();
            let look = self.director.next_look();
            let wake = self.director.wakes_in(self.clock.now());
            tokio::select! {
                () = stop.cancelled() => return self.director,
                Some(event) = self.inbox.events.recv() => self.take(event),
                Some(command) = self.inbox.commands.recv() => self.carry_out(command),
                Some(beat) = self.inbox.beats.recv() => beat.answer(),
                Some(_guard) = self.inbox.answers.recv() => self.director.vouched(self.clock.now()),
                () = sleep(wake.unwrap_or_default()), if wake.is_some() => self.wake(),
                () = sleep_until(self.next_publication), if self.director.has_changed() => {}
                () = sleep_until(self.next_state), if self.has_state_to_keep() => {}
                () = self.clock.sleep_until(look.unwrap_or_default()), if look.is_some() => {}
                _ = secrets.tick(), if self.director.makes_secrets() => self.roll_secrets(),
            }
        }
    }

    /// Takes in all that waits, and does what is due.
    fn catch_up(&mut self) {
        for _ in 0..WAITING_VERDICTS {
            let Ok(event) = self.inbox.events.try_recv() else { break };
            self.take(event);
        }
        let now = self.clock.now();
        if self.director.next_look().is_some_and(|look| look <= now.steady) {
            self.director.look(now);
        }
        if self.director.has_changed() && self.next_publication <= Instant::now() {
            self.publish();
        }
        if self.has_state_to_keep() && self.next_state <= Instant::now() {
            self.keep_state();
        }
    }

    fn take(&mut self, event: Event) {
        take(&mut self.director, event, self.clock);
    }

    fn carry_out(&mut self, command: Command) {
        let next = self.states.borrow().number + 1;
        let kept = command.carry_out(&mut self.director, next, self.clock.now());
        self.note(kept);
    }

    fn wake(&mut self) {
        let kept = self.director.wake(self.clock.now());
        self.note(kept);
    }

    /// What operators have said is kept at once.
    fn note(&mut self, kept: Kept) {
        if kept == Kept::Changed {
            (self.kept, self.next_state) = (kept, Instant::now());
        }
    }

    fn publish(&mut self) {
        let began = Instant::now();
        self.director.publish(self.clock.now());
        let took = began.elapsed();
        self.director.journal().published(took);
        self.publications += 1;
        self.next_publication = Instant::now() + LEAST_PAUSE.max(PAUSES * took);
    }

    fn has_state_to_keep(&self) -> bool {
        self.kept == Kept::Changed
            || self.publications >= PUBLICATIONS
            || self.views.has_changed().unwrap_or(false)
    }

    fn keep_state(&mut self) {
        self.views.mark_unchanged();
        (self.publications, self.kept) = (0, Kept::Same);
        let state = self.director.state();
        self.states.send_modify(|edition| *edition = edition.next(state));
        self.next_state = Instant::now() + STATE_PAUSE;
    }

    fn roll_secrets(&mut self) {
        match cookies::make() {
            Ok(newest) => self.director.roll_secrets(newest),
            Err(e) => error!(%e, "no random numbers for DNS cookies: they stay as they are"),
        }
    }
}

/// Takes one event in, and tells the probe when to ask again; what follows is to be published.
pub(super) fn take(director: &mut Director, event: Event, clock: Clock) {
    match event {
        Event::Found { probe, finding, pace } => {
            let _ = pace.send(director.take(probe, &finding, clock.now())); // a probe that was stopped does not care
        }
        Event::Overdue { probe } => director.expect(probe, clock.now()),
    }
}

/// Starts the thread. The receiver hears of its end, which comes after `stop`: probes are stopped, and `keeper` has kept the
/// last state.
///
/// # Errors
/// The system has no thread or no timers for it.
pub(super) fn start(
    direction: Direction,
    schedule: Schedule,
    keeper: Keeper,
    stop: CancellationToken,
) -> io::Result<oneshot::Receiver<()>> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    let (ended, end) = oneshot::channel();
    let day = async move {
        let states = direction.states.clone();
        let keeper = tokio::spawn(keeper.keep(states.subscribe()));
        let director = direction.run(&stop).await;
        schedule.stop().await;
        states.send_modify(|edition| *edition = edition.next(director.last_state()));
        drop(states);
        let _ = keeper.await;
        let _ = ended.send(());
    };
    std::thread::Builder::new().name("director".to_owned()).spawn(move || runtime.block_on(day))?;
    Ok(end)
}
