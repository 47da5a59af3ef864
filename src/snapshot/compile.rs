//! The plan becomes a snapshot: the name table once, the answers of a pool whenever its lineup changes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use super::cells::Cell;
use super::flags::NXDOMAIN;
use super::lineup::{Lineup, Outlook};
use super::scribe::{Scribe, any};
use super::table::{NodeId, Role, Slot, Table};
use super::template::Answers;
use super::{Book, Snapshot, Terms, ZoneAnswers};
use crate::config::Server;
use crate::health::Standing;
use crate::name::{self, Name};
use crate::plan::{Plan, Pool};
use crate::units::{PoolId, Serial, ZoneId};
use crate::zone::{DNAME, Record};

/// Compiles snapshots of one plan.
#[derive(Debug)]
pub struct Compiler {
    plan: Arc<Plan>,
    book: Arc<Book>,
    sheet: Sheet,
    /// The names whose answers depend on a pool, by live slot.
    live: Vec<NodeId>,
    /// The live slots that depend on each pool.
    dependents: Vec<Vec<u32>>,
}

/// Where the records of each node are, and which of them are pools.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// (zone, record) in the order of nodes and types.
    places: Vec<(u32, u32)>,
    pools: HashMap<(u32, RecordType), PoolId>,
    /// What the answers of each pool are counted as.
    cells: Vec<Option<Cell>>,
}

impl Compiler {
    /// Builds the name table and all answers that no pool can change.
    pub fn new(plan: Arc<Plan>) -> Self {
        Self::after(plan, &Snapshot::default())
    }

    /// The same in place of what was answered `before`: pools go on being counted as they were.
    pub fn after(plan: Arc<Plan>, before: &Snapshot) -> Self {
        let (mut table, mut sheet) = lay_out(&plan);
        let mut roster = before.roster().clone();
        sheet.cells = roster.enrol(plan.pools.iter().map(|pool| (pool.name.clone(), pool.record_type)));
        let everyone =
            |pool: &Pool| Lineup::of(pool, &vec![Standing::LIVE; pool.members.len()], Outlook::Settled, None);
        let everyone: Vec<Lineup> = plan.pools.iter().map(everyone).collect();
        let mut fixed = Answers::default();
        let mut live = Vec::new();
        let mut dependents = vec![Vec::new(); plan.pools.len()];
        for id in table.ids() {
            let mut scribe = Scribe::new(&plan, &table, &sheet, &everyone);
            let (drafts, redirect) = (scribe.node(id), scribe.redirect(id));
            let anchor_len = table.anchor_len(id);
            let touched = scribe.touched();
            let slot = if touched.is_empty() {
                let start = fixed.len();
                fixed.extend(&drafts, anchor_len);
                Slot::Fixed(start..fixed.len())
            } else {
                let slot = live.len() as u32;
                for pool in touched {
                    dependents[pool.index()].push(slot);
                }
                live.push(id);
                Slot::Live(slot)
            };
            let redirect = redirect.map(|redirect| fixed.push(&redirect, table.name(id).len()));
            let node = table.node_mut(id);
            (node.slot, node.redirect) = (slot, redirect);
        }
        let zones = zone_answers(&plan, &table, &sheet, &mut fixed);
        let pools = plan.pool_ids();
        let pools = pools.filter_map(|(id, pool)| Some((table.get(pool.name.as_wire())?, id))).collect();
        let book = Arc::new(Book { table, fixed, zones, pools, roster, terms: terms(&plan.server) });
        Self { plan, book, sheet, live, dependents }
    }

    /// Everything, as `lineups` (by pool) and `serials` (by zone) have it.
    pub fn compile(&self, lineups: &[Lineup], serials: &[Serial]) -> Snapshot {
        let live = (0..self.live.len() as u32).map(|slot| self.answers(slot, lineups)).collect();
        let book = Arc::clone(&self.book);
        Snapshot { book, live, serials: serials.into(), ..Snapshot::default() }
    }

    /// `before`, with the answers that depend on `changed` pools written anew.
    #[must_use]
    pub fn recompile(
        &self,
        before: &Snapshot,
        changed: &[PoolId],
        lineups: &[Lineup],
        serials: &[Serial],
    ) -> Snapshot {
        let mut live = before.live.clone();
        let slots: BTreeSet<u32> =
            changed.iter().flat_map(|pool| self.dependents[pool.index()].iter().copied()).collect();
        for slot in slots {
            live[slot as usize] = self.answers(slot, lineups);
        }
        let (secrets, accounts) = (Arc::clone(&before.secrets), Arc::clone(&before.accounts));
        Snapshot { book: Arc::clone(&self.book), live, serials: serials.into(), secrets, accounts }
    }

    /// The zones whose answers a pool's lineup changes.
    pub fn zones_of(&self, pool: PoolId) -> BTreeSet<ZoneId> {
        let nodes = self.dependents[pool.index()].iter().map(|&slot| self.live[slot as usize]);
        nodes.map(|id| self.book.table.node(id).zone).collect()
    }

    fn answers(&self, slot: u32, lineups: &[Lineup]) -> Arc<Answers> {
        let mut answers = Answers::default();
        let mut scribe = Scribe::new(&self.plan, &self.book.table, &self.sheet, lineups);
        let id = self.live[slot as usize];
        answers.extend(&scribe.node(id), self.book.table.anchor_len(id));
        Arc::new(answers)
    }
}

