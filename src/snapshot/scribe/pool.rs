//! An RRset as far as it is answered: the lineup's records, where it is a pool.

use hickory_proto::rr::RecordType;

use super::Scribe;
use crate::config::Policy;
use crate::plan::{Member, Pool};
use crate::snapshot::draw::{self, Order, Stake};
use crate::snapshot::lineup::{Lineup, Mode};
use crate::snapshot::table::NodeId;
use crate::snapshot::template::Draft;
use crate::snapshot::wire;
use crate::units::{MOST_DRAWN, Presence, Ttl};
use crate::zone::Record;

/// The most records that a section counts (RFC 1035 §4.1.1), which are more than it holds: none is missed behind them.
const MOST: usize = u16::MAX as usize;

/// The records of an RRset that are answered.
pub(super) struct Answered<'p> {
    shown: Vec<Shown<'p>>,
    pool: Option<(&'p Pool, &'p Lineup)>,
}

/// One of them.
struct Shown<'p> {
    record: &'p Record,
    /// Who it is, and how much of its part it gets; `None`: it is in no pool.
    member: Option<(&'p Member, Presence)>,
}

impl<'p> Scribe<'p> {
    /// What is answered of the RRset at a node.
    pub(super) fn answered(&mut self, id: NodeId, record_type: RecordType) -> Answered<'p> {
        let (plan, lineups) = (self.plan, self.lineups);
        let records = self.sheet.rrset(plan, self.table, id, record_type).take(MOST);
        let Some(pool) = self.sheet.pool(id, record_type) else {
            let shown = records.map(|record| Shown { record, member: None });
            return Answered { shown: shown.collect(), pool: None };
        };
        self.touched.push(pool);
        let (pool, lineup) = (&plan.pools[pool.index()], &lineups[pool.index()]);
        // The members are these records, in this order.
        let members = pool.members.iter().zip(lineup.answered.iter().copied());
        let present = records.zip(members).filter(|(_, (_, presence))| presence.is_some());
        let shown = present.map(|(record, member)| Shown { record, member: Some(member) });
        Answered { shown: shown.collect(), pool: Some((pool, lineup)) }
    }
}

impl<'p> Answered<'p> {
    /// The records, in the order of the zone.
    pub(super) fn records(&self) -> impl Iterator<Item = &'p Record> {
        self.shown.iter().map(|shown| shown.record)
    }

    /// Those of them that come along with other answers. Nothing is drawn there: whoever is in less than half of the
    /// pool's own answers is left out, the others are in.
    pub(super) fn companions(&self) -> impl Iterator<Item = &'p Record> {
        let (best, window) = (self.best(), self.window());
        let most = self.shown.iter().filter(move |shown| 2 * draw::part(shown.presence(), best) >= draw::ALL);
        most.map(|shown| shown.record).take(window.into())
    }

    /// How many they are.
    pub(super) const fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether it is a pool's.
    pub(super) const fn is_pool(&self) -> bool {
        self.pool.is_some()
    }

    /// Whether its pool fails open.
    pub(super) fn fails_open(&self) -> bool {
        self.pool.is_some_and(|(_, lineup)| lineup.mode == Mode::FailingOpen)
    }

    /// The longest that anybody may keep it, or keep that there is none of it; `None`: as long as the zone says.
    pub(super) fn most(&self) -> Option<Ttl> {
        let (pool, lineup) = self.pool?;
        lineup.most_kept(pool)
    }

    /// The TTL that a record of it leaves with.
    pub(super) fn ttl(&self, record: &Record) -> Ttl {
        self.most().map_or(record.ttl, |most| record.ttl.min(most))
    }

    /// How many records an answer has at most.
    pub(super) fn window(&self) -> u16 {
        let most = self.pool.map_or(u16::MAX, |(pool, _)| pool.rules.max_answers.get());
        most.min(self.shown.len() as u16)
    }

    /// Tells a draft how the pool's policy chooses, and what it needs to know of each record.
    pub(super) fn order(&self, draft: &mut Draft) {
        let Some((pool, _)) = self.pool else { return };
        let best = self.best();
        draft.order = match pool.rules.policy {
            Policy::Sticky => Order::Sticky,
            Policy::Weighted => Order::Weighted,
            Policy::RoundRobin | Policy::Failover if self.is_even() => return,
            Policy::RoundRobin | Policy::Failover => Order::Partial,
        };
        let stake = |shown: &Shown<'_>| Stake {
            value: shown.value(draft.order),
            part: draw::part(shown.presence(), best),
        };
        draft.stakes = self.shown.iter().map(stake).collect();
        draft.window = draft.window.min(MOST_DRAWN as u16);
    }

    /// Whether all get the same.
    fn is_even(&self) -> bool {
        let best = self.best();
        self.shown.iter().all(|shown| shown.presence() == best)
    }

    /// The largest presence among them. Presences are parts of it: somebody has to be answered, and nobody is spared by
    /// what spares all.
    fn best(&self) -> Presence {
        self.shown.iter().map(Shown::presence).max().unwrap_or(Presence::FULL)
    }
}

impl Shown<'_> {
    fn presence(&self) -> Presence {
        self.member.map_or(Presence::FULL, |(_, presence)| presence)
    }

    /// What an order wants to know of it.
    fn value(&self, order: Order) -> u64 {
        match order {
            Order::Sticky => draw::key(&wire::rdata(&self.record.rdata)),
            Order::Weighted => self.member.map_or(0, |(member, _)| u64::from(member.weight)),
            Order::Turn | Order::Partial => 0,
        }
    }
}
