//! Master files: what the operator has today, read as `named-checkzone` reads it (RFC 1035 §5).
//!
//! ```text
//!  text ──scan──▶ entries of tokens ──parse──▶ records ──lint──▶ zone
//!           └──────────── problems, each with its place ──────┘
//! ```
//!
//! The text is scanned here and not by hickory-proto, because every problem must keep its file, line and column,
//! and because one problem must not hide the next. The rdata of most types is hickory's to read.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 1035 §5 | `$ORIGIN`, `$INCLUDE`, parentheses, comments, quotes, escapes, relative names, `@` | whole |
//! | 2308 §4 | `$TTL` | whole |
//! | 3597 §5 | unknown types: `TYPE65280 \# 2 0102` | whole |
//! | 1034 §3.6.2, 2181 §5, §10 | what an RRset and a CNAME may be | linted |
//! | 1034 §4.2.1 | what may stand below a delegation | linted |

mod lint;
mod owners;
mod parse;
mod rdata;
mod scan;

use std::path::Path;

use hickory_proto::rr::{Name as Spelled, RData, RecordType};
use hickory_proto::serialize::binary::BinDecodable;

use crate::name::Name;
use crate::report::{Location, Report, Sources};
use crate::units::{Serial, Ttl};

/// DNAME (RFC 6672), whose data hickory leaves as bytes.
pub(crate) const DNAME: RecordType = RecordType::DNAME;

/// A zone that may be served: one SOA at the apex, at least one NS, RRsets as RFC 2181 wants them.
#[derive(Debug, Clone)]
pub struct Zone {
    /// The apex.
    pub origin: Name,
    /// All records, in the order of the file, the SOA among them.
    pub records: Vec<Record>,
    /// The serial in the file.
    pub serial: Serial,
    owners: owners::Owners,
}

impl Zone {
    /// A name's records, in the order of their types.
    pub fn records_of(&self, owner: &Name) -> impl Iterator<Item = &Record> {
        self.owners.records_of(&self.records, owner.as_wire())
    }

    /// The records of each owner and type.
    pub(crate) fn rrsets(&self) -> impl Iterator<Item = impl Iterator<Item = &Record> + Clone> {
        let rrsets = self.owners.rrsets(&self.records);
        rrsets.map(|places| places.iter().map(|&place| &self.records[place as usize]))
    }

    /// An NS record of the delegation at or above a name of the zone; `None`: there is none.
    pub(crate) fn delegation_of(&self, name: &Name) -> Option<&Record> {
        self.owners.delegation_of(&self.records, &self.origin, name)
    }
}

/// One record of a zone. Its class is IN.
#[derive(Debug, Clone)]
pub struct Record {
    /// The owner as it is compared.
    pub owner: Name,
    /// The owner as it is spelled.
    pub spelled: Spelled,
    /// How long it may be cached.
    pub ttl: Ttl,
    /// Type and data.
    pub rdata: RData,
    /// Where it stands.
    pub at: Location,
}

impl Record {
    /// The type of the record.
    pub fn record_type(&self) -> RecordType {
        self.rdata.record_type()
    }

    /// Where a DNAME leads.
    pub(crate) fn dname_target(&self) -> Option<Spelled> {
        match &self.rdata {
            RData::Unknown { code: DNAME, rdata } => Spelled::from_bytes(&rdata.anything).ok(),
            _ => None,
        }
    }
}

/// A type as people write it, also where hickory has no name for it (RFC 3597 §5).
pub(crate) fn type_name(record_type: RecordType) -> String {
    match record_type {
        RecordType::Unknown(code) => format!("TYPE{code}"),
        known => known.to_string(),
    }
}

/// Reads the zone at `path`, `$INCLUDE`d files too. `name`: what the config says it is; without it, it is the owner of
/// the SOA. `None` where `report` has got an error about it.
pub fn read(
    path: &Path,
    name: Option<&Name>,
    sources: &mut Sources<'_>,
    report: &mut Report,
) -> Option<Zone> {
    let mut problems = Report::default();
    let records = parse::parse(path, name, sources, &mut problems);
    let zone = lint::lint(records, name, &mut problems);
    let zone = zone.filter(|_| !problems.has_errors());
    report.extend_in_order(problems);
    zone
}
