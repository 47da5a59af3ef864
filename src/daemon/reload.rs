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
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::changes::Changes;
use super::day::{Succession, Told, Turn};
use super::director::{Heir, Legacy};
use super::marks::{Marks, marks, same};
use super::renew::Renewal;
use super::{Daemon, Running, WAITING_VERDICTS, post_guards, workers};
use crate::plan::Plan;
use crate::probe::guard::Vouch;
use crate::probe::rehearse;
use crate::probe::schedule::{Ask, Schedule};
use crate::serve::{self, BindError, Inherited, places};
use crate::snapshot::Compiler;

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
    /// The system refused something else.
    #[error("cannot reload: {0}")]
    Io(#[from] io::Error),
    /// There is nothing to reload any more.
    #[error("the server is stopping")]
    Stopping,
}

impl Daemon {
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
        let mut running = self.running.lock().await;
        self.wait_for_closing().await; // an address that comes back must be free
        let known = self.told().await?.legacy;
        let Running { plan: before, servers, fixed, .. } = &mut *running;
        let servers = servers.as_mut().ok_or(ReloadError::Stopping)?;
        let (workers, mut inherited) = (workers(plan), Inherited::from(servers.sockets()?));
        let places = places(&plan.server.listen, plan.server.tls.as_ref());
        let sockets = serve::bind(&places, workers, &mut inherited).map_err(ReloadError::of)?;
        drop(inherited);
        let mut restart = fixed.changed(plan);
        restart.extend((!sockets.are_for(workers)).then_some("workers"));
        let prepared = prepare(plan, before, ask, &known).await?;
        let closing = servers.change(sockets, &plan.server, plan.shown.as_ref())?;
        self.closing.spawn(closing.stop());
        *self.addrs.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = servers.local_addrs();
        let changes = Changes::between((before, &prepared.before), (plan, &prepared.after), restart);
        self.succeed(prepared.heir, plan, ask, &mut running).await?;
        log(&changes);
        Ok(changes)
    }

    /// What the director knows.
    pub(super) async fn told(&self) -> Result<Told, ReloadError> {
        let (to, told) = oneshot::channel();
        self.turns.send(Turn::Tell(to)).await.map_err(|_| ReloadError::Stopping)?;
        told.await.map_err(|_| ReloadError::Stopping)
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
        running.watch_over(watch);
        Ok(())
    }
}

impl Running {
    /// Certificates are read again when they change, those of the plan alone.
    pub(super) fn watch_over(&mut self, watch: CancellationToken) {
        let own = self.servers.as_ref().and_then(|servers| servers.shown());
        self.renewal = Renewal::new(&self.plan.watched_for(own));
        tokio::spawn(watch.clone().run_until_cancelled_owned(self.renewal.clone().run()));
        self.watch = Some(watch.drop_guard()); // whoever looked after the plan before ends here
    }
}

/// All that is made ready while the old plan is answered.
pub(super) struct Prepared {
    pub(super) heir: Heir,
    pub(super) before: Marks,
    pub(super) after: Marks,
}

async fn prepare(
    plan: &Arc<Plan>,
    before: &Arc<Plan>,
    ask: &Arc<impl Ask>,
    known: &Legacy,
) -> Result<Prepared, io::Error> {
    let (old, new) = (Arc::clone(before), Arc::clone(plan));
    let compile = move || (marks(&old), marks(&new), Compiler::new(new));
    let work = tokio::task::spawn_blocking(compile);
    let end = Instant::now() + plan.server.first_round;
    let findings = rehearse(&plan.probes, known.unknown(plan), ask, end).await;
    let (before, after, compiler) = work.await.map_err(io::Error::other)?;
    let heir = Heir { plan: Arc::clone(plan), compiler, findings, same: same(&before, &after) };
    Ok(Prepared { heir, before, after })
}

impl ReloadError {
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
