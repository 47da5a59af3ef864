//! All that works for a running server, for whoever changes it while it runs: a reload, a handover, the end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::error;

use super::day::{Told, Turn};
use super::director::Director;
use super::face::{Face, Ledger};
use super::pulse::Pulse;
use super::renew::Renewal;
use super::steering::Steering;
use crate::admin::journal::Journal;
use crate::admin::{Doors, Entrance};
use crate::health::Observed;
use crate::plan::Plan;
use crate::probe::guard::{self, Vouch};
use crate::serve::{Addresses, Counts, Servers};

/// A running server.
#[derive(Debug)]
pub(super) struct Works {
    pub(super) views: watch::Receiver<Vec<Observed>>,
    pub(super) steering: Steering,
    pub(super) stale: watch::Receiver<usize>,
    pub(super) suspicion: watch::Receiver<bool>,
    pub(super) changes: watch::Receiver<u64>,
    pub(super) ledger: Ledger,
    pub(super) pulse: Pulse,
    /// When the server was started, be it in another process, in seconds of Unix time.
    pub(super) started: u32,
    /// The way to the director, for whoever changes what it directs.
    pub(super) turns: mpsc::Sender<Turn>,
    /// Who reads the config anew, one after another: whoever began last has read last.
    pub(super) reading: tokio::sync::Mutex<()>,
    /// One change at a time.
    pub(super) running: tokio::sync::Mutex<Running>,
    pub(super) addrs: Mutex<Addresses>,
    /// Who reads certificates anew.
    pub(super) renewal: Mutex<Renewal>,
    /// Where administrators come in; `None`: nowhere any more.
    pub(super) entrance: Mutex<Option<Entrance<Face>>>,
    /// Hears of the end of the director's thread.
    direction: Mutex<Option<oneshot::Receiver<()>>>,
    /// Doors that are not wanted any more, and answer what has arrived.
    pub(super) closing: TaskTracker,
    /// Another process serves in its place.
    pub(super) succeeded: CancellationToken,
    pub(super) stop: CancellationToken,
}

/// What a reload replaces.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) plan: Arc<Plan>,
    /// `None`: nothing is answered any more.
    pub(super) servers: Option<Servers>,
    /// Who looks after what this plan names: its guards, its certificates.
    watch: Option<DropGuard>,
    pub(super) fixed: Fixed,
}

/// Settings that were put into effect at the start, and cannot be again.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) user: Option<String>,
    state_dir: PathBuf,
}

/// The ways to the director and from it.
pub(super) struct Reins {
    pub(super) views: watch::Receiver<Vec<Observed>>,
    pub(super) stale: watch::Receiver<usize>,
    pub(super) suspicion: watch::Receiver<bool>,
    pub(super) changes: watch::Receiver<u64>,
    pub(super) journal: Journal,
    pub(super) pulse: Pulse,
    pub(super) steering: Steering,
    pub(super) turns: mpsc::Sender<Turn>,
    pub(super) direction: oneshot::Receiver<()>,
    pub(super) started: u32,
}

/// Nothing works any more.
#[derive(Debug)]
pub(super) struct Gone;

impl Works {
    /// `watch` ends with what looks after this plan, `stop` with everything.
    pub(super) fn new(
        plan: &Arc<Plan>,
        servers: Servers,
        reins: Reins,
        watch: CancellationToken,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let Reins { views, stale, suspicion, changes, journal, pulse, steering, turns, direction, started } =
            reins;
        let ledger = Ledger { queries: servers.counter(), journal };
        let addrs = Mutex::new(servers.local_addrs());
        let mut running =
            Running { plan: Arc::clone(plan), servers: Some(servers), watch: None, fixed: Fixed::of(plan) };
        let renewal = Mutex::new(running.watch_over(watch));
        Arc::new(Self {
            views,
            steering,
            stale,
            suspicion,
            changes,
            ledger,
            pulse,
            started,
            turns,
            reading: tokio::sync::Mutex::default(),
            running: tokio::sync::Mutex::new(running),
            addrs,
            renewal,
            entrance: Mutex::default(),
            direction: Mutex::new(Some(direction)),
            closing: TaskTracker::new(),
            succeeded: CancellationToken::new(),
            stop,
        })
    }

    /// Lets administrators in.
    pub(super) fn let_in(works: &Arc<Self>, doors: Doors) {
        let mut entrance = Entrance::new(Arc::new(Face::new(works)), &works.stop.child_token());
        entrance.change(doors);
        *works.entrance.lock() = Some(entrance);
    }

    /// The addresses of every way to ask it.
    pub(super) fn addrs(&self) -> Addresses {
        self.addrs.lock().clone()
    }

    /// Where it is read over HTTP.
    pub(super) fn http_addr(&self) -> Option<SocketAddr> {
        self.entrance.lock().as_ref()?.http()?.1.local_addr().ok()
    }

    /// Reads certificates and their keys again.
    pub(super) async fn renew(&self) {
        let renewal = self.renewal.lock().clone();
        renewal.look().await;
    }

    /// Counts what the process before this one has counted, too.
    pub(super) async fn remember(&self, counts: Counts) {
        if let Some(servers) = &self.running.lock().await.servers {
            servers.remember(counts);
        }
    }

    /// What the director knows.
    pub(super) async fn told(&self) -> Result<Told, Gone> {
        let (to, told) = oneshot::channel();
        self.turns.send(Turn::Tell(to)).await.map_err(|_| Gone)?;
        told.await.map_err(|_| Gone)
    }

    /// Stops probing, answers what has arrived, keeps what the next run should know.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.close_doors().await;
        let servers = self.running.lock().await.servers.take();
        if let Some(servers) = servers {
            servers.stop().await;
        }
        self.wait_for_closing().await;
        let direction = self.direction.lock().take();
        if let Some(direction) = direction
            && direction.await.is_err()
        {
            error!("the director failed");
        }
    }

    /// Administrators have to go, and the next process may have their doors.
    pub(super) async fn close_doors(&self) {
        let entrance = self.entrance.lock().take();
        if let Some(entrance) = entrance {
            entrance.close().await;
        }
    }

    /// Waits until doors that were closed before are.
    pub(super) async fn wait_for_closing(&self) {
        self.closing.close();
        self.closing.wait().await;
        self.closing.reopen();
    }
}

impl Running {
    /// Certificates are read again when they change, those of the plan alone.
    pub(super) fn watch_over(&mut self, watch: CancellationToken) -> Renewal {
        let own = self.servers.as_ref().and_then(Servers::shown);
        let renewal = Renewal::new(&self.plan.watched_for(own));
        tokio::spawn(watch.clone().run_until_cancelled_owned(renewal.clone().run()));
        self.watch = Some(watch.drop_guard()); // whoever looked after the plan before ends here
        renewal
    }
}

impl Fixed {
    fn of(plan: &Plan) -> Self {
        let user = plan.server.user.as_ref().map(|user| user.value.clone());
        Self { user, state_dir: plan.server.state_dir.clone() }
    }

    /// The keys that a plan has otherwise.
    pub(super) fn changed(&self, plan: &Plan) -> Vec<&'static str> {
        let other = Self::of(plan);
        let keys = [("user", other.user != self.user), ("state-dir", other.state_dir != self.state_dir)];
        keys.into_iter().filter(|(_, is_other)| *is_other).map(|(key, _)| key).collect()
    }
}

/// Lets the guards be asked while there is a suspicion, and once now: one that never answers is told.
pub(super) fn post_guards(
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
