//! Properties of every reply: it parses, it fits, its RRsets are whole.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use onstage::answer::{Rotation, Via};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::staged::staged;
use crate::harness::{Site, ask, lines, peer, plan_of_zone, query, with_edns};
use crate::peers::{drawn, zones};

const ZONE: &str = include_str!("../replay/properties.zone");

/// Labels that occur in the zone, and some that do not.
fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "p", "example", "big", "mixed", "cut", "ns1", "ns2", "alias", "chain", "loop", "deep", "a", "b", "*", "_s",
            "_tcp", "host1", "host2", "wild", "nothing", "BIG", "Example",
        ]).prop_map(str::to_owned),
        1 => "[a-z0-9-]{1,63}",
    ]
}

/// Names in the zone, below what is in it, and outside.
fn name() -> impl Strategy<Value = String> {
    (vec(label(), 0..4), prop_oneof![9 => Just("p.example."), 1 => Just("elsewhere.")])
        .prop_map(|(labels, end)| [labels, vec![end.to_owned()]].concat().join("."))
}

fn record_type() -> impl Strategy<Value = RecordType> {
    use RecordType::{A, AAAA, ANY, CNAME, DS, MX, NS, SOA, SRV, TXT};
    prop_oneof![
        9 => prop::sample::select(vec![A, AAAA, ANY, CNAME, DS, MX, NS, SOA, SRV, TXT]),
        1 => any::<u16>().prop_map(RecordType::from),
    ]
}

fn site() -> &'static Site {
    static SITE: std::sync::OnceLock<Site> = std::sync::OnceLock::new();
    SITE.get_or_init(|| Site::new(plan_of_zone(ZONE)))
}

/// All RRsets of a reply: their records by section, owner and type.
fn rrsets(reply: &Message) -> BTreeMap<(usize, String, RecordType), BTreeSet<String>> {
    let mut sets: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for (section, records) in [&reply.answers, &reply.authorities, &reply.additionals].into_iter().enumerate()
    {
        for record in records {
            let key = (section, record.name.to_string(), record.record_type());
            sets.entry(key).or_default().extend(lines(std::slice::from_ref(record)));
        }
    }
    sets
}

/// That the reply over UDP parses, fits, and is what it is over TCP, as far as it goes.
fn is_good(site: &Site, asked: &[u8], limit: usize, seed: u32) {
    let rotation = || Rotation::new(seed);
    let datagram =
        ask(&site.snapshot, &peer("127.0.0.1", Via::Datagram), &mut rotation(), asked).expect("a reply");
    assert!(datagram.len() <= limit, "{} bytes for {limit}", datagram.len());
    let datagram = Message::from_vec(&datagram).expect("replies parse");
    let stream = site.ask_with(&mut rotation(), Via::Stream, asked).expect("a reply");
    assert!(!stream.metadata.truncation);
    let whole = rrsets(&stream);
    for (key, records) in rrsets(&datagram) {
        assert_eq!(Some(&records), whole.get(&key), "{key:?}");
    }
    if !datagram.metadata.truncation {
        assert_eq!(lines(&datagram.answers), lines(&stream.answers));
        assert_eq!(lines(&datagram.authorities), lines(&stream.authorities));
    }
}

#[test]
fn replies_about_generated_zones_parse_fit_and_have_whole_rrsets() {
    let mut runner = TestRunner::deterministic();
    for zone in zones(&mut runner, &["z.test.", "y.test."].map(str::to_owned)) {
        let (plan, lineups) = staged(&zone, &mut runner);
        for site in [Site::new(plan_of_zone(&zone.text())), Site::with_lineups(plan, &lineups)] {
            for (seed, question) in (0..).zip(drawn(&mut runner, &zone, 1_000)) {
                if question.limit <= 1232 {
                    is_good(&site, &question.wire, question.limit, seed);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn a_reply_parses_fits_and_has_whole_rrsets(
        name in name(),
        record_type in record_type(),
        edns in prop::option::of(any::<u16>()),
        seed in any::<u32>(),
    ) {
        let asked = query(&name, record_type);
        let asked = edns.map_or(asked.clone(), |size| with_edns(asked, size, 0, 0));
        let limit = usize::from(edns.unwrap_or(512).clamp(512, 1232));
        is_good(site(), &asked, limit, seed);
    }

    #[test]
    fn any_bytes_at_all_get_a_reply_that_parses_or_none(bytes in vec(any::<u8>(), 0..600)) {
        site().ask_with(&mut Rotation::new(0), Via::Datagram, &bytes);
    }

    #[test]
    fn a_query_with_some_bytes_changed_gets_a_reply_that_parses_or_none(
        name in name(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut asked = with_edns(query(&name, RecordType::A), 1232, 0, 0);
        for (at, byte) in changes {
            let at = at.index(asked.len());
            asked[at] = byte;
        }
        if let Some(cut) = cut {
            asked.truncate(cut.index(asked.len()));
        }
        site().ask_with(&mut Rotation::new(0), Via::Stream, &asked);
    }
}
