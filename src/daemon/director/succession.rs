//! One director after another: what the last one knew is what the next one begins with.

use std::collections::BTreeSet;
use std::mem::replace;
use std::sync::Arc;

use tokio::sync::watch;

use super::legacy::Legacy;
use super::news::News;
use super::tales::is_awaited;
use super::{Director, Stage};
use crate::admin::journal::Journal;
use crate::daemon::state::{Lease, State};
use crate::health::Observed;
use crate::plan::Plan;
use crate::probe::Finding;
use crate::snapshot::{Compiler, Publisher};
use crate::units::{Moment, ProbeId};

/// What is there before a director takes over, so that it does so in a moment.
#[derive(Debug)]
pub struct Heir {
    /// What is to be served and probed.
    pub plan: Arc<Plan>,
    /// Of this plan.
    pub compiler: Compiler,
    /// What those were found to be of whom nothing was known.
    pub findings: Vec<(ProbeId, Finding)>,
    /// The zones in whose files, and in whose pools' settings, nothing has changed.
    pub same: BTreeSet<String>,
}

impl Director {
    /// Goes on from what another process has left.
    pub fn inherit(heir: Heir, legacy: &Legacy, now: Moment) -> Self {
        let Heir { plan, compiler, findings, same } = heir;
        let mut director = Self::heir(plan, compiler, legacy);
        director.journal = Journal::going_on(legacy.entries.clone());
        director.take_place(findings, &same, legacy, None, now);
        director
    }

    /// Goes on with another plan: from one moment to the next all is answered as that has it.
    pub fn succeed(&mut self, heir: Heir, now: Moment) {
        let Heir { plan, compiler, findings, same } = heir;
        let legacy = self.legacy(now);
        let mut next = Self::heir(plan, compiler, &legacy);
        next.views = replace(&mut self.views, watch::Sender::new(Vec::new()));
        next.suspicion = replace(&mut self.suspicion, watch::Sender::new(false));
        next.stale = replace(&mut self.stale, watch::Sender::new(0));
        next.journal = self.journal.clone();
        next.changes = replace(&mut self.changes, watch::Sender::new(0));
        let publisher = match replace(&mut self.stage, Stage::Rehearsal) {
            Stage::Open(publisher) => Some(publisher),
            Stage::Rehearsal => None,
        };
        *self = next;
        self.take_place(findings, &same, &legacy, publisher, now);
    }

    /// Of the plan, with what is known, and nobody to tell it yet.
    fn heir(plan: Arc<Plan>, compiler: Compiler, legacy: &Legacy) -> Self {
        let state =
            State { orders: legacy.orders.clone(), serials: legacy.serials().clone(), ..State::default() };
        let mut heir = Self::with_compiler(plan, compiler, &state);
        heir.orders.tell_strays(|member| legacy.is_stray(member));
        for (zone, lease) in heir.plan.zones.iter().zip(&mut heir.leases) {
            if let Some(served) = legacy.serial(&zone.origin.to_string()) {
                *lease = Lease::follow(zone.serial, served);
            }
        }
        let heard = heir.sightings.iter_mut().zip(&mut heir.tales).zip(&mut heir.recents);
        for (known, ((sighting, tale), recents)) in legacy.witnesses(&heir.plan).zip(heard) {
            let Some(known) = known else { continue };
            (*sighting, *tale) = (known.sighting, known.tale.clone());
            if legacy.is_of_this_version() {
                *recents = known.recents.clone();
            }
        }
        heir.history = legacy.history.clone();
        let probes = heir.plan.probes.iter().zip(&heir.sightings);
        let awaited = probes.filter(|(probe, seen)| is_awaited(probe) && seen.observed == Observed::Unknown);
        heir.unknown = awaited.count();
        heir
    }

    fn take_place(
        &mut self,
        findings: Vec<(ProbeId, Finding)>,
        same: &BTreeSet<String>,
        legacy: &Legacy,
        publisher: Option<Publisher>,
        now: Moment,
    ) {
        let stale = self.sightings.iter().filter(|sighting| sighting.news == News::Stale).count();
        self.stale.send_if_modified(|before| replace(before, stale) != stale);
        self.resume_agreements(legacy, now);
        for (id, finding) in findings {
            if self.sightings[id.index()].observed == Observed::Unknown {
                self.take(id, &finding, now);
            }
        }
        let silent = legacy.silent(&self.plan);
        self.suspect(silent.into_iter(), now);
        self.open_after(legacy, same, publisher, now);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Members stand where they stood, and are compared as they are now.
    fn resume_agreements(&mut self, legacy: &Legacy, now: Moment) {
        let plan = Arc::clone(&self.plan);
        for (id, pool) in plan.pool_ids() {
            if let Some(known) = legacy.pool(pool) {
                let members = pool.members.iter().map(|member| known.agreement(member)).collect();
                self.agreements.resume(id, pool.rules.version_grace, members);
            }
            self.compare(id, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::daemon::load;

    fn plan(records: &str) -> Arc<Plan> {
        let config = "[[zone]]\nfile = \"zone\"\n[[pool]]\nname = \"_x._tcp.p.example\"\ncheck = \"tcp\"\n\
                      fail-open = \"none\"\n[check.tcp]\ntcp = { port = 1 }\n";
        let hosts = "a A 192.0.2.1\nb A 192.0.2.2\nc A 192.0.2.3\n";
        let zone =
            format!("$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns.example.\n{hosts}{records}");
        let read = |path: &Path| Ok(if path.ends_with("zone") { zone.as_str() } else { config }.into());
        load("onstage.toml".as_ref(), read).loaded.expect("a good config").plan
    }

    /// Since when a pool is answered as it is, where `after` takes the place of `before` at 200.
    fn since(before: &str, after: &str) -> u32 {
        let at = |unix: u32| Moment { steady: Duration::from_secs(unix.into()), unix };
        let up = [1, 2].map(|host| (format!("tcp 192.0.2.{host}:1"), true));
        let state = State { up: up.into(), ..State::default() };
        let mut director = Director::new(plan(before), &state);
        director.open(&state, at(100));
        let plan = plan(after);
        let compiler = Compiler::new(Arc::clone(&plan));
        director.succeed(Heir { plan, compiler, findings: Vec::new(), same: BTreeSet::new() }, at(200));
        director.began[0]
    }

    #[test]
    fn a_pool_goes_on_as_long_as_the_same_members_are_answered() {
        let both = "_x._tcp SRV 0 5 1 a\n_x._tcp SRV 0 5 1 b\n";
        let twins = "_x._tcp SRV 0 5 1 a\n_x._tcp SRV 0 9 1 a\n_x._tcp SRV 10 5 1 a\n";
        for (before, after, is_same) in [
            (both, both, true),
            (twins, twins, true),
            (both, "_x._tcp SRV 0 5 1 a\n", false),
            (both, "_x._tcp SRV 0 5 1 a\n_x._tcp SRV 0 5 1 c\n", false),
            (both, "_x._tcp SRV 0 5 1 a\n_x._tcp SRV 0 5 1 b\n_x._tcp SRV 0 5 1 c\n", true),
        ] {
            assert_eq!(since(before, after), if is_same { 100 } else { 200 }, "{before}{after}");
        }
    }
}
