//! Answers that no message holds: whoever asks is told that they were truncated, over every transport.
//!
//! What is reckoned is what `snapshot/wire.rs` writes for a question that is spelled as the owner; that of a wildcard may be
//! longer.

use std::collections::HashMap;

use hickory_proto::rr::{Name as Spelled, RData};
use hickory_proto::serialize::binary::BinEncodable;

use super::build::MEMBER_TYPES;
use crate::config::{self, Policy};
use crate::name::{self, Name};
use crate::report::{Code, Problem, Report};
use crate::units::MOST_DRAWN;
use crate::zone::{Record, Zone, type_name};

/// The longest message (RFC 1035 §4.2.2).
const MESSAGE: usize = 65_535;
/// A header (RFC 1035 §4.1.1), the type and class of a question, and the OPT record that resolvers want (RFC 6891 §6.1.2).
const AROUND: usize = 12 + 4 + 11;
/// A record without its data: a pointer to the question, type, class, TTL and length (RFC 1035 §4.1.3).
const HEAD: usize = 2 + 10;
/// A pointer (RFC 1035 §4.1.4).
const POINTER: usize = 2;

/// Warns of each RRset that is never answered whole; of a pool's, where that is so while all its members are live.
pub(super) fn warn_of_giants(zones: &[Zone], pools: &[config::Pool], report: &mut Report) {
    let pools: HashMap<&Name, &config::Pool> = pools.iter().map(|pool| (&pool.name.value, pool)).collect();
    for rrset in zones.iter().flat_map(Zone::rrsets) {
        let Some(first) = rrset.clone().next() else { continue };
        let pool = pools.get(&first.owner).filter(|_| MEMBER_TYPES.contains(&first.record_type()));
        let most = pool.map_or(usize::MAX, |pool| most_answered(pool));
        let mut lens: Vec<usize> = rrset.map(len).collect();
        lens.sort_unstable_by(|a, b| b.cmp(a));
        let answer = AROUND + first.owner.as_wire().len() + lens.iter().take(most).sum::<usize>();
        if answer > MESSAGE {
            report.push(giant(first, answer, pool.copied()));
        }
    }
}

fn giant(first: &Record, answer: usize, pool: Option<&config::Pool>) -> Problem {
    let (owner, record_type) = (&first.owner, type_name(first.record_type()));
    let message = format!(
        "the records of `{owner}` {record_type} take {answer} bytes, more than the {MESSAGE} of a DNS message"
    );
    let problem = Problem::warning(Code::AnswerTooLong, first.at.clone(), message);
    let problem = problem.label("the first of them; none is ever answered");
    match pool {
        Some(pool) => problem.related(pool.name.at.clone(), "of this pool").help("lower its `max-answers`"),
        None => problem.help("remove records, or give some of them another name"),
    }
}

/// The most records of a pool in one answer.
fn most_answered(pool: &config::Pool) -> usize {
    let most = usize::from(pool.rules.max_answers.get());
    match pool.rules.policy {
        Policy::Sticky | Policy::Weighted => most.min(MOST_DRAWN),
        Policy::RoundRobin | Policy::Failover => most,
    }
}

/// How many bytes a record takes in an answer to a question for it.
fn len(record: &Record) -> usize {
    let owner = record.owner.as_wire();
    HEAD + match &record.rdata {
        RData::A(_) => 4,
        RData::AAAA(_) => 16,
        RData::NS(ns) => compressed(&ns.0, owner),
        RData::PTR(ptr) => compressed(&ptr.0, owner),
        RData::MX(mx) => 2 + compressed(&mx.exchange, owner),
        other => other.to_bytes().map_or(0, |data| data.len()), // what cannot be written is in no zone
    }
}

/// The length of a name behind which only a pointer into the question stands for what both have in common.
fn compressed(name: &Spelled, question: &[u8]) -> usize {
    let name = Name::from(name);
    let whole = name.as_wire();
    let shared = name::up_from(whole).find(|suffix| suffix.len() > 1 && name::is_within(question, suffix));
    whole.len() - shared.map_or(0, |suffix| suffix.len() - POINTER)
}
