//! Class CH: version, identity and the health of pools, told to those who may know.

use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use onstage::answer::{Rotation, Via};
use onstage::snapshot::{Account, Line};

use crate::harness::{NOW, Site, ask, load_site, peer, query};

const CONFIG: &str = "[server]\nnsid = \"ns1\"\nchaos = [\"192.0.2.0/24\"]\n[[zone]]\nfile = \"zone\"\n\
    [check.tcp]\ntcp = { port = 8140 }\n[[pool]]\nname = \"p.example\"\ncheck = \"tcp\"\n";
const ZONE: &str =
    "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n@ A 192.0.2.10\n";

fn site() -> Site {
    let Site { plan, compiler, snapshot } =
        Site::new(load_site(&[("onstage.toml", CONFIG), ("zone", ZONE)]).plan);
    let lines = vec![
        Line { text: "p.example A: 1 of 1 live".into(), since: None },
        Line { text: "192.0.2.10 live".into(), since: Some(NOW - 3700) },
    ];
    let snapshot = snapshot.with_accounts([Arc::new(Account { lines })].into());
    Site { plan, compiler, snapshot }
}

fn asked(from: &str, name: &str, record_type: RecordType) -> Message {
    let mut query = query(name, record_type);
    let end = query.len();
    query[end - 1] = 3;
    let reply = ask(&site().snapshot, &peer(from, Via::Stream), &mut Rotation::new(0), &query).unwrap();
    Message::from_vec(&reply).unwrap()
}

fn texts(name: &str) -> Vec<String> {
    asked("192.0.2.7", name, RecordType::TXT).answers.iter().map(|record| record.data.to_string()).collect()
}

#[test]
fn version_and_identity_are_told() {
    for name in ["version.bind", "version.server", "VERSION.Bind"] {
        assert_eq!(texts(name), [format!("onstage {}", env!("CARGO_PKG_VERSION"))]);
    }
    for name in ["hostname.bind", "id.server"] {
        assert_eq!(texts(name), ["ns1"]);
    }
}

#[test]
fn the_health_of_a_pool_is_told_with_ages() {
    assert_eq!(texts("p.example"), ["p.example A: 1 of 1 live", "192.0.2.10 live, for 1h 1m"]);
}

#[test]
fn others_and_other_questions_are_refused() {
    for (from, name, record_type) in [
        ("198.51.100.1", "version.bind", RecordType::TXT),
        ("::1", "p.example", RecordType::TXT),
        ("192.0.2.7", "authors.bind", RecordType::TXT),
        ("192.0.2.7", "ns.p.example", RecordType::TXT),
        ("192.0.2.7", "version.bind", RecordType::A),
    ] {
        let reply = asked(from, name, record_type);
        assert_eq!(reply.metadata.response_code, ResponseCode::Refused, "{from} {name} {record_type}");
        assert!(reply.answers.is_empty());
    }
}

#[test]
fn mapped_addresses_are_the_ones_they_map() {
    assert_eq!(asked("::ffff:192.0.2.7", "version.bind", RecordType::TXT).answers.len(), 1);
}
