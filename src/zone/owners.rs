//! The records of a zone by owner and type: an order to search in, so that a hundred thousand records cost one allocation.

use hickory_proto::rr::RecordType;

use super::Record;
use crate::name::{self, Name};

/// The places of records, in the order of their owners, types, and places.
#[derive(Debug, Clone, Default)]
pub(super) struct Owners(Vec<u32>);

impl Owners {
    pub(super) fn new(records: &[Record]) -> Self {
        let mut order: Vec<u32> = (0..records.len() as u32).collect();
        order.sort_by(|&a, &b| key(&records[a as usize]).cmp(&key(&records[b as usize]))); // stable: by place at last
        Self(order)
    }

    /// An owner's records among all; `owner` is a lowered wire name.
    pub(super) fn records_of<'r>(
        &self,
        records: &'r [Record],
        owner: &[u8],
    ) -> impl Iterator<Item = &'r Record> + use<'r, '_> {
        let of = |place: &u32| records[*place as usize].owner.as_wire();
        let rest = &self.0[self.0.partition_point(|place| of(place) < owner)..];
        let own = &rest[..rest.partition_point(|place| of(place) == owner)];
        own.iter().map(|&place| &records[place as usize])
    }

    /// An NS record of the delegation at or above a name of the zone `origin`, from where that has nothing to say (RFC 1034
    /// §4.2.1); `None`: there is none. Two of them, one below the other, are in no zone.
    pub(super) fn delegation_of<'r>(
        &self,
        records: &'r [Record],
        origin: &Name,
        name: &Name,
    ) -> Option<&'r Record> {
        let mut names = name::up_from(name.as_wire()).take_while(|name| name.len() > origin.as_wire().len());
        names.find_map(|name| {
            self.records_of(records, name).find(|record| record.record_type() == RecordType::NS)
        })
    }

    /// The places of each RRset's records.
    pub(super) fn rrsets(&self, records: &[Record]) -> impl Iterator<Item = &[u32]> {
        self.0.chunk_by(|&a, &b| key(&records[a as usize]) == key(&records[b as usize]))
    }
}

fn key(record: &Record) -> (&[u8], u16) {
    (record.owner.as_wire(), u16::from(record.record_type()))
}
