//! `onstage check --live`: what only the network can tell. Each member is probed once, and each zone's delegation asked for.

use std::sync::Arc;

use tokio::runtime::Runtime;

use super::parent::{Way, delegation, resolver};
use super::say;
use super::text::verdict;
use crate::daemon::{Loaded, Network};
use crate::health::{Reason, Verdict};
use crate::plan::{Plan, Probe};
use crate::probe::{Finding, ask_each};
use crate::units::ProbeId;

/// Probes at once.
const AT_ONCE: usize = 32;
/// Where servers of zones listen (RFC 1035 §4.2).
const DNS: u16 = 53;

/// Tells it; whether nothing of it is known to be wrong.
pub(super) fn run(loaded: &Loaded, runtime: &Runtime) -> bool {
    let findings = runtime.block_on(probe_all(&loaded.plan, &loaded.network));
    for (probe, finding) in loaded.plan.probes.iter().zip(&findings) {
        say(&told(probe, finding));
    }
    let pass = findings.iter().all(|finding| finding.verdict == Verdict::Pass);
    runtime.block_on(delegations(&loaded.plan)) && pass
}

/// What each probe finds, by `ProbeId`. Masters are asked for catalogs one after another, as the server asks them.
async fn probe_all(plan: &Plan, network: &Arc<Network>) -> Vec<Finding> {
    let all = (0..plan.probes.len() as u32).map(ProbeId);
    let mut found = ask_each(&plan.probes, all, network, AT_ONCE).join_all().await;
    found.sort_by_key(|&(id, _)| id);
    found.into_iter().map(|(_, finding)| finding).collect()
}

fn told(probe: &Probe, finding: &Finding) -> String {
    let (reason, seen) = (finding.verdict.reason().map(Reason::as_str), Some(&*finding.detail));
    let leaving = matches!(finding.verdict, Verdict::Leaving(_));
    let verdict = verdict(reason, leaving, seen);
    let took = finding.latency.as_secs_f64() * 1e3;
    format!("probe {} {}: {verdict} ({took:.1} ms)", probe.check.name, probe.target)
}

/// Tells how each zone is delegated; whether none is known to be wrong.
async fn delegations(plan: &Plan) -> bool {
    let config = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let Some(resolver) = resolver(&config) else {
        say("delegations could not be asked for: /etc/resolv.conf names no resolver");
        return true;
    };
    let mut is_sound = true;
    for zone in &plan.zones {
        let delegation = delegation(zone, Way { resolver, port: DNS }).await;
        say(&format!("zone {}: {delegation}", zone.origin));
        is_sound &= !delegation.is_wrong();
    }
    is_sound
}
