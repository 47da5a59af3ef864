//! The director at work: news come in, publications go out, and somebody looks whether news still come.
//!
//! ```text
//!  events ──▶ take all that wait ──▶ publish, if the last time is long enough ago ──▶ keep the state, now and then
//!                   ▲                                                                         │
//!                   └──────────── an event, a look at the clock, a timer ◀────────────────────┘
//! ```
//!
//! However many members flap, it publishes so seldom that most of the time is left for other things: what has changed meanwhile goes out together.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::clock::Clock;
use super::day::Turn;
use super::director::{Director, Heir, Kept, Legacy};
use super::keeper::Edition;
use super::pulse::Beat;
use super::steering::Command;
use super::{WAITING_VERDICTS, cookies};
use crate::health::Observed;
use crate::probe::schedule::{Bells, Event};

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
    /// What is to become of the director itself.
    pub(super) turns: mpsc::Receiver<Turn>,
    /// Whether it is there at all.
    pub(super) beats: mpsc::Receiver<Beat>,
}

impl Inbox {
    /// Of a director that probes alone tell something.
    pub fn of_events(events: mpsc::Receiver<Event>) -> Self {
        let (commands, answers) = (mpsc::channel(1).1, mpsc::channel(1).1);
        Self { events, commands, answers, turns: mpsc::channel(1).1, beats: mpsc::channel(1).1 }
    }
}

/// A director, and what it is told.
#[derive(Debug)]
pub struct Direction {
    director: Director,
    clock: Clock,
    inbox: Inbox,
    /// What has members asked now.
    bells: Bells,
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
    /// When cookies are made with another secret, where no file says otherwise.
    next_secret: Instant,
}

impl Direction {
    /// The same, where secrets were made by a process before this one, and so many seconds are left of the newest.
    pub(super) fn with_secrets_for(self, left: Duration) -> Self {
        Self { next_secret: Instant::now() + left, ..self }
    }

    /// For how much longer cookies are made with the newest secret.
    pub(super) fn secret_left(&self) -> Duration {
        self.next_secret.saturating_duration_since(Instant::now())
    }

    /// Of a director that has opened.
    pub fn new(director: Director, inbox: Inbox, clock: Clock) -> Self {
        let now = Instant::now();
        Self {
            views: director.views(),
            states: watch::Sender::new(Edition { number: 0, state: director.state() }),
            director,
            clock,
            inbox,
            bells: Bells::default(),
            next_publication: now,
            next_state: now,
            publications: 0,
            kept: Kept::Same,
            next_secret: now,
        }
    }

    /// From now on these have members asked whose verdicts come in.
    pub fn attend(&mut self, bells: Bells) {
        self.bells = bells;
    }

    /// What the next run should know: news when it is time to keep it.
    pub fn states(&self) -> watch::Receiver<Edition> {
        self.states.subscribe()
    }

    /// Until it is stopped.
    pub async fn run(mut self, stop: &CancellationToken) -> Director {
        while self.work(stop).await.is_some() {}
        self.director
    }

    /// Until it is stopped, or something is to become of the director.
    pub(super) async fn work(&mut self, stop: &CancellationToken) -> Option<Turn> {
        loop {
            self.catch_up();
            let look = self.director.next_look();
            let wake = self.director.wakes_in(self.clock.now()).filter(|_| !self.director.has_changed());
            tokio::select! {
                () = stop.cancelled() => return None,
                Some(event) = self.inbox.events.recv() => self.take(event),
                Some(command) = self.inbox.commands.recv() => self.carry_out(command),
                Some(beat) = self.inbox.beats.recv() => beat.answer(),
                Some(_guard) = self.inbox.answers.recv() => self.director.vouched(self.clock.now()),
                Some(turn) = self.inbox.turns.recv() => return Some(turn),
                () = sleep(wake.unwrap_or_default()), if wake.is_some() => self.wake(),
                () = sleep_until(self.next_publication), if self.director.has_changed() => {}
                () = sleep_until(self.next_state), if self.has_state_to_keep() => {}
                () = self.clock.sleep_until(look.unwrap_or_default()), if look.is_some() => {}
                () = sleep_until(self.next_secret), if self.director.makes_secrets() => self.roll_secrets(),
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
        let kept = command.carry_out(&mut self.director, &self.bells, next, self.clock.now());
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

    /// All that another director has to know.
    pub(super) fn legacy(&self) -> Legacy {
        self.director.legacy(self.clock.now())
    }

    /// Goes on with another plan, of whose probes `events` tell.
    pub(super) fn succeed(
        &mut self,
        heir: Heir,
        events: mpsc::Receiver<Event>,
        answers: mpsc::Receiver<SocketAddr>,
    ) {
        let made_secrets = self.director.makes_secrets();
        self.director.succeed(heir, self.clock.now());
        (self.inbox.events, self.inbox.answers) = (events, answers);
        if self.director.makes_secrets() && !made_secrets {
            self.next_secret = Instant::now();
        }
        self.note(Kept::Changed);
    }

    /// What is observed, by `ProbeId`.
    pub(super) fn observed(&self) -> Vec<Observed> {
        self.views.borrow().clone()
    }

    /// Nobody is told any more what the next run should know, until there is somebody else to be told.
    pub(super) fn keep_silent(&mut self) -> watch::Receiver<Edition> {
        let next = self.states.borrow().next(self.director.state());
        self.states = watch::Sender::new(next);
        self.note(Kept::Changed);
        self.states()
    }

    /// Refuses orders, as long as nothing else is to be done.
    pub(super) async fn refuse_orders(&mut self) {
        while let Some(command) = self.inbox.commands.recv().await {
            command.put_off(&self.director, self.clock.now());
        }
        std::future::pending::<()>().await;
    }

    /// The last word: the serials exactly as they were answered.
    pub(super) fn part(self) {
        self.states.send_modify(|edition| *edition = edition.next(self.director.last_state()));
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
        self.next_secret = Instant::now() + SECRET_LIFE;
        match cookies::make() {
            Ok(newest) => self.director.roll_secrets(newest),
            Err(e) => error!(%e, "no random numbers for DNS cookies: they stay as they are"),
        }
    }
}

/// Takes one event in, and tells the probe when to ask again; what follows is to be published.
pub(super) fn take(director: &mut Director, event: Event, clock: Clock) {
    match event {
        Event::Found { probe, finding, ring, pace } => {
            let _ = pace.send(director.take(probe, &finding, clock.now())); // a probe that was stopped does not care
            director.answer(probe, ring, finding);
        }
        Event::Overdue { probe } => director.expect(probe, clock.now()),
    }
}
