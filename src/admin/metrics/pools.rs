//! Of pools and their members: who is answered, and why.

use std::collections::{HashMap, HashSet};

use prometheus_client::metrics::MetricType::{Counter, Gauge};

use super::{Family, Sample, Value, View};
use crate::admin::status::{Member, Mode, Observed, Pool};
use crate::health::Word;

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "onstage_pool_members",
        help: "How many members a pool has",
        kind: Gauge,
        draw: |view| pools(view, |pool| pool.members.len().into()),
    },
    Family {
        name: "onstage_pool_live_members",
        help: "How many of them are live",
        kind: Gauge,
        draw: |view| pools(view, |pool| pool.members.iter().filter(|member| member.live).count().into()),
    },
    Family {
        name: "onstage_pool_answered_members",
        help: "How many of them are answered",
        kind: Gauge,
        draw: |view| pools(view, |pool| pool.answered.into()),
    },
    Family {
        name: "onstage_pool_min_live_members",
        help: "With fewer live members than this the pool fails open",
        kind: Gauge,
        draw: |view| pools(view, |pool| pool.min_live.into()),
    },
    Family {
        name: "onstage_pool_failing_open",
        help: "Whether too few members are live: fail-open decides who is answered",
        kind: Gauge,
        draw: |view| pools(view, |pool| (pool.mode == Mode::FailingOpen).into()),
    },
    Family {
        name: "onstage_pool_settled",
        help: "Whether no change of a member is pending",
        kind: Gauge,
        draw: |view| pools(view, |pool| pool.settled.into()),
    },
    Family {
        name: "onstage_pool_divided",
        help: "Whether its members serve different code",
        kind: Gauge,
        draw: |view| pools(view, |pool| pool.versions.is_some().into()),
    },
    Family {
        name: "onstage_pool_ttl_seconds",
        help: "The TTL that its records leave with",
        kind: Gauge,
        draw: |view| pools(view, |pool| pool.ttl.into()),
    },
    Family {
        name: "onstage_pool_queries",
        help: "Queries that were answered from a pool",
        kind: Counter,
        draw: |view| pools(view, |pool| pool.queries.into()),
    },
    Family {
        name: "onstage_pool_changes",
        help: "How often other members were answered than before",
        kind: Counter,
        draw: |view| {
            let lineups = &view.counters.entries.lineups;
            let count = |pool: &Pool| lineups.get(&pool.name).and_then(|types| types.get(&pool.record_type));
            pools(view, |pool| count(pool).copied().unwrap_or_default().into())
        },
    },
    Family {
        name: "onstage_member_live",
        help: "Whether a member may be answered: observed and order taken together",
        kind: Gauge,
        draw: |view| members(view, |member| member.live.into()),
    },
    Family {
        name: "onstage_member_observed_up",
        help: "Whether its probes say that it can serve",
        kind: Gauge,
        draw: |view| members(view, |member| (member.observed == Observed::Up).into()),
    },
    Family {
        name: "onstage_member_answered_ratio",
        help: "How much of its usual part it gets in answers; 0: it is not answered",
        kind: Gauge,
        draw: |view| members(view, |member| (f64::from(member.answered) / 100.0).into()),
    },
    Family {
        name: "onstage_member_drained",
        help: "Whether an operator has drained it",
        kind: Gauge,
        draw: |view| members(view, |member| is_ordered(member, Word::Drain).into()),
    },
    Family {
        name: "onstage_member_forced",
        help: "Whether an operator has forced it",
        kind: Gauge,
        draw: |view| members(view, |member| is_ordered(member, Word::Force).into()),
    },
    Family {
        name: "onstage_member_certificate_expiry_timestamp_seconds",
        help: "When the certificate expires that a member showed last, in Unix time; of several, the first",
        kind: Gauge,
        draw: |view| members_with(view, |member| member.certificate_expires.map(Value::from)),
    },
];

fn is_ordered(member: &Member, word: Word) -> bool {
    member.order.as_ref().is_some_and(|order| order.word == word)
}

/// One of each pool.
fn pools(view: &View, value: impl Fn(&Pool) -> Value) -> Vec<Sample> {
    let sample = |pool: &Pool| {
        Sample::new([("pool", pool.name.as_str()), ("type", pool.record_type.as_str())], value(pool))
    };
    view.status.pools.iter().map(sample).collect()
}

/// One of each member.
fn members(view: &View, value: impl Fn(&Member) -> Value) -> Vec<Sample> {
    members_with(view, |member| Some(value(member)))
}

/// One of each member that has one. No two of a pool have the same labels, or the whole scrape is refused: who shares its name with
/// another is told by its record, too, and SRV records that differ in priority alone are one member here, as they are to orders.
fn members_with(view: &View, value: impl Fn(&Member) -> Option<Value>) -> Vec<Sample> {
    let mut samples = Vec::new();
    for pool in &view.status.pools {
        let mut namesakes: HashMap<&str, usize> = HashMap::new();
        let mut told = HashSet::new();
        for member in &pool.members {
            *namesakes.entry(&member.label).or_default() += 1;
        }
        for member in &pool.members {
            let name = match namesakes.get(member.label.as_str()) {
                Some(1) => member.label.clone(),
                _ => format!("{} ({})", member.label, member.record),
            };
            if !told.insert((&member.label, &member.record)) {
                continue;
            }
            let labels = [("pool", pool.name.as_str()), ("type", &pool.record_type), ("member", &name)];
            samples.extend(value(member).map(|value| Sample::new(labels, value)));
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::admin::metrics::{Counters, Format, Process, render};

    #[test]
    fn no_two_samples_have_the_same_labels() {
        let status = include_str!("../../../tests/fixtures/status/status.json");
        let mut status: crate::admin::status::Status = serde_json::from_str(status).unwrap();
        let twin = status.pools[0].members[0].clone();
        status.pools[0].members.push(twin);
        let view = View { status, counters: Counters::default(), process: Process::default() };
        let text = render(Arc::new(view), Format::Text);
        let mut told = HashSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (labels, _value) = line.rsplit_once(' ').unwrap();
            assert!(told.insert(labels), "twice: {labels}");
        }
        assert!(told.len() > 50, "{text}");
    }
}
