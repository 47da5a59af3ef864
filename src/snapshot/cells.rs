//! Which counter a reply raises, and what that counter counts.
//!
//! A reply raises one counter. Its number, the cell, is compiled into the answer, so that counting costs the same whatever
//! is told apart; what a cell means is looked up when counters are read (`docs/design/counters.md`).
//!
//! ```text
//!    0 …  511   an rcode (8 rows) and a type (64 places)
//!  512 … 2047   a pool: it is asked for one type, and its rcode is NOERROR
//! ```
//!
//! A pool keeps its cell for as long as the process runs, also when a reload takes it away and another brings it back. Pools
//! that find no cell left are counted by rcode and type alone.

use std::collections::HashMap;

use hickory_proto::rr::RecordType;

use crate::name::Name;
use crate::zone::type_name;

/// How many types are told apart: a power of two.
const TYPES: u16 = 64;
/// Where the cells of pools begin.
const POOLS: u16 = 8 * TYPES;
/// The row of BADVERS, the one extended rcode that is answered (RFC 6891 §6.1.3); those below are their own.
const EXTENDED: u16 = 7;
const BADVERS: u16 = 16;
/// Types up to here have the place of their number.
const FIRST_TYPES: u16 = 40;
/// The place of all types that have none of their own.
const OTHER: u16 = TYPES - 1;
/// Types that have a place behind the first ones, where hickory has a name for them or not.
const FURTHER_TYPES: [(u16, &str); 22] = [
    (43, "DS"),
    (44, "SSHFP"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (53, "SMIMEA"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (61, "OPENPGPKEY"),
    (62, "CSYNC"),
    (63, "ZONEMD"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (251, "IXFR"),
    (252, "AXFR"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
];

/// The number of the counter that a reply raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell(u16);

impl Cell {
    /// How many there are: a power of two.
    pub const COUNT: usize = 2048;
    /// What of a type tells the place of an ordinary one in its row.
    const TYPE_MASK: u16 = TYPES - 1;

    /// That of replies with an rcode to questions for a type; type 0: no question could be read.
    pub(crate) fn of(rcode: u16, record_type: u16) -> Self {
        Self(rcode.min(EXTENDED) * TYPES + place(record_type))
    }

    /// Its place among all.
    #[inline(always)]
    pub fn index(self) -> usize {
        usize::from(self.0) % Self::COUNT
    }

    /// The rcode of its replies, with the upper bits (RFC 6891 §6.1.3).
    pub const fn rcode(self) -> u16 {
        match self.0 / TYPES {
            EXTENDED => BADVERS,
            row if row < EXTENDED => row,
            _ => 0,
        }
    }
}

/// The place of a type in its row.
fn place(record_type: u16) -> u16 {
    if record_type <= FIRST_TYPES {
        return record_type;
    }
    let further = FURTHER_TYPES.iter().position(|(further, _)| *further == record_type);
    further.map_or(OTHER, |further| FIRST_TYPES + 1 + further as u16)
}

/// The type at a place.
fn type_at(place: u16) -> String {
    match place {
        0 => "none".to_owned(),
        OTHER => "other".to_owned(),
        1..=FIRST_TYPES => type_name(RecordType::from(place)),
        _ => FURTHER_TYPES[usize::from(place - FIRST_TYPES - 1)].1.to_owned(),
    }
}

fn rcode_of(row: u16) -> &'static str {
    ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "BADVERS"]
        [usize::from(row)]
}

/// The cell of an answer, as far as it is known before it is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stub {
    cell: u16,
    /// What of the question's type is still to come.
    mask: u16,
}

impl Stub {
    /// Of an answer with an rcode to questions for one type, or with type 0 for any; `pool`: the cell of the pool in it.
    pub(crate) fn new(rcode: u16, record_type: u16, pool: Option<Cell>) -> Self {
        let mask = if record_type == 0 { Cell::TYPE_MASK } else { 0 };
        pool.map_or(Self { cell: Cell::of(rcode, record_type).0, mask }, |pool| Self {
            cell: pool.0,
            mask: 0,
        })
    }

    /// The cell for a question for a type that ordinary records have: one of the first forty.
    #[inline(always)]
    pub(crate) const fn ordinary(self, record_type: u16) -> Cell {
        Cell(self.cell + (record_type & self.mask))
    }

    /// The cell for a question for any type.
    pub(crate) fn any(self, record_type: u16) -> Cell {
        self.ordinary(place(record_type))
    }
}

/// Which pool each cell counts for: numbers are given once, and never to another.
#[derive(Debug, Clone, Default)]
pub struct Roster(Vec<(Name, RecordType)>);

/// What a cell counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Meaning {
    /// The type that was asked for: `other` for rare ones, `none` where no question could be read.
    pub record_type: String,
    /// The rcode that was answered.
    pub rcode: &'static str,
    /// The pool whose members were answered.
    pub pool: Option<String>,
}

