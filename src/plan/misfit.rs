//! Where a config and its zones do not fit, as the operator is told it.

use std::collections::BTreeSet;
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use super::build::{MEMBER_TYPES, called, names};
use crate::config::{self, Check, Trust};
use crate::report::{Code, Location, Problem, Report, Severity};
use crate::zone::{Record, Zone};

pub(super) fn refuse_duplicates(zones: &[Zone], report: &mut Report) {
    for (i, zone) in zones.iter().enumerate() {
        if let Some(first) = zones[..i].iter().find(|first| first.origin == zone.origin) {
            let problem = Problem::error(
                Code::DuplicateZone,
                soa_place(zone),
                format!("the zone `{}` is defined twice", zone.origin),
            );
            report.push(problem.label("defined again here").related(soa_place(first), "defined first here"));
        }
    }
}

fn soa_place(zone: &Zone) -> Location {
    let soa = zone.records.iter().find(|r| r.record_type() == RecordType::SOA);
    soa.or(zone.records.first()).map_or_else(|| unreachable!("a zone has a SOA"), |r| r.at.clone())
}

/// `zone`: the one that has the say on the pool's name.
pub(super) fn empty(pool: &config::Pool, zone: Option<&Zone>) -> Problem {
    let name = &pool.name.value;
    let problem = Problem::error(
        Code::PoolEmpty,
        pool.name.at.clone(),
        format!("the pool `{name}` has no A, AAAA or SRV record"),
    );
    problem.label("no members").help(if zone.is_some() {
        "add its records to the zone file"
    } else {
        "no zone that is served holds this name"
    })
}

/// What is at or below a delegation is not answered but referred to (RFC 1034 §4.3.2 step 3b); addresses may come along as glue.
pub(super) fn below_cut(pool: &config::Pool, cut: &Record, is_empty: bool) -> Problem {
    let (name, sub) = (&pool.name.value, &cut.owner);
    let (severity, label) = if is_empty {
        (Severity::Error, "never answered")
    } else {
        (Severity::Warning, "never answered, but as glue")
    };
    let message = format!("the pool `{name}` is in `{sub}`, which is delegated");
    let problem = Problem::error(Code::PoolBelowCut, pool.name.at.clone(), message);
    let problem = problem
        .label(label)
        .related(cut.at.clone(), "the delegation")
        .help(format!("serve `{sub}` from a zone file of its own, or remove its NS records"));
    Problem { severity, ..problem }
}

pub(super) fn refuse_unknown_members(pool: &config::Pool, records: &[&Record], report: &mut Report) {
    for member in &pool.members {
        if !records.iter().any(|record| names(&member.key.value, &record.rdata)) {
            let problem = Problem::error(
                Code::MemberUnknown,
                member.key.at.clone(),
                format!("the pool `{}` has no member `{}`", pool.name.value, member.key.value),
            );
            report.push(problem.label("no record with this address or target"));
        }
    }
}

/// Certificates are verified against the name that clients use. Where that is for the config to say, since the zone tells none,
/// no member could ever pass.
pub(super) fn refuse_unmet_names(pool: &config::Pool, records: &[&Record], report: &mut Report) {
    let members = records.iter().filter(|record| MEMBER_TYPES.contains(&record.record_type()));
    let unmet: BTreeSet<String> = members
        .map(|record| called(pool, record).to_string())
        .filter(|name| !Trust::can_meet(name))
        .collect();
    let nameless = |check: &&Arc<Check>| check.kind.trust().is_some_and(|trust| trust.server_name.is_none());
    let checks = pool.check.checks().into_iter().filter(nameless);
    let checks: BTreeSet<&str> = checks.map(|check| check.name.as_str()).collect();
    for (check, name) in checks.into_iter().flat_map(|check| unmet.iter().map(move |name| (check, name))) {
        let message =
            format!("the check `{check}` has no name to speak TLS with: no server is called `{name}`");
        let problem = Problem::error(Code::CheckUnusable, pool.name.at.clone(), message);
        report.push(
            problem
                .label("members of this pool could never pass")
                .help(format!("add the name that clients use to [check.{check}]: server-name = \"...\"")),
        );
    }
}
