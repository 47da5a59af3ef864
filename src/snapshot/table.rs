//! The name table: every name of every zone, empty non-terminals too, and what RFC 1034 §4.3.2 finds there.

use std::ops::Range;

use crate::name;
use crate::units::ZoneId;

/// A name of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(pub(super) u32);

/// All names, by hash of their wire form. They are found in any case (RFC 4343).
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Open addressing, a power of two of entries, at most half of them taken. It is built once and then only read, so
    /// it needs less than a general table, and a lookup costs half as much.
    index: Vec<Entry>,
    nodes: Vec<Node>,
    names: Vec<u8>,
    /// The length of the longest name, in labels: longer questions are cut down to it at once.
    depth: usize,
}

/// A place of the index: the upper half of a name's hash, and one more than its node; zero where it is free.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    tag: u32,
    node: u32,
}

/// One name.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    name: u32,
    name_len: u8,
    /// The length of the part of a question that its answers are compressed against: its own name, or for a wildcard
    /// the name above it.
    pub(super) anchor_len: u8,
    /// Whether it is the apex of its zone.
    pub(super) is_apex: bool,
    /// The zone it belongs to.
    pub(crate) zone: ZoneId,
    /// What RFC 1034 §4.3.2 makes of it.
    pub(super) role: Role,
    /// The answer for names below it, where it has a DNAME.
    pub(super) redirect: Option<u32>,
    /// The wildcard right below it.
    pub(super) wildcard: Option<NodeId>,
    /// Its records, in the compiler's order.
    pub(super) records: Range<u32>,
    /// Its answers.
    pub(crate) slot: Slot,
}

/// What a name is for its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The zone is authoritative for it; it may have no records (an empty non-terminal).
    Data,
    /// A delegation.
    Cut,
    /// Below a delegation.
    Below(NodeId),
}

/// Where the answers of a name are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Among those that never change.
    Fixed(Range<u32>),
    /// Among those that health changes.
    Live(u32),
}

/// What is found for a question.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    /// The name, or the wildcard that stands for it (RFC 4592 §3.3.1).
    Data(NodeId),
    /// A delegation at the name or above it.
    Referral(NodeId),
    /// A DNAME above the name.
    Redirect(NodeId),
    /// No such name in this zone.
    Missing(ZoneId),
    /// In no zone.
    Outside,
}

impl Table {
    /// Finds a name or adds it.
    pub(super) fn insert(&mut self, wire: &[u8], zone: ZoneId) -> NodeId {
        if let Some(id) = self.get(wire) {
            return id;
        }
        let id = NodeId(self.nodes.len() as u32);
        let name = self.names.len() as u32;
        self.names.extend_from_slice(wire);
        self.nodes.push(Node {
            name,
            name_len: wire.len() as u8,
            anchor_len: (if wire.starts_with(b"\x01*") { wire.len() - 2 } else { wire.len() }) as u8,
            is_apex: false,
            zone,
            role: Role::Data,
            redirect: None,
            wildcard: None,
            records: 0..0,
            slot: Slot::Fixed(0..0),
        });
        if 2 * self.nodes.len() > self.index.len() {
            self.index = vec![Entry::default(); (4 * self.nodes.len()).next_power_of_two()];
            self.ids().for_each(|id| self.enter(id));
        } else {
            self.enter(id);
        }
        self.depth = self.depth.max(name::labels(wire).count());
        id
    }

    fn enter(&mut self, id: NodeId) {
        let hash = hash(self.name(id));
        let mask = self.index.len() - 1;
        let mut place = hash as usize & mask;
        while self.index[place].node > 0 {
            place = (place + 1) & mask;
        }
        self.index[place] = Entry { tag: (hash >> 32) as u32, node: id.0 + 1 };
    }

    /// The node with this wire name, in any case.
    pub(crate) fn get(&self, wire: &[u8]) -> Option<NodeId> {
        self.look_up(wire, |name, wire| is_equal(name, wire) || name.eq_ignore_ascii_case(wire))
    }

    /// The node with this wire name, if that is in the case of the table, as most questions are.
    #[inline(always)]
    pub(super) fn get_exact(&self, wire: &[u8]) -> Option<NodeId> {
        self.look_up(wire, is_equal)
    }

    #[inline(always)]
    fn look_up(&self, wire: &[u8], is_same: impl Fn(&[u8], &[u8]) -> bool) -> Option<NodeId> {
        let hash = hash(wire);
        let mask = self.index.len().wrapping_sub(1);
        let mut place = hash as usize & mask;
        loop {
            let Entry { tag, node } = *self.index.get(place)?;
            let id = NodeId(node.checked_sub(1)?);
            if tag == (hash >> 32) as u32 && is_same(self.name(id), wire) {
                return Some(id);
            }
            place = (place + 1) & mask;
        }
    }

