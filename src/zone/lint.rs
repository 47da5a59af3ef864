//! What a zone must be before it is served, told once all of its records are known.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use hickory_proto::rr::{Name as Spelled, RData, RecordType};

use super::owners::Owners;
use super::{DNAME, Record, Zone, type_name};
use crate::name::{self, Name};
use crate::report::{Code, Problem, Report};
use crate::units::Serial;

/// Makes a zone of records, as far as they are one. `None`: they have no SOA to hang on.
pub(super) fn lint(records: Vec<Record>, name: Option<&Name>, report: &mut Report) -> Option<Zone> {
    let (origin, serial) = apex(&records, name, report)?;
    let mut records = without_outsiders(records, &origin, report);
    let many = records.len();
    let mut owners = Owners::new(&records);
    records = without_duplicates(records, &owners, report);
    if records.len() < many {
        owners = Owners::new(&records);
    }
    level_ttls(&mut records, &owners, report);
    let tops = tops(&records, &origin);
    let lint = Lint { origin: &origin, records: &records, owners: &owners, tops, names: OnceCell::new() };
    lint.apex_ns(report);
    for record in &records {
        lint.alias(record, report);
        lint.below(record, report);
        lint.target(record, report);
    }
    Some(Zone { origin, records, serial, owners })
}

/// The owner of the one SOA, and the serial in it.
fn apex(records: &[Record], name: Option<&Name>, report: &mut Report) -> Option<(Name, Serial)> {
    let mut soas = records.iter().filter_map(|record| match &record.rdata {
        RData::SOA(soa) => Some((record, Serial(soa.serial))),
        _ => None,
    });
    let Some((soa, serial)) = soas.next() else {
        let why = "the zone has no SOA record";
        report.push(match records.first() {
            Some(first) => {
                Problem::error(Code::ZoneSoa, first.at.clone(), why).label("the first record of the zone")
            }
            None if report.has_errors() => return None,
            None => Problem::nowhere(Code::ZoneSoa, format!("{why}, nor any other")),
        });
        return None;
    };
    for (second, _) in soas {
        let problem = Problem::error(Code::ZoneSoa, second.at.clone(), "a second SOA record");
        report.push(problem.label("only one may be").related(soa.at.clone(), "the first"));
    }
    if let Some(name) = name.filter(|name| **name != soa.owner) {
        let message = format!("the SOA is that of `{}`, not of `{name}`", soa.owner);
        report.push(
            Problem::error(Code::ZoneSoa, soa.at.clone(), message).label("not at the apex of the zone"),
        );
        return None;
    }
    Some((soa.owner.clone(), serial))
}

fn without_outsiders(records: Vec<Record>, origin: &Name, report: &mut Report) -> Vec<Record> {
    if records.iter().all(|record| record.owner.is_within(origin)) {
        return records;
    }
    let (inside, outside): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.owner.is_within(origin));
    for record in outside {
        let message = format!("`{}` is outside the zone `{origin}`", record.owner);
        report.push(
            Problem::error(Code::ZoneOutside, record.at, message)
                .help("is a final dot too many, or one missing?"),
        );
    }
    inside
}

/// RFC 2181 §5: a record is in its RRset once.
fn without_duplicates(records: Vec<Record>, owners: &Owners, report: &mut Report) -> Vec<Record> {
    let mut doubles = HashSet::new();
    for rrset in owners.rrsets(&records).filter(|rrset| rrset.len() > 1) {
        let mut seen = HashMap::with_capacity(rrset.len());
        for &place in rrset {
            let record = &records[place as usize];
            let first = *seen.entry(&record.rdata).or_insert(place);
            if first != place {
                let problem =
                    Problem::warning(Code::ZoneDuplicateRecord, record.at.clone(), "the same record twice");
                let there = records[first as usize].at.clone();
                report.push(problem.label("left out").related(there, "it stands here already"));
                doubles.insert(place);
            }
        }
    }
    if doubles.is_empty() {
        return records;
    }
    let once = records.into_iter().zip(0..).filter(|(_, place)| !doubles.contains(place));
    once.map(|(record, _)| record).collect()
}

