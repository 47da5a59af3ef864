//! The running server as administrators meet it: what it is asked goes to the director, and what the director does not know
//! is added here.

use std::fs;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::info;

use super::clock::unix_now;
use super::director::{Effect, Refusal, View};
use super::steering::{Durable, Steering, SteeringError};
use super::works::Works;
use crate::admin::journal::Journal;
use crate::admin::metrics::Counters;
use crate::admin::probed::Probed;
use crate::admin::status::{Certificate, Config, Listen, OnDisk, Server, Status};
use crate::admin::{self, Kind, Refused, Reloaded, Running};
use crate::health::{Consent, Draft, Remark, Word};
use crate::plan::{Origin, Whom};
use crate::serve::{Addresses, Counter, Counts};

/// From one look at the files of the config to the next, at the least.
const LOOK: Duration = Duration::from_secs(3);

/// A running server.
#[derive(Debug)]
pub(super) struct Face {
    steering: Steering,
    changes: watch::Receiver<u64>,
    started: u32,
    ledger: Ledger,
    works: Weak<Works>,
    look: Mutex<Option<Look>>,
}

/// Where it is counted.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    pub(super) queries: Counter,
    pub(super) journal: Journal,
}

/// What the files of a config said beside what runs, when they were last looked at.
#[derive(Debug, Clone)]
struct Look {
    at: Instant,
    origin: Arc<Origin>,
    seen: OnDisk,
}

impl Face {
    pub(super) fn new(works: &Arc<Works>) -> Self {
        Self {
            steering: works.steering.clone(),
            changes: works.changes.clone(),
            started: works.started,
            ledger: works.ledger.clone(),
            works: Arc::downgrade(works),
            look: Mutex::default(),
        }
    }

    fn listen(&self) -> Listen {
        let addrs = self.works.upgrade().map(|works| works.addrs()).unwrap_or_default();
        let Addresses { plain, dot, doh, doq } = addrs;
        Listen { plain, dot, doh, doq }
    }

    fn certificates(&self, now: u32) -> Vec<Certificate> {
        self.works.upgrade().map(|works| works.renewal.lock().certificates(now)).unwrap_or_default()
    }

    fn works(&self) -> Result<Arc<Works>, Refused> {
        self.works.upgrade().ok_or_else(|| SteeringError::Stopping.into())
    }

    async fn server(&self, view: &View, counts: &Counts) -> Server {
        let (origin, now) = (&view.origin, unix_now());
        Server {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            now,
            started: self.started,
            config: Config {
                path: origin.config.display().to_string(),
                hash: origin.hash(),
                loaded: origin.loaded,
                on_disk: self.on_disk(origin).await,
            },
            listen: self.listen(),
            prober: view.prober.clone(),
            state_trouble: self.steering.trouble(),
            queries: counts.into(),
            certificates: self.certificates(now),
        }
    }

    /// What the files say now, or said a moment ago.
    async fn on_disk(&self, origin: &Arc<Origin>) -> OnDisk {
        let last = self.look.lock().clone();
        if let Some(last) = last.filter(|last| last.at.elapsed() < LOOK && Arc::ptr_eq(&last.origin, origin))
        {
            return last.seen;
        }
        let read = Arc::clone(origin);
        let seen = spawn_blocking(move || compare(&read)).await.unwrap_or(OnDisk::Unreadable);
        let look = Look { at: Instant::now(), origin: Arc::clone(origin), seen };
        *self.look.lock() = Some(look);
        seen
    }
}

impl Running for Face {
    async fn status(&self, whom: Option<Whom>) -> Result<Status, Refused> {
        let view = self.steering.view(whom).await?;
        let counts = self.ledger.queries.read();
        let server = self.server(&view, &counts).await;
        let View { zones, mut pools, strays, transitions, .. } = view;
        for pool in &mut pools {
            pool.queries = counts.pool(&pool.name, &pool.record_type);
        }
        Ok(Status { server, zones, pools, strays, transitions })
    }

    fn counters(&self) -> Counters {
        Counters { queries: self.ledger.queries.read(), entries: self.ledger.journal.entries() }
    }

    async fn probe(&self, whom: Option<Whom>, who: Remark) -> Result<Probed, Refused> {
        info!(%who, whom = whom.as_ref().map(tracing::field::display), "asked to probe now");
        Ok(self.steering.probe(whom).await?)
    }

    async fn preview(&self, whom: Whom, word: Option<Word>) -> Result<admin::Effect, Refused> {
        Ok(told(self.steering.preview(whom, word).await?, None))
    }

    async fn order(&self, whom: Whom, draft: Draft, consent: Consent) -> Result<admin::Effect, Refused> {
        let (effect, durable) = self.steering.order(whom, draft, consent).await?;
        Ok(told(effect, warning(durable)))
    }

    async fn release(&self, whom: Whom, who: Remark) -> Result<admin::Effect, Refused> {
        let (effect, durable) = self.steering.release(whom, who).await?;
        Ok(told(effect, warning(durable)))
    }

    /// It goes on if whoever asked hangs up: half a reload is none.
    async fn reload(&self, who: Remark) -> Result<Reloaded, Refused> {
        let works = self.works()?;
        info!(%who, "reload");
        let reloading = tokio::spawn(async move { works.reload_files().await });
        reloading.await.unwrap_or_else(|e| Err(Refused::new(Kind::Unable, e)))
    }

    fn may_hand_over(&self) -> Result<(), Refused> {
        let is_there = !self.works()?.succeeded.is_cancelled();
        is_there.then_some(()).ok_or_else(|| SteeringError::Refused(Refusal::TakenOver).into())
    }

    async fn hand_over(&self, stream: UnixStream, said: Vec<u8>) {
        if let Ok(works) = self.works() {
            works.hand_over(stream, said).await;
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}

fn compare(origin: &Origin) -> OnDisk {
    let anew = origin.anew(|path| fs::read(path).ok());
    match &anew == origin {
        true => OnDisk::Same,
        false if anew.files.values().any(Option::is_none) => OnDisk::Unreadable,
        false => OnDisk::Differs,
    }
}

fn told(effect: Effect, warning: Option<String>) -> admin::Effect {
    let left = effect.pools.into_iter().map(|left| admin::Left {
        pool: left.pool.to_string(),
        record_type: left.record_type.to_string(),
        members: left.members,
        live: left.live,
        mode: left.mode,
        answered: left.answered,
        bares: left.is_bared,
    });
    admin::Effect { members: effect.members, pools: left.collect(), warning }
}

fn warning(durable: Durable) -> Option<String> {
    match durable {
        Durable::Yes => None,
        Durable::NotYet(why) => Some(format!("a restart would not know of it yet: {why}")),
    }
}

impl From<SteeringError> for Refused {
    fn from(e: SteeringError) -> Self {
        let kind = match &e {
            SteeringError::Stopping | SteeringError::Refused(Refusal::TakenOver) => Kind::Stopping,
            SteeringError::Refused(Refusal::Nobody { .. }) => Kind::NoSuchMember,
            SteeringError::Refused(Refusal::Over) => Kind::BadRequest,
            SteeringError::Refused(Refusal::Bares(_)) => Kind::Bares,
            SteeringError::Refused(Refusal::NoOrder(_)) => Kind::NoOrder,
        };
        Self::new(kind, e)
    }
}
