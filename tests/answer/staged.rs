//! Generated zones whose names are pools, in every state that pools can be in.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use hickory_proto::rr::RData;
use onstage::health::Standing;
use onstage::name::Name;
use onstage::plan::{Plan, Pool};
use onstage::snapshot::{Lineup, Outlook};
use onstage::units::Presence;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::harness::{load_site, plan_of_zone};
use crate::peers::Zone;

/// The `ttl-unsettled` of all these pools, in seconds. TTLs of generated zones are 0, 5, 60 and more.
pub const MOST: u32 = 7;

/// A zone with many pools, and how these are.
pub fn staged(zone: &Zone, runner: &mut TestRunner) -> (Arc<Plan>, Vec<Lineup>) {
    let mut config = String::from("[[zone]]\nfile = \"zone\"\n[check.tcp]\ntcp = { port = 8140 }\n");
    let mut drafts = Vec::new();
    for (owner, types) in zone.owners() {
        if types.iter().any(|record_type| ["A", "AAAA", "SRV"].contains(record_type)) {
            let draft = draft().new_tree(runner).unwrap().current();
            config += &draft.config(&owner, &services(zone, &owner));
            drafts.push((Name::parse(&owner).unwrap(), draft));
        }
    }
    let plan = load_site(&[("onstage.toml", &config), ("zone", &zone.text())]).plan;
    let lineup = |pool: &Pool| {
        let (_, draft) = drafts.iter().find(|(name, _)| *name == pool.name).unwrap();
        let standings = draft.standings.iter().cycle().copied().take(pool.members.len());
        Lineup::of(pool, &standings.collect::<Vec<_>>(), draft.outlook, None)
    };
    let lineups = plan.pools.iter().map(lineup).collect();
    (plan, lineups)
}

/// A pool to be, and how its members are.
#[derive(Debug, Clone)]
struct Draft {
    policy: &'static str,
    fail_open: &'static str,
    max_answers: u16,
    min_live: u16,
    outlook: Outlook,
    standings: Vec<Standing>,
}

fn draft() -> impl Strategy<Value = Draft> {
    let part = (1_u8..100).prop_map(|percent| Standing::Live(Presence::percent(percent).unwrap()));
    let standing = prop_oneof![
        3 => Just(Standing::LIVE),
        2 => part,
        1 => Just(Standing::Doubtful),
        3 => Just(Standing::Down),
    ];
    let dead = vec(Just(Standing::Down), 1..2);
    let words = (
        select(vec!["round-robin", "sticky", "weighted", "failover"]),
        select(vec!["all", "none", "none"]),
        select(vec![1, 2, 8, 100]),
        0_u16..3,
        select(vec![Outlook::Settled, Outlook::Unsettled]),
    );
    let standings = prop_oneof![4 => vec(standing, 1..7), 1 => dead];
    (words, standings).prop_map(|((policy, fail_open, max_answers, min_live, outlook), standings)| Draft {
        policy,
        fail_open,
        max_answers,
        min_live,
        outlook,
        standings,
    })
}

/// Where the SRV records of an owner lead.
fn services(zone: &Zone, owner: &str) -> BTreeSet<String> {
    let (plan, owner) = (plan_of_zone(&zone.text()), Name::parse(owner).unwrap());
    let target = |record: &onstage::zone::Record| match &record.rdata {
        RData::SRV(srv) if record.owner == owner => Some(srv.target.to_string()),
        _ => None,
    };
    plan.zones[0].records.iter().filter_map(target).collect()
}

impl Draft {
    /// The pool's table; the zone does not tell an address for all `targets` of SRV records.
    fn config(&self, owner: &str, targets: &BTreeSet<String>) -> String {
        let Self { policy, fail_open, max_answers, min_live, .. } = self;
        let mut config = format!(
            "[[pool]]\nname = '{owner}'\ncheck = \"tcp\"\npolicy = \"{policy}\"\nfail-open = \"{fail_open}\"\n\
             max-answers = {max_answers}\nmin-live = {min_live}\nttl-unsettled = \"{MOST}s\"\n"
        );
        for target in targets {
            let _ = writeln!(config, "[pool.member.'{target}']\naddress = \"192.0.2.7\"");
        }
        config
    }
}
