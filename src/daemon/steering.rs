//! The way to the director for whoever sees and steers a running server: one question, one reply, in turn with the verdicts.
//!
//! ```text
//!  question ──▶ director ──▶ reply ────────────────────────────▶ whoever asked
//!                   │                                                ▲
//!                   └─ an order: kept in edition n ──▶ keeper ── n is on disk, or cannot be
//! ```

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::director::{Brief, Director, Effect, Inquiry, Kept, Refusal, View};
use super::keeper::Written;
use crate::admin::probed::Probed;
use crate::health::{Consent, Draft, Remark, Word};
use crate::plan::Whom;
use crate::probe::schedule::Bells;
use crate::units::Moment;

/// How many commands may wait; who gives more waits until there is room.
const WAITING: usize = 16;
/// How long an order waits for the disk before it is acknowledged with a warning.
const PATIENCE: Duration = Duration::from_secs(5);

/// Steers a running server. Every clone steers the same one.
#[derive(Debug, Clone)]
pub struct Steering {
    commands: mpsc::Sender<Command>,
    written: watch::Receiver<Written>,
}

/// Why there is no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SteeringError {
    /// The director does not want to.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// Whether what was ordered outlasts this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Durable {
    /// It is on disk.
    Yes,
    /// It holds for this run, and will be on disk once there is a way: why it is not.
    NotYet(String),
}

/// What the director is asked.
#[derive(Debug)]
pub(super) enum Command {
    /// To show itself.
    View(Option<Whom>, oneshot::Sender<Result<View, Refusal>>),
    /// The same in a few numbers.
    Brief(oneshot::Sender<Brief>),
    /// To have members asked now; `None`: everybody.
    Probe(Option<Whom>, oneshot::Sender<Result<Inquiry, Refusal>>),
    /// To do something, or to say what that would do.
    Wish(Wish, oneshot::Sender<Done>),
}

#[derive(Debug)]
pub(super) enum Wish {
    Preview(Whom, Option<Word>),
    Order(Whom, Draft, Consent),
    Release(Whom, Remark),
}

/// What a wish came to, and the edition of the state that has it.
type Done = Result<(Effect, u64), Refusal>;

impl Steering {
    /// A way to steer, and where its commands arrive. `written`: what is on disk.
    pub(super) fn new(written: watch::Receiver<Written>) -> (Self, mpsc::Receiver<Command>) {
        let (commands, arriving) = mpsc::channel(WAITING);
        (Self { commands, written }, arriving)
    }

    /// Everything that the director knows, or what there is of the members that are meant.
    ///
    /// # Errors
    /// See [`Director::view`].
    pub async fn view(&self, whom: Option<Whom>) -> Result<View, SteeringError> {
        Ok(self.ask(|reply| Command::View(whom, reply)).await??)
    }

    /// The same in a few numbers, which costs next to nothing.
    ///
    /// # Errors
    /// The server is stopping.
    pub async fn brief(&self) -> Result<Brief, SteeringError> {
        self.ask(Command::Brief).await
    }

    /// Has a pool or members asked now, `None`: everybody; returns when they have answered, or should have. What is found
    /// counts as any verdict does.
    ///
    /// # Errors
    /// See [`Director::inquire`].
    pub async fn probe(&self, whom: Option<Whom>) -> Result<Probed, SteeringError> {
        let inquiry = self.ask(|reply| Command::Probe(whom, reply)).await??;
        Ok(inquiry.end().await)
    }

    /// What an order would do; `None`: what a release would.
    ///
    /// # Errors
    /// See [`Director::preview`].
    pub async fn preview(&self, whom: Whom, word: Option<Word>) -> Result<Effect, SteeringError> {
        let done = self.ask(|reply| Command::Wish(Wish::Preview(whom, word), reply)).await??;
        Ok(done.0)
    }

    /// Orders members. It holds at once; this returns when it is on disk, too, or cannot be.
    ///
    /// # Errors
    /// See [`Director::order`].
    pub async fn order(
        &self,
        whom: Whom,
        draft: Draft,
        consent: Consent,
    ) -> Result<(Effect, Durable), SteeringError> {
        self.wish(Wish::Order(whom, draft, consent)).await
    }

    /// Ends orders; the same holds.
    ///
    /// # Errors
    /// See [`Director::release`].
    pub async fn release(&self, whom: Whom, who: Remark) -> Result<(Effect, Durable), SteeringError> {
        self.wish(Wish::Release(whom, who)).await
    }

    /// Why the newest state is not on disk; `None`: it is.
    pub fn trouble(&self) -> Option<String> {
        self.written.borrow().trouble.clone()
    }

    async fn wish(&self, wish: Wish) -> Result<(Effect, Durable), SteeringError> {
        let (effect, edition) = self.ask(|reply| Command::Wish(wish, reply)).await??;
        Ok((effect, self.durable(edition).await))
    }

    /// Waits until this edition of the state has been written, or could not be.
    async fn durable(&self, edition: u64) -> Durable {
        let mut written = self.written.clone();
        let is_tried = |written: &Written| written.edition >= edition;
        match timeout(PATIENCE, written.wait_for(is_tried)).await {
            Ok(Ok(written)) => written.trouble.clone().map_or(Durable::Yes, Durable::NotYet),
            Ok(Err(_)) => Durable::NotYet("the server is stopping".to_owned()),
            Err(_elapsed) => Durable::NotYet("the disk takes its time".to_owned()),
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, SteeringError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(command(reply)).await;
        sent.map_err(|_| SteeringError::Stopping)?;
        answer.await.map_err(|_| SteeringError::Stopping)
    }
}

impl Command {
    /// Does it. `next`: the edition of the state that will have what changes. Who hung up has no reply, but its order.
    pub(super) fn carry_out(self, director: &mut Director, bells: &Bells, next: u64, now: Moment) -> Kept {
        match self {
            Self::View(whom, reply) => {
                let _ = reply.send(director.view(whom.as_ref(), now));
                Kept::Same
            }
            Self::Brief(reply) => {
                let _ = reply.send(director.brief(now));
                Kept::Same
            }
            Self::Probe(whom, reply) => {
                let _ = reply.send(director.inquire(whom.as_ref(), bells));
                Kept::Same
            }
            Self::Wish(wish, reply) => {
                let is_preview = matches!(wish, Wish::Preview(..));
                let effect = wish.carry_out(director, now);
                let kept = if is_preview || effect.is_err() { Kept::Same } else { Kept::Changed };
                let _ = reply.send(effect.map(|effect| (effect, next)));
                kept
            }
        }
    }
}

impl Command {
    /// Shows what there is to see; orders are left to the process that takes over.
    pub(super) fn put_off(self, director: &Director, now: Moment) {
        match self {
            Self::View(whom, reply) => drop(reply.send(director.view(whom.as_ref(), now))),
            Self::Brief(reply) => drop(reply.send(director.brief(now))),
            Self::Probe(_, reply) => drop(reply.send(Err(Refusal::TakenOver))),
            Self::Wish(_, reply) => drop(reply.send(Err(Refusal::TakenOver))),
        }
    }
}

impl Wish {
    fn carry_out(self, director: &mut Director, now: Moment) -> Result<Effect, Refusal> {
        match self {
            Self::Preview(whom, word) => director.preview(&whom, word, now),
            Self::Order(whom, draft, consent) => director.order(&whom, &draft, consent, now),
            Self::Release(whom, who) => director.release(&whom, &who, now),
        }
    }
}
