//! Wiring: from a checked config to a server that answers, and back.
//!
//! ```text
//!  load ──▶ bind ──▶ become the user ──▶ first round of probes ──▶ publish ──▶ answer ──▶ … ──▶ drain
//! ```
//!
//! The sockets are bound before the first round, so that a port in use is told at once and root is dropped
//! before anything is dialled; nothing is answered before the round has ended.

mod activation;
mod certificates;
mod changes;
mod clock;
mod cookies;
mod day;
mod direction;
mod director;
mod face;
mod handover;
mod keeper;
mod load;
mod marks;
mod network;
mod passing;
mod pulse;
mod reload;
mod renew;
mod start;
mod state;
mod steering;
mod takeover;
mod user;
mod works;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::DropGuard;
use tracing::warn;

use crate::admin::{DoorError, Refused, Reloaded};
use crate::health::Observed;
use crate::plan::Plan;
use crate::probe::guard::Vouch;
use crate::probe::schedule::Ask;
use crate::serve::{Addresses, BindError, Counts, Inherited};

use works::Works;

pub use crate::health::Consent;
pub use activation::activated;
pub use changes::{Changes, Difference};
pub use clock::Clock;
pub use direction::{Direction, Inbox};
pub use director::{Brief, Director, Effect, Inquiry, Kept, Left, Refusal, View};
pub use handover::is_first;
pub use keeper::Edition;
pub use load::{Loaded, Reading, load};
pub use network::Network;
pub use pulse::Pulse;
pub use reload::ReloadError;
pub use state::{Lease, Read, State, StateFile};
pub use steering::{Durable, Steering, SteeringError};
pub use takeover::{TakeoverError, find_running};

/// How many verdicts may wait to be judged; probes wait beyond that.
const WAITING_VERDICTS: usize = 1024;

/// Why the server could not start. Each is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Administrators could not come in.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The user of `[server] user` could not be become.
    #[error("cannot become the user `{user}`: {why}")]
    User {
        /// The user.
        user: String,
        /// What the system says.
        why: String,
    },
    /// `[server] state-dir` cannot be used.
    #[error("cannot keep state in `{}`: {why}", dir.display())]
    StateDir {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// The system refused something else.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

/// A running server. It stops when this is dropped.
#[derive(Debug)]
pub struct Daemon {
    works: Arc<Works>,
    _end: DropGuard,
}

impl Daemon {
    /// Binds, probes the first round, and answers. Returns once it does.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(plan: &Arc<Plan>, ask: &Arc<impl Ask + Vouch>) -> Result<Self, StartError> {
        Self::start_with(plan, ask, &mut Inherited::nothing()).await
    }

    /// The same on sockets of which some may be bound already.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_with(
        plan: &Arc<Plan>,
        ask: &Arc<impl Ask + Vouch>,
        inherited: &mut Inherited,
    ) -> Result<Self, StartError> {
        let settled = start::settle(plan, inherited)?;
        for socket in inherited.left() {
            warn!(socket, "nothing in the config is served on this socket, which was there already");
        }
        start::begin(plan, ask, settled).await
    }

    /// The addresses it answers on over UDP and TCP.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.all_addrs().plain
    }

    /// The addresses of every way to ask it.
    pub fn all_addrs(&self) -> Addresses {
        self.works.addrs()
    }

    /// Where it is read over HTTP.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.works.http_addr()
    }

    /// What is observed, by `ProbeId`: news whenever a member goes up or down, once it is answered so.
    pub fn views(&self) -> watch::Receiver<Vec<Observed>> {
        self.works.views.clone()
    }

    /// The way to give orders while it runs.
    pub fn steering(&self) -> Steering {
        self.works.steering.clone()
    }

    /// Whether who directs it is there.
    pub fn pulse(&self) -> Pulse {
        self.works.pulse.clone()
    }

    /// Of how many probes nothing was heard for so long that their verdicts are stale.
    pub fn stale(&self) -> watch::Receiver<usize> {
        self.works.stale.clone()
    }

    /// The path of the control socket.
    pub fn control(&self) -> Option<PathBuf> {
        self.works.entrance.lock().as_ref()?.control().map(|(path, ..)| path.to_owned())
    }

    /// Goes up whenever somebody else is answered, or may be soon.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.works.changes.clone()
    }

    /// What became of queries so far.
    pub fn counts(&self) -> Counts {
        self.works.ledger.queries.read()
    }

    /// Reads certificates and their keys again, if they have changed; otherwise that happens every few seconds.
    pub async fn renew(&self) {
        self.works.renew().await;
    }

    /// From now on this plan is answered and probed. Queries are answered all the time, each as either the old plan has it or
    /// the new one.
    ///
    /// # Errors
    /// See [`ReloadError`]. Nothing has changed then.
    pub async fn reload(
        &self,
        plan: &Arc<Plan>,
        ask: &Arc<impl Ask + Vouch>,
    ) -> Result<Changes, ReloadError> {
        self.works.reload(plan, ask).await
    }

    /// The same with what its config says on disk now.
    ///
    /// # Errors
    /// Also all that is wrong with the config.
    pub async fn reload_files(&self) -> Result<Reloaded, Refused> {
        self.works.reload_files().await
    }

    /// Returns when another process serves in its place; it is to be stopped then.
    pub async fn succeeded(&self) {
        self.works.succeeded.cancelled().await;
    }

    /// Stops probing, answers what has arrived, keeps what the next run should know.
    pub async fn stop(&self) {
        self.works.stop().await;
    }
}
