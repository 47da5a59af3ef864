//! The name table: every name of every zone, empty non-terminals too, and what RFC 1034 §4.3.2 finds there.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use crate::name;
use crate::units::ZoneId;

/// A name of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(pub(super) u32);

/// All names, by hash of their lowered wire form.
#[derive(Debug, Default)]
pub(crate) struct Table {
    index: HashTable<NodeId>,
    nodes: Vec<Node>,
    names: Vec<u8>,
    hasher: FixedState,
    /// The length of the longest name, in labels: longer questions are cut down to it at once.
    depth: usize,
}

/// One name.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    name: u32,
    name_len: u8,
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
            is_apex: false,
            zone,
            role: Role::Data,
            redirect: None,
            wildcard: None,
            records: 0..0,
            slot: Slot::Fixed(0..0),
        });
        let (names, nodes, hasher) = (&self.names, &self.nodes, &self.hasher);
        let hash = |wire: &[u8]| hash(hasher, wire);
        self.index.insert_unique(hash(wire), id, |id| hash(nodes[id.0 as usize].wire(names)));
        self.depth = self.depth.max(name::labels(wire).count());
        id
    }

    /// The node with this lowered wire name.
    pub(crate) fn get(&self, wire: &[u8]) -> Option<NodeId> {
        let hash = self.hash(wire);
        self.index.find(hash, |id| self.nodes[id.0 as usize].wire(&self.names) == wire).copied()
    }

    fn hash(&self, wire: &[u8]) -> u64 {
        hash(&self.hasher, wire)
    }

    /// RFC 1034 §4.3.2 step 3 for a lowered wire name. `at_parent`: the type lives on the parent's side of a
    /// cut (DS, RFC 4035 §3.1.4.1).
    pub(crate) fn find(&self, wire: &[u8], at_parent: bool) -> Found {
        if let Some(id) = self.get(wire) {
            return self.resolve(id, at_parent);
        }
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

    /// The length of the part of a question that a node's answers are compressed against: its own name, or
    /// for a wildcard the name above it.
    pub(crate) fn anchor_len(&self, id: NodeId) -> usize {
        let name = self.name(id);
        if name.starts_with(b"\x01*") { name.len() - 2 } else { name.len() }
    }
}

/// A wire name tells its own length: what a slice's `Hash` adds is not needed.
fn hash(hasher: &FixedState, wire: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(wire);
    hasher.finish()
}

impl Node {
    fn wire<'n>(&self, names: &'n [u8]) -> &'n [u8] {
        &names[self.name as usize..self.name as usize + usize::from(self.name_len)]
    }
}
