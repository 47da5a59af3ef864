//! The single writer: verdicts come in, snapshots go out.
//!
//! Everything that is observed is kept here and nowhere else. A verdict that changes who is live changes the
//! lineups of the pools that have that member; the zones concerned get their next serial, and one new snapshot
//! with the answers of these pools written anew is published.

mod account;
mod agreements;
mod brief;
mod guard;
mod history;
mod inquiries;
mod legacy;
mod log;
mod news;
mod opening;
mod orders;
mod ramps;
mod recents;
mod sighting;
mod standings;
mod succession;
mod tales;
mod view;
mod wake;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::cookies;
use super::state::{Lease, State};
use crate::admin::journal::Journal;
use crate::health::{Guard, Observed, Pace, Reason, Vigil};
use crate::plan::{MemberId, Plan, Pool};
use crate::probe::Finding;
use crate::snapshot::{Account, Compiler, Lineup, Publisher, Reader, Snapshot};
use crate::units::{CookieSecret, Moment, PoolId, ProbeId, Serial, ZoneId};
use account::account;
use agreements::Agreements;
use history::History;
use inquiries::Inquiries;
use news::{News, queues};
use orders::Orders;
use ramps::Ramps;
use recents::Recents;
use sighting::Sighting;
use tales::{Presumed, Tale, is_awaited};

pub use brief::Brief;
pub use inquiries::Inquiry;
pub(super) use legacy::Legacy;
pub use orders::{Effect, Left, Refusal};
pub(super) use succession::Heir;
pub use view::View;
pub use wake::Kept;

/// The state of everything that is probed, and the way to the snapshot.
#[derive(Debug)]
pub struct Director {
    plan: Arc<Plan>,
    compiler: Compiler,
    sightings: Vec<Sighting>,
    tales: Vec<Tale>,
    /// The last verdicts of each probe.
    recents: Vec<Recents>,
    history: History,
    agreements: Agreements,
    guard: Guard,
    /// Those whom their last verdict would have taken down, and who may not leave yet.
    waiting: BTreeMap<ProbeId, Finding>,
    suspicion: watch::Sender<bool>,
    orders: Orders,
    inquiries: Inquiries,
    ramps: Ramps,
    lineups: Vec<Lineup>,
    /// When each lineup began, in seconds of Unix time.
    began: Vec<u32>,
    leases: Vec<Lease>,
    /// No serial after these was ever answered, of zones that are not in the plan. They may come back.
    past: BTreeMap<String, Serial>,
    /// The pools of each probe.
    pools: Vec<Vec<PoolId>>,
    /// The probes of each pool.
    probes: Vec<Vec<ProbeId>>,
    /// How long each probe may have to wait for its turn.
    queues: Vec<Duration>,
    /// Probes that are awaited, and have no verdict.
    unknown: usize,
    stage: Stage,
    views: watch::Sender<Vec<Observed>>,
    /// Probes that went up or down since the last publication.
    moved: Vec<ProbeId>,
    /// Pools of which something has changed since.
    due: BTreeSet<PoolId>,
    /// Who watches that something is heard of all probes; from the opening on.
    vigil: Option<Vigil>,
    /// How many probes' verdicts are stale.
    stale: watch::Sender<usize>,
    /// What is counted.
    journal: Journal,
    /// How often something was published, or said of a pool anew.
    changes: watch::Sender<u64>,
}

/// Whether anything is answered yet.
#[derive(Debug)]
enum Stage {
    /// The first round is on.
    Rehearsal,
    /// The sockets are open.
    Open(Publisher),
}

impl Director {
    /// Nobody has a verdict; `state` is what the last run left.
    pub fn new(plan: Arc<Plan>, state: &State) -> Self {
        let compiler = Compiler::new(Arc::clone(&plan));
        let director = Self::with_compiler(plan, compiler, state);
        director.orders.tell_strays(|_| false);
        director
    }

    fn with_compiler(plan: Arc<Plan>, compiler: Compiler, state: &State) -> Self {
        let leases = plan
            .zones
            .iter()
            .map(|zone| Lease::start(zone.serial, state.serials.get(&zone.origin.to_string()).copied()));
        let probes = probes_of_pools(&plan);
        Self {
            compiler,
            sightings: vec![Sighting::NONE; plan.probes.len()],
            agreements: Agreements::new(&plan),
            tales: vec![Tale::default(); plan.probes.len()],
            history: History::default(),
            recents: vec![Recents::default(); plan.probes.len()],
            guard: guard::guard(&plan),
            waiting: BTreeMap::new(),
            suspicion: watch::Sender::new(false),
            orders: Orders::new(&plan, state.orders.clone()),
            inquiries: Inquiries::default(),
            ramps: Ramps::default(),
            lineups: Vec::new(),
            began: Vec::new(),
            leases: leases.collect(),
            past: past(&plan, &state.serials),
            pools: pools_of_probes(&probes, plan.probes.len()),
            probes,
            queues: queues(&plan),
            unknown: plan.probes.iter().filter(|probe| is_awaited(probe)).count(),
            stage: Stage::Rehearsal,
            views: watch::Sender::new(vec![Observed::Unknown; plan.probes.len()]),
            moved: Vec::new(),
            due: BTreeSet::new(),
            vigil: None,
            stale: watch::Sender::new(0),
            journal: Journal::default(),
            changes: watch::Sender::new(0),
            plan,
        }
    }

