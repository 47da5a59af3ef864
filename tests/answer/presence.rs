//! Members that get a part of their usual part: in how many answers they are, and what that changes for the others.

use std::net::Ipv4Addr;

use hickory_proto::rr::{RData, RecordType};
use onstage::answer::{Rotation, Via};
use onstage::health::Standing;
use onstage::plan::Pool;
use onstage::snapshot::{Lineup, Outlook};
use onstage::units::Presence;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::policies::{config, members, plan};
use crate::harness::{Site, lines, load_site, query};

/// How many answers tell the shares.
const ROUNDS: u32 = 4000;

/// The lineup of a pool whose members are live for so many percent of their part.
fn lineup(pool: &Pool, percents: &[u8]) -> Lineup {
    let standing = |&percent: &u8| Standing::Live(Presence::percent(percent).expect("a percentage"));
    let standings: Vec<Standing> = percents.iter().map(standing).collect();
    Lineup::of(pool, &standings, Outlook::Settled, None)
}

fn site(config: &str, percents: &[u8]) -> Site {
    let plan = plan(config, percents.len());
    let lineup = lineup(&plan.pools[0], percents);
    Site::with_lineups(plan, &[lineup])
}

/// The members of `ROUNDS` answers to one client.
fn answers(site: &Site) -> Vec<Vec<u8>> {
    let mut rotation = Rotation::new(1);
    (0..ROUNDS).map(|_| members(site, Ipv4Addr::LOCALHOST, &mut rotation)).collect()
}

/// The share of answers that each member comes first in: each set of those that take part has its chance, and within it
/// chances go by `weights`.
fn firsts(percents: &[u8], weights: &[u16]) -> Vec<f64> {
    let mut firsts = vec![0.0; percents.len()];
    for set in 0_u32..1 << percents.len() {
        let is_in = |member: usize| set >> member & 1 == 1;
        let chance =
            |(member, &percent): (usize, &u8)| f64::from(if is_in(member) { percent } else { 100 - percent });
        let chance: f64 = percents.iter().enumerate().map(|one| chance(one) / 100.0).product();
        let weight = |member: usize| if is_in(member) { f64::from(weights[member]) } else { 0.0 };
        let all: f64 = (0..percents.len()).map(weight).sum();
        for (member, first) in firsts.iter_mut().enumerate().filter(|_| chance > 0.0) {
            *first += chance * weight(member) / all;
        }
    }
    firsts
}

/// Pearson's statistic.
fn chi_square(counts: impl IntoIterator<Item = usize>, expected: impl IntoIterator<Item = f64>) -> f64 {
    let distance = |(count, expected): (usize, f64)| (count as f64 - expected).powi(2) / expected;
    counts.into_iter().zip(expected).map(distance).sum()
}

/// Presences of several members, one of which at least is there for all of its part.
fn percents(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let percent = prop_oneof![2 => 1_u8..100, 1 => Just(100)];
    (prop::collection::vec(percent, 2..most), any::<prop::sample::Index>()).prop_map(
        |(mut percents, full)| {
            let full = full.index(percents.len());
            percents[full] = 100;
            percents
        },
    )
}

