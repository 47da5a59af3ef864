//! Master files: what the operator has today, read as `named-checkzone` reads it (RFC 1035 §5).
//!
//! [`read`] scans the text itself, because every problem must keep its file, line and column, and hands the
//! rdata of each record to hickory-proto, which knows the types. Lints follow once all records are known.

use hickory_proto::rr::{Name as Spelled, RData, RecordType};

use crate::name::Name;
use crate::report::Location;
use crate::units::{Serial, Ttl};

/// A zone that may be served: one SOA at the apex, at least one NS, RRsets as RFC 2181 wants them.
#[derive(Debug, Clone)]
pub struct Zone {
    /// The apex.
    pub origin: Name,
    /// All records, in the order of the file, the SOA among them.
    pub records: Vec<Record>,
    /// The serial in the file.
    pub serial: Serial,
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
}