impl Sheet {
    /// The records of a type at a node, in the order of their zone.
    pub(super) fn rrset<'p>(
        &self,
        plan: &'p Plan,
        table: &Table,
        id: NodeId,
        wanted: RecordType,
    ) -> impl Iterator<Item = &'p Record> {
        self.records(plan, table, id).filter(move |record| record.record_type() == wanted)
    }

    /// The types at a node, each once.
    pub(super) fn types(&self, plan: &Plan, table: &Table, id: NodeId) -> Vec<RecordType> {
        let mut types: Vec<_> = self.records(plan, table, id).map(Record::record_type).collect();
        types.dedup();
        types
    }

    /// The pool that an RRset is.
    pub(super) fn pool(&self, id: NodeId, record_type: RecordType) -> Option<PoolId> {
        self.pools.get(&(id.0, record_type)).copied()
    }

    /// What replies with a pool's members are counted as.
    pub(super) fn cell(&self, pool: PoolId) -> Option<Cell> {
        self.cells.get(pool.index()).copied().flatten()
    }

    fn records<'p>(&self, plan: &'p Plan, table: &Table, id: NodeId) -> impl Iterator<Item = &'p Record> {
        let range = &table.node(id).records;
        let places = &self.places[range.start as usize..range.end as usize];
        places.iter().map(|&(zone, record)| &plan.zones[zone as usize].records[record as usize])
    }
}

/// Every name of every zone, with its records and its role.
fn lay_out(plan: &Plan) -> (Table, Sheet) {
    let mut table = Table::default();
    let mut placed = Vec::new();
    for (zone, wanted) in plan.zones.iter().enumerate() {
        let id = ZoneId(zone as u32);
        let apex = table.insert(wanted.origin.as_wire(), id);
        table.node_mut(apex).is_apex = true;
        table.node_mut(apex).zone = id;
        if let Some(above) = plan.apexes.above(wanted.origin.as_wire()) {
            // What lies between the two is of the zone above, whatever that has there itself.
            insert_with_ancestors(&mut table, &wanted.origin, &plan.zones[above.index()].origin, above);
        }
        for (place, record) in wanted.records.iter().enumerate() {
            if belongs(plan, id, record) {
                let node = insert_with_ancestors(&mut table, &record.owner, &wanted.origin, id);
                placed.push((node.0, u16::from(record.record_type()), zone as u32, place as u32));
            }
        }
    }
    placed.sort_unstable();
    let mut sheet = Sheet::default();
    for (node, _, zone, place) in placed {
        let at = sheet.places.len() as u32;
        let records = &mut table.node_mut(NodeId(node)).records;
        let start = if records.end == 0 { at } else { records.start };
        *records = start..at + 1;
        sheet.places.push((zone, place));
    }
    assign_roles(plan, &mut table, &sheet);
    for (id, pool) in plan.pool_ids() {
        if let Some(node) = table.get(pool.name.as_wire()) {
            sheet.pools.insert((node.0, pool.record_type), id);
        }
    }
    (table, sheet)
}

/// Whether a record is to be answered from its zone: a zone below that is served as well has the last word on
/// its names, its DS records excepted, which live on the upper side (RFC 4035 §3.1.4.1).
fn belongs(plan: &Plan, zone: ZoneId, record: &Record) -> bool {
    let (owner, holder) = (record.owner.as_wire(), plan.apexes.holder(record.owner.as_wire()));
    let is_upper = || record.record_type() == RecordType::DS && plan.apexes.above(owner) == Some(zone);
    holder == Some(zone) || is_upper()
}

fn insert_with_ancestors(table: &mut Table, owner: &Name, origin: &Name, zone: ZoneId) -> NodeId {
    let id = table.insert(owner.as_wire(), zone);
    let mut below = owner.as_wire();
    while below.len() > origin.as_wire().len() {
        let Some(parent) = name::parent(below) else { break };
        let parent_id = table.insert(parent, zone);
        if below.starts_with(b"\x01*") {
            let wildcard = table.get(below);
            table.node_mut(parent_id).wildcard = wildcard;
        }
        below = parent;
    }
    id
}

fn assign_roles(plan: &Plan, table: &mut Table, sheet: &Sheet) {
    for id in table.ids() {
        let is_cut = !table.node(id).is_apex && sheet.rrset(plan, table, id, RecordType::NS).next().is_some();
        if is_cut {
            table.node_mut(id).role = Role::Cut;
        } else if sheet.rrset(plan, table, id, DNAME).next().is_some() {
            table.node_mut(id).redirect = Some(0); // the place of its answer is known once that is written
        }
    }
    for id in table.ids() {
        if let Some(cut) = highest_cut_above(table, id) {
            table.node_mut(id).role = Role::Below(cut);
        }
    }
}

fn highest_cut_above(table: &Table, id: NodeId) -> Option<NodeId> {
    let mut node = id;
    let mut found = None;
    while !table.node(node).is_apex {
        node = table.get(name::parent(table.name(node))?)?;
        if table.node(node).role == Role::Cut {
            found = Some(node);
        }
    }
    found
}

fn terms(server: &Server) -> Terms {
    Terms {
        udp_size: server.udp_size,
        nsid: server.nsid.as_bytes().into(),
        keepalive: u16::try_from(server.tcp.idle.as_millis() / 100).unwrap_or(u16::MAX),
        insiders: server.insiders.clone().into(),
    }
}

fn zone_answers(plan: &Plan, table: &Table, sheet: &Sheet, fixed: &mut Answers) -> Vec<ZoneAnswers> {
    let ids = (0..plan.zones.len() as u32).map(ZoneId);
    ids.map(|zone| {
        let scribe = Scribe::new(plan, table, sheet, &[]);
        let apex_len = plan.zones[zone.index()].origin.as_wire().len();
        ZoneAnswers {
            no_data: fixed.push(&scribe.negative(zone, 0), apex_len),
            any: fixed.push(&any(), apex_len),
            no_name: fixed.push(&scribe.negative(zone, NXDOMAIN), apex_len),
        }
    })
    .collect()
}
