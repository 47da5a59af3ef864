//! Of the server as a whole: what runs, and whether it is as it should be.

use prometheus_client::metrics::MetricType::{Counter, Gauge};

use super::{Family, Sample, Value, View};
use crate::admin::status::{OnDisk, Zone};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "onstage_build_info",
        help: "Which program it is",
        kind: Gauge,
        draw: |view| vec![Sample::new([("version", &view.status.server.version)], true)],
    },
    Family {
        name: "onstage_start_time_seconds",
        help: "When the server started, in Unix time",
        kind: Gauge,
        draw: |view| Sample::one(view.status.server.started),
    },
    Family {
        name: "onstage_config_load_time_seconds",
        help: "When the config that runs was read, in Unix time",
        kind: Gauge,
        draw: |view| Sample::one(view.status.server.config.loaded),
    },
    Family {
        name: "onstage_config_on_disk_differs",
        help: "Whether the files of the config say something else than what runs, or cannot be read",
        kind: Gauge,
        draw: |view| Sample::one(view.status.server.config.on_disk != OnDisk::Same),
    },
    Family {
        name: "onstage_config_last_reload_successful",
        help: "Whether the last reload was not refused; so it is without one",
        kind: Gauge,
        draw: |view| Sample::one(!view.counters.entries.reloads.last_was_refused),
    },
    Family {
        name: "onstage_reloads",
        help: "Reloads by what became of them: done, or refused, which changes nothing",
        kind: Counter,
        draw: |view| {
            let reloads = &view.counters.entries.reloads;
            let outcomes = [("done", reloads.done), ("refused", reloads.refused)];
            outcomes.map(|(outcome, count)| Sample::new([("outcome", outcome)], count)).into()
        },
    },
    Family {
        name: "onstage_certificate_expiry_timestamp_seconds",
        help: "When a certificate expires that is shown to clients or to members, in Unix time",
        kind: Gauge,
        draw: |view| {
            let certificates = view.status.server.certificates.iter();
            certificates.map(|shown| Sample::new([("file", &shown.file)], shown.expires)).collect()
        },
    },
    Family {
        name: "onstage_state_unwritable",
        help: "Whether the state file could not be written: a restart would not know the newest serials, health and orders",
        kind: Gauge,
        draw: |view| Sample::one(view.status.server.state_trouble.is_some()),
    },
    Family {
        name: "onstage_zone_serial",
        help: "The serial that a zone is answered with",
        kind: Gauge,
        draw: |view| zones(view, |zone| zone.serial.into()),
    },
    Family {
        name: "onstage_zone_records",
        help: "How many records the file of a zone has",
        kind: Gauge,
        draw: |view| zones(view, |zone| zone.records.into()),
    },
    Family {
        name: "onstage_stray_orders",
        help: "Orders on members that are not in the zones any more",
        kind: Gauge,
        draw: |view| Sample::one(view.status.strays.len()),
    },
];

/// One of each zone.
fn zones(view: &View, value: impl Fn(&Zone) -> Value) -> Vec<Sample> {
    let zones = view.status.zones.iter();
    zones.map(|zone| Sample::new([("zone", &zone.name)], value(zone))).collect()
}
