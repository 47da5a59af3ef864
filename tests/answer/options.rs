//! EDNS options: each is answered where it means something, and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::EdnsCode;
use onstage::answer::{Outcome, Rotation, Via, answer};
use onstage::units::CookieSecret;

use crate::harness::{Site, ask, load_site, peer, query, with_edns, with_options};

const NSID: u16 = 3;
const SUBNET: u16 = 8;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
const ERROR: u16 = 15;

const CONFIG: &str = r#"
[server]
nsid = "ns1-rack2"
tcp = { idle = "20s" }

[[zone]]
file = "zone"

[check.tcp]
tcp = { port = 8140 }

[[pool]]
name = "p.example"
check = "tcp"

[[pool]]
name = "sticky.p.example"
check = "tcp"
policy = "sticky"
"#;

const ZONE: &str = "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n\
    @ A 192.0.2.10\n@ A 192.0.2.11\nsticky A 192.0.2.10\nsticky A 192.0.2.11\nsticky A 192.0.2.12\n";

fn site(live: bool) -> Site {
    Site::with_live(load_site(&[("onstage.toml", CONFIG), ("zone", ZONE)]).plan, |_| vec![live; 3])
}

/// The options of a reply by code.
fn options(reply: &[u8]) -> BTreeMap<u16, Vec<u8>> {
    let message = Message::from_vec(reply).unwrap();
    let options = message.edns.expect("OPT");
    let options = options.options().as_ref().iter();
    options.map(|(code, value)| (u16::from(*code), Vec::<u8>::try_from(value).unwrap())).collect()
}

fn asked(site: &Site, name: &str, via: Via, sent: &[(u16, &[u8])]) -> BTreeMap<u16, Vec<u8>> {
    let query = with_options(query(name, RecordType::A), sent);
    options(&ask(&site.snapshot, &peer("192.0.2.99", via), &mut Rotation::new(0), &query).expect("a reply"))
}

#[test]
fn nothing_is_told_that_was_not_asked() {
    for via in [Via::Datagram, Via::Stream, Via::Encrypted] {
        assert_eq!(asked(&site(true), "p.example", via, &[]), BTreeMap::new(), "{via:?}");
    }
}

#[test]
fn nsid_is_told_to_who_asks() {
    let told = asked(&site(true), "p.example", Via::Datagram, &[(NSID, b"")]);
    assert_eq!(told, BTreeMap::from([(NSID, b"ns1-rack2".to_vec())]));
}

#[test]
fn keepalive_is_told_over_streams_only() {
    assert_eq!(asked(&site(true), "p.example", Via::Datagram, &[(KEEPALIVE, b"")]), BTreeMap::new());
    for via in [Via::Stream, Via::Encrypted] {
        let told = asked(&site(true), "p.example", via, &[(KEEPALIVE, b"")]);
        assert_eq!(told, BTreeMap::from([(KEEPALIVE, 200_u16.to_be_bytes().to_vec())]), "20 s in tenths");
    }
}

#[test]
fn padding_is_answered_with_padding_where_nobody_can_read_along() {
    let site = site(true);
    for name in ["p.example", "nosuch.p.example", "ns.p.example", "elsewhere"] {
        let query = with_options(query(name, RecordType::A), &[(PADDING, &[0; 5])]);
        let length =
            |via| ask(&site.snapshot, &peer("192.0.2.99", via), &mut Rotation::new(0), &query).unwrap().len();
        assert_eq!(length(Via::Encrypted) % 468, 0, "{name}");
        assert_ne!(length(Via::Stream) % 468, 0, "{name}");
    }
}

#[test]
fn a_reply_that_is_no_answer_says_why() {
    let site = site(true);
    let code = |name, record_type, class| {
        let mut query = query(name, record_type);
        let end = query.len();
        query[end - 1] = class;
        let query = with_edns(query, 1232, 0, 0);
        let reply =
            ask(&site.snapshot, &peer("192.0.2.99", Via::Datagram), &mut Rotation::new(0), &query).unwrap();
        options(&reply).get(&ERROR).map(|told| u16::from_be_bytes([told[0], told[1]]))
    };
    assert_eq!(code("elsewhere", RecordType::A, 1), Some(20), "Not Authoritative");
    assert_eq!(code("p.example", RecordType::AXFR, 1), Some(18), "Prohibited");
    assert_eq!(code("p.example", RecordType::Unknown(254), 1), Some(21), "Not Supported");
    assert_eq!(code("p.example", RecordType::A, 1), None);
}

#[test]
fn an_answer_that_fails_open_says_so() {
    let told = asked(&site(false), "p.example", Via::Datagram, &[]);
    assert_eq!(told[&ERROR][..2], [0, 0]);
    assert_eq!(std::str::from_utf8(&told[&ERROR][2..]), Ok("too few members are live"));
    assert_eq!(asked(&site(false), "ns.p.example", Via::Datagram, &[]), BTreeMap::new(), "no pool's answer");
}

/// A site whose cookies are made with `secrets`.
fn with_secrets(secrets: &[u8]) -> Site {
    let Site { plan, compiler, snapshot } = site(true);
    let secrets: Arc<[CookieSecret]> = secrets.iter().map(|&byte| CookieSecret([byte; 16])).collect();
    Site { plan, compiler, snapshot: snapshot.with_secrets(secrets) }
}

/// The cookie that comes back, and whether the one that was sent is known.
fn cookie(site: &Site, from: &str, sent: &[u8]) -> (Vec<u8>, bool) {
    let query = with_options(query("p.example", RecordType::A), &[(COOKIE, sent)]);
    let mut reply = [0; 1232];
    let outcome =
        answer(&site.snapshot, &peer(from, Via::Datagram), &query, &mut Rotation::new(0), &mut reply);
    let Outcome::Reply(written) = outcome else { panic!("a reply") };
    (options(&reply[..written.len.into()])[&COOKIE].clone(), written.is_known)
}

