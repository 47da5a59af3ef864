//! One immutable state of everything that is answered.
//!
//! Every answer is compiled into wire form before any query asks for it, so that answering is looking up and
//! copying. A snapshot shares with the one before it whatever did not change: the name table and all fixed
//! answers are one `Arc`, the answers of each name that depends on a pool are one more.
//!
//! ```text
//!  Plan ──Compiler::new──▶ Book (names, fixed answers)  ─┐
//!  lineups, serials ───────compile, recompile──────────▶ Snapshot ──Publisher──▶ Reader, Reader, …
//! ```

mod account;
pub(crate) mod cells;
mod compile;
pub(crate) mod counts;
pub(crate) mod draw;
pub(crate) mod flags;
mod lineup;
mod scribe;
pub(crate) mod table;
pub(crate) mod template;
mod wire;

use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;

use crate::units::{CookieSecret, PoolId, Serial, ZoneId};
use table::{Found, NodeId, Role, Slot, Table};
use template::{Answers, Template};

pub use account::{Account, Line};
pub use cells::{Cell, Meaning, Roster};
pub use compile::Compiler;
pub use lineup::{Lineup, Mode, Outlook};
pub(crate) use template::Pieces;

/// QTYPE 43: its records live on the parent's side of a cut (RFC 4035 §3.1.4.1).
const DS: u16 = 43;
/// QTYPE 255 (RFC 8482).
const ANY: u16 = 255;

/// Everything that is answered. The default one has no zones.
#[derive(Debug, Default, Clone)]
pub struct Snapshot {
    book: Arc<Book>,
    /// The answers that health changes, by live slot.
    live: Vec<Arc<Answers>>,
    /// The serial of each zone, by `ZoneId`.
    serials: Box<[Serial]>,
    /// What DNS cookies are checked with; the first makes new ones.
    secrets: Arc<[CookieSecret]>,
    /// What is told about each pool, by `PoolId`.
    accounts: Arc<[Arc<Account>]>,
}

/// What is the same in all snapshots of a plan.
#[derive(Debug, Default)]
struct Book {
    table: Table,
    fixed: Answers,
    zones: Vec<ZoneAnswers>,
    /// Which pools are at a node.
    pools: Vec<(NodeId, PoolId)>,
    /// What replies are counted as.
    roster: Roster,
    terms: Terms,
}

/// What the operator wants of every reply.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    /// The largest reply over UDP.
    pub(crate) udp_size: u16,
    /// Which server this is (RFC 5001); empty where that is nobody's business.
    pub(crate) nsid: Box<[u8]>,
    /// How long a silent TCP connection stays open, in tenths of a second (RFC 7828 §3.1).
    pub(crate) keepalive: u16,
    /// Who may ask for the version and the health of pools.
    pub(crate) insiders: Box<[IpNet]>,
}

/// The answers of a zone that are the same for many names.
#[derive(Debug)]
struct ZoneAnswers {
    any: u32,
    no_data: u32,
    no_name: u32,
}

/// A template, and the arena that it points into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit<'s> {
    pub(crate) answers: &'s Answers,
    pub(crate) template: &'s Template,
}