proptest! {
    // What chance decides is the same in each run: a statistic has no bad day.
    #![proptest_config(ProptestConfig { cases: 48, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn shares_follow_presences_and_the_others_stay_even(
        percents in percents(7),
        weights in prop::collection::vec(1_u16..10, 6),
        policy in prop::sample::select(vec!["round-robin", "failover", "weighted"]),
        max_answers in prop::sample::select(vec![1, 2, 8]),
    ) {
        use std::fmt::Write;
        let mut settings = String::new();
        for (member, weight) in (1..=percents.len()).zip(&weights) {
            let _ = writeln!(settings, "[pool.member.\"192.0.2.{member}\"]\nweight = {weight}");
        }
        let site = site(&config(policy, max_answers, &settings), &percents);
        let answers = answers(&site);
        let rounds = f64::from(ROUNDS);
        let count = |is_so: &dyn Fn(&[u8], u8) -> bool| -> Vec<usize> {
            let of = |member: usize| answers.iter().filter(|answer| is_so(answer, member as u8)).count();
            (1..=percents.len()).map(of).collect()
        };
        let weights = if policy == "weighted" { weights } else { vec![1; percents.len()] };
        let first = count(&|answer, member| answer[0] == member);
        let expected: Vec<f64> = firsts(&percents, &weights).into_iter().map(|share| share * rounds).collect();
        let statistic = chi_square(first.iter().copied(), expected.iter().copied());
        // 5 degrees of freedom, 1 in 100,000.
        prop_assert!(statistic < 30.9, "{statistic} for {percents:?} {weights:?}: {first:?}, not {expected:?}");
        if max_answers >= percents.len() {
            let there = count(&|answer, member| answer.contains(&member));
            for (&percent, there) in percents.iter().zip(there) {
                let share = f64::from(percent) / 100.0;
                let sigma = (rounds * share * (1.0 - share)).sqrt();
                prop_assert!((there as f64 - rounds * share).abs() <= 4.5 * sigma, "{there} for {percent} %");
            }
        }
    }

    #[test]
    fn somebody_is_answered_whoever_gets_how_much(
        percents in prop::collection::vec(1_u8..=100, 1..12),
        policy in prop::sample::select(vec!["round-robin", "failover", "weighted", "sticky"]),
        max_answers in 1_usize..10,
        clients in prop::collection::vec(any::<u32>(), 100),
    ) {
        let site = site(&config(policy, max_answers, ""), &percents);
        let mut rotation = Rotation::new(0);
        for client in clients {
            let mut answer = members(&site, Ipv4Addr::from_bits(client), &mut rotation);
            prop_assert!((1..=max_answers).contains(&answer.len()), "{answer:?}");
            let len = answer.len();
            answer.sort_unstable();
            answer.dedup();
            prop_assert_eq!(answer.len(), len, "nobody twice");
        }
    }

    /// Clients only ever move to the member that gets more of its part, and nobody else moves.
    #[test]
    fn with_sticky_networks_come_to_who_rises_one_after_another(
        mut percents in percents(10),
        max_answers in 1_usize..5,
        clients in prop::collection::vec(any::<u32>(), 60),
    ) {
        percents.insert(0, 0);
        let risen: Vec<Site> = [1, 5, 10, 30, 31, 70, 99, 100].into_iter().map(|percent| {
            percents[0] = percent;
            site(&config("sticky", max_answers, ""), &percents)
        }).collect();
        let mut rotation = Rotation::new(0);
        for client in clients.into_iter().map(Ipv4Addr::from_bits) {
            let mut before = members(&risen[0], client, &mut rotation);
            for site in &risen[1..] {
                let after = members(site, client, &mut rotation);
                if before.contains(&1) {
                    prop_assert_eq!(&after, &before, "who has it keeps it");
                }
                let others: Vec<u8> = after.iter().copied().filter(|&member| member != 1).collect();
                prop_assert_eq!(&others[..], &before.iter().copied().filter(|&m| m != 1).collect::<Vec<_>>()[..others.len()]);
                prop_assert!(after.contains(&1) || after == before, "{before:?}, then {after:?}");
                before = after;
            }
        }
    }
}

#[test]
fn with_sticky_a_member_gets_its_part_of_its_networks() {
    for percent in [10, 50, 90] {
        let site = site(&config("sticky", 1, ""), &[100, percent, 100, 100]);
        let mut rotation = Rotation::new(0);
        let network = |network: u32| Ipv4Addr::from_bits(0x0a00_0000 | network << 8);
        let mut counts = [0; 4];
        for client in (0..ROUNDS).map(network) {
            counts[usize::from(members(&site, client, &mut rotation)[0]) - 1] += 1;
        }
        let part = f64::from(ROUNDS) / 4.0 * f64::from(percent) / 100.0;
        let other = (f64::from(ROUNDS) - part) / 3.0;
        let statistic = chi_square(counts, [other, part, other, other]);
        assert!(statistic < 16.3, "{percent} %: {counts:?}"); // 3 degrees of freedom, 0.1 %
    }
}

#[test]
fn what_all_members_share_spares_none_of_them() {
    let part = site(&config("round-robin", 8, ""), &[20; 5]);
    let full = site(&config("round-robin", 8, ""), &[100; 5]);
    assert_eq!(answers(&part), answers(&full));
    let twice = site(&config("round-robin", 8, ""), &[20, 40]);
    assert!(answers(&twice).iter().all(|answer| answer.contains(&2)), "who gets most is in every answer");
}

