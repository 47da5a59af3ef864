//! `onstage check`

use std::path::Path;
use std::process::ExitCode;

use super::{loaded, say};
use crate::config;
use crate::plan::{Plan, Pool};

pub(super) fn run(path: &Path, defaults: bool) -> ExitCode {
    if defaults {
        say(config::defaults().trim_end());
        return ExitCode::SUCCESS;
    }
    match loaded(path) {
        Err(code) => code,
        Ok(loaded) => {
            tell(path, &loaded.plan);
            ExitCode::SUCCESS
        }
    }
}

fn tell(path: &Path, plan: &Plan) {
    say(&format!("{}: nothing wrong", path.display()));
    for zone in &plan.zones {
        say(&format!("zone {}: {} records, serial {}", zone.origin, zone.records.len(), zone.serial.0));
    }
    for pool in &plan.pools {
        say(&format!("pool {} {}: {}", pool.name, pool.record_type, members(pool)));
    }
    say(&format!("{} probes", plan.probes.len()));
}

fn members(pool: &Pool) -> String {
    let labels: Vec<&str> = pool.members.iter().map(|member| member.label.as_str()).collect();
    labels.join(", ")
}
