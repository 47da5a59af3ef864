//! Headers, EDNS, sizes: what a reply says around its records.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use onstage::answer::{Rotation, Via};

use crate::harness::{self, Site, lines, peer, plan_of_zone, query, with_edns, with_options};

/// A zone with one RRset that fits into 1232 bytes and not into 512, one that does not fit into 1232, and a cut
/// whose glue does not fit into 512.
fn site() -> Site {
    use std::fmt::Write;
    let mut zone =
        String::from("$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n");
    for i in 0..40 {
        let _ = writeln!(zone, "medium A 192.0.2.{i}");
    }
    for i in 0..100 {
        let _ = writeln!(zone, "large A 192.0.2.{i}\n");
    }
    for i in 0..13 {
        let _ =
            writeln!(zone, "cut NS ns-with-a-long-name-{i}.cut\nns-with-a-long-name-{i}.cut A 192.0.2.{i}");
    }
    for i in 0..12 {
        let _ =
            writeln!(zone, "_s._tcp SRV 0 0 1 host{i}\nhost{i} A 192.0.2.{i}\nhost{i} AAAA 2001:db8::{i}");
    }
    Site::new(plan_of_zone(&zone))
}

fn ask(site: &Site, via: Via, query: &[u8]) -> Message {
    site.ask_with(&mut Rotation::new(0), via, query).expect("a reply")
}

#[test]
fn what_does_not_fit_is_truncated_whole() {
    let site = site();
    for (name, edns, via, whole) in [
        ("medium.p.example", None, Via::Datagram, false),
        ("medium.p.example", Some(512), Via::Datagram, false),
        ("medium.p.example", Some(0), Via::Datagram, false),
        ("medium.p.example", Some(1232), Via::Datagram, true),
        ("large.p.example", Some(1232), Via::Datagram, false),
        ("large.p.example", Some(65_535), Via::Datagram, false),
        ("large.p.example", None, Via::Stream, true),
    ] {
        let query = query(name, RecordType::A);
        let query = edns.map_or(query.clone(), |size| with_edns(query, size, 0, 0));
        let reply = ask(&site, via, &query);
        assert_eq!(reply.metadata.truncation, !whole, "{name} {edns:?} {via:?}");
        assert_eq!(reply.answers.is_empty(), !whole, "{name} {edns:?} {via:?}");
    }
}

#[test]
fn glue_that_does_not_fit_sets_tc() {
    let site = site();
    let reply = ask(&site, Via::Datagram, &query("host.cut.p.example", RecordType::A));
    assert!(reply.metadata.truncation && reply.additionals.is_empty());
    let reply = ask(&site, Via::Datagram, &with_edns(query("host.cut.p.example", RecordType::A), 1232, 0, 0));
    assert!(!reply.metadata.truncation);
    assert_eq!((reply.authorities.len(), reply.additionals.len()), (13, 13));
}

#[test]
fn additionals_are_left_out_host_by_host_without_tc() {
    let site = site();
    let asked =
        |size| ask(&site, Via::Datagram, &with_edns(query("_s._tcp.p.example", RecordType::SRV), size, 0, 0));
    let all = asked(1232);
    assert_eq!((all.answers.len(), all.additionals.len()), (12, 24));
    let some = asked(700);
    assert!(!some.metadata.truncation);
    assert_eq!(some.answers.len(), 12);
    assert!(
        (2..24).contains(&some.additionals.len()) && some.additionals.len() % 2 == 0,
        "{}",
        some.additionals.len()
    );
}

#[test]
fn an_opt_record_answers_an_opt_record() {
    let site = site();
    assert!(ask(&site, Via::Datagram, &query("ns.p.example", RecordType::A)).edns.is_none());
    let reply = ask(&site, Via::Datagram, &with_edns(query("ns.p.example", RecordType::A), 4096, 0, 0x8000));
    let edns = reply.edns.expect("OPT");
    assert_eq!((edns.max_payload(), edns.version(), edns.flags().dnssec_ok), (1232, 0, true));
    let refused = ask(&site, Via::Datagram, &with_edns(query("elsewhere", RecordType::A), 4096, 0, 0));
    assert_eq!(refused.metadata.response_code, ResponseCode::Refused);
    assert!(refused.edns.is_some(), "errors have it too");
}

/// What its options mean is not known (RFC 6891 §6.1.3).
#[test]
fn an_unknown_version_is_badvers_whatever_its_options_are() {
    let mut asked = with_options(query("p.example", RecordType::A), &[(10, &[1, 2, 3])]);
    let version = query("p.example", RecordType::A).len() + 6;
    asked[version] = 1;
    assert_eq!(u16::from(ask(&site(), Via::Datagram, &asked).metadata.response_code), 16);
}

#[test]
fn an_unknown_version_is_badvers() {
    let reply = ask(&site(), Via::Datagram, &with_edns(query("ns.p.example", RecordType::A), 4096, 1, 0));
    assert_eq!(u16::from(reply.metadata.response_code), 16, "BADVERS, which shares its number with BADSIG");
    assert_eq!(reply.edns.expect("OPT").version(), 0);
    assert!(reply.answers.is_empty());
}

#[test]
fn the_question_comes_back_byte_for_byte() {
    let site = site();
    let asked = query("Ns.P.eXaMpLe", RecordType::A);
    let reply =
        harness::ask(&site.snapshot, &peer("127.0.0.1", Via::Datagram), &mut Rotation::new(0), &asked)
            .unwrap();
    assert_eq!(reply[12..asked.len()], asked[12..]);
}

