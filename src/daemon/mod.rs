//! Wiring: from a checked config to a server that answers, and back.
//!
//! ```text
//!  load ──▶ bind ──▶ become the user ──▶ first round of probes ──▶ publish ──▶ answer ──▶ … ──▶ drain
//! ```
//!
//! The sockets are bound before the first round, so that a port in use is told at once and root is dropped
//! before anything is dialled; nothing is answered before the round has ended.

mod certificates;
mod changes;
mod clock;
mod cookies;
mod day;
mod direction;
mod director;
mod keeper;
mod load;
mod marks;
mod network;
mod reload;
mod renew;
mod state;
mod steering;
mod user;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::health::Observed;
use crate::plan::Plan;
use crate::probe::guard::{self, Vouch};
use crate::probe::schedule::{Ask, Event, Schedule};
use crate::serve::{self, Addresses, BindError, Inherited, Sockets};
use crate::snapshot::Reader;

use clock::unix_now;
use day::Turn;
use keeper::Keeper;
use renew::Renewal;

pub use changes::{Changes, Difference};
pub use clock::Clock;
pub use direction::{Direction, Inbox};
pub use director::{Consent, Director, Effect, Kept, Left, Refusal};
pub use load::{Loaded, Reading, load};
pub use network::Network;
pub use reload::ReloadError;
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
    addrs: Mutex<Addresses>,
    views: watch::Receiver<Vec<Observed>>,
    steering: Steering,
    stale: watch::Receiver<usize>,
    suspicion: watch::Receiver<bool>,
    /// The way to the director, for whoever changes what it directs.
    turns: mpsc::Sender<Turn>,
    running: tokio::sync::Mutex<Running>,
    /// Hears of the end of the director's thread.
    direction: Mutex<Option<oneshot::Receiver<()>>>,
    /// Doors that are not wanted any more, and answer what has arrived.
    closing: TaskTracker,
    stop: CancellationToken,
    /// It stops when it is dropped, too.
    _end: DropGuard,
}

/// What a reload replaces.
#[derive(Debug)]
struct Running {
    plan: Arc<Plan>,
    /// `None`: nothing is answered any more.
    servers: Option<serve::Servers>,
    renewal: Renewal,
    /// Who looks after what this plan names: its guards, its certificates.
    watch: Option<DropGuard>,
    fixed: Fixed,
}

/// Settings that were put into effect at the start, and cannot be again.
#[derive(Debug)]
struct Fixed {
    user: Option<String>,
    state_dir: PathBuf,
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
        let (sockets, file) = settle(plan, inherited)?;
        let state = read_state(&file, plan)?;
        let mut keeper = Keeper::new(file);
        let (sender, mut events) = mpsc::channel(WAITING_VERDICTS);
        let schedule = Schedule::start(&plan.probes, ask, &sender);
        let clock = Clock::start();
        let mut director = Director::new(Arc::clone(plan), &state);
        first_round(&mut director, &mut events, plan, clock).await;
        keeper.keep_now(&director.state()); // before the first answer: a serial that is given is never given again
        let reader = director.open(&state, clock.now()).reader();
        let begun = Begun { director, clock, events, schedule, keeper, secret_left: Duration::ZERO };
        begun.go_on(plan, ask, sockets, reader)
    }

    /// The addresses it answers on over UDP and TCP.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.all_addrs().plain
    }

    /// The addresses of every way to ask it.
    pub fn all_addrs(&self) -> Addresses {
        self.addrs.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        let renewal = self.running.lock().await.renewal.clone();
        renewal.look().await;
    }

    /// Stops probing, answers what has arrived, keeps what the next run should know.
    pub async fn stop(&self) {
        self.stop.cancel();
        let servers = self.running.lock().await.servers.take();
        if let Some(servers) = servers {
            servers.stop().await;
        }
        self.wait_for_closing().await;
        let direction = self.direction.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(direction) = direction
            && direction.await.is_err()
        {
            error!("the director failed");
        }
    }
}

impl Daemon {
    /// Waits until doors that were closed before are.
    async fn wait_for_closing(&self) {
        self.closing.close();
        self.closing.wait().await;
        self.closing.reopen();
    }
}

/// A director that has opened, and all that works for it.
struct Begun {
    director: Director,
    clock: Clock,
    events: mpsc::Receiver<Event>,
    schedule: Schedule,
    keeper: Keeper,
    /// For how much longer cookies are made with the secret that there is.
    secret_left: Duration,
}

