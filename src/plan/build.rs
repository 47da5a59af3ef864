//! Config and zones become a plan, or a report of where they do not fit.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use hickory_proto::rr::{RData, RecordType};

use super::fit::warn_of_giants;
use super::misfit::{below_cut, empty, refuse_duplicates, refuse_unknown_members, refuse_unmet_names};
use super::{Apexes, Condition, Member, Plan, Pool, Probe};
use crate::config::{self, Check, Config, Demand, MemberKey};
use crate::name::Name;
use crate::report::{Code, Problem, Report};
use crate::units::ProbeId;
use crate::zone::{Record, Zone};

/// The types whose records can be members.
pub(super) const MEMBER_TYPES: [RecordType; 3] = [RecordType::A, RecordType::AAAA, RecordType::SRV];

/// Joins a config with the zones it names. `None` where `report` has got an error.
///
/// # Errors (in the report)
/// Two zones with one name, a pool without records, a member table that fits no record, a member whose
/// address nobody tells.
pub fn build(config: Config, zones: Vec<Zone>, report: &mut Report) -> Option<Plan> {
    let mut builder =
        Builder { zones: &zones, apexes: Apexes::of(&zones), probes: Vec::new(), seen: HashMap::new() };
    let mut problems = Report::default();
    refuse_duplicates(&zones, &mut problems);
    warn_of_giants(&zones, &config.pools, &mut problems);
    let pools = config.pools.iter().flat_map(|pool| builder.pools(pool, &mut problems)).collect();
    let Builder { apexes, probes, .. } = builder;
    let failed = problems.has_errors();
    problems.problems().iter().cloned().for_each(|problem| report.push(problem));
    (!failed).then_some(Plan {
        server: config.server,
        admin: config.admin,
        token: None,
        guard: config.guard,
        zones,
        apexes,
        pools,
        probes,
        secrets: Arc::default(),
        shown: None,
        watched: Vec::new(),
        origin: Arc::default(),
    })
}

/// Where a member is met.
struct Place<'m> {
    address: IpAddr,
    /// The config's word for this member, else the record's; `None`: each check has its own.
    port: Option<u16>,
    /// What clients call it.
    name: &'m Name,
}

struct Builder<'z> {
    zones: &'z [Zone],
    apexes: Apexes,
    probes: Vec<Probe>,
    seen: HashMap<String, ProbeId>,
}

