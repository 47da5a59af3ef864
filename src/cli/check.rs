//! `onstage check`

use std::path::Path;
use std::process::ExitCode;

use super::{NO, examined, live, runtime, say};
use crate::config;
use crate::plan::{Plan, Pool};
use crate::prose::plural;

pub(super) fn run(path: &Path, is_live: bool, defaults: bool) -> ExitCode {
    if defaults {
        say(config::defaults().trim_end());
        return ExitCode::SUCCESS;
    }
    let (loaded, warnings) = match examined(path) {
        Ok(examined) => examined,
        Err(code) => return code,
    };
    tell(path, &loaded.plan, warnings);
    if !is_live {
        return ExitCode::SUCCESS;
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    if live::run(&loaded, &runtime) { ExitCode::SUCCESS } else { ExitCode::from(NO) }
}

fn tell(path: &Path, plan: &Plan, warnings: usize) {
    let wrong = match warnings {
        0 => "nothing wrong".to_owned(),
        more => format!("{}, and nothing wrong besides", plural(more, "warning", "warnings")),
    };
    say(&format!("{}: {wrong}", path.display()));
    for zone in &plan.zones {
        let records = plural(zone.records.len(), "record", "records");
        say(&format!("zone {}: {records}, serial {}", zone.origin, zone.serial.0));
    }
    for pool in &plan.pools {
        say(&format!("pool {} {}: {}", pool.name, pool.record_type, members(pool)));
    }
    say(&plural(plan.probes.len(), "probe", "probes"));
}

fn members(pool: &Pool) -> String {
    let labels: Vec<&str> = pool.members.iter().map(|member| member.label.as_str()).collect();
    labels.join(", ")
}
