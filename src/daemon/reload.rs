//! Reload: config, zones, certificates and keys anew, all or nothing, while it answers.
//!
//! ```text
//!  bind what is new ─▶ ask who is new ─▶ open and close doors ─▶ the director goes on with the new plan
//!        │ it cannot be                          │ no thread
//!        └──▶ nothing has changed ◀──────────────┘
//! ```
//!
//! The old plan is answered and probed until the new one is; what is known goes from one to the other
//! (`director/succession.rs`). Why it is done in this order is told in `docs/design/reload.md`.

use std::io;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{info, warn};

use super::changes::Changes;
use super::day::{Succession, Turn};
use super::director::{Heir, Legacy};
use super::load::{Reading, load};
use super::marks::{Marks, marks, same};
use super::start::workers;
use super::works::{Gone, Running, Works, post_guards};
use super::{Loaded, WAITING_VERDICTS};
use crate::admin::{DoorError, Doors, Kind, Refused, Reloaded};
use crate::plan::Plan;
use crate::probe::guard::Vouch;
use crate::probe::rehearse;
use crate::probe::schedule::{Ask, Schedule};
use crate::report::Colour;
use crate::serve::{self, BindError, Inherited, places};
use crate::snapshot::{Compiler, Snapshot};

/// Why nothing was changed. Each is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// An address cannot be had.
    #[error("{source}{hint}")]
    Bind {
        /// Which, and why.
        source: BindError,
        /// What to do about it.
        hint: &'static str,
    },
    /// Administrators could not come in.
    #[error(transparent)]
    Door(DoorError),
    /// The system refused something else.
    #[error("cannot reload: {0}")]
    Io(#[from] io::Error),
    /// There is nothing to reload any more.
    #[error("the server is stopping")]
    Stopping,
}

impl Works {
    /// Reads the files of the config anew: what they say is answered and probed from now on, if it makes sense.
    pub(super) async fn reload_files(&self) -> Result<Reloaded, Refused> {
        let _turn = self.reading.lock().await;
        let reloaded = self.read_and_reload().await;
        self.ledger.journal.reloaded(reloaded.is_ok());
        if let Err(Refused { error, .. }) = &reloaded {
            warn!("not reloaded: {error}");
        }
        reloaded
    }

    async fn read_and_reload(&self) -> Result<Reloaded, Refused> {
        let path = self.running.lock().await.plan.origin.config.clone();
        let read = move || {
            let Reading { sources, report, loaded } = load(&path, |path| std::fs::read(path));
            (report.render(&sources, Colour::Never), loaded)
        };
        let (report, loaded) = spawn_blocking(read).await.map_err(|e| Refused::new(Kind::Unable, e))?;
        let Some(Loaded { plan, network }) = loaded else {
            let error = "the config makes no sense: nothing has changed".to_owned();
            return Err(Refused { error, kind: Kind::BadConfig, report: Some(report) });
        };
        let changes = self.reload(&plan, &network).await?;
        Ok(Reloaded { changes: changes.to_string().lines().map(str::to_owned).collect(), report })
    }

    /// From now on this plan is answered and probed.
    pub(super) async fn reload(
        &self,
        plan: &Arc<Plan>,
        ask: &Arc<impl Ask + Vouch>,
    ) -> Result<Changes, ReloadError> {
        let mut running = self.running.lock().await;
        self.wait_for_closing().await; // an address that comes back must be free
        let known = self.told().await?.legacy;
        let Running { plan: before, servers, fixed, .. } = &mut *running;
        let servers = servers.as_mut().ok_or(ReloadError::Stopping)?;
        let (workers, mut inherited) = (workers(plan), Inherited::from(servers.sockets()?));
        let places = places(&plan.server.listen, plan.server.tls.as_ref());
        let sockets = serve::bind(&places, workers, &mut inherited).map_err(ReloadError::of)?;
        drop(inherited);
        let (sockets, surplus) = sockets.for_workers(workers);
        let doors = self.bind_doors(plan, fixed.user.as_deref())?;
        let restart = fixed.changed(plan);
        let old = Arc::clone(before);
        let marks_before = spawn_blocking(move || marks(&old)).await.map_err(io::Error::other)?;
        let prepared = prepare(plan, (marks_before, servers.snapshot()), ask, &known).await?;
        let closing = servers.change(sockets, &plan.server, plan.shown.as_ref())?;
        self.closing.spawn(closing.stop_after(surplus));
        *self.addrs.lock() = servers.local_addrs();
        let changes = Changes::between((before, &prepared.before), (plan, &prepared.after), restart);
        self.succeed(prepared.heir, plan, ask, &mut running).await?;
        if let Some(entrance) = self.entrance.lock().as_mut() {
            entrance.change(doors); // a reply to whoever came by a door that closes still finds its way
        }
        log(&changes);
        Ok(changes)
    }

