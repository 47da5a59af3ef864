//! Of probes, and of what the director makes of them.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus_client::metrics::MetricType::{Counter, Gauge, Histogram as Durations};

use super::{Family, Sample, Value, View};
use crate::admin::journal::{Histogram, Probes};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "onstage_probes",
        help: "How many questions to how many addresses are asked again and again",
        kind: Gauge,
        draw: |view| Sample::one(view.status.server.prober.probes),
    },
    Family {
        name: "onstage_probes_stale",
        help: "Of how many of them nothing was heard for too long",
        kind: Gauge,
        draw: |view| Sample::one(view.status.server.prober.stale),
    },
    Family {
        name: "onstage_prober_lag_seconds",
        help: "By how much the probe is late that is heard of latest",
        kind: Gauge,
        draw: |view| Sample::one(Duration::from_millis(view.status.server.prober.lag_ms).as_secs_f64()),
    },
    Family {
        name: "onstage_frozen",
        help: "Whether what is observed is frozen: members and guards are silent",
        kind: Gauge,
        draw: |view| Sample::one(view.status.server.prober.frozen),
    },
    Family {
        name: "onstage_verdicts",
        help: "What probes found, by reason; a pass has none",
        kind: Counter,
        draw: |view| checks(view, "reason", |probes| &probes.verdicts),
    },
    Family {
        name: "onstage_transitions",
        help: "How often a member was observed otherwise than before, by what it is observed as",
        kind: Counter,
        draw: |view| checks(view, "to", |probes| &probes.transitions),
    },
    Family {
        name: "onstage_probe_duration_seconds",
        help: "How long probes took",
        kind: Durations,
        draw: |view| {
            let checks = view.counters.entries.checks.iter();
            checks.map(|(check, probes)| Sample::new([("check", check)], &probes.durations)).collect()
        },
    },
    Family {
        name: "onstage_publish_duration_seconds",
        help: "How long it took from news to the snapshot that is answered",
        kind: Durations,
        draw: |view| Sample::one(&view.counters.entries.publications),
    },
];

/// One for each check and each of what it was counted by.
fn checks(view: &View, by: &'static str, counts: fn(&Probes) -> &BTreeMap<String, u64>) -> Vec<Sample> {
    let of_check = |(check, probes)| {
        let samples = counts(probes).iter();
        samples.map(move |(what, &count)| {
            let check: &String = check;
            Sample::new([("check", check), (by, what)], count)
        })
    };
    view.counters.entries.checks.iter().flat_map(of_check).collect()
}

impl From<&Histogram> for Value {
    fn from(histogram: &Histogram) -> Self {
        let sum = histogram.sum().as_secs_f64();
        Self::Durations { sum, count: histogram.count(), buckets: histogram.buckets() }
    }
}
