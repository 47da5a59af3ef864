//! What the differential test found wrong here, each with the least zone that shows it.

use std::collections::BTreeSet;
use std::path::Path;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use onstage::answer::{Rotation, Via};
use onstage::daemon::load;
use onstage::report::Code;

use crate::harness::{Site, ask, lines, peer, plan_of_zone, query, with_edns};

/// What each zone of these tests opens with.
const HEAD: &str = "$ORIGIN p.example.\n$TTL 300\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns.elsewhere.\n";

fn site(records: &str) -> Site {
    Site::new(plan_of_zone(&format!("{HEAD}{records}\n")))
}

#[test]
fn data_of_an_unknown_type_may_be_empty() {
    let asked = query("empty.p.example", RecordType::Unknown(65_280));
    let (site, peer) = (site("empty TYPE65280 \\# 0"), peer("127.0.0.1", Via::Datagram));
    let reply = ask(&site.snapshot, &peer, &mut Rotation::new(0), &asked).unwrap();
    let record = [0xc0, 12, 0xff, 0, 0, 1, 0, 0, 1, 44, 0, 0];
    assert_eq!(reply[asked.len()..], record, "{reply:?}");
}

#[test]
fn a_dname_by_its_number_is_a_dname() {
    let reply = site(r"d TYPE39 \# 11 09656c73657768657265 00").ask("x.d.p.example", RecordType::TXT);
    let wanted = "x.d.p.example. 300 CNAME x.elsewhere.";
    assert!(lines(&reply.answers).contains(&wanted.to_owned()), "{reply}");
}

#[test]
fn a_dname_that_leads_to_itself_is_answered_once() {
    let site = site("d DNAME d\na DNAME b\nb DNAME a\n");
    for (name, records) in [("x.d.p.example", 2), ("x.a.p.example", 4)] {
        let lines = lines(&site.ask(name, RecordType::A).answers);
        let once: BTreeSet<&String> = lines.iter().collect();
        assert_eq!((lines.len(), once.len()), (records, records), "{lines:?}");
    }
}

#[test]
fn addresses_that_are_no_glue_do_not_truncate_a_referral() {
    use std::fmt::Write;
    let mut zone = String::from("cut NS ns.cut\ncut NS far\nns.cut A 192.0.2.1\n");
    for i in 0..100 {
        let _ = writeln!(zone, "far A 192.0.2.{i}");
    }
    let (site, mut rotation) = (site(&zone), Rotation::new(0));
    let asked = query("x.y.cut.p.example", RecordType::A);
    let reply = site.ask_with(&mut rotation, Via::Datagram, &asked).unwrap();
    assert!(!reply.metadata.truncation);
    assert_eq!(lines(&reply.additionals), ["ns.cut.p.example. 300 A 192.0.2.1"]);
    let reply = site.ask_with(&mut rotation, Via::Stream, &asked).unwrap();
    assert_eq!((reply.authorities.len(), reply.additionals.len()), (2, 101));
}

#[test]
fn nobody_is_told_the_address_of_a_wildcard() {
    let site = site("*.w HTTPS 1 . port=8443\n*.w A 192.0.2.1\nw2 HTTPS 1 . port=8443\nw2 A 192.0.2.2\n");
    assert!(site.ask("x.w.p.example", RecordType::HTTPS).additionals.is_empty());
    assert_eq!(site.ask("w2.p.example", RecordType::HTTPS).additionals.len(), 1);
}

#[test]
fn a_dname_redirects_names_that_look_like_wildcards() {
    let reply = site("alias CNAME *.d\nd DNAME elsewhere.\n").ask("alias.p.example", RecordType::A);
    let wanted = "*.d.p.example. 300 CNAME *.elsewhere.";
    assert!(lines(&reply.answers).contains(&wanted.to_owned()), "{reply}");
}

#[test]
fn ds_behind_an_alias_is_answered_on_this_side_of_the_cut() {
    let site = site("a CNAME s\nb CNAME u\ns NS ns.elsewhere.\ns DS 1 13 2 00ff\nu NS ns.elsewhere.\n");
    let signed = site.ask("a.p.example", RecordType::DS);
    assert_eq!((signed.answers.len(), signed.authorities.len()), (2, 0), "{signed}");
    let unsigned = site.ask("b.p.example", RecordType::DS);
    assert_eq!((unsigned.answers.len(), unsigned.authorities[0].record_type()), (1, RecordType::SOA));
    let below = site.ask("b.p.example", RecordType::A);
    assert_eq!((below.answers.len(), below.authorities[0].record_type()), (1, RecordType::NS));
}