impl Snapshot {
    /// [`Self::find`] for types that ordinary records have: quick where the name is there as it is spelled.
    #[inline(never)]
    pub(crate) fn find_ordinary(&self, name: &[u8], record_type: u16) -> Option<Hit<'_>> {
        match self.book.table.get_exact(name) {
            Some(id) if self.book.table.node(id).role == Role::Data => Some(self.data(id, record_type)),
            _ => self.find(name, record_type),
        }
    }

    /// The answer to a question: wire name and type. `None`: outside all zones.
    #[inline(never)]
    pub(crate) fn find(&self, name: &[u8], record_type: u16) -> Option<Hit<'_>> {
        match self.book.table.find(name, record_type == DS) {
            Found::Data(id) if record_type == ANY && self.templates(id).1.iter().any(Template::has_data) => {
                let zone = self.book.table.node(id).zone;
                Some(self.of_zone(zone, |zone| zone.any))
            }
            Found::Data(id) => Some(self.data(id, record_type)),
            Found::Referral(cut) => Some(self.data(cut, template::ANY_OTHER_TYPE)),
            Found::Redirect(dname) => Some(self.redirect(dname)),
            Found::Missing(zone) => Some(self.of_zone(zone, |zone| zone.no_name)),
            Found::Outside => None,
        }
    }

    /// The serial that a zone has now.
    pub fn serial(&self, zone: ZoneId) -> Serial {
        self.serials[zone.index()]
    }

    /// The same with other secrets for DNS cookies: the first makes new ones, all are accepted.
    #[must_use]
    pub fn with_secrets(self, secrets: Arc<[CookieSecret]>) -> Self {
        Self { secrets, ..self }
    }

    /// The same with other accounts of its pools, by `PoolId`.
    #[must_use]
    pub fn with_accounts(self, accounts: Arc<[Arc<Account>]>) -> Self {
        Self { accounts, ..self }
    }

    /// What DNS cookies are checked with.
    pub fn secrets(&self) -> &[CookieSecret] {
        &self.secrets
    }

    /// What is told about the pools of a wire name.
    pub(crate) fn accounts(&self, name: &[u8]) -> impl Iterator<Item = &Account> {
        let id = self.book.table.get(name);
        let pools = self.book.pools.iter().filter(move |(node, _)| Some(*node) == id);
        pools.filter_map(|(_, pool)| self.accounts.get(pool.index()).map(|account| &**account))
    }

    /// What the cells of its answers count, and those of all snapshots before.
    pub fn roster(&self) -> &Roster {
        &self.book.roster
    }

    /// What is told about each pool, by `PoolId`.
    pub fn all_accounts(&self) -> &[Arc<Account>] {
        &self.accounts
    }

    /// What the operator wants of every reply.
    pub(crate) fn terms(&self) -> &Terms {
        &self.book.terms
    }

    fn redirect(&self, dname: NodeId) -> Hit<'_> {
        let answers = &self.book.fixed;
        let template = answers.get(self.book.table.node(dname).redirect.unwrap_or_default());
        Hit { answers, template }
    }

    #[inline(always)]
    fn data(&self, id: NodeId, record_type: u16) -> Hit<'_> {
        let (answers, templates) = self.templates(id);
        let fits = |t: &&Template| t.record_type == record_type || t.record_type == template::ANY_OTHER_TYPE;
        match templates.iter().find(fits) {
            Some(template) => Hit { answers, template },
            None => self.of_zone(self.book.table.node(id).zone, |zone| zone.no_data),
        }
    }

    /// All answers of a name.
    #[inline(always)]
    fn templates(&self, id: NodeId) -> (&Answers, &[Template]) {
        match &self.book.table.node(id).slot {
            Slot::Fixed(range) => (&self.book.fixed, self.book.fixed.range(range.clone())),
            Slot::Live(slot) => {
                let answers = &*self.live[*slot as usize];
                (answers, answers.all())
            }
        }
    }

    #[inline(always)]
    fn of_zone(&self, zone: ZoneId, which: impl Fn(&ZoneAnswers) -> u32) -> Hit<'_> {
        let zone = &self.book.zones[zone.index()];
        let answers = &self.book.fixed;
        Hit { answers, template: answers.get(which(zone)) }
    }
}

/// The one writer of snapshots. Not `Clone`: there is one in the process.
#[derive(Debug)]
pub struct Publisher(Arc<ArcSwap<Snapshot>>);

/// Reads the newest snapshot; one for each worker or connection.
#[derive(Debug, Clone)]
pub struct Reader(arc_swap::Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>);

impl Publisher {
    /// Starts with a snapshot.
    pub fn new(first: Snapshot) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(first)))
    }

    /// From now on `next` is answered.
    pub fn publish(&self, next: Snapshot) {
        self.0.store(Arc::new(next));
    }

    /// What is answered now.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// A reader of what is published.
    pub fn reader(&self) -> Reader {
        Reader(arc_swap::Cache::new(Arc::clone(&self.0)))
    }
}

impl Reader {
    /// The newest snapshot: one atomic load where nothing changed.
    pub fn load(&mut self) -> &Arc<Snapshot> {
        self.0.load()
    }
}
