//! Marks of zones: as long as a zone has the same one, its records are the same, and its pools are answered by the same
//! rules. What is left to change its answers is who of a pool is live.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;

use hickory_proto::serialize::binary::BinEncodable;
use siphasher::sip::SipHasher24;

use crate::config::PoolRules;
use crate::plan::{Plan, Pool};
use crate::zone::Zone;

/// By zone name. They are no secret, and the same in every process.
pub(super) type Marks = BTreeMap<String, u64>;

/// The marks of all zones of a plan.
pub(super) fn marks(plan: &Plan) -> Marks {
    plan.zones.iter().map(|zone| (zone.origin.to_string(), mark(plan, zone))).collect()
}

/// The zones that have the same mark in both.
pub(super) fn same(before: &Marks, after: &Marks) -> BTreeSet<String> {
    let is_same = |(zone, mark): &(&String, &u64)| before.get(*zone) == Some(mark);
    after.iter().filter(is_same).map(|(zone, _)| zone.clone()).collect()
}

fn mark(plan: &Plan, zone: &Zone) -> u64 {
    let mut hasher = SipHasher24::new();
    for record in &zone.records {
        hasher.write(record.owner.as_wire());
        hasher.write_u32(record.ttl.seconds());
        hasher.write_u16(record.record_type().into());
        hasher.write(&record.rdata.to_bytes().unwrap_or_default());
    }
    for pool in plan.pools.iter().filter(|pool| pool.name.is_within(&zone.origin)) {
        hasher.write(shape(pool).as_bytes());
    }
    hasher.finish()
}

/// What of a pool is no record and no lineup, and shows in its answers.
fn shape(pool: &Pool) -> String {
    let members: Vec<(&str, u32, u32)> =
        pool.members.iter().map(|member| (member.record_text.as_str(), member.weight, member.tier)).collect();
    let Pool { name, record_type, rules, .. } = pool;
    let PoolRules { policy, max_answers, ttl_unsettled, .. } = rules;
    format!("{name} {record_type} {policy:?} {max_answers} {} {members:?}", ttl_unsettled.seconds())
}
