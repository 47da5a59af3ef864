//! Probes that somebody asked for, each step told: what `POST /v1/probes` returns.

use std::collections::HashSet;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::status::SoFar;
use crate::health::{Standing, Verdict};
use crate::plan::{Plan, Probe, Wanted};
use crate::probe::Finding;
use crate::units::ProbeId;

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Probed {
    /// What was found, by each probe.
    pub findings: Vec<Found>,
    /// Who was asked, and has not answered in time.
    pub late: Vec<Question>,
    /// What it means for each of those that were named.
    pub members: Vec<Judged>,
}

/// A question to an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What people call the member, or the first of several that share the probe.
    pub label: String,
    /// Who is asked.
    pub target: SocketAddr,
    /// The name that its certificate must carry; empty: it is told none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server_name: String,
    /// The check, as the config names it.
    pub check: String,
}

/// What one probe found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// What it asked.
    #[serde(flatten)]
    pub question: Question,
    /// What was done, in its order.
    pub steps: Vec<Step>,
    /// How busy the member says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<String>,
    /// Which version of the site's code it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why it was no pass; `None`: it was one.
    pub reason: Option<String>,
    /// Whether the member said itself that it is leaving.
    pub leaving: bool,
    /// What was seen, where it was no pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How long the probe took, in milliseconds.
    pub latency_ms: f32,
    /// What it adds up to with those before; `None`: it counts for nothing.
    #[serde(flatten)]
    pub so_far: Option<SoFar>,
}

/// One step of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// `connect`, `tls`, `login` or `reply`; or `exec` alone.
    pub name: String,
    /// What was seen.
    pub seen: String,
    /// How long it took, in milliseconds.
    pub took_ms: f32,
}

/// Whether what was found is enough for a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The member: pool, type and record.
    pub member: String,
    /// What people call it.
    pub label: String,
    /// Whether all that it needs has passed, by these verdicts alone.
    pub passes: bool,
}

impl Question {
    fn new(plan: &Plan, id: ProbeId, label: &str) -> Self {
        let Probe { target, server_name, check } = &plan.probes[id.index()];
        Self {
            label: label.to_owned(),
            target: *target,
            server_name: server_name.clone(),
            check: check.name.clone(),
        }
    }
}

impl Found {
    /// What was found, and what it adds up to where it counts.
    pub fn new(question: Question, finding: &Finding, so_far: Option<SoFar>) -> Self {
        let steps = finding.steps.iter().map(|step| Step {
            name: step.name.to_owned(),
            seen: step.seen.clone(),
            took_ms: step.took.as_secs_f32() * 1e3,
        });
        Self {
            question,
            steps: steps.collect(),
            load: finding.told.load.as_ref().map(ToString::to_string),
            version: finding.told.version.clone(),
            reason: finding.verdict.reason().map(|reason| reason.to_string()),
            leaving: matches!(finding.verdict, Verdict::Leaving(_)),
            detail: (!finding.detail.is_empty()).then(|| finding.detail.clone()),
            latency_ms: finding.latency.as_secs_f32() * 1e3,
            so_far,
        }
    }
}

/// What is asked, each question once, with the first member that it is asked for.
pub fn questions<'p>(plan: &'p Plan, wanted: &'p [Wanted]) -> impl Iterator<Item = (ProbeId, Question)> + 'p {
    let mut seen = HashSet::new();
    let asked = wanted.iter().flat_map(|Wanted { member, condition }| {
        condition.probes().into_iter().map(move |probe| (probe, *member))
    });
    let new = asked.filter(move |(probe, _)| seen.insert(*probe));
    new.map(|(probe, member)| (probe, Question::new(plan, probe, &plan.member(member).label)))
}

/// Whether what was found is enough, by who passes.
pub fn judged(plan: &Plan, wanted: &Wanted, passes: &impl Fn(ProbeId) -> bool) -> Judged {
    let standing = |probe| if passes(probe) { Standing::LIVE } else { Standing::Down };
    Judged {
        member: plan.member_key(wanted.member),
        label: plan.member(wanted.member).label.clone(),
        passes: wanted.condition.standing(&standing).is_live(),
    }
}