impl<'z> Builder<'z> {
    /// The zone that has the say on a name.
    fn zone_of(&self, name: &Name) -> Option<&'z Zone> {
        self.apexes.holder(name.as_wire()).map(|zone| &self.zones[zone.index()])
    }

    /// All records of an owner.
    fn records(&self, owner: &Name) -> Vec<&'z Record> {
        self.zone_of(owner).map_or_else(Vec::new, |zone| zone.records_of(owner).collect())
    }

    /// One pool for each type of member records at the name.
    fn pools(&mut self, pool: &config::Pool, report: &mut Report) -> Vec<Pool> {
        let records = self.records(&pool.name.value);
        let pools: Vec<Pool> = MEMBER_TYPES
            .into_iter()
            .filter_map(|record_type| self.pool(pool, record_type, &records, report))
            .collect();
        let zone = self.zone_of(&pool.name.value);
        match zone.and_then(|zone| zone.delegation_of(&pool.name.value)) {
            Some(cut) => report.push(below_cut(pool, cut, pools.is_empty())),
            None if pools.is_empty() => report.push(empty(pool, zone)),
            None => {}
        }
        refuse_unknown_members(pool, &records, report);
        refuse_unmet_names(pool, &records, report);
        pools
    }

    fn pool(
        &mut self,
        pool: &config::Pool,
        record_type: RecordType,
        records: &[&Record],
        report: &mut Report,
    ) -> Option<Pool> {
        let of_type = records.iter().filter(|record| record.record_type() == record_type);
        let ttl = of_type.clone().next()?.ttl;
        let members = of_type.map(|record| self.member(pool, record, report)).collect();
        Some(Pool { name: pool.name.value.clone(), record_type, ttl, members, rules: pool.rules })
    }

    fn member(&mut self, pool: &config::Pool, record: &Record, report: &mut Report) -> Member {
        let settings = pool.members.iter().find(|m| names(&m.key.value, &record.rdata));
        let server_name = called(pool, record);
        let own_port = match &record.rdata {
            RData::SRV(srv) => Some(srv.port),
            _ => None,
        };
        let port = settings.and_then(|s| s.port).map(NonZeroU16::get).or(own_port);
        let addresses = self.addresses(pool, record, settings, report);
        let mut conditions: Vec<Condition> = addresses
            .into_iter()
            .map(|address| self.condition(&Place { address, port, name: &server_name }, &pool.check))
            .collect();
        let condition = match (conditions.pop(), conditions.is_empty()) {
            (Some(only), true) => only,
            (last, _) => Condition::All(conditions.into_iter().chain(last).collect()),
        };
        let record_text = spelled(record);
        let label = settings.and_then(|s| s.label.clone()).unwrap_or_else(|| record_text.clone());
        let weight = settings.map_or(1, |s| s.weight.get().into());
        let tier = settings.map_or(1, |s| s.tier);
        Member { record_text, label, condition, weight, tier }
    }

    fn addresses(
        &self,
        pool: &config::Pool,
        record: &Record,
        settings: Option<&config::Member>,
        report: &mut Report,
    ) -> Vec<IpAddr> {
        if let Some(address) = settings.and_then(|s| s.address) {
            return vec![address];
        }
        let RData::SRV(srv) = &record.rdata else { return record.rdata.ip_addr().into_iter().collect() };
        let target = Name::from(&srv.target);
        let records = self.records(&target).into_iter();
        let addresses: Vec<IpAddr> = records.filter_map(|record| record.rdata.ip_addr()).collect();
        if addresses.is_empty() {
            let problem = Problem::error(
                Code::MemberNoAddress,
                record.at.clone(),
                format!("no zone that is served tells the address of `{target}`"),
            );
            report.push(
                problem
                    .label("this member cannot be probed")
                    .related(pool.name.at.clone(), "of this pool")
                    .help(format!(
                        "add its address to the config: [pool.member.\"{target}\"] address = \"...\""
                    )),
            );
        }
        addresses
    }

    /// What must hold at one address of a member.
    fn condition(&mut self, place: &Place<'_>, demand: &Demand) -> Condition {
        let mut all = |parts: &[Demand]| parts.iter().map(|part| self.condition(place, part)).collect();
        match demand {
            Demand::All(parts) => Condition::All(all(parts)),
            Demand::Any(parts) => Condition::Any(all(parts)),
            Demand::Check(check) => Condition::Probe(self.probe(place, check)),
        }
    }

    /// The probe for this question, a new one only where nobody asks it yet.
    fn probe(&mut self, place: &Place<'_>, check: &Arc<Check>) -> ProbeId {
        let port = place.port.or(check.kind.port().map(NonZeroU16::get)).unwrap_or(0);
        let server_name = match check.kind.server_name() {
            _ if !check.kind.needs_name() => String::new(),
            Some(name) => name.to_owned(),
            None => place.name.to_string(),
        };
        let target = SocketAddr::new(place.address, port);
        let probe = Probe { target, server_name, check: Arc::clone(check) };
        let next = ProbeId(self.probes.len() as u32);
        let id = *self.seen.entry(probe.key()).or_insert(next);
        if id == next {
            self.probes.push(probe);
        }
        id
    }
}

/// What clients call the member with this record.
pub(super) fn called(pool: &config::Pool, record: &Record) -> Name {
    match &record.rdata {
        RData::SRV(srv) => Name::from(&srv.target),
        _ => pool.name.value.clone(),
    }
}

/// Whether the config means the member with this rdata.
pub(super) fn names(key: &MemberKey, rdata: &RData) -> bool {
    match (key, rdata) {
        (MemberKey::Target(target), RData::SRV(srv)) => *target == Name::from(&srv.target),
        (MemberKey::Address(address), rdata) => rdata.ip_addr() == Some(*address),
        (MemberKey::Target(_), _) => false,
    }
}

fn spelled(record: &Record) -> String {
    match &record.rdata {
        RData::SRV(srv) => format!("{}:{}", Name::from(&srv.target), srv.port),
        rdata => rdata.to_string(),
    }
}