    /// Takes one verdict in, and publishes what follows; when to ask this member again.
    pub fn judge(&mut self, id: ProbeId, finding: &Finding, now: Moment) -> Pace {
        let pace = self.take(id, finding, now);
        self.publish(now);
        pace
    }

    /// Takes one verdict in; when to ask this member again. What follows is to be published.
    pub fn take(&mut self, id: ProbeId, finding: &Finding, now: Moment) -> Pace {
        self.hear(id, News::Prompt, now);
        let check = &self.plan.probes[id.index()].check.name;
        self.journal.verdict(check, finding.verdict.reason().map(Reason::as_str), finding.latency);
        self.recents[id.index()].note(finding, now.unix);
        let after = self.heed(id, finding, now);
        let before = self.sightings[id.index()].observed;
        let is_first = before == Observed::Unknown && is_awaited(&self.plan.probes[id.index()]);
        self.unknown = self.unknown.saturating_sub(usize::from(is_first));
        self.observe(id, after, finding, now);
        if self.listen(id, finding, now) {
            self.due.extend(&self.pools[id.index()]);
        }
        after.pace()
    }

    fn observe(&mut self, id: ProbeId, after: Observed, finding: &Finding, now: Moment) {
        let sighting = &mut self.sightings[id.index()];
        let before = std::mem::replace(&mut sighting.observed, after);
        if before.as_str() != after.as_str() {
            sighting.since = Some(now.unix);
            let probe = &self.plan.probes[id.index()];
            log::transition(probe, before, after, finding);
            self.history.observed(probe, before, after, now.unix);
            self.journal.transition(&probe.check.name, after.as_str());
            self.moved.push(id);
        }
        if before != after {
            self.due.extend(&self.pools[id.index()]);
        }
    }

    /// Whether there is something to publish.
    pub fn has_changed(&self) -> bool {
        !(self.due.is_empty() && self.moved.is_empty())
    }

    /// Publishes all that has changed since the last time: one snapshot, however much it is.
    pub fn publish(&mut self, now: Moment) {
        if !self.has_changed() {
            return;
        }
        let due: Vec<PoolId> = std::mem::take(&mut self.due).into_iter().collect();
        self.redraw(&due, now);
        let moved = std::mem::take(&mut self.moved);
        if !moved.is_empty() {
            let sightings = &self.sightings;
            self.views.send_modify(|views| {
                for id in moved {
                    views[id.index()] = sightings[id.index()].observed;
                }
            });
        }
    }

    /// Whether everybody who is awaited has had its first verdict.
    pub const fn is_informed(&self) -> bool {
        self.unknown == 0
    }

    /// Reads what it publishes; `None`: it has not opened yet.
    pub(super) fn reader(&self) -> Option<Reader> {
        match &self.stage {
            Stage::Open(publisher) => Some(publisher.reader()),
            Stage::Rehearsal => None,
        }
    }

    /// What it counts.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Who of each pool is answered, by `PoolId`.
    pub fn lineups(&self) -> &[Lineup] {
        &self.lineups
    }

    /// What is observed, by `ProbeId`: news whenever a member goes up or down, once it is answered so.
    pub fn views(&self) -> watch::Receiver<Vec<Observed>> {
        self.views.subscribe()
    }

    /// News whenever something is published, or said of a pool anew.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What the next run should know if this one ends without warning.
    pub fn state(&self) -> State {
        let zones = self.plan.zones.iter().zip(&self.leases);
        let probes = self.plan.probes.iter().zip(self.observed()).zip(&self.tales);
        let serials = zones.map(|(zone, lease)| (zone.origin.to_string(), lease.stored()));
        State {
            serials: self.past.clone().into_iter().chain(serials).collect(),
            up: probes
                .filter(|((_, observed), tale)| {
                    *observed != Observed::Unknown || tale.presumed == Presumed::Unfit
                })
                .map(|((probe, observed), _)| (probe.key(), observed.is_up()))
                .collect(),
            orders: self.orders.kept(&self.plan),
        }
    }

    /// The same at the end: the serials exactly as they were answered.
    pub fn last_state(&self) -> State {
        State { serials: self.answered_serials(), ..self.state() }
    }

