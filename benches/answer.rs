//! What one answer costs, and what it costs to change who is answered: `cargo bench`.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use divan::{Bencher, black_box};
use onstage::answer::{MIN_MESSAGE, Peer, Rotation, Via, answer};
use onstage::daemon::load;
use onstage::health::Standing;
use onstage::plan::Plan;
use onstage::snapshot::{Compiler, Lineup, Outlook, Snapshot};
use onstage::units::{CookieSecret, PoolId, Serial};

fn main() {
    divan::main();
}

const CONFIG: &str = "[[zone]]\nfile = \"zone\"\n[check.tcp]\ntcp = { port = 8140 }\n\
    [[pool]]\nname = \"puppet.example.org\"\ncheck = \"tcp\"\n\
    [[pool]]\nname = \"_x-puppet._tcp.puppet.example.org\"\ncheck = \"tcp\"\n";

/// The seed's zone, with as many more names as wanted.
fn plan(names: usize) -> Arc<Plan> {
    let mut zone = String::from(
        "$ORIGIN puppet.example.org.\n$TTL 30\n@ SOA ns1 hostmaster 1 3600 600 86400 30\n@ NS ns1\n\
         ns1 A 172.16.1.53\n@ A 172.16.1.10\n@ A 172.16.4.26\n@ A 172.16.9.7\n\
         puppet1 A 172.16.1.10\npuppet2 A 172.16.4.26\npuppet3 A 172.16.9.7\n\
         _x-puppet._tcp SRV 0 5 8140 puppet1\n_x-puppet._tcp SRV 0 5 8140 puppet2\n\
         _x-puppet._tcp SRV 0 5 8140 puppet3\n",
    );
    for i in 0..names {
        let _ = writeln!(zone, "host{i} A 10.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255);
    }
    let files =
        |path: &Path| Ok(if path.ends_with("zone") { zone.clone() } else { CONFIG.to_owned() }.into_bytes());
    load(Path::new("onstage.toml"), files).loaded.map_or_else(|| unreachable!(), |loaded| loaded.plan)
}

fn lineups(plan: &Plan, live: bool) -> Vec<Lineup> {
    let lineup = |pool: &onstage::plan::Pool| {
        let mut members = vec![Standing::LIVE; pool.members.len()];
        members[0] = if live { Standing::LIVE } else { Standing::Down };
        Lineup::of(pool, &members, Outlook::Settled, None)
    };
    plan.pools.iter().map(lineup).collect()
}

fn snapshot(names: usize) -> (Arc<Plan>, Compiler, Snapshot) {
    let plan = plan(names);
    let compiler = Compiler::new(Arc::clone(&plan));
    let snapshot = compiler.compile(&lineups(&plan, true), &[Serial(1)]);
    let snapshot = snapshot.with_secrets([CookieSecret([7; 16])].into());
    (plan, compiler, snapshot)
}

/// What a query says beside its question.
#[derive(Clone, Copy)]
enum Edns {
    None,
    DnssecOk,
    Cookie,
}

fn query(name: &str, record_type: u16, edns: Edns) -> Vec<u8> {
    let opt: &[u8] = match edns {
        Edns::None => &[],
        Edns::DnssecOk => &[0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0],
        Edns::Cookie => &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
    };
    let mut wire = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(!opt.is_empty())];
    for label in name.split('.') {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.extend_from_slice(&[0, (record_type >> 8) as u8, record_type as u8, 0, 1]);
    wire.extend_from_slice(opt);
    wire
}

/// The questions, by what they show.
const QUESTIONS: [(&str, &str, u16, Edns); 7] = [
    ("A of a pool", "puppet.example.org", 1, Edns::None),
    ("A of a pool, EDNS DO", "puppet.example.org", 1, Edns::DnssecOk),
    ("A of a pool, cookie", "puppet.example.org", 1, Edns::Cookie),
    ("SRV of a pool", "_x-puppet._tcp.puppet.example.org", 33, Edns::None),
    ("NODATA", "puppet.example.org", 16, Edns::None),
    ("NXDOMAIN", "nosuch.puppet.example.org", 1, Edns::None),
    ("REFUSED", "www.example.com", 1, Edns::None),
];

#[divan::bench(args = QUESTIONS.map(|(what, ..)| what))]
fn answers(bencher: Bencher, what: &str) {
    ask(bencher, what, 0);
}

#[divan::bench(args = QUESTIONS.map(|(what, ..)| what))]
fn answers_beside_100_000_names(bencher: Bencher, what: &str) {
    ask(bencher, what, 100_000);
}

fn ask(bencher: Bencher, what: &str, names: usize) {
    let (_, _, snapshot) = snapshot(names);
    let (_, name, record_type, edns) =
        QUESTIONS.into_iter().find(|(w, ..)| *w == what).unwrap_or_else(|| unreachable!());
    let (query, mut reply) = (query(name, record_type, edns), [0; 2 * MIN_MESSAGE]);
    let (peer, mut rotation) =
        (Peer { addr: [127, 0, 0, 1].into(), via: Via::Datagram, now: 0 }, Rotation::new(0));
    bencher.bench_local(|| answer(black_box(&snapshot), &peer, black_box(&query), &mut rotation, &mut reply));
}

#[divan::bench(args = [0, 100_000], sample_count = 20)]
fn load_a_zone(names: usize) -> Arc<Plan> {
    plan(names)
}

#[divan::bench(args = [0, 100_000], sample_count = 20)]
fn compile_everything(bencher: Bencher, names: usize) {
    let plan = plan(names);
    bencher.bench_local(|| Compiler::new(Arc::clone(&plan)));
}

#[divan::bench(args = [0, 100_000])]
fn recompile_for_one_member(bencher: Bencher, names: usize) {
    let (plan, compiler, snapshot) = snapshot(names);
    let less = lineups(&plan, false);
    bencher.bench_local(|| compiler.recompile(&snapshot, &[PoolId(0)], &less, &[Serial(2)]));
}