#[test]
fn rd_is_copied_ra_never_set() {
    let site = site();
    let mut asked = query("ns.p.example", RecordType::A);
    asked[2] |= 1;
    let reply = ask(&site, Via::Datagram, &asked);
    assert!(reply.metadata.recursion_desired && !reply.metadata.recursion_available);
    assert!(reply.metadata.authoritative);
}

#[test]
fn what_is_no_query_gets_what_it_deserves() {
    let site = site();
    let good = query("ns.p.example", RecordType::A);
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut query = good.clone();
        change(&mut query);
        site.ask_with(&mut Rotation::new(0), Via::Datagram, &query).map(|reply| reply.metadata.response_code)
    };
    let formerr = Some(ResponseCode::FormErr);
    assert_eq!(changed(&|q| q.truncate(11)), None, "no header");
    assert_eq!(changed(&|q| q[2] |= 0x80), None, "a response");
    assert_eq!(changed(&|q| q[2] |= 4 << 3), Some(ResponseCode::NotImp), "NOTIFY");
    assert_eq!(changed(&|q| q[2] |= 5 << 3), Some(ResponseCode::NotImp), "UPDATE");
    assert_eq!(changed(&|q| q[5] = 0), formerr, "no question");
    assert_eq!(changed(&|q| q[5] = 2), formerr, "two questions");
    assert_eq!(changed(&|q| q[7] = 1), formerr, "an answer in a query");
    assert_eq!(changed(&|q| q[11] = 1), formerr, "an additional record that is not there");
    assert_eq!(changed(&|q| q.push(0)), formerr, "bytes behind the end");
    assert_eq!(changed(&|q| q[12] = 0xc0), formerr, "a pointer in the question");
    assert_eq!(changed(&|q| q[12] = 0x40), formerr, "a label type that is none");
    assert_eq!(changed(&|q| q[12] = 63), formerr, "a label over the end");
    assert_eq!(changed(&|q| q.truncate(q.len() - 1)), formerr, "half a class");
    let edns = |change: &dyn Fn(&mut Vec<u8>)| {
        changed(&|q| {
            *q = with_edns(q.clone(), 1232, 0, 0);
            change(q);
        })
    };
    assert_eq!(edns(&|_| {}), Some(ResponseCode::NoError));
    assert_eq!(
        edns(&|q| {
            let end = q.len();
            q[end - 1] = 6;
            q.extend_from_slice(&[255, 255, 0, 2, 1, 2]);
        }),
        Some(ResponseCode::NoError),
        "an unknown option"
    );
}

/// RFC 6891 §6.1.1, §7: nobody takes it for a server that knows no EDNS.
#[test]
fn formerr_for_a_malformed_opt_has_one() {
    const OPT: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0];
    let site = site();
    let with = |option: &[u8]| {
        let mut opt = OPT.to_vec();
        opt[10] = option.len() as u8;
        [opt, option.to_vec()].concat()
    };
    let version_1 = [&OPT[..6], &[1], &OPT[7..]].concat();
    let cut_off = [&OPT[..10], &[5, 0, 3]].concat();
    for (what, count, records, is_told) in [
        ("two", 2, [OPT, OPT].concat(), true),
        ("the second of another version", 2, [&OPT[..], &version_1].concat(), true),
        ("the first of another version", 2, [&version_1[..], &OPT].concat(), true),
        ("three", 3, [OPT, OPT, OPT].concat(), true),
        ("not the root's", 1, [&[1, b'a'][..], &OPT].concat(), true),
        ("half the head of an option", 1, with(&[0, 10, 0]), true),
        ("half an option that nobody knows", 1, with(&[255, 255, 0, 9, 1, 2]), true),
        ("a cookie of seven bytes", 1, with(&[0, 10, 0, 7, 1, 2, 3, 4, 5, 6, 7]), true),
        ("a subnet of no family", 1, with(&[0, 8, 0, 2, 0, 1]), true),
        ("the message ends within it", 1, cut_off, false),
        ("it is not there", 1, Vec::new(), false),
    ] {
        let mut asked = query("ns.p.example", RecordType::A);
        asked[11] = count;
        asked.extend(records);
        let reply = ask(&site, Via::Datagram, &asked);
        assert_eq!(reply.metadata.response_code, ResponseCode::FormErr, "{what}");
        assert_eq!((reply.edns.is_some(), reply.queries.len()), (is_told, usize::from(is_told)), "{what}");
        if let Some(edns) = reply.edns {
            assert_eq!((edns.version(), edns.flags().dnssec_ok), (0, true), "{what}");
            assert!(edns.options().as_ref().is_empty(), "{what}");
        }
    }
}

#[test]
fn transfers_other_classes_and_meta_types_are_not_served() {
    let site = site();
    let rcode = |record_type, class| {
        let mut asked = query("p.example", RecordType::from(record_type));
        let end = asked.len();
        asked[end - 1] = class;
        ask(&site, Via::Stream, &asked).metadata.response_code
    };
    assert_eq!(rcode(252, 1), ResponseCode::Refused, "AXFR");
    assert_eq!(rcode(251, 1), ResponseCode::Refused, "IXFR");
    assert_eq!(rcode(1, 3), ResponseCode::Refused, "CHAOS");
    assert_eq!(rcode(1, 255), ResponseCode::Refused, "any class");
    assert_eq!(rcode(41, 1), ResponseCode::FormErr, "OPT as a question");
    assert_eq!(rcode(254, 1), ResponseCode::NotImp, "MAILA");
    assert_eq!(
        lines(&ask(&site, Via::Stream, &query("p.example", RecordType::from(65_280))).authorities).len(),
        1
    );
}