    /// Closes the UDP sockets that are more than there are to be workers. What waits in them is answered.
    pub(super) async fn dismiss_surplus(&self) {
        let mut running = self.running.lock().await;
        let Running { plan, servers: Some(servers), .. } = &mut *running else { return };
        let dismissed = servers.sockets().and_then(|sockets| {
            let (sockets, surplus) = sockets.for_workers(workers(plan));
            if !surplus.is_empty() {
                let closing = servers.change(sockets, &plan.server, plan.shown.as_ref())?;
                self.closing.spawn(closing.stop_after(surplus));
            }
            Ok(())
        });
        if let Err(e) = dismissed {
            warn!(%e, "there are more UDP workers than `workers` until the next reload");
        }
    }

    /// Binds where administrators come in from now on, as far as that is new.
    fn bind_doors(&self, plan: &Plan, user: Option<&str>) -> Result<Doors, ReloadError> {
        let entrance = self.entrance.lock();
        let entrance = entrance.as_ref().ok_or(ReloadError::Stopping)?;
        entrance.bind(&plan.admin, plan.token.as_ref(), user).map_err(ReloadError::of_door)
    }

    async fn succeed(
        &self,
        heir: Heir,
        plan: &Arc<Plan>,
        ask: &Arc<impl Ask + Vouch>,
        running: &mut Running,
    ) -> Result<(), ReloadError> {
        let watch = self.stop.child_token();
        let (sender, events) = mpsc::channel(WAITING_VERDICTS);
        let answers = post_guards(plan, ask, self.suspicion.clone(), &watch);
        let (runtime, probed, asks) = (Handle::current(), Arc::clone(plan), Arc::clone(ask));
        let launch = Box::new(move |known: &[_]| {
            let _runtime = runtime.enter(); // it is the director's thread that launches them
            Schedule::resume(&probed.probes, known, &asks, &sender)
        });
        let (done, is_done) = oneshot::channel();
        let succession = Succession { heir, events, answers, launch, done };
        let sent = self.turns.send(Turn::Succeed(Box::new(succession))).await;
        sent.map_err(|_| ReloadError::Stopping)?;
        is_done.await.map_err(|_| ReloadError::Stopping)?;
        running.plan = Arc::clone(plan);
        *self.renewal.lock() = running.watch_over(watch);
        Ok(())
    }
}

/// All that is made ready while the old plan is answered.
pub(super) struct Prepared {
    pub(super) heir: Heir,
    pub(super) before: Marks,
    pub(super) after: Marks,
}

/// `before`: the marks of what was served before, and how it is answered; `known`: what is known of it.
pub(super) async fn prepare(
    plan: &Arc<Plan>,
    before: (Marks, Arc<Snapshot>),
    ask: &Arc<impl Ask>,
    known: &Legacy,
) -> Result<Prepared, io::Error> {
    let (new, (before, answered)) = (Arc::clone(plan), before);
    let work = spawn_blocking(move || (marks(&new), Compiler::after(new, &answered)));
    let end = Instant::now() + plan.server.first_round;
    let findings = rehearse(&plan.probes, known.unknown(plan), ask, end).await;
    let (after, compiler) = work.await.map_err(io::Error::other)?;
    let heir = Heir { plan: Arc::clone(plan), compiler, findings, same: same(&before, &after) };
    Ok(Prepared { heir, before, after })
}

impl From<Gone> for ReloadError {
    fn from(_: Gone) -> Self {
        Self::Stopping
    }
}

impl From<ReloadError> for Refused {
    fn from(e: ReloadError) -> Self {
        let kind = match &e {
            ReloadError::Bind { .. } | ReloadError::Door(_) | ReloadError::Io(_) => Kind::Unable,
            ReloadError::Stopping => Kind::Stopping,
        };
        Self::new(kind, format!("{e}: nothing has changed"))
    }
}

impl ReloadError {
    fn of_door(e: DoorError) -> Self {
        match e {
            DoorError::Http(source) => Self::of(source),
            other => Self::Door(other),
        }
    }

    fn of(source: BindError) -> Self {
        let hint = match source.source.kind() {
            io::ErrorKind::PermissionDenied => {
                ". Where root was dropped at the start, it takes a restart, or that capability for the user"
            }
            _ => "",
        };
        Self::Bind { source, hint }
    }
}

fn log(changes: &Changes) {
    let ([new, otherwise, gone], restart) = (changes.counts(), &changes.restart);
    if restart.is_empty() {
        info!(new, changed = otherwise, gone, "reloaded");
    } else {
        warn!(new, changed = otherwise, gone, ?restart, "reloaded, but for what takes a restart");
    }
}
