//! `onstage probe`

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use super::text::verdict;
use super::{CONFIG, NO, USAGE, complain, loaded, runtime, say};
use crate::health::{Standing, Verdict};
use crate::plan::{Condition, MemberId, Plan};
use crate::probe::{Finding, schedule::Ask};
use crate::units::ProbeId;

pub(super) fn run(path: &Path, what: Option<&str>) -> ExitCode {
    let loaded = match loaded(path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let wanted = wanted(&loaded.plan, what);
    if wanted.is_empty() {
        let what = what.unwrap_or_default();
        let near = what.parse().map(|whom| loaded.plan.near(&whom)).unwrap_or_default();
        complain(&format!("onstage: there is no pool and no member `{what}`{near}"));
        return ExitCode::from(if what.is_empty() { CONFIG } else { USAGE });
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let mut verdicts: BTreeMap<ProbeId, Verdict> = BTreeMap::new();
    let mut all_pass = true;
    for Wanted { label, condition } in wanted {
        for id in condition.probes() {
            verdicts.entry(id).or_insert_with(|| {
                let finding = runtime.block_on(loaded.network.ask(id));
                tell(&loaded.plan, label, id, &finding);
                finding.verdict
            });
        }
        let passes = passes(&condition, &verdicts);
        if !matches!(condition, Condition::Probe(_)) {
            say(&format!("{label}: {}, all in all", if passes { "pass" } else { "fail" }));
        }
        all_pass &= passes;
    }
    if all_pass { ExitCode::SUCCESS } else { ExitCode::from(NO) }
}

/// What is asked of a member, and what it has to come to.
struct Wanted<'p> {
    label: &'p str,
    condition: Condition,
}

/// What is meant of each member: all of it, or what is asked of one of its addresses. A pool is named as a whole, members as
/// in orders.
fn wanted<'p>(plan: &'p Plan, what: Option<&str>) -> Vec<Wanted<'p>> {
    let what = what.map(|what| what.trim_end_matches('.'));
    let is_pool = |id: MemberId| what.is_none_or(|what| plan.pools[id.pool.index()].name.to_string() == what);
    let named: Vec<MemberId> = match what.and_then(|what| what.parse().ok()) {
        Some(whom) => plan.members(&whom),
        None => Vec::new(),
    };
    let mut found: Vec<Wanted<'p>> = Vec::new();
    for (id, member) in plan.member_ids().filter(|&(id, _)| is_pool(id) || named.contains(&id)) {
        let of_address = |probe: ProbeId| what.is_some_and(|what| is_at(plan, probe, what));
        let some = meant(&member.condition, &of_address);
        let meant = if is_pool(id) || some.is_empty() { vec![member.condition.clone()] } else { some };
        for condition in meant {
            if found.iter().all(|seen| seen.condition != condition) {
                found.push(Wanted { label: &member.label, condition });
            }
        }
    }
    found
}

/// Whether a probe goes to the address, or the address and port, that was named.
fn is_at(plan: &Plan, probe: ProbeId, what: &str) -> bool {
    let (target, address) = (plan.probes[probe.index()].target, what.split('@').next().unwrap_or(what));
    address == target.to_string() || address == target.ip().to_string()
}

/// The largest parts of a condition all of whose probes are meant.
fn meant(condition: &Condition, probe: &impl Fn(ProbeId) -> bool) -> Vec<Condition> {
    match condition {
        whole if whole.probes().into_iter().all(probe) => vec![whole.clone()],
        Condition::Probe(_) => Vec::new(),
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().flat_map(|part| meant(part, probe)).collect()
        }
    }
}

/// Whether what was found is enough for this member.
fn passes(condition: &Condition, verdicts: &BTreeMap<ProbeId, Verdict>) -> bool {
    let standing = condition.standing(&|id| match verdicts.get(&id) {
        Some(Verdict::Pass) => Standing::LIVE,
        _ => Standing::Down,
    });
    standing.is_live()
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
    if let Some(version) = &finding.told.version {
        say(&format!("  {:<8} {version}", "version"));
    }
    say(&format!("  {:<8} {}", "verdict", verdict(finding)));
}