#[test]
fn a_dname_whose_owner_looks_like_a_wildcard_moves_what_is_below_it() {
    let site = site("*.w DNAME t.p.example.\na.t A 192.0.2.1\n");
    let lines = lines(&site.ask("a.*.w.p.example", RecordType::A).answers);
    let cname = "a.*.w.p.example. 300 CNAME a.t.p.example.".to_owned();
    assert!(
        lines.contains(&cname) && lines.contains(&"a.t.p.example. 300 A 192.0.2.1".to_owned()),
        "{lines:?}"
    );
}

/// RFC 1995 §3: the serial that a secondary has stands in the authority section.
#[test]
fn an_incremental_transfer_is_refused_as_it_is_really_asked_for() {
    let mut asked = query("p.example", RecordType::IXFR);
    asked[9] = 1;
    asked.extend_from_slice(&[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    asked.extend_from_slice(&[0; 20]);
    let reply = site("").ask_with(&mut Rotation::new(0), Via::Stream, &asked).unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::Refused);
}

/// More than a message counts, let alone holds.
#[test]
fn an_rrset_of_any_size_is_truncated_and_never_empty() {
    use std::fmt::Write;
    let mut zone = String::new();
    for i in 0..=65_535_u32 {
        let _ = writeln!(zone, "big A {}", std::net::Ipv4Addr::from_bits(i));
        let _ = writeln!(zone, "big TXT {i}");
    }
    let site = site(&zone);
    for record_type in [RecordType::A, RecordType::TXT] {
        let reply = site.ask("big.p.example", record_type);
        assert!(reply.metadata.truncation, "{record_type}: {} records", reply.answers.len());
    }
}

/// To the byte: a warning tells of what is truncated for a resolver over TCP, and of nothing else.
#[test]
fn what_no_message_holds_is_told_at_load() {
    use std::fmt::Write;
    let opaque = |len: usize| format!("big TYPE65280 \\# {len} {}\n", "00".repeat(len));
    let many = |count: u32, line: &dyn Fn(u32) -> String| {
        (0..count).fold(String::new(), |mut zone, i| {
            let _ = writeln!(zone, "big {}", line(i));
            zone
        })
    };
    let pointers = |count| many(count, &|i| format!("PTR x{i:05}.p.example."));
    let addresses = many(5000, &|i| format!("A {}", std::net::Ipv4Addr::from_bits(i)));
    let pool =
        |most: u32| format!("[[pool]]\nname = \"big.p.example\"\ncheck = \"http\"\nmax-answers = {most}\n");
    for (records, pool, record_type, is_too_long) in [
        (opaque(65_481), String::new(), RecordType::Unknown(65_280), false),
        (opaque(65_482), String::new(), RecordType::Unknown(65_280), true),
        (pointers(3118), String::new(), RecordType::PTR, false),
        (pointers(3119), String::new(), RecordType::PTR, true),
        (addresses.clone(), pool(4093), RecordType::A, false),
        (addresses.clone(), pool(4094), RecordType::A, true),
    ] {
        let config = format!("[[zone]]\nfile = \"zone\"\n{pool}");
        let zone =
            format!("$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{records}");
        let reading = load("onstage.toml".as_ref(), |path: &Path| {
            Ok(if path.ends_with("zone") { zone.clone() } else { config.clone() }.into_bytes())
        });
        let told: Vec<Code> = reading.report.problems().iter().map(|problem| problem.code).collect();
        assert_eq!(told.contains(&Code::AnswerTooLong), is_too_long, "{record_type} {pool}");
        let query = with_edns(query("big.p.example", record_type), 1232, 0, 0);
        let site = Site::with_live(reading.loaded.unwrap().plan, |_| vec![true; 5000]);
        let reply = site.ask_with(&mut Rotation::new(0), Via::Stream, &query).unwrap();
        assert_eq!(reply.metadata.truncation, is_too_long, "{record_type} {pool}");
    }
}
