//! What is counted, as what, and for how long it stays that.

use std::sync::Arc;

use hickory_proto::rr::RecordType;
use onstage::answer::{MAX_MESSAGE, Outcome, Rotation, Via, answer};
use onstage::plan::Plan;
use onstage::snapshot::{Compiler, Lineup, Meaning, Snapshot};
use onstage::units::Serial;

use crate::harness::{Site, lineups, load_site, peer, query, with_edns};

const ZONE: &str = "\
$ORIGIN p.example.
$TTL 30
@ SOA ns h 1 2 3 4 5
@ NS ns
ns A 127.0.0.1
a A 192.0.2.1
a A 192.0.2.2
a AAAA 2001:db8::1
b A 192.0.2.3
to-a CNAME a
below DNAME a
d DNAME p.example.
";

/// A plan with these pools over the zone.
fn plan(pools: &[&str]) -> Arc<Plan> {
    let table = |name: &&str| format!("[[pool]]\nname = \"{name}.p.example\"\ncheck = \"tcp\"\n");
    let pools: String = pools.iter().map(table).collect();
    let config = format!("[[zone]]\nfile = \"zone\"\n[check.tcp]\ntcp = {{ port = 1 }}\n{pools}");
    load_site(&[("onstage.toml", &config), ("zone", ZONE)]).plan
}

/// What the reply to a query is counted as.
fn counted(snapshot: &Snapshot, query: &[u8]) -> Meaning {
    let mut reply = vec![0; MAX_MESSAGE];
    let asking = peer("192.0.2.99", Via::Datagram);
    match answer(snapshot, &asking, query, &mut Rotation::new(0), &mut reply) {
        Outcome::Reply(reply) => snapshot.roster().meaning(reply.cell.index()).expect("it means something"),
        Outcome::Drop => panic!("there is a reply"),
    }
}

fn meaning(record_type: &str, rcode: &'static str, pool: Option<&str>) -> Meaning {
    let pool = pool.map(|pool| format!("{pool}.p.example"));
    Meaning { record_type: record_type.to_owned(), rcode, pool }
}

#[test]
fn each_reply_is_counted_as_what_was_asked_and_said() {
    let (plan, hinfo) = (plan(&["a", "b"]), RecordType::HINFO);
    let all = Site::new(Arc::clone(&plan));
    let nobody = Site::with_live(plan, |_| vec![false; 9]); // composed of pieces: it fails open
    for site in [&all, &nobody] {
        for (name, record_type, expected) in [
            ("a.p.example", RecordType::A, meaning("A", "NOERROR", Some("a"))),
            ("A.p.EXAMPLE", RecordType::A, meaning("A", "NOERROR", Some("a"))),
            ("a.p.example", RecordType::AAAA, meaning("AAAA", "NOERROR", Some("a"))),
            ("b.p.example", RecordType::A, meaning("A", "NOERROR", Some("b"))),
            ("b.p.example", RecordType::AAAA, meaning("AAAA", "NOERROR", None)),
            ("to-a.p.example", RecordType::A, meaning("A", "NOERROR", Some("a"))),
            ("to-a.p.example", hinfo, meaning("HINFO", "NOERROR", None)),
            ("b.d.p.example", RecordType::A, meaning("A", "NOERROR", Some("b"))),
            ("nosuch.d.p.example", RecordType::A, meaning("A", "NXDOMAIN", None)),
            ("p.example", RecordType::SOA, meaning("SOA", "NOERROR", None)),
            ("p.example", RecordType::ANY, meaning("ANY", "NOERROR", None)),
            ("p.example", RecordType::HTTPS, meaning("HTTPS", "NOERROR", None)),
            ("p.example", RecordType::from(3000), meaning("other", "NOERROR", None)),
            ("nosuch.p.example", RecordType::SRV, meaning("SRV", "NXDOMAIN", None)),
            ("nosuch.p.example", RecordType::CAA, meaning("CAA", "NXDOMAIN", None)),
            ("q.example", RecordType::A, meaning("A", "REFUSED", None)),
            ("p.example", RecordType::AXFR, meaning("AXFR", "REFUSED", None)),
        ] {
            let query = query(name, record_type);
            assert_eq!(counted(&site.snapshot, &query), expected, "{name} {record_type}");
            let query = with_edns(query, 1232, 0, 0x8000);
            assert_eq!(counted(&site.snapshot, &query), expected, "{name} {record_type} with EDNS");
        }
    }
}