impl Begun {
    /// Answers, and goes on.
    fn go_on(
        self,
        plan: &Arc<Plan>,
        ask: &Arc<impl Ask + Vouch>,
        sockets: Sockets,
        reader: Reader,
    ) -> Result<Daemon, StartError> {
        let Self { director, clock, events, schedule, keeper, secret_left } = self;
        let addrs = sockets.local_addrs();
        let servers = serve::start(sockets, reader, unix_now, &plan.server, plan.shown.as_ref())?;
        info!(addresses = ?addrs.plain, dot = ?addrs.dot, doh = ?addrs.doh, doq = ?addrs.doq, zones = plan.zones.len(), pools = plan.pools.len(), "answering");
        let stop = CancellationToken::new();
        let watch = stop.child_token();
        let (steering, commands) = Steering::new();
        let (turns, taken) = mpsc::channel(1);
        let (views, stale, suspicion) = (director.views(), director.stale(), director.suspicion());
        let answers = post_guards(plan, ask, suspicion.clone(), &watch);
        let inbox = Inbox { events, commands, answers, turns: taken };
        let direction = Direction::new(director, inbox, clock).with_secrets_for(secret_left);
        let direction = day::start(direction, schedule, keeper, stop.clone())?;
        let mut running = Running {
            plan: Arc::clone(plan),
            servers: Some(servers),
            renewal: Renewal::new(&[]),
            watch: None,
            fixed: Fixed::of(plan),
        };
        running.watch_over(watch);
        Ok(Daemon {
            addrs: Mutex::new(addrs),
            views,
            steering,
            stale,
            suspicion,
            turns,
            running: tokio::sync::Mutex::new(running),
            direction: Mutex::new(Some(direction)),
            closing: TaskTracker::new(),
            _end: stop.clone().drop_guard(),
            stop,
        })
    }
}

impl Fixed {
    fn of(plan: &Plan) -> Self {
        let user = plan.server.user.as_ref().map(|user| user.value.clone());
        Self { user, state_dir: plan.server.state_dir.clone() }
    }

    /// The keys that a plan has otherwise.
    fn changed(&self, plan: &Plan) -> Vec<&'static str> {
        let other = Self::of(plan);
        let user = (other.user != self.user).then_some("user");
        user.into_iter().chain((other.state_dir != self.state_dir).then_some("state-dir")).collect()
    }
}

/// How many UDP threads each address has.
fn workers(plan: &Plan) -> NonZeroUsize {
    plan.server.workers.or(available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// Has all that needs root, and becomes who it is to be.
fn settle(plan: &Plan, inherited: &mut Inherited) -> Result<(Sockets, StateFile), StartError> {
    take_all_descriptors();
    let places = serve::places(&plan.server.listen, plan.server.tls.as_ref());
    let sockets = serve::bind(&places, workers(plan), inherited)?;
    if let Some(user) = &plan.server.user {
        user::become_user(&user.value)?;
    }
    let dir = &plan.server.state_dir;
    let file = StateFile::in_dir(dir).map_err(|why| StartError::StateDir { dir: dir.clone(), why })?;
    Ok((sockets, file))
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

fn read_state(file: &StateFile, plan: &Plan) -> Result<State, StartError> {
    let failed = |why| StartError::StateDir { dir: plan.server.state_dir.clone(), why };
    Ok(match file.read().map_err(failed)? {
        Read::First => State::default(),
        Read::State(state) => state,
        Read::SetAside(aside, why) => {
            error!(kept = %aside.display(), why, "the state file cannot be read: it was set aside");
            State::default()
        }
    })
}

/// Lets the guards be asked while there is a suspicion, and once now: one that never answers is told.
fn post_guards(
    plan: &Plan,
    vouch: &Arc<impl Vouch>,
    suspicion: watch::Receiver<bool>,
    stop: &CancellationToken,
) -> mpsc::Receiver<SocketAddr> {
    let (told, answers) = mpsc::channel(1);
    let (guards, interval) = (plan.guard.addresses.clone(), Director::guard_interval(plan));
    if !guards.is_empty() && !plan.probes.is_empty() {
        let inspection = guard::inspect(guards.clone(), Arc::clone(vouch), interval);
        tokio::spawn(stop.clone().run_until_cancelled_owned(inspection));
        let watch = guard::stand(guards, Arc::clone(vouch), interval, suspicion, told);
        tokio::spawn(stop.clone().run_until_cancelled_owned(watch));
    }
    answers
}
