//! The same questions to onstage, BIND, NSD and Knot about the same zones: the same answers, but for what RFCs leave
//! open.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use onstage::daemon::Daemon;
use proptest::test_runner::TestRunner;

use super::ask::{Client, Question};
use super::generate::zones;
use super::process::{Peer, available};
use super::questions::{drawn, thorough};
use super::rules::RULES;
use super::zone::{CHILD, Zone};
use crate::harness::load_site;

/// A zone that was written by hand: no construct is left to chance.
const WRITTEN: (&str, &str) = ("p.example.", include_str!("../replay/properties.zone"));

/// How many zones are drawn, and how many questions about each.
const ZONES: usize = 48;
const QUESTIONS: usize = 500;

/// Zones by name and text, and what is asked about them; the same in each run.
fn subjects() -> (Vec<(String, String)>, Vec<Question>) {
    let mut runner = TestRunner::deterministic();
    let mut origins: Vec<String> = (0..ZONES).map(|n| format!("z{n:02}.test.")).collect();
    origins.push(CHILD.to_owned());
    let zones: Vec<Zone> = zones(&mut runner, &origins);
    let mut questions = thorough(WRITTEN.1);
    for zone in &zones {
        questions.extend(drawn(&mut runner, zone, QUESTIONS));
    }
    let written = (WRITTEN.0.to_owned(), WRITTEN.1.to_owned());
    let texts = zones.iter().map(|zone| (zone.origin.clone(), zone.text()));
    ([written].into_iter().chain(texts).collect(), questions)
}

#[tokio::test(flavor = "multi_thread")]
async fn onstage_bind_nsd_and_knot_answer_alike() {
    let programs: Vec<&str> =
        ["named", "nsd", "knotd"].into_iter().filter(|program| available(program)).collect();
    if programs.is_empty() {
        return;
    }
    let (zones, questions) = subjects();
    let folder = tempfile::tempdir().unwrap();
    let (mut files, mut config) = (Vec::new(), String::new());
    let dir = folder.path().display();
    let _ = writeln!(config, "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"{dir}\"");
    for (name, text) in &zones {
        let file = folder.path().join(format!("{name}zone"));
        std::fs::write(&file, text).unwrap();
        files.push((name.clone(), file));
        let _ = writeln!(config, "[[zone]]\nfile = \"{name}zone\"");
    }
    let ours: Vec<(String, &str)> =
        zones.iter().map(|(name, text)| (format!("{name}zone"), &text[..])).collect();
    let mut ours: Vec<(&str, &str)> = ours.iter().map(|(name, text)| (&name[..], *text)).collect();
    ours.push(("onstage.toml", &config));
    let loaded = load_site(&ours);
    let start = |program: &&str| match *program {
        "named" => bind(&files),
        "nsd" => Peer::nsd(&files),
        _ => Peer::knot(&files),
    };
    let peers: Vec<Peer> = programs.iter().map(start).collect();
    let daemon = Daemon::start(&loaded.plan, &loaded.network).await.unwrap();
    let ours = daemon.addrs()[0];
    tokio::task::spawn_blocking(move || compare(ours, &peers, &questions)).await.unwrap();
    daemon.stop().await;
}

fn bind(zones: &[(String, PathBuf)]) -> Peer {
    let options = "recursion no; allow-query-cache { none; }; max-udp-size 1232; zero-no-soa-ttl no; answer-cookie no; \
                   check-names primary ignore; check-integrity no; check-mx ignore; check-srv-cname ignore; \
                   check-mx-cname ignore; tcp-idle-timeout 600;";
    let statement = |(name, file): &(String, PathBuf)| {
        format!("zone \"{name}\" {{ type primary; file \"{}\"; }};\n", file.display())
    };
    Peer::bind(options, &zones.iter().map(statement).collect::<String>(), &zones[0].0)
}

/// What has to be among the replies, or else too little was asked. BADVERS shares its number with BADSIG.
const KINDS: &str = "NoError, NXDomain, YXDomain, Refused, BADSIG, truncated, no data, referral, glue, endless, \
                     alias of a delegation, alias of nothing, a, aaaa, ns, cname, dname, ds, mx, srv, txt, svcb, \
                     https, caa, ptr, unknown";

fn compare(ours: SocketAddr, peers: &[Peer], questions: &[Question]) {
    println!("onstage {ours}, {:?}", peers.iter().map(|p| (p.name, p.addr)).collect::<Vec<_>>());
    assert!(questions.len() >= 5_000, "{} questions", questions.len());
    let mut us = Client::new(ours);
    let mut them: Vec<Client> = peers.iter().map(|peer| Client::new(peer.addr)).collect();
    let mut used: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let (mut differences, mut kinds) = (Vec::new(), BTreeMap::<String, usize>::new());
    for question in questions {
        let told = us.ask(question);
        told.kinds().into_iter().for_each(|kind| *kinds.entry(kind).or_default() += 1);
        for (peer, client) in peers.iter().zip(&mut them) {
            let (mut ours, mut theirs) = (told.clone(), client.ask(question));
            for rule in RULES.iter().filter(|rule| rule.peers.contains(&peer.name)) {
                let count = used.entry((rule.name, peer.name)).or_default();
                *count += usize::from((rule.level)(question, &mut ours, &mut theirs));
            }
            if ours != theirs {
                differences
                    .push(format!("{}\n  onstage {ours:?}\n  {} {theirs:?}", question.told, peer.name));
            }
        }
    }
    println!(
        "{} questions to onstage and each of {} peers; rules used: {used:#?}",
        questions.len(),
        peers.len()
    );
    println!("replies: {kinds:?}");
    let shown = differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences:\n{shown}", differences.len());
    for kind in KINDS.split(", ") {
        assert!(kinds.get(kind).is_some_and(|&count| count >= 20), "too few of {kind}: {kinds:?}");
    }
    let unused: Vec<_> = used.iter().filter(|(_, count)| **count == 0).map(|(rule, _)| rule).collect();
    assert!(unused.is_empty(), "rules that are not needed: {unused:?}");
}