#[test]
fn a_cookie_is_given_known_again_and_survives_a_new_secret() {
    let site = with_secrets(&[7]);
    let (given, known) = cookie(&site, "192.0.2.99", b"client01");
    assert_eq!((given.len(), &given[..8], known), (24, &b"client01"[..], false));
    assert_eq!(cookie(&site, "192.0.2.99", &given), (given.clone(), true), "fresh: the same again");
    assert!(!cookie(&site, "192.0.2.98", &given).1, "from another address");
    let (renewed, known) = cookie(&with_secrets(&[8, 7]), "192.0.2.99", &given);
    assert!(known && renewed != given, "the secret before is known, cookies are made with the new one");
    assert!(cookie(&with_secrets(&[8]), "192.0.2.99", &renewed).1);
    assert!(!cookie(&with_secrets(&[9]), "192.0.2.99", &renewed).1);
}

#[test]
fn a_malformed_cookie_is_formerr_and_without_secrets_there_are_none() {
    let site = with_secrets(&[7]);
    for sent in [&b"seven by"[..7], b"client01seven b", &[0; 41]] {
        let query = with_options(query("p.example", RecordType::A), &[(COOKIE, sent)]);
        let reply = site.ask_with(&mut Rotation::new(0), Via::Datagram, &query).unwrap();
        assert_eq!(u16::from(reply.metadata.response_code), 1, "{} bytes", sent.len());
    }
    assert_eq!(
        asked(&self::site(true), "p.example", Via::Datagram, &[(COOKIE, b"client01")]),
        BTreeMap::new()
    );
}

#[test]
fn a_query_for_a_cookie_alone_gets_one() {
    let mut nothing = vec![0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let formerr = with_secrets(&[7]).ask_with(&mut Rotation::new(0), Via::Datagram, &nothing).unwrap();
    assert_eq!(u16::from(formerr.metadata.response_code), 1);
    nothing = with_options(nothing, &[(COOKIE, b"client01")]);
    let reply = with_secrets(&[7]).ask_with(&mut Rotation::new(0), Via::Datagram, &nothing).unwrap();
    assert_eq!((u16::from(reply.metadata.response_code), reply.queries.len()), (0, 0));
    assert!(reply.edns.unwrap().option(EdnsCode::Cookie).is_some());
}

#[test]
fn the_clients_network_decides_for_sticky_pools_and_the_scope_says_so() {
    let site = site(true);
    let subnet =
        |name, option: &[u8]| asked(&site, name, Via::Datagram, &[(SUBNET, option)])[&SUBNET].clone();
    let v4 = [0, 1, 24, 0, 198, 51, 100];
    assert_eq!(subnet("sticky.p.example", &v4), [0, 1, 24, 24, 198, 51, 100]);
    assert_eq!(subnet("p.example", &v4), v4, "scope 0: good for everybody");
    assert_eq!(
        subnet("sticky.p.example", &[0, 2, 48, 0, 32, 1, 13, 184, 0, 9]),
        [0, 2, 48, 56, 32, 1, 13, 184, 0, 9]
    );
    assert_eq!(
        subnet("sticky.p.example", &[0, 1, 0, 0]),
        [0, 1, 0, 0],
        "who tells nothing is not tailored to"
    );

    let first = |from: &str, sent: &[(u16, &[u8])]| {
        let query = with_options(query("sticky.p.example", RecordType::A), sent);
        let reply = ask(&site.snapshot, &peer(from, Via::Datagram), &mut Rotation::new(0), &query).unwrap();
        Message::from_vec(&reply).unwrap().answers[0].data.to_string()
    };
    for network in 0..50 {
        let told = [0, 1, 24, 0, 198, 51, network];
        assert_eq!(
            first("192.0.2.99", &[(SUBNET, &told)]),
            first(&format!("198.51.{network}.200"), &[]),
            "what the resolver tells counts as if the client had asked"
        );
    }
}

#[test]
fn a_malformed_subnet_is_formerr() {
    let site = site(true);
    let wrong: [&[u8]; 6] = [
        &[0, 1, 24],
        &[0, 1, 24, 0, 198, 51],
        &[0, 1, 24, 0, 198, 51, 100, 1],
        &[0, 1, 20, 0, 198, 51, 100],
        &[0, 1, 33, 0, 1, 2, 3, 4, 0],
        &[0, 1, 24, 8, 198, 51, 100],
    ];
    for option in wrong {
        let query = with_options(query("p.example", RecordType::A), &[(SUBNET, option)]);
        let reply = site.ask_with(&mut Rotation::new(0), Via::Datagram, &query).unwrap();
        assert_eq!(u16::from(reply.metadata.response_code), 1, "{option:?}");
    }
}

#[test]
fn plain_and_composed_replies_are_the_same() {
    let site = site(true);
    for name in ["p.example", "nosuch.p.example", "ns.p.example", "Ns.p.Example"] {
        for record_type in [RecordType::A, RecordType::AAAA, RecordType::SOA, RecordType::TXT] {
            let plain = with_edns(query(name, record_type), 1232, 0, 0x8000);
            let mut composed = with_options(query(name, record_type), &[(65001, b"")]); // unknown, ignored, not plain
            let flags = composed.len() - 8;
            composed[flags] = 0x80;
            let reply =
                |query: &[u8]| ask(&site.snapshot, &peer("::1", Via::Datagram), &mut Rotation::new(0), query);
            assert_eq!(reply(&plain), reply(&composed), "{name} {record_type}");
        }
    }
}
