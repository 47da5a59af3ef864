//! Members whose turn to compile a catalog has not come yet, and those that could not compile one.

use std::sync::Arc;

use onstage::daemon::{Director, State};
use onstage::demo::SiteCa;
use onstage::health::{Reason, Told, Verdict};
use onstage::plan::Plan;
use onstage::units::ProbeId;

use super::{Stage, at, finding, plan_with};

const CONFIG: &str = "[check.tcp]\ntcp = { port = 8140 }\n\
                      [check.catalog]\npuppet-catalog = { ca-file = \"ca.pem\", client-cert = \"own.crt\", client-key = \"own.key\" }\n\
                      [check.master]\nall = [\"tcp\", \"catalog\"]\n\
                      [[pool]]\nname = \"puppet.example.org\"\ncheck = \"master\"\n";

fn site() -> Arc<Plan> {
    let ca = SiteCa::new("Site CA").unwrap();
    let (certificate, key) = ca.credentials("onstage.example.org").unwrap();
    plan_with(3, CONFIG, &[("ca.pem", &ca.pem()), ("own.crt", &certificate), ("own.key", &key)])
}

/// The probes of one check, in the order of the members.
fn probes(plan: &Plan, check: &str) -> Vec<ProbeId> {
    let of_check = plan.probes.iter().zip(0..).filter(|(probe, _)| probe.check.name == check);
    of_check.map(|(_, id)| ProbeId(id)).collect()
}

fn open(plan: &Arc<Plan>, state: &State) -> Stage {
    let mut director = Director::new(Arc::clone(plan), state);
    for id in probes(plan, "tcp") {
        assert!(!director.is_informed());
        director.judge(id, &finding(Verdict::Pass, Told::default()), at(0));
    }
    assert!(director.is_informed(), "catalogs take too long to wait for");
    let reader = director.open(state, at(0)).reader();
    Stage { director, reader }
}

#[test]
fn nobody_is_kept_waiting_for_its_turn() {
    let plan = site();
    let catalogs = probes(&plan, "catalog");
    let mut stage = open(&plan, &State::default());
    assert_eq!(stage.account()[0], "A 3/3 answered");
    stage.judge(catalogs[0].0, Verdict::Pass, Told::default(), 5);
    assert_eq!(stage.account()[0], "A 3/3 answered", "the first of them is not the only one");
    stage.judge(catalogs[1].0, Verdict::Fail(Reason::CatalogFailed), Told::default(), 9);
    assert_eq!(stage.account()[0], "A 2/3 answered", "the first verdict decides");
    assert_eq!(stage.account()[2], "192.0.2.2 down (catalog-failed)");
}

#[test]
fn who_could_not_compile_when_the_last_run_stopped_is_held_back_until_it_can() {
    let plan = site();
    let catalogs = probes(&plan, "catalog");
    let mut before = State::default();
    before.up.insert(plan.probes[catalogs[1].index()].key(), false);
    let mut stage = open(&plan, &before);
    assert_eq!(stage.account()[0], "A 2/3 answered");
    stage.judge(catalogs[1].0, Verdict::Pass, Told::default(), 9);
    assert_eq!(stage.account()[0], "A 3/3 answered");
}

/// Broken code is deployed to all of them: agents keep what they have, and masters go on with files and reports.
#[test]
fn where_nobody_compiles_all_that_live_are_answered() {
    let plan = site();
    let (ports, catalogs) = (probes(&plan, "tcp"), probes(&plan, "catalog"));
    let mut stage = open(&plan, &State::default());
    for id in catalogs {
        stage.judge(id.0, Verdict::Fail(Reason::CatalogFailed), Told::default(), 9);
    }
    assert_eq!(stage.account()[0], "A 3/3 answered, failing open");
    for now in [10, 11] {
        stage.judge(ports[0].0, Verdict::Fail(Reason::Refused), Told::default(), now);
    }
    assert_eq!(stage.account()[0], "A 2/3 answered, failing open", "and no dead one beside them");
}
