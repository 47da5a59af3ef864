//! `onstage probe`

use std::path::Path;
use std::process::ExitCode;

use super::{CONFIG, NO, USAGE, complain, loaded, say};
use crate::health::Verdict;
use crate::plan::Plan;
use crate::probe::{Finding, schedule::Ask};
use crate::units::ProbeId;

pub(super) fn run(path: &Path, what: Option<&str>) -> ExitCode {
    let loaded = match loaded(path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let wanted = wanted(&loaded.plan, what);
    if wanted.is_empty() {
        complain(&format!("onstage: there is no pool and no member `{}`", what.unwrap_or_default()));
        return ExitCode::from(if what.is_some() { USAGE } else { CONFIG });
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        complain("onstage: cannot start");
        return ExitCode::from(NO);
    };
    let mut all_pass = true;
    for (label, id) in wanted {
        let finding = runtime.block_on(loaded.network.ask(id));
        tell(&loaded.plan, &label, id, &finding);
        all_pass &= finding.verdict == Verdict::Pass;
    }
    if all_pass { ExitCode::SUCCESS } else { ExitCode::from(NO) }
}

/// The probes of the pool or member that is meant, each once, with a name for people.
fn wanted(plan: &Plan, what: Option<&str>) -> Vec<(String, ProbeId)> {
    let mut found: Vec<(String, ProbeId)> = Vec::new();
    for pool in &plan.pools {
        for member in &pool.members {
            for id in member.condition.probes() {
                let address = plan.probes[id.index()].target;
                let names = [
                    pool.name.to_string(),
                    member.label.clone(),
                    address.to_string(),
                    address.ip().to_string(),
                ];
                let meant =
                    what.is_none_or(|what| names.iter().any(|name| name == what.trim_end_matches('.')));
                if meant && found.iter().all(|&(_, seen)| seen != id) {
                    found.push((member.label.clone(), id));
                }
            }
        }
    }
    found
}

fn tell(plan: &Plan, label: &str, id: ProbeId, finding: &Finding) {
    let probe = &plan.probes[id.index()];
    let alias =
        if probe.server_name.is_empty() { String::new() } else { format!(" as {}", probe.server_name) };
    say(&format!("{label}: {}{alias}, check {}", probe.target, probe.check.name));
    for step in &finding.steps {
        say(&format!("  {step}"));
    }
    if let Some(load) = &finding.told.load {
        say(&format!("  {:<8} {load}", "load"));
    }
    let verdict = match finding.verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Fail(reason) => format!("fail: {reason}: {}", finding.detail),
        Verdict::Leaving(reason) => format!("leaving: {reason}: {}", finding.detail),
    };
    say(&format!("  {:<8} {verdict}", "verdict"));
}
