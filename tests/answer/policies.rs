//! Policies: who of a pool is answered, to whom, how often.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use onstage::answer::{Rotation, Via};
use onstage::plan::Plan;
use proptest::prelude::*;

use crate::harness::{Site, ask, load_site, peer, query};

/// How many answers tell the shares.
const ROUNDS: u32 = 4000;

/// A pool of so many members with a policy and members' settings.
pub fn config(policy: &str, max_answers: usize, members: &str) -> String {
    format!(
        "[[zone]]\nfile = \"zone\"\n[check.tcp]\ntcp = {{ port = 8140 }}\n[[pool]]\nname = \"p.example\"\n\
         check = \"tcp\"\npolicy = \"{policy}\"\nmax-answers = {max_answers}\n{members}"
    )
}

/// That pool, with so many addresses.
pub fn plan(config: &str, members: usize) -> Arc<Plan> {
    use std::fmt::Write;
    let mut zone = String::from("$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns.example.net.\n");
    for member in 1..=members {
        let _ = writeln!(zone, "@ A 192.0.2.{member}");
    }
    load_site(&[("onstage.toml", config), ("zone", &zone)]).plan
}

fn site(config: &str, live: &[bool]) -> Site {
    Site::with_live(plan(config, live.len()), |_| live.to_vec())
}

/// The last bytes of the addresses that a client is answered.
pub fn members(site: &Site, client: Ipv4Addr, rotation: &mut Rotation) -> Vec<u8> {
    let from = peer(&client.to_string(), Via::Stream);
    let reply = ask(&site.snapshot, &from, rotation, &query("p.example", RecordType::A)).unwrap();
    let reply = Message::from_vec(&reply).unwrap();
    reply.answers.iter().filter_map(|record| record.data.ip_addr()).map(last_byte).collect()
}

fn last_byte(address: std::net::IpAddr) -> u8 {
    match address {
        std::net::IpAddr::V4(v4) => v4.octets()[3],
        std::net::IpAddr::V6(v6) => v6.octets()[15],
    }
}

/// How often each member came first in `rounds` answers.
fn firsts(site: &Site, rounds: u32) -> HashMap<u8, f64> {
    let mut rotation = Rotation::new(1);
    let mut firsts = HashMap::new();
    for _ in 0..rounds {
        *firsts.entry(members(site, Ipv4Addr::LOCALHOST, &mut rotation)[0]).or_default() += 1.0;
    }
    firsts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn with_sticky_only_the_clients_of_who_leaves_move_and_they_come_back(
        size in 2_usize..12,
        gone in any::<prop::sample::Index>(),
        clients in prop::collection::vec(any::<u32>(), 1..50),
    ) {
        let config = config("sticky", 3, "");
        let everyone = vec![true; size];
        let mut some = everyone.clone();
        let gone = gone.index(size);
        some[gone] = false;
        let (with, without) = (site(&config, &everyone), site(&config, &some));
        let mut rotation = Rotation::new(0);
        for client in clients.into_iter().map(Ipv4Addr::from_bits) {
            let before = members(&with, client, &mut rotation);
            let after = members(&without, client, &mut rotation);
            let left: Vec<u8> = before.iter().copied().filter(|&member| usize::from(member) != gone + 1).collect();
            prop_assert_eq!(&after[..left.len()], &left[..], "the others stay, in their order");
            prop_assert_eq!(members(&with, client, &mut rotation), before, "and who comes back has its own again");
        }
    }

    #[test]
    fn with_sticky_a_whole_network_is_answered_the_same(network in any::<u32>(), hosts in any::<[u8; 4]>()) {
        let site = site(&config("sticky", 8, ""), &[true; 5]);
        let mut rotation = Rotation::new(0);
        let mut of = |host: u8| members(&site, Ipv4Addr::from_bits(network & !0xff | u32::from(host)), &mut rotation);
        let first = of(hosts[0]);
        prop_assert!(hosts.iter().all(|&host| of(host) == first));
    }

    #[test]
    fn weighted_shares_follow_weights(weights in prop::collection::vec(1_u16..20, 2..6)) {
        use std::fmt::Write;
        let mut settings = String::new();
        for (i, weight) in weights.iter().enumerate() {
            let _ = writeln!(settings, "[pool.member.\"192.0.2.{}\"]\nweight = {weight}", i + 1);
        }
        let site = site(&config("weighted", 1, &settings), &vec![true; weights.len()]);
        let firsts = firsts(&site, ROUNDS);
        let total = f64::from(weights.iter().sum::<u16>());
        let chi_square: f64 = weights
            .iter()
            .zip(1_u8..)
            .map(|(&weight, member)| {
                let expected = f64::from(ROUNDS) * f64::from(weight) / total;
                (firsts.get(&member).copied().unwrap_or_default() - expected).powi(2) / expected
            })
            .sum();
        prop_assert!(chi_square < 18.5, "{chi_square} for {weights:?}: {firsts:?}"); // 4 degrees of freedom, 0.1 %
    }
}

#[test]
fn sticky_spreads_networks_evenly() {
    let site = site(&config("sticky", 1, ""), &[true; 4]);
    let mut rotation = Rotation::new(0);
    let mut counts = [0.0_f64; 4];
    for network in 0..4000_u32 {
        let member = members(&site, Ipv4Addr::from_bits(0x0a00_0000 | network << 8), &mut rotation)[0];
        counts[usize::from(member) - 1] += 1.0;
    }
    let chi_square: f64 = counts.iter().map(|count| (count - 1000.0).powi(2) / 1000.0).sum();
    assert!(chi_square < 16.3, "{counts:?}"); // 3 degrees of freedom, 0.1 %
}

#[test]
fn a_weighted_answer_has_no_member_twice_and_as_many_as_are_wanted() {
    let site = site(&config("weighted", 3, ""), &[true, true, false, true, true]);
    let mut rotation = Rotation::new(0);
    for _ in 0..200 {
        let mut answered = members(&site, Ipv4Addr::LOCALHOST, &mut rotation);
        answered.sort_unstable();
        answered.dedup();
        assert!(answered.len() == 3 && !answered.contains(&3), "{answered:?}");
    }
}

#[test]
fn failover_answers_the_lowest_tier_that_has_somebody_live() {
    let settings = "[pool.member.\"192.0.2.1\"]\ntier = 1\n[pool.member.\"192.0.2.2\"]\ntier = 2\n\
                    [pool.member.\"192.0.2.3\"]\ntier = 2\n[pool.member.\"192.0.2.4\"]\ntier = 9\n";
    let config = config("failover", 8, settings);
    let answered = |live: [bool; 4]| {
        let mut answered = members(&site(&config, &live), Ipv4Addr::LOCALHOST, &mut Rotation::new(0));
        answered.sort_unstable();
        answered
    };
    assert_eq!(answered([true, true, true, true]), [1]);
    assert_eq!(answered([false, true, true, true]), [2, 3]);
    assert_eq!(answered([false, true, false, true]), [2]);
    assert_eq!(answered([false, false, false, true]), [4]);
    assert_eq!(answered([false; 4]), [1, 2, 3, 4], "nobody is live: the pool fails open");
}