    /// RFC 1034 §4.3.2 step 3 for a wire name in any case. `at_parent`: the type lives on the parent's side of a
    /// cut (DS, RFC 4035 §3.1.4.1).
    pub(crate) fn find(&self, wire: &[u8], at_parent: bool) -> Found {
        match self.get(wire) {
            Some(id) => self.resolve(id, at_parent),
            None => self.find_above(wire, at_parent),
        }
    }

    fn find_above(&self, wire: &[u8], at_parent: bool) -> Found {
        match self.closest_encloser(wire) {
            None => Found::Outside,
            Some(id) => self.below(id, at_parent),
        }
    }

    fn resolve(&self, id: NodeId, at_parent: bool) -> Found {
        match self.node(id).role {
            Role::Data => Found::Data(id),
            Role::Cut if at_parent => Found::Data(id),
            Role::Cut => Found::Referral(id),
            Role::Below(cut) => Found::Referral(cut),
        }
    }

    /// What stands for a name that does not exist, below one that does.
    fn below(&self, id: NodeId, at_parent: bool) -> Found {
        let node = self.node(id);
        match (node.role, node.redirect, node.wildcard) {
            (Role::Cut, ..) => Found::Referral(id),
            (Role::Below(cut), ..) => Found::Referral(cut),
            (Role::Data, Some(_), _) => Found::Redirect(id),
            (Role::Data, None, Some(wildcard)) => self.resolve(wildcard, at_parent),
            (Role::Data, None, None) => Found::Missing(node.zone),
        }
    }

    /// The longest existing ancestor (RFC 4592 §3.3.1).
    fn closest_encloser(&self, wire: &[u8]) -> Option<NodeId> {
        let surplus = name::labels(wire).count().saturating_sub(self.depth);
        let mut rest = wire;
        for _ in 0..surplus {
            rest = name::parent(rest)?;
        }
        let mut found = if surplus > 0 { self.get(rest) } else { None };
        while found.is_none() {
            rest = name::parent(rest)?;
            found = self.get(rest);
        }
        found
    }

    /// A node.
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// A node, to be filled in while the table is built.
    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// The lowered wire name of a node.
    pub(crate) fn name(&self, id: NodeId) -> &[u8] {
        self.node(id).wire(&self.names)
    }

    /// Every node.
    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// The length of the part of a question that a node's answers are compressed against.
    pub(crate) fn anchor_len(&self, id: NodeId) -> usize {
        usize::from(self.node(id).anchor_len)
    }
}

/// Whether two names are equal, in few instructions; short ones may be and are not found to be.
#[inline(always)]
fn is_equal(name: &[u8], asked: &[u8]) -> bool {
    let (words, asked_words) = (name.as_chunks::<8>().0, asked.as_chunks::<8>().0);
    name.len() == asked.len()
        && words.iter().zip(asked_words).all(|(word, asked)| word == asked)
        && name.last_chunk::<8>().is_some_and(|last| asked.ends_with(last))
}

/// A hash that is the same in any case: bit 5 of every byte is set. What else this makes equal is told apart by
/// comparing. Only the operator chooses what the table holds, so nobody can make names collide in it.
#[inline(always)]
fn hash(wire: &[u8]) -> u64 {
    let mut hash = wire.len() as u64;
    let mut rest = wire;
    while let Some((block, behind)) = rest.split_first_chunk::<16>() {
        hash = fold(hash, block);
        rest = behind;
    }
    match wire.last_chunk::<16>() {
        Some(last) => fold(hash, last), // overlaps the block before
        None => fold(hash, &std::array::from_fn(|i| wire.get(i).copied().unwrap_or_default())),
    }
}

#[inline(always)]
fn fold(hash: u64, block: &[u8; 16]) -> u64 {
    const CASE: u64 = 0x2020_2020_2020_2020;
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let [low, high] = [0, 8].map(|at| u64::from_le_bytes(std::array::from_fn(|i| block[at + i])) | CASE);
    let product = u128::from(low ^ hash) * u128::from(high ^ ODD);
    product as u64 ^ (product >> 64) as u64
}

impl Node {
    fn wire<'n>(&self, names: &'n [u8]) -> &'n [u8] {
        &names[self.name as usize..self.name as usize + usize::from(self.name_len)]
    }
}
