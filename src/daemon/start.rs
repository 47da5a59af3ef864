//! From a checked config to a server that answers.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::clock::{Clock, unix_now, unix_time};
use super::direction::{self, Direction, Inbox};
use super::director::Director;
use super::keeper::Keeper;
use super::pulse::Pulse;
use super::state::{Read, State, StateFile};
use super::steering::Steering;
use super::works::{Reins, Works, post_guards};
use super::{Daemon, StartError, WAITING_VERDICTS, day, user};
use crate::admin::Doors;
use crate::plan::Plan;
use crate::probe::guard::Vouch;
use crate::probe::schedule::{Ask, Event, Schedule};
use crate::serve::{self, Inherited, Sockets};
use crate::snapshot::Reader;

/// What takes root, or fails early.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) sockets: Sockets,
    pub(super) doors: Doors,
    pub(super) file: StateFile,
}

/// Has all that needs root, and becomes who it is to be.
pub(super) fn settle(plan: &Plan, inherited: &mut Inherited) -> Result<Settled, StartError> {
    take_all_descriptors();
    let places = serve::places(&plan.server.listen, plan.server.tls.as_ref());
    let sockets = serve::bind(&places, workers(plan), inherited)?;
    let user = plan.server.user.as_ref().map(|user| user.value.as_str());
    let doors = Doors::bind(&plan.admin, plan.token.as_ref(), user, inherited)?;
    if let Some(user) = user {
        user::become_user(user)?;
    }
    let dir = &plan.server.state_dir;
    let file = StateFile::in_dir(dir).map_err(|why| StartError::StateDir { dir: dir.clone(), why })?;
    Ok(Settled { sockets, doors, file })
}

/// The first round, and then the first answer.
pub(super) async fn begin(
    plan: &Arc<Plan>,
    ask: &Arc<impl Ask + Vouch>,
    Settled { sockets, doors, file }: Settled,
) -> Result<Daemon, StartError> {
    let state = read_state(&file, plan)?;
    let mut keeper = Keeper::new(file);
    let (sender, mut events) = mpsc::channel(WAITING_VERDICTS);
    let schedule = Schedule::start(&plan.probes, ask, &sender);
    let clock = Clock::start();
    let mut director = Director::new(Arc::clone(plan), &state);
    first_round(&mut director, &mut events, plan, clock).await;
    let reader = director.open(&state, clock.now()).reader();
    keeper.keep_now(&director.state()); // before the first answer: a serial that is given is never given again
    let (secret_left, started) = (Duration::ZERO, unix_now());
    let begun = Begun { director, reader, clock, events, schedule, keeper, secret_left, started };
    begun.go_on(plan, ask, sockets, doors)
}

/// A director that has opened, and all that works for it.
pub(super) struct Begun {
    pub(super) director: Director,
    pub(super) reader: Reader,
    pub(super) clock: Clock,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) schedule: Schedule,
    pub(super) keeper: Keeper,
    /// For how much longer cookies are made with the secret that there is.
    pub(super) secret_left: Duration,
    /// When the server was started, be it in another process, in seconds of Unix time.
    pub(super) started: u32,
}

impl Begun {
    /// Answers, and goes on.
    pub(super) fn go_on(
        self,
        plan: &Arc<Plan>,
        ask: &Arc<impl Ask + Vouch>,
        sockets: Sockets,
        doors: Doors,
    ) -> Result<Daemon, StartError> {
        let Self { director, reader, clock, events, schedule, keeper, secret_left, started } = self;
        let addrs = sockets.local_addrs();
        let servers = serve::start(sockets, reader, unix_time, &plan.server, plan.shown.as_ref())?;
        info!(addresses = ?addrs.plain, dot = ?addrs.dot, doh = ?addrs.doh, doq = ?addrs.doq, zones = plan.zones.len(), pools = plan.pools.len(), "answering");
        let stop = CancellationToken::new();
        let watch = stop.child_token();
        let (steering, commands) = Steering::new(keeper.written());
        let (turns, taken) = mpsc::channel(1);
        let (views, stale) = (director.views(), director.stale());
        let (suspicion, changes) = (director.suspicion(), director.changes());
        let journal = director.journal().clone();
        let answers = post_guards(plan, ask, suspicion.clone(), &watch);
        let (pulse, beats) = Pulse::new();
        let inbox = Inbox { events, commands, answers, turns: taken, beats };
        let direction = Direction::new(director, inbox, clock).with_secrets_for(secret_left);
        let direction = day::start(direction, schedule, keeper, stop.clone())?;
        let reins =
            Reins { views, stale, suspicion, changes, journal, pulse, steering, turns, direction, started };
        let works = Works::new(plan, servers, reins, watch, stop.clone());
        Works::let_in(&works, doors);
        Ok(Daemon { works, _end: stop.drop_guard() })
    }
}

/// How many UDP threads each address has.
pub(super) fn workers(plan: &Plan) -> NonZeroUsize {
    plan.server.workers.or(available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
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