#[test]
fn what_cannot_be_read_is_counted_without_a_type() {
    let site = Site::new(plan(&["a"]));
    let query = query("a.p.example", RecordType::A);
    let notify = [&query[..2], &[0x20], &query[3..]].concat();
    for (message, expected) in [
        (query[..20].to_vec(), meaning("none", "FORMERR", None)),
        (notify, meaning("none", "NOTIMP", None)),
        (with_edns(query, 1232, 1, 0), meaning("A", "BADVERS", None)),
    ] {
        assert_eq!(counted(&site.snapshot, &message), expected);
    }
}

/// With `min-live = 0`, nobody may be answered without failing open.
#[test]
fn a_pool_that_answers_nobody_is_asked_all_the_same() {
    let config = "[[zone]]\nfile = \"zone\"\n[check.tcp]\ntcp = { port = 1 }\n\
                  [[pool]]\nname = \"b.p.example\"\ncheck = \"tcp\"\nmin-live = 0\n";
    let plan = load_site(&[("onstage.toml", config), ("zone", ZONE)]).plan;
    let site = Site::with_live(plan, |_| vec![false]);
    let expected = meaning("A", "NOERROR", Some("b"));
    assert_eq!(counted(&site.snapshot, &query("b.p.example", RecordType::A)), expected);
    let reply = site.ask("b.p.example", RecordType::A);
    assert_eq!((reply.answers.len(), reply.authorities.len()), (0, 1), "NODATA, with the SOA");
}

#[test]
fn pools_keep_their_counters_when_the_plan_is_another() {
    let compile = |compiler: &Compiler, plan: &Plan| {
        let lineups: Vec<Lineup> = lineups(plan, |_| vec![true; 9]);
        compiler.compile(&lineups, &[Serial(1)])
    };
    let cell_of = |snapshot: &Snapshot, name: &str| {
        let mut reply = vec![0; MAX_MESSAGE];
        let asking = peer("192.0.2.99", Via::Datagram);
        match answer(snapshot, &asking, &query(name, RecordType::A), &mut Rotation::new(0), &mut reply) {
            Outcome::Reply(reply) => reply.cell,
            Outcome::Drop => panic!("there is a reply"),
        }
    };
    let mut snapshot = Snapshot::default();
    let mut cells = Vec::new();
    for (pools, is_pool) in
        [(&["a", "b"][..], [true, true]), (&["b"], [false, true]), (&["b", "a"], [true, true])]
    {
        let plan = plan(pools);
        let compiler = Compiler::after(Arc::clone(&plan), &snapshot);
        snapshot = compile(&compiler, &plan);
        for (name, is_pool) in ["a.p.example", "b.p.example"].iter().zip(is_pool) {
            let cell = cell_of(&snapshot, name);
            let meaning = snapshot.roster().meaning(cell.index()).unwrap();
            assert_eq!(meaning.pool.as_deref(), is_pool.then_some(*name), "{pools:?}");
            cells.push(cell);
        }
        let again = compiler.recompile(
            &snapshot,
            &[onstage::units::PoolId(0)],
            &lineups(&plan, |_| vec![true; 9]),
            &[Serial(2)],
        );
        assert_eq!(cell_of(&again, "b.p.example"), cells[cells.len() - 1]);
    }
    assert_eq!((cells[4], cells[5]), (cells[0], cells[1]));
    assert_eq!(cells[3], cells[1]);
}
