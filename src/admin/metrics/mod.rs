//! The metrics: what a status and its counters say, as Prometheus reads it.
//!
//! ```text
//!  Status, Counters, Process ──families──▶ samples ──▶ OpenMetrics, or the older text form
//! ```
//!
//! Each family is one entry of a table, with the function that draws its samples; `docs/metrics.md` lists them all. Units are in
//! names. Labels are bounded: by the config, by closed lists, by the types that are told apart.

mod pools;
mod probes;
mod process;
mod queries;
mod server;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::journal::Entries;
use super::status::Status;
use crate::serve::Counts;

pub use process::Process;

/// What is counted while the server runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters {
    /// Of queries.
    pub queries: Counts,
    /// Of probes and publications.
    pub entries: Entries,
}

/// What metrics are drawn from.
#[derive(Debug, Clone)]
pub struct View {
    /// The server.
    pub status: Status,
    /// What it has counted.
    pub counters: Counters,
    /// What its process takes.
    pub process: Process,
}

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `OpenMetrics` 1.0.
    OpenMetrics,
    /// The text form before that, version 0.0.4.
    Text,
}

/// Metrics of one name.
struct Family {
    /// With its unit; a counter's without `_total`.
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    draw: fn(&View) -> Vec<Sample>,
}

/// One value, and what tells it from the others of its family.
struct Sample {
    labels: Vec<(&'static str, String)>,
    value: Value,
}

enum Value {
    Count(u64),
    Number(f64),
    Durations { sum: f64, count: u64, buckets: Vec<(f64, u64)> },
}

fn families() -> impl Iterator<Item = &'static Family> {
    [server::FAMILIES, queries::FAMILIES, pools::FAMILIES, probes::FAMILIES, process::FAMILIES]
        .into_iter()
        .flatten()
}

/// All metrics.
pub fn render(view: Arc<View>, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Drawn(view)));
    let mut written = String::new();
    let outcome = match format {
        Format::OpenMetrics => text::encode(&mut written, &registry),
        Format::Text => prometheus_text::encode(&mut written, &registry),
    };
    match outcome {
        Ok(()) => written,
        Err(fmt::Error) => unreachable!("a String takes everything"),
    }
}

impl Format {
    /// What a client takes best, as its `Accept` header says.
    pub fn accepted(accept: Option<&str>) -> Self {
        let is_wanted = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
        if is_wanted { Self::OpenMetrics } else { Self::Text }
    }

    /// The media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

#[derive(Debug)]
struct Drawn(Arc<View>);

impl Collector for Drawn {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in families() {
            let mut metrics = encoder.encode_descriptor(family.name, family.help, None, family.kind)?;
            for Sample { labels, value } in (family.draw)(&self.0) {
                if labels.is_empty() {
                    value.encode(&mut metrics, family.kind)?;
                } else {
                    value.encode(&mut metrics.encode_family(&labels)?, family.kind)?;
                }
            }
        }
        Ok(())
    }
}

impl Value {
    fn encode(&self, metric: &mut MetricEncoder<'_>, kind: MetricType) -> fmt::Result {
        let none = None::<&prometheus_client::metrics::exemplar::Exemplar<NoLabelSet, f64>>;
        match (kind, self) {
            (MetricType::Counter, Self::Count(count)) => metric.encode_counter(count, none),
            (MetricType::Counter, Self::Number(number)) => metric.encode_counter(number, none),
            (_, Self::Count(count)) => metric.encode_gauge(count),
            (_, Self::Number(number)) => metric.encode_gauge(number),
            (_, Self::Durations { sum, count, buckets }) => {
                metric.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
            }
        }
    }
}

impl Sample {
    /// The only one of its family.
    fn one(value: impl Into<Value>) -> Vec<Self> {
        vec![Self::new([], value)]
    }

    fn new<const N: usize>(labels: [(&'static str, &str); N], value: impl Into<Value>) -> Self {
        let labels = labels.into_iter().map(|(key, value)| (key, value.to_owned())).collect();
        Self { labels, value: value.into() }
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<u32> for Value {
    fn from(count: u32) -> Self {
        Self::Count(count.into())
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// 1: it is so.
impl From<bool> for Value {
    fn from(is_so: bool) -> Self {
        Self::Count(is_so.into())
    }
}
