//! DNAME (RFC 6672): all names below one move elsewhere.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use onstage::answer::{Rotation, Via};

use crate::harness::{Site, lines, plan_of_zone, query};

const ZONE: &str = "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n\
    old 60 DNAME new\nnew TXT \"new itself\"\nwww.new A 192.0.2.2\nalias.new CNAME www.new\n*.wild.new A 192.0.2.3\n\
    first DNAME old\naway DNAME elsewhere.example.\nloop DNAME loop2\nloop2 DNAME loop\ninto CNAME www.old\n\
    cut.new NS ns.cut.new\nns.cut.new A 192.0.2.4\n_s._tcp.new SRV 0 0 8140 www.new\nmail.new MX 1 www.new\n\
    long DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.new\n";

fn ask(name: &str, record_type: RecordType) -> Message {
    Site::new(plan_of_zone(ZONE)).ask(name, record_type)
}

fn answers(name: &str, record_type: RecordType) -> Vec<String> {
    ask(name, record_type)
        .answers
        .iter()
        .map(|r| format!("{} {} {} {}", r.name, r.ttl, r.record_type(), r.data))
        .collect()
}

/// The answers without the DNAMEs.
fn links(name: &str, record_type: RecordType) -> Vec<String> {
    answers(name, record_type).into_iter().filter(|line| !line.contains(" DNAME ")).collect()
}

#[test]
fn a_name_below_moves_with_the_dname_and_the_cname_it_stands_for() {
    let reply = ask("www.old.p.example", RecordType::A);
    let types: Vec<u16> = reply.answers.iter().map(|r| r.record_type().into()).collect();
    assert_eq!(types, [39, 5, 1]);
    assert_eq!((reply.answers[0].name.to_string(), reply.answers[0].ttl), ("old.p.example.".to_owned(), 60));
    assert_eq!(
        links("www.old.p.example", RecordType::A),
        ["www.old.p.example. 60 CNAME www.new.p.example.", "www.new.p.example. 30 A 192.0.2.2"],
        "with the TTL of the DNAME (§3.1)"
    );
}

#[test]
fn the_owner_itself_does_not_move() {
    let reply = ask("old.p.example", RecordType::A);
    assert!(reply.answers.is_empty() && reply.metadata.response_code == ResponseCode::NoError, "NODATA");
    assert_eq!(ask("old.p.example", RecordType::from(39)).answers.len(), 1);
}

#[test]
fn what_is_found_behind_it_is_answered_as_if_asked() {
    assert_eq!(links("alias.old.p.example", RecordType::A).len(), 3, "a CNAME behind");
    assert_eq!(
        links("x.wild.old.p.example", RecordType::A)[1],
        "x.wild.new.p.example. 30 A 192.0.2.3",
        "a wildcard"
    );
    let missing = ask("nosuch.old.p.example", RecordType::A);
    assert_eq!((missing.metadata.response_code, missing.answers.len()), (ResponseCode::NXDomain, 2));
    assert_eq!(missing.authorities[0].record_type(), RecordType::SOA);
    let nodata = ask("www.old.p.example", RecordType::AAAA);
    assert_eq!((nodata.metadata.response_code, nodata.answers.len()), (ResponseCode::NoError, 2));
    assert_eq!(nodata.authorities.len(), 1);
    let referral = ask("x.cut.old.p.example", RecordType::A);
    assert_eq!(lines(&referral.authorities), ["cut.new.p.example. 30 NS ns.cut.new.p.example."]);
    assert_eq!(lines(&referral.additionals), ["ns.cut.new.p.example. 30 A 192.0.2.4"]);
}

#[test]
fn pointers_behind_it_mean_the_same_names() {
    let reply = ask("_s._tcp.old.p.example", RecordType::SRV);
    assert!(reply.answers[2].data.to_string().ends_with("www.new.p.example."), "{}", reply.answers[2].data);
    assert_eq!(lines(&reply.additionals), ["www.new.p.example. 30 A 192.0.2.2"]);
    let reply = ask("mail.old.p.example", RecordType::MX);
    assert_eq!(reply.answers[2].data.to_string(), "1 www.new.p.example.");
}

#[test]
fn chains_are_followed_and_loops_end() {
    assert_eq!(links("www.first.p.example", RecordType::A).len(), 3);
    assert_eq!(links("into.p.example", RecordType::A).last().unwrap(), "www.new.p.example. 30 A 192.0.2.2");
    let reply = ask("x.loop.p.example", RecordType::A);
    assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
    assert!(reply.answers.len() <= 2 * 16 && reply.answers.len() > 2, "{}", reply.answers.len());
    assert_eq!(
        links("a.b.away.p.example", RecordType::A),
        ["a.b.away.p.example. 30 CNAME a.b.elsewhere.example."]
    );
}

#[test]
fn a_name_that_would_be_too_long_is_yxdomain() {
    let asked = format!("{0}.{0}.long.p.example", "b".repeat(60));
    let reply = ask(&asked, RecordType::A);
    assert_eq!(reply.metadata.response_code, ResponseCode::YXDomain);
    assert_eq!(reply.answers.len(), 1, "the DNAME (§3.2)");
}

#[test]
fn who_asks_for_the_cname_gets_no_more() {
    assert_eq!(links("www.old.p.example", RecordType::CNAME).len(), 1);
}

#[test]
fn the_case_of_what_was_asked_is_kept() {
    assert_eq!(
        links("WwW.oLd.p.example", RecordType::A)[0],
        "WwW.oLd.p.example. 60 CNAME WwW.new.p.example."
    );
}

#[test]
fn what_does_not_fit_is_truncated() {
    let site = Site::new(plan_of_zone(ZONE));
    let asked = query(&format!("{0}.{0}.first.p.example", "b".repeat(63)), RecordType::A);
    let reply = site.ask_with(&mut Rotation::new(0), Via::Datagram, &asked).unwrap();
    assert!(reply.metadata.truncation && reply.answers.is_empty());
}