    /// The serials of all zones as they were answered last, those that are gone among them.
    fn answered_serials(&self) -> BTreeMap<String, Serial> {
        let serials = self.plan.zones.iter().zip(self.serials());
        let serials = serials.map(|(zone, serial)| (zone.origin.to_string(), serial));
        self.past.clone().into_iter().chain(serials).collect()
    }

    /// Whether nobody gives it secrets for DNS cookies.
    pub fn makes_secrets(&self) -> bool {
        self.plan.secrets.is_empty()
    }

    /// From now on cookies are made with `newest`; those of the secret before are still good.
    pub fn roll_secrets(&mut self, newest: CookieSecret) {
        let Stage::Open(publisher) = &self.stage else { return };
        let current = publisher.current();
        let secrets = cookies::roll(current.secrets(), newest);
        publisher.publish(Snapshot::clone(&current).with_secrets(secrets));
    }

    /// Draws the lineups of some pools anew, and publishes them and what is told about them.
    fn redraw(&mut self, pools: &[PoolId], now: Moment) {
        if matches!(self.stage, Stage::Rehearsal) {
            return;
        }
        let changed: Vec<PoolId> = pools.iter().copied().filter(|&id| self.draw(id, now)).collect();
        let zones: BTreeSet<ZoneId> = changed.iter().flat_map(|&pool| self.compiler.zones_of(pool)).collect();
        for zone in zones {
            self.leases[zone.index()].advance();
        }
        let Stage::Open(publisher) = &self.stage else { return };
        let current = publisher.current();
        let mut accounts = current.all_accounts().to_vec();
        for &id in pools {
            accounts[id.index()] = Arc::new(self.account(id.index()));
        }
        let next = self.compiler.recompile(&current, &changed, &self.lineups, &self.serials());
        publisher.publish(next.with_accounts(accounts.into()));
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Draws one lineup anew; whether it is another one.
    fn draw(&mut self, id: PoolId, now: Moment) -> bool {
        let last = self.lineups[id.index()].clone();
        let lineup = self.lineup(id, Some(&last), now);
        if (&lineup.answered, lineup.mode) != (&last.answered, last.mode) {
            let pool = &self.plan.pools[id.index()];
            log::lineup(pool, &lineup, self.is_blind(id));
            self.history.turned(pool, last.mode, lineup.mode, now.unix);
            self.journal.lineup(&pool.name.to_string(), &pool.record_type.to_string());
            self.began[id.index()] = now.unix;
        }
        let is_other = lineup != last;
        self.lineups[id.index()] = lineup;
        is_other
    }

    /// Who of a pool is to be answered now, after `last`.
    fn lineup(&mut self, id: PoolId, last: Option<&Lineup>, now: Moment) -> Lineup {
        let standings = self.climbed(id, now);
        let pool = &self.plan.pools[id.index()];
        if self.is_blind(id) {
            Lineup::blind(pool, &standings, last)
        } else {
            Lineup::of(pool, &standings, self.outlook(id), last)
        }
    }

    fn account(&self, pool: usize) -> Account {
        let order = |place| self.orders.on(MemberId { pool: PoolId(pool as u32), place: place as u32 });
        let mut account =
            account(&self.plan.pools[pool], &self.lineups[pool], self.began[pool], &self.sightings, order);
        self.retell(PoolId(pool as u32), &mut account);
        if self.guard.is_blind() { account::frozen(account) } else { account }
    }

    fn observed(&self) -> Vec<Observed> {
        self.sightings.iter().map(|sighting| sighting.observed).collect()
    }

    fn serials(&self) -> Vec<Serial> {
        self.leases.iter().map(|lease| lease.now()).collect()
    }
}

/// What is known of serials of zones that are not in the plan.
fn past(plan: &Plan, serials: &BTreeMap<String, Serial>) -> BTreeMap<String, Serial> {
    let mut past = serials.clone();
    for zone in &plan.zones {
        past.remove(&zone.origin.to_string());
    }
    past
}

fn probes_of_pools(plan: &Plan) -> Vec<Vec<ProbeId>> {
    let probes = |pool: &Pool| pool.members.iter().flat_map(|member| member.condition.probes()).collect();
    plan.pools.iter().map(probes).collect()
}

/// The same the other way round, for so many probes.
fn pools_of_probes(probes: &[Vec<ProbeId>], count: usize) -> Vec<Vec<PoolId>> {
    let mut pools = vec![Vec::new(); count];
    for (id, probes) in probes.iter().enumerate() {
        let id = PoolId(id as u32);
        for probe in probes {
            if pools[probe.index()].last() != Some(&id) {
                pools[probe.index()].push(id);
            }
        }
    }
    pools
}