/// RFC 2181 §5.2: the records of an RRset have one TTL; the lowest is taken.
fn level_ttls(records: &mut [Record], owners: &Owners, report: &mut Report) {
    let mut levelled = Vec::new();
    for rrset in owners.rrsets(records) {
        let ttl_of = |place: &u32| records[*place as usize].ttl;
        let Some(&low) = rrset.iter().min_by_key(|place| ttl_of(place)) else { continue };
        let lowest = &records[low as usize];
        for &high in rrset.iter().filter(|place| ttl_of(place) > lowest.ttl) {
            let message =
                format!("the TTLs of `{}` {} differ", lowest.owner, type_name(lowest.record_type()));
            let problem = Problem::warning(Code::ZoneTtlMismatch, records[high as usize].at.clone(), message);
            let label = format!("served with the lowest, {}", lowest.ttl.seconds());
            report.push(problem.label(label).related(lowest.at.clone(), "the lowest"));
            levelled.push((high, lowest.ttl));
        }
    }
    for (high, ttl) in levelled {
        records[high as usize].ttl = ttl;
    }
}

/// What stands above other names: the first DNAME or, below the apex, NS record of each owner that has one.
fn tops<'r>(records: &'r [Record], origin: &Name) -> HashMap<&'r [u8], &'r Record> {
    let mut tops: HashMap<_, &Record> = HashMap::new();
    let stands_above = |record: &&Record| match record.record_type() {
        DNAME => true,
        RecordType::NS => record.owner != *origin,
        _ => false,
    };
    for record in records.iter().filter(stands_above) {
        let top = tops.entry(record.owner.as_wire()).or_insert(record);
        if top.record_type() != DNAME && record.record_type() == DNAME {
            *top = record;
        }
    }
    tops
}

struct Lint<'r> {
    origin: &'r Name,
    records: &'r [Record],
    owners: &'r Owners,
    tops: HashMap<&'r [u8], &'r Record>,
    /// See [`Lint::names`]: seldom needed.
    names: OnceCell<HashSet<&'r [u8]>>,
}

