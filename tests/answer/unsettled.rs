//! While a member of a pool wavers, or the pool fails open, nobody keeps its records for longer than `ttl-unsettled`.

use std::collections::HashSet;
use std::iter::successors;
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::{RData, Record, RecordType};
use onstage::answer::{Peer, Rotation, Via};
use onstage::health::Standing;
use onstage::name::Name;
use onstage::plan::{Plan, Pool};
use onstage::snapshot::{Lineup, Mode, Outlook};
use proptest::test_runner::TestRunner;

use super::staged::{MOST, staged};
use crate::harness::{NOW, Site, ask, lines, load_site, query, with_edns};
use crate::peers::{Question, drawn, zones};

/// The pools that waver, and the names that exist.
struct Wavering<'s> {
    pools: Vec<(&'s Pool, &'s Lineup)>,
    names: HashSet<Name>,
}

impl<'s> Wavering<'s> {
    fn of(plan: &'s Plan, lineups: &'s [Lineup]) -> Self {
        let wavers = |(_, lineup): &(&Pool, &Lineup)| {
            lineup.outlook == Outlook::Unsettled || lineup.mode == Mode::FailingOpen
        };
        let owners = plan.zones.iter().flat_map(|zone| &zone.records).map(|record| &record.owner);
        Self {
            pools: plan.pools.iter().zip(lineups).filter(wavers).collect(),
            names: owners.flat_map(|owner| successors(Some(owner.clone()), Name::parent)).collect(),
        }
    }

    /// The one that the RRset of a name is, or that a wildcard stands for it with (RFC 4592 §3.3.1).
    fn pool(
        &self,
        name: &hickory_proto::rr::Name,
        record_type: RecordType,
    ) -> Option<(&'s Pool, &'s Lineup)> {
        let mut existing = Name::from(name);
        let mut source = Some(existing.clone());
        while !self.names.contains(&existing) {
            source = existing.parent().and_then(|parent| Name::parse(&format!("*.{parent}")).ok());
            existing = existing.parent()?;
        }
        let is_it = |pool: &Pool| pool.record_type == record_type && Some(&pool.name) == source.as_ref();
        self.pools.iter().find(|(pool, _)| is_it(pool)).copied()
    }

    fn has(&self, record: &Record) -> bool {
        self.pool(&record.name, record.record_type()).is_some()
    }

    /// Whether a reply says that there is nothing where a pool is that has nobody to answer.
    fn is_emptied(&self, question: &Question, reply: &Message) -> bool {
        let target = |record: &Record| match &record.data {
            RData::CNAME(cname) => Some(cname.0.clone()),
            _ => None,
        };
        let end = reply.answers.iter().rev().find_map(target).unwrap_or_else(|| question.name.clone());
        let pool = self.pool(&end, question.record_type);
        pool.is_some_and(|(_, lineup)| lineup.count() == 0)
    }
}

fn sections(reply: &Message) -> impl Iterator<Item = &Record> {
    reply.answers.iter().chain(&reply.authorities).chain(&reply.additionals)
}

fn reply(site: &Site, question: &Question, via: Via, seed: u32) -> Message {
    let peer = Peer { addr: IpAddr::from([10, 0, seed as u8, 1]), via, now: NOW };
    let reply = ask(&site.snapshot, &peer, &mut Rotation::new(seed), &question.wire).expect("a reply");
    Message::from_vec(&reply).expect("replies parse")
}

/// Asks the same of a site whose pools waver, and of one where the same members are answered in peace.
#[test]
fn no_answer_with_records_of_a_pool_that_wavers_is_kept_for_long() {
    let mut runner = TestRunner::deterministic();
    let (mut short, mut emptied) = (0, 0);
    for zone in zones(&mut runner, &["z.test.", "y.test.", "x.test.", "w.test."].map(str::to_owned)) {
        let (plan, lineups) = staged(&zone, &mut runner);
        let wavering = Wavering::of(&plan, &lineups);
        let peace =
            |lineup: &Lineup| Lineup { mode: Mode::Live, outlook: Outlook::Settled, ..lineup.clone() };
        let peaceful = Site::with_lineups(Arc::clone(&plan), &lineups.iter().map(peace).collect::<Vec<_>>());
        let site = Site::with_lineups(Arc::clone(&plan), &lineups);
        for (seed, question) in (0..).zip(drawn(&mut runner, &zone, 1_500)) {
            for via in [Via::Datagram, Via::Stream, Via::Encrypted] {
                let reply = reply(&site, &question, via, seed);
                for record in sections(&reply).filter(|record| wavering.has(record)) {
                    assert!(record.ttl <= MOST, "{}: {record}", question.told);
                    short += 1;
                }
            }
            let (told, peaceful) =
                (reply(&site, &question, Via::Stream, seed), reply(&peaceful, &question, Via::Stream, seed));
            let is_emptied = wavering.is_emptied(&question, &told);
            assert_eq!(sections(&told).count(), sections(&peaceful).count(), "{}", question.told);
            for (record, mut wanted) in sections(&told).zip(sections(&peaceful).cloned()) {
                let negative = is_emptied && record.record_type() == RecordType::SOA;
                if wavering.has(record) || negative {
                    wanted.ttl = wanted.ttl.min(MOST);
                }
                assert_eq!((record, record.ttl), (&wanted, wanted.ttl), "{}", question.told);
                emptied += usize::from(negative);
            }
        }
    }
    assert!(short > 1_000 && emptied > 50, "{short} records, {emptied} answers without any");
}

const CONFIG: &str = r#"
[[zone]]
file = "zone"

