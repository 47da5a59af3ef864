//! What a running server can be asked by whoever shows or steers it.

use tokio::net::UnixStream;
use tokio::sync::watch;

use super::metrics::Counters;
use super::probed::Probed;
use super::status::Status;
use super::{Effect, Refused, Reloaded};
use crate::health::{Consent, Draft, Remark, Word};
use crate::plan::Whom;

/// The protocol that a control connection is upgraded to for a takeover.
pub const TAKEOVER: &str = "onstage-takeover";

/// A running server.
pub trait Running: Send + Sync + 'static {
    /// Everything, or what there is of the members that are meant.
    fn status(&self, whom: Option<Whom>) -> impl Future<Output = Result<Status, Refused>> + Send;

    /// What it has counted.
    fn counters(&self) -> Counters;

    /// Has a pool or members asked now, `None`: everybody, and waits for what they answer.
    fn probe(&self, whom: Option<Whom>, who: Remark) -> impl Future<Output = Result<Probed, Refused>> + Send;

    /// What an order would do; `None`: what a release would.
    fn preview(&self, whom: Whom, word: Option<Word>)
    -> impl Future<Output = Result<Effect, Refused>> + Send;

    /// Orders members. The order is on disk when this returns, or the effect has a warning.
    fn order(
        &self,
        whom: Whom,
        draft: Draft,
        consent: Consent,
    ) -> impl Future<Output = Result<Effect, Refused>> + Send;

    /// Ends orders; the same holds.
    fn release(&self, whom: Whom, who: Remark) -> impl Future<Output = Result<Effect, Refused>> + Send;

    /// Reads config and zones anew: all of it, or nothing changes.
    fn reload(&self, who: Remark) -> impl Future<Output = Result<Reloaded, Refused>> + Send;

    /// Whether another process may take over now. It is asked before the connection is the other's.
    ///
    /// # Errors
    /// A sentence for whoever wants to.
    fn may_hand_over(&self) -> Result<(), Refused>;

    /// Hands the server over to the process at the other end; what it has said already is in `said`.
    fn hand_over(&self, stream: UnixStream, said: Vec<u8>) -> impl Future<Output = ()> + Send;

    /// News whenever a status would show something else than how much time has passed.
    fn changes(&self) -> watch::Receiver<u64>;
}
