//! The way to the director for whoever steers a running server: one question, one reply, in turn with the verdicts.

use tokio::sync::{mpsc, oneshot};

use super::director::{Consent, Director, Effect, Kept, Refusal};
use crate::health::{Draft, Remark, Word};
use crate::plan::Whom;
use crate::units::Moment;

/// How many commands may wait; who gives more waits until there is room.
const WAITING: usize = 16;

/// Steers a running server. Every clone steers the same one.
#[derive(Debug, Clone)]
pub struct Steering(mpsc::Sender<Command>);

/// Why there is no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SteeringError {
    /// The director does not want to.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// Another process takes its place in this very moment.
    #[error("another process is taking over: give the order again, to that one")]
    TakenOver,
}

/// What the director is asked to do.
#[derive(Debug)]
pub(super) struct Command {
    wish: Wish,
    reply: oneshot::Sender<Result<Effect, SteeringError>>,
}

#[derive(Debug)]
enum Wish {
    Preview(Whom, Option<Word>),
    Order(Whom, Draft, Consent),
    Release(Whom, Remark),
}

impl Steering {
    /// A way to steer, and where its commands arrive.
    pub(super) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (sender, commands) = mpsc::channel(WAITING);
        (Self(sender), commands)
    }

    /// What an order would do; `None`: what a release would.
    ///
    /// # Errors
    /// See [`Director::preview`].
    pub async fn preview(&self, whom: Whom, word: Option<Word>) -> Result<Effect, SteeringError> {
        self.ask(Wish::Preview(whom, word)).await
    }

    /// Orders members.
    ///
    /// # Errors
    /// See [`Director::order`].
    pub async fn order(&self, whom: Whom, draft: Draft, consent: Consent) -> Result<Effect, SteeringError> {
        self.ask(Wish::Order(whom, draft, consent)).await
    }

    /// Ends orders.
    ///
    /// # Errors
    /// See [`Director::release`].
    pub async fn release(&self, whom: Whom, who: Remark) -> Result<Effect, SteeringError> {
        self.ask(Wish::Release(whom, who)).await
    }

    async fn ask(&self, wish: Wish) -> Result<Effect, SteeringError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.0.send(Command { wish, reply }).await;
        sent.map_err(|_| SteeringError::Stopping)?;
        answer.await.map_err(|_| SteeringError::Stopping)?
    }
}

impl Command {
    /// Does it.
    pub(super) fn carry_out(self, director: &mut Director, now: Moment) -> Kept {
        let is_preview = matches!(self.wish, Wish::Preview(..));
        let effect = match self.wish {
            Wish::Preview(whom, word) => director.preview(&whom, word, now),
            Wish::Order(whom, draft, consent) => director.order(&whom, &draft, consent, now),
            Wish::Release(whom, who) => director.release(&whom, &who, now),
        };
        let kept = if is_preview || effect.is_err() { Kept::Same } else { Kept::Changed };
        let _ = self.reply.send(effect.map_err(SteeringError::from)); // who hung up has no reply, but its order
        kept
    }

    /// Leaves it to the process that takes over.
    pub(super) fn refuse(self) {
        let _ = self.reply.send(Err(SteeringError::TakenOver));
    }
}