[check.tcp]
tcp = { port = 8140 }

[[pool]]
name = "p.example"
check = "tcp"
fail-open = "none"

[[pool]]
name = "_s._tcp.p.example"
check = "tcp"

[[pool]]
name = "*.w.p.example"
check = "tcp"
fail-open = "none"
"#;

const ZONE: &str = "$ORIGIN p.example.\n$TTL 300\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\n\
    @ A 192.0.2.1\n@ A 192.0.2.2\n@ MX 5 @\nalias CNAME @\nd DNAME w\n*.w A 192.0.2.3\n*.w TXT \"there\"\n\
    a A 192.0.2.1\n_s._tcp SRV 0 5 8140 a\n";

/// With all members as told.
fn site(standing: Standing, outlook: Outlook) -> Site {
    let plan = load_site(&[("onstage.toml", CONFIG), ("zone", ZONE)]).plan;
    let lineup = |pool: &Pool| Lineup::of(pool, &vec![standing; pool.members.len()], outlook, None);
    let lineups: Vec<Lineup> = plan.pools.iter().map(lineup).collect();
    Site::with_lineups(plan, &lineups)
}

#[test]
fn records_of_the_pool_are_kept_five_seconds_and_no_others_less_than_before() {
    let site = site(Standing::LIVE, Outlook::Unsettled);
    let answers = |name: &str, record_type| lines(&site.ask(name, record_type).answers);
    assert_eq!(answers("p.example", RecordType::A), ["p.example. 5 A 192.0.2.1", "p.example. 5 A 192.0.2.2"]);
    assert_eq!(answers("x.w.p.example", RecordType::A), ["x.w.p.example. 5 A 192.0.2.3"]);
    assert_eq!(answers("x.w.p.example", RecordType::TXT), ["x.w.p.example. 300 TXT there"]);
    assert_eq!(
        answers("alias.p.example", RecordType::A),
        ["alias.p.example. 300 CNAME p.example.", "p.example. 5 A 192.0.2.1", "p.example. 5 A 192.0.2.2"]
    );
    let mail = site.ask("p.example", RecordType::MX);
    assert_eq!(lines(&mail.answers), ["p.example. 300 MX 5 p.example."]);
    assert_eq!(lines(&mail.additionals), ["p.example. 5 A 192.0.2.1", "p.example. 5 A 192.0.2.2"]);
    let service = site.ask("_s._tcp.p.example", RecordType::SRV);
    assert_eq!(lines(&service.answers), ["_s._tcp.p.example. 5 SRV 0 5 8140 a.p.example."]);
    assert_eq!(lines(&service.additionals), ["a.p.example. 300 A 192.0.2.1"], "a host, no pool");
}

#[test]
fn settled_pools_have_the_ttls_of_their_zone() {
    let site = site(Standing::LIVE, Outlook::Settled);
    assert!(lines(&site.ask("p.example", RecordType::A).answers)[0].starts_with("p.example. 300 A "));
    assert!(lines(&site.ask("p.example", RecordType::MX).additionals)[0].starts_with("p.example. 300 A "));
}

#[test]
fn that_a_pool_has_nobody_is_kept_five_seconds() {
    let site = site(Standing::Down, Outlook::Settled);
    let negative = |name: &str, record_type| {
        let reply = site.ask(name, record_type);
        let soa = reply.authorities.iter().map(|record| (record.name.to_string().to_lowercase(), record.ttl));
        (reply.answers.len(), soa.collect::<Vec<_>>())
    };
    let soa = |ttl| vec![("p.example.".to_owned(), ttl)];
    for (name, record_type, answers, ttl) in [
        ("p.example", RecordType::A, 0, 5),
        ("P.Example", RecordType::A, 0, 5),
        ("p.example", RecordType::AAAA, 0, 60), // no pool: there never was any
        ("alias.p.example", RecordType::A, 1, 5),
        ("alias.p.example", RecordType::AAAA, 1, 60),
        ("x.w.p.example", RecordType::A, 0, 5),
        ("x.y.w.p.example", RecordType::A, 0, 5),
        ("x.w.p.example", RecordType::AAAA, 0, 60),
        ("x.d.p.example", RecordType::A, 2, 5),
        ("x.d.p.example", RecordType::AAAA, 2, 60),
        ("nobody.p.example", RecordType::A, 0, 60),
    ] {
        assert_eq!(negative(name, record_type), (answers, soa(ttl)), "{name} {record_type}");
    }
}

/// The SOA of such an answer is like any other: the serial of now, and pointers that follow the question.
#[test]
fn that_a_pool_has_nobody_is_said_as_the_zone_says_nothing_is_there() {
    let site = site(Standing::Down, Outlook::Settled);
    for name in ["p.example", "a-long-label.w.p.example", "x.y.w.p.example", "x.d.p.example"] {
        let told = |record_type| {
            let reply = site.ask(name, record_type);
            let soa = reply.authorities.iter().map(|record| format!("{} {}", record.name, record.data));
            (reply.metadata, soa.collect::<Vec<_>>())
        };
        assert_eq!(told(RecordType::A), told(RecordType::AAAA), "{name}");
    }
    let asked = with_edns(query("p.example", RecordType::A), 1232, 0, 0);
    let reply = site.ask_with(&mut Rotation::new(0), Via::Datagram, &asked).unwrap();
    let error = reply.edns.as_ref().and_then(|edns| edns.option(EdnsCode::Unknown(15)));
    assert!(error.is_some(), "why there is nobody: {:?}", reply.edns);
}