impl Roster {
    /// The cells of `pools`, by name and type, in their order; `None`: there are no more.
    pub(super) fn enrol(&mut self, pools: impl IntoIterator<Item = (Name, RecordType)>) -> Vec<Option<Cell>> {
        let mut known: HashMap<(Name, RecordType), u16> = self.0.iter().cloned().zip(POOLS..).collect();
        let mut enrol = |pool: (Name, RecordType)| {
            let next = POOLS + self.0.len() as u16;
            let cell = match known.get(&pool) {
                Some(&cell) => cell,
                None if usize::from(next) < Cell::COUNT => {
                    known.insert(pool.clone(), next);
                    self.0.push(pool);
                    next
                }
                None => return None,
            };
            Some(Cell(cell))
        };
        pools.into_iter().map(&mut enrol).collect()
    }

    /// What the cell at a place among all counts; `None`: nothing.
    pub fn meaning(&self, index: usize) -> Option<Meaning> {
        let cell = u16::try_from(index).ok()?;
        let Some(pool) = cell.checked_sub(POOLS) else {
            let (row, place) = (cell / TYPES, cell % TYPES);
            return Some(Meaning { record_type: type_at(place), rcode: rcode_of(row), pool: None });
        };
        let (name, record_type) = self.0.get(usize::from(pool))?;
        let pool = Some(name.to_string());
        Some(Meaning { record_type: record_type.to_string(), rcode: rcode_of(0), pool })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_which_rcode_and_type_it_counts() {
        let roster = Roster::default();
        for (rcode, record_type, rcode_text, type_text) in [
            (0, 1, "NOERROR", "A"),
            (3, 28, "NXDOMAIN", "AAAA"),
            (0, 3, "NOERROR", "TYPE3"),
            (0, 39, "NOERROR", "DNAME"),
            (5, 257, "REFUSED", "CAA"),
            (1, 0, "FORMERR", "none"),
            (16, 33, "BADVERS", "SRV"),
            (6, 40, "YXDOMAIN", "TYPE40"),
            (0, 43, "NOERROR", "DS"),
            (0, 65535, "NOERROR", "other"),
        ] {
            let cell = Cell::of(rcode, record_type);
            let meaning = roster.meaning(cell.index()).unwrap();
            assert_eq!((meaning.rcode, meaning.record_type.as_str()), (rcode_text, type_text));
            assert_eq!((cell.rcode(), meaning.pool), (rcode, None));
            assert_eq!(Stub::new(rcode, record_type, None).any(record_type), cell);
            assert_eq!(Stub::new(rcode, 0, None).any(record_type), cell);
        }
    }

    #[test]
    fn types_have_places_of_their_own() {
        let places: std::collections::BTreeSet<u16> = (0..=257).map(place).collect();
        assert_eq!(places.len(), usize::from(TYPES));
        assert_eq!(type_at(place(257)), "CAA");
        assert_eq!(type_at(OTHER - 1), "CAA");
    }

    fn pool(name: &str, record_type: RecordType) -> (Name, RecordType) {
        (Name::parse(name).unwrap(), record_type)
    }

    #[test]
    fn a_pool_keeps_its_cell_whatever_comes_and_goes() {
        let mut roster = Roster::default();
        let [a, b] = ["a.example.org", "b.example.org"].map(|name| pool(name, RecordType::A));
        let six = pool("a.example.org", RecordType::AAAA);
        let first = roster.enrol([a, six]);
        let second = roster.enrol([b, pool("a.example.org", RecordType::AAAA)]);
        let third = roster.enrol([pool("a.example.org", RecordType::A)]);
        assert_eq!((second[1], third[0]), (first[1], first[0]));
        let meaning = |cell: Option<Cell>| roster.meaning(cell.unwrap().index()).unwrap();
        assert_eq!(meaning(second[0]).pool.unwrap(), "b.example.org");
        assert_eq!(meaning(first[1]).record_type, "AAAA");
        assert_eq!(first[0].unwrap().rcode(), 0);
    }

    #[test]
    fn there_are_only_so_many_cells() {
        let mut roster = Roster::default();
        let room = Cell::COUNT - usize::from(POOLS);
        let pools = (0..=room).map(|i| pool(&format!("p{i}.example.org"), RecordType::A));
        let cells = roster.enrol(pools);
        assert!(cells[..room].iter().all(Option::is_some) && cells[room].is_none());
        assert_eq!(cells[room - 1].unwrap().index(), Cell::COUNT - 1);
    }
}
