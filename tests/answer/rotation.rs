//! Each live member is first equally often, whatever pattern the queries come in.

use std::collections::HashMap;

use hickory_proto::rr::RecordType;
use onstage::answer::{Rotation, Via};

use crate::harness::{Site, plan_of_zone, query};

/// The zone with `members` A and AAAA records.
fn site(members: u8) -> Site {
    use std::fmt::Write;
    let mut zone = String::from("$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns.example.net.\n");
    for member in 1..=members {
        let _ = writeln!(zone, "@ A 192.0.2.{member}\n@ AAAA 2001:db8::{member}");
    }
    Site::new(plan_of_zone(&zone))
}

/// Who comes first in the A answers among `rounds` of `pattern`.
fn firsts(site: &Site, pattern: &[RecordType], rounds: usize, seed: u32) -> HashMap<String, f64> {
    let mut rotation = Rotation::new(seed);
    let mut firsts = HashMap::new();
    for record_type in pattern.iter().cycle().take(pattern.len() * rounds) {
        let reply = site.ask_with(&mut rotation, Via::Datagram, &query("p.example", *record_type)).unwrap();
        if *record_type == RecordType::A {
            *firsts.entry(reply.answers[0].data.to_string()).or_default() += 1.0;
        }
    }
    firsts
}

/// Pearson's statistic against equal shares.
fn chi_square(counts: &HashMap<String, f64>, members: u8) -> f64 {
    let expected = counts.values().sum::<f64>() / f64::from(members);
    let missing = f64::from(members) - counts.len() as f64;
    counts.values().map(|count| (count - expected).powi(2) / expected).sum::<f64>() + missing * expected
}

#[test]
fn each_member_is_first_equally_often() {
    use RecordType::{A, AAAA, SRV};
    let patterns: [&[RecordType]; 5] =
        [&[A], &[A, AAAA], &[A, AAAA, SRV], &[A, A, AAAA], &[A, AAAA, AAAA, AAAA, AAAA, AAAA, AAAA, AAAA]];
    for members in 2..=9 {
        let site = site(members);
        for pattern in patterns {
            for seed in [0, 1, 0x8000_0000, 0xdead_beef] {
                let statistic = chi_square(&firsts(&site, pattern, 1_000, seed), members);
                // The 1 % point of chi-square with 1 degree of freedom; with more it is larger still.
                assert!(statistic < 6.63, "{members} members, {pattern:?}, seed {seed}: {statistic}");
            }
        }
    }
}

#[test]
fn a_rotation_holds_every_member_once_and_keeps_their_circle() {
    let site = site(5);
    let mut rotation = Rotation::new(7);
    for _ in 0..50 {
        let reply = site.ask_with(&mut rotation, Via::Datagram, &query("p.example", RecordType::A)).unwrap();
        let order: Vec<u8> = reply
            .answers
            .iter()
            .map(|r| r.data.ip_addr().map_or(0, |ip| ip.to_string().as_bytes()[8] - b'0'))
            .collect();
        let first = order[0];
        let expected: Vec<u8> = (0..5).map(|step| (first - 1 + step) % 5 + 1).collect();
        assert_eq!(order, expected);
    }
}

#[test]
fn callers_with_other_seeds_start_elsewhere() {
    let site = site(4);
    let starts: std::collections::HashSet<String> = (0..40_u32)
        .flat_map(|i| firsts(&site, &[RecordType::A], 1, i.wrapping_mul(0x1234_5677)).into_keys())
        .collect();
    assert_eq!(starts.len(), 4);
}
