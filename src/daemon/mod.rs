//! Wiring: from a checked config to a server that answers, and back.
//!
//! ```text
//!  load ──▶ bind ──▶ become the user ──▶ first round of probes ──▶ publish ──▶ answer ──▶ … ──▶ drain
//! ```
//!
//! The sockets are bound before the first round, so that a port in use is told at once and root is dropped
//! before anything is dialled; nothing is answered before the round has ended.

mod certificates;
mod clock;
mod cookies;
mod direction;
mod director;
mod keeper;
mod load;
mod network;
mod renew;
mod state;
mod steering;
mod user;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, info, warn};

use crate::health::Observed;
use crate::plan::Plan;
use crate::probe::guard::{self, Vouch};
use crate::probe::schedule::{Ask, Event, Schedule};
use crate::serve::{self, Addresses, BindError, Sockets};

use clock::unix_now;
use keeper::Keeper;
use renew::Renewal;

pub use clock::Clock;
pub use direction::{Direction, Inbox};
pub use director::{Consent, Director, Effect, Kept, Left, Refusal};
pub use load::{Loaded, Reading, load};
pub use network::Network;
pub use state::{Lease, Read, State, StateFile};
pub use steering::{Steering, SteeringError};

/// How many verdicts may wait to be judged; probes wait beyond that.
const WAITING_VERDICTS: usize = 1024;

/// Why the server could not start. Each is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
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

/// A running server.
#[derive(Debug)]
pub struct Daemon {
    addrs: Addresses,
    views: watch::Receiver<Vec<Observed>>,
    steering: Steering,
    stale: watch::Receiver<usize>,
    servers: serve::Servers,
    /// Hears of the end of the director's thread.
    direction: oneshot::Receiver<()>,
    renewal: Renewal,
    stop: DropGuard,
}

impl Daemon {
    /// Binds, probes the first round, and answers. Returns once it does.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(plan: &Arc<Plan>, ask: &Arc<impl Ask + Vouch>) -> Result<Self, StartError> {
        take_all_descriptors();
        let workers = plan.server.workers.or(available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        let places = serve::places(&plan.server.listen, plan.server.tls.as_ref());
        let sockets = serve::bind(&places, workers, &mut serve::Inherited::nothing())?;
        if let Some(user) = &plan.server.user {
            user::become_user(&user.value)?;
        }
        let (file, state) = open_state(plan)?;
        let mut keeper = Keeper::new(file);
        let (sender, mut events) = mpsc::channel(WAITING_VERDICTS);
        let schedule = Schedule::start(&plan.probes, ask, &sender);
        let clock = Clock::start();
        let mut director = Director::new(Arc::clone(plan), &state);
        first_round(&mut director, &mut events, plan, clock).await;
        let (views, silent) = (director.views(), director.stale());
        let addrs = sockets.local_addrs();
        keeper.keep_now(&director.state()); // before the first answer: a serial that is given is never given again
        let servers = open(&mut director, &state, sockets, plan, clock)?;
        info!(addresses = ?addrs.plain, dot = ?addrs.dot, doh = ?addrs.doh, doq = ?addrs.doq, zones = plan.zones.len(), pools = plan.pools.len(), "answering");
        let stop = CancellationToken::new();
        let (steering, commands) = Steering::new();
        let answers = post_guards(&director, plan, ask, &stop);
        let direction = Direction::new(director, Inbox { events, commands, answers }, clock);
        let direction = direction::start(direction, schedule, keeper, stop.clone())?;
        let renewal = Renewal::new(&plan.watched);
        tokio::spawn(stop.clone().run_until_cancelled_owned(renewal.clone().run()));
        let stop = stop.drop_guard();
        Ok(Self { addrs, views, steering, stale: silent, servers, direction, renewal, stop })
    }

    /// The addresses it answers on over UDP and TCP.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs.plain
    }

    /// The addresses of every way to ask it.
    pub const fn all_addrs(&self) -> &Addresses {
        &self.addrs
    }

    /// What is observed, by `ProbeId`: news whenever a member goes up or down, once it is answered so.
    pub fn views(&self) -> watch::Receiver<Vec<Observed>> {
        self.views.clone()
    }

    /// The way to give orders while it runs.
    pub fn steering(&self) -> Steering {
        self.steering.clone()
    }

    /// Of how many probes nothing was heard for so long that their verdicts are stale.
    pub fn stale(&self) -> watch::Receiver<usize> {
        self.stale.clone()
    }

    /// Reads certificates and their keys again, if they have changed; otherwise that happens every few seconds.
    pub async fn renew(&self) {
        self.renewal.look().await;
    }

    /// Stops probing, answers what has arrived, keeps what the next run should know.
    pub async fn stop(self) {
        drop(self.stop);
        self.servers.stop().await;
        if self.direction.await.is_err() {
            error!("the director failed");
        }
    }
}

/// Raises the soft limit of descriptors to the hard one: a thousand probes and a thousand clients need more than the
/// usual 1,024.
fn take_all_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// Judges verdicts until every member has one, or `first-round` has passed.
async fn first_round(director: &mut Director, events: &mut mpsc::Receiver<Event>, plan: &Plan, clock: Clock) {
    let end = Instant::now() + plan.server.first_round;
    while !director.is_informed() {
        match timeout_at(end, events.recv()).await {
            Ok(Some(event)) => direction::take(director, event, clock),
            Ok(None) => return,
            Err(_elapsed) => {
                warn!(
                    "the first round of probes has not ended in time: the rest is taken as the last run left it"
                );
                return;
            }
        }
    }
}

fn open(
    director: &mut Director,
    state: &State,
    sockets: Sockets,
    plan: &Plan,
    clock: Clock,
) -> Result<serve::Servers, StartError> {
    let publisher = director.open(state, clock.now());
    Ok(serve::start(sockets, publisher.reader(), unix_now, &plan.server, plan.shown.as_ref())?)
}

fn open_state(plan: &Plan) -> Result<(StateFile, State), StartError> {
    let dir = &plan.server.state_dir;
    let failed = |why| StartError::StateDir { dir: dir.clone(), why };
    let file = StateFile::in_dir(dir).map_err(failed)?;
    let state = match file.read().map_err(failed)? {
        Read::First => State::default(),
        Read::State(state) => state,
        Read::SetAside(aside, why) => {
            error!(kept = %aside.display(), why, "the state file cannot be read: it was set aside");
            State::default()
        }
    };
    Ok((file, state))
}

/// Lets the guards be asked while the director suspects itself, and once at the start: one that never answers is told.
fn post_guards(
    director: &Director,
    plan: &Plan,
    vouch: &Arc<impl Vouch>,
    stop: &CancellationToken,
) -> mpsc::Receiver<SocketAddr> {
    let (told, answers) = mpsc::channel(1);
    let (guards, interval) = (plan.guard.addresses.clone(), director.guard_interval());
    if !guards.is_empty() && !plan.probes.is_empty() {
        let inspection = guard::inspect(guards.clone(), Arc::clone(vouch), interval);
        tokio::spawn(stop.clone().run_until_cancelled_owned(inspection));
        let watch = guard::stand(guards, Arc::clone(vouch), interval, director.suspicion(), told);
        tokio::spawn(stop.clone().run_until_cancelled_owned(watch));
    }
    answers
}