impl<'r> Lint<'r> {
    fn at(&self, wire: &[u8]) -> impl Iterator<Item = &'r Record> {
        self.owners.records_of(self.records, wire)
    }

    fn first_of(&self, wire: &[u8], record_type: RecordType) -> Option<&'r Record> {
        self.at(wire).find(|record| record.record_type() == record_type)
    }

    fn apex_ns(&self, report: &mut Report) {
        let apex = self.origin.as_wire();
        if let (None, Some(soa)) = (self.first_of(apex, RecordType::NS), self.first_of(apex, RecordType::SOA))
        {
            let message = format!("the zone `{}` has no NS record", self.origin);
            let problem = Problem::error(Code::ZoneNoNs, soa.at.clone(), message);
            report.push(
                problem.label("its SOA").help("add one for each server that the parent zone delegates to"),
            );
        }
    }

    /// RFC 1034 §3.6.2, RFC 2181 §10.1, RFC 6672 §2.4.
    fn alias(&self, record: &Record, report: &mut Report) {
        let is_dname = record.record_type() == DNAME;
        if record.record_type() != RecordType::CNAME && !is_dname {
            return;
        }
        let (code, what) = if is_dname { (Code::ZoneDname, "DNAME") } else { (Code::ZoneCname, "CNAME") };
        let owner = record.owner.as_wire();
        let is_itself = |other: &Record| std::ptr::eq(other, record);
        let is_first = self.first_of(owner, record.record_type()).is_some_and(is_itself);
        let clash = self.at(owner).filter(|other| !is_itself(other)).find(|other| {
            let same = other.record_type() == record.record_type();
            if same { !is_first } else { !is_dname }
        });
        if let Some(other) = clash {
            let message = format!("`{}` has a {what} beside other data", record.owner);
            let related = format!("its {} record", type_name(other.record_type()));
            report.push(Problem::error(code, record.at.clone(), message).related(other.at.clone(), related));
        }
    }

    /// RFC 1034 §4.2.1: below a delegation there is only glue. RFC 6672 §2.3: below a DNAME there is nothing.
    fn below(&self, record: &Record, report: &mut Report) {
        let is_glue = matches!(record.record_type(), RecordType::A | RecordType::AAAA);
        let mut wire = if self.tops.is_empty() { &[] } else { record.owner.as_wire() };
        while let Some(above) = name::parent(wire).filter(|above| above.len() >= self.origin.as_wire().len())
        {
            wire = above;
            let Some(top) = self.tops.get(wire) else { continue };
            if top.record_type() == DNAME {
                let message = format!("`{}` is below a DNAME", record.owner);
                let problem = Problem::error(Code::ZoneDname, record.at.clone(), message);
                report.push(
                    problem.label("never answered").related(top.at.clone(), "which stands for all below it"),
                );
            } else if !is_glue {
                let message = format!("`{}` is below a delegation, and no address", record.owner);
                let problem = Problem::error(Code::ZoneBelowCut, record.at.clone(), message);
                report.push(problem.label("never answered").related(top.at.clone(), "the delegation"));
            } else {
                continue;
            }
            return;
        }
    }

    /// The host that a record points to has an address, and is no alias (RFC 2181 §10.3, RFC 2782).
    fn target(&self, record: &Record, report: &mut Report) {
        let Some(target) = target(&record.rdata) else { return };
        let host = Name::from(target);
        if !host.is_within(self.origin) || target.is_root() || self.is_elsewhere(&host, record) {
            return;
        }
        let found = self.covering(&host);
        if let Some(alias) = found.and_then(|wire| self.first_of(wire, RecordType::CNAME)) {
            let message =
                format!("the {} record points to `{host}`, which is an alias", record.record_type());
            let problem = match record.record_type() {
                RecordType::NS => Problem::error(Code::ZoneTargetAlias, record.at.clone(), message),
                _ => Problem::warning(Code::ZoneTargetAlias, record.at.clone(), message),
            };
            report.push(problem.related(alias.at.clone(), "the alias"));
            return;
        }
        let addressed = found.is_some_and(|wire| self.at(wire).any(|r| r.rdata.ip_addr().is_some()));
        if !addressed {
            let message =
                format!("the {} record points to `{host}`, which has no address", record.record_type());
            let problem = Problem::error(Code::ZoneDanglingTarget, record.at.clone(), message);
            report.push(problem.help(format!("add an A or AAAA record for `{host}`")));
        }
    }

    /// Whether the host is below a delegation, so that its addresses are another zone's to know; glue for that very
    /// delegation is asked for all the same.
    fn is_elsewhere(&self, host: &Name, record: &Record) -> bool {
        let cut = self.owners.delegation_of(self.records, self.origin, host);
        cut.is_some_and(|cut| record.record_type() != RecordType::NS || record.owner != cut.owner)
    }

    /// The owner whose records stand for a name: itself, or the wildcard below the longest of the names above it that exists
    /// (RFC 4592 §3.3.1).
    fn covering<'n>(&self, host: &'n Name) -> Option<&'n [u8]>
    where
        'r: 'n,
    {
        let host = host.as_wire();
        if self.at(host).next().is_some() {
            return Some(host);
        }
        let names = self.names.get_or_init(|| self.names());
        let encloser = name::up_from(host).find(|name| names.contains(name)).filter(|name| *name != host)?;
        let wildcard = [b"\x01*", encloser].concat();
        self.at(&wildcard).next().map(|record| record.owner.as_wire())
    }

    /// Every name that exists, with records or only with names below it.
    fn names(&self) -> HashSet<&'r [u8]> {
        let is_inside = |name: &&[u8]| name.len() >= self.origin.as_wire().len();
        let owners = self.records.iter().map(|record| record.owner.as_wire());
        owners.flat_map(|owner| name::up_from(owner).take_while(is_inside)).collect()
    }
}

fn target(rdata: &RData) -> Option<&Spelled> {
    match rdata {
        RData::NS(ns) => Some(&ns.0),
        RData::MX(mx) => Some(&mx.exchange),
        RData::SRV(srv) => Some(&srv.target),
        _ => None,
    }
}