/// More members than an answer draws: 32 of them are answered, whatever `max-answers` says.
#[test]
fn large_pools_are_drawn_from_as_evenly() {
    let percents: Vec<u8> = (0..44).map(|member| if member % 4 == 3 { 25 } else { 100 }).collect();
    for max_answers in [8, 100] {
        let site = site(&config("round-robin", max_answers, ""), &percents);
        let answers = answers(&site);
        assert!(answers.iter().all(|answer| answer.len() == max_answers.min(32)));
        let full: Vec<u8> = (1..=44).filter(|member| member % 4 != 0).collect();
        let firsts = |member: &u8| answers.iter().filter(|answer| answer[0] == *member).count();
        let counts: Vec<usize> = full.iter().map(firsts).collect();
        let each = counts.iter().sum::<usize>() as f64 / full.len() as f64;
        let share = each * full.len() as f64 / f64::from(ROUNDS);
        assert!((share - 33.0 / 35.75).abs() < 0.02, "{share} of the answers start with a full member");
        let statistic = chi_square(counts.iter().copied(), vec![each; full.len()]);
        assert!(statistic < 62.5, "{statistic}: {counts:?}"); // 32 degrees of freedom, 0.1 %
    }
}

const CONFIG: &str = r#"
[[zone]]
file = "zone"

[check.tcp]
tcp = { port = 8140 }

[[pool]]
name = "p.example"
check = "tcp"

[[pool]]
name = "_s._tcp.p.example"
check = "tcp"
"#;

const ZONE: &str = "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns.example.net.\n\
    @ A 192.0.2.1\n@ A 192.0.2.2\n@ MX 5 @\nalias CNAME @\na A 192.0.2.1\nb A 192.0.2.2\n\
    _s._tcp SRV 0 5 8140 a\n_s._tcp SRV 0 5 8140 b\n";

/// Both pools, with a second member that gets so many percent of its part.
fn second_at(percent: u8) -> Site {
    let plan = load_site(&[("onstage.toml", CONFIG), ("zone", ZONE)]).plan;
    let lineups: Vec<Lineup> = plan.pools.iter().map(|pool| lineup(pool, &[100, percent])).collect();
    Site::with_lineups(plan, &lineups)
}

#[test]
fn who_is_left_out_takes_its_addresses_along() {
    let (site, mut rotation) = (second_at(10), Rotation::new(0));
    let mut lengths = [0; 3];
    for _ in 0..500 {
        let asked = query("_s._tcp.p.example", RecordType::SRV);
        let reply = site.ask_with(&mut rotation, Via::Stream, &asked).unwrap();
        let targets = reply.answers.iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(srv.target.clone()),
            _ => None,
        });
        let targets: Vec<_> = targets.collect();
        let hosts: Vec<_> = reply.additionals.iter().map(|record| record.name.clone()).collect();
        assert_eq!(targets, hosts);
        lengths[targets.len()] += 1;
    }
    assert!(lengths[0] == 0 && (420..480).contains(&lengths[1]), "{lengths:?}");
}

#[test]
fn an_alias_of_a_pool_draws_as_the_pool_does() {
    let site = second_at(10);
    let answered = |name: &str| -> Vec<usize> {
        let mut rotation = Rotation::new(0);
        let mut ask = || site.ask_with(&mut rotation, Via::Datagram, &query(name, RecordType::A)).unwrap();
        (0..100).map(|_| ask().answers.len()).collect()
    };
    let chained: Vec<usize> = answered("p.example").into_iter().map(|len| len + 1).collect();
    assert_eq!(answered("alias.p.example"), chained);
}

#[test]
fn addresses_that_only_come_along_are_those_of_the_usual_members() {
    for (percent, count) in [(10, 1), (49, 1), (50, 2), (99, 2)] {
        let reply = second_at(percent).ask("p.example", RecordType::MX);
        assert_eq!(reply.additionals.len(), count, "{percent} %");
        assert_eq!(lines(&reply.additionals)[0], "p.example. 30 A 192.0.2.1");
    }
}
