//! The same questions to onstage, BIND and NSD about the same zone: the same answers, but for what RFCs leave open.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::BinEncodable;
use onstage::daemon::Daemon;

use super::process::{Peer, available};
use super::rules::{RULES, Told};
use crate::harness::{load_site, plan_of_zone, receive, with_edns};

const ZONE: &str = "p.example";
const FILE: &str = "tests/replay/properties.zone";

/// One question, in one of its forms.
pub struct Question {
    pub name: Name,
    pub record_type: RecordType,
    wire: Vec<u8>,
    stream: bool,
    told: String,
}

impl Question {
    fn new(name: &Name, record_type: RecordType, form: &str) -> Self {
        let mut wire = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        wire.extend(name.to_bytes().unwrap());
        wire.extend(u16::from(record_type).to_be_bytes());
        wire.extend([0, 1]);
        let wire = match form {
            "RD" => [&[0x12, 0x34, 1], &wire[3..]].concat(),
            "512" => with_edns(wire, 512, 0, 0),
            "1232 DO" => with_edns(wire, 1232, 0, 0x8000),
            "4096" => with_edns(wire, 4096, 0, 0),
            "version 1" => with_edns(wire, 1232, 1, 0),
            _ => wire,
        };
        let told = format!("{name} {record_type} ({form})");
        Self { name: name.clone(), record_type, wire, stream: form == "TCP", told }
    }
}

/// Names of the zone, above, below and beside them, in several spellings.
fn names() -> BTreeSet<Name> {
    let zone = &plan_of_zone(&std::fs::read_to_string(FILE).unwrap()).zones[0];
    let name = |text: &str| Name::from_ascii(text).unwrap();
    let mut names = BTreeSet::from(["elsewhere.", "example.", "xp.example.", "P.eXample."].map(name));
    for record in &zone.records {
        let owner = record.spelled.clone();
        let below = ["x", "X.y", "*"].map(|labels| name(labels).append_domain(&owner).unwrap());
        names.extend(below);
        names.extend([
            name(&owner.to_string().replace('*', "any")),
            name(&owner.to_string().to_uppercase()),
            owner.base_name(),
            owner,
        ]);
    }
    names.retain(|name| !name.is_root());
    names
}

fn questions() -> Vec<Question> {
    use RecordType::{A, AAAA, ANY, CAA, CNAME, DS, HINFO, MX, NS, PTR, SOA, SRV, TLSA, TXT};
    let types =
        [A, AAAA, ANY, CAA, CNAME, DS, HINFO, MX, NS, PTR, SOA, SRV, TLSA, TXT, 65_280.into(), 999.into()];
    let mut questions = Vec::new();
    for name in names() {
        for record_type in types {
            for form in ["plain", "RD", "512", "1232 DO", "4096", "version 1", "TCP"] {
                // All forms of some types, one form of the others, so that it ends soon.
                if matches!(record_type, A | MX | SRV | NS | TXT) || form == "1232 DO" {
                    questions.push(Question::new(&name, record_type, form));
                }
            }
        }
    }
    questions
}

/// A client of one server.
struct Client {
    udp: UdpSocket,
    tcp: TcpStream,
}

impl Client {
    fn new(addr: SocketAddr) -> Self {
        let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpStream::connect(addr).unwrap());
        udp.connect(addr).unwrap();
        udp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self { udp, tcp }
    }

    fn ask(&mut self, question: &Question) -> Told {
        let reply = if question.stream {
            self.tcp
                .write_all(&[&(question.wire.len() as u16).to_be_bytes(), &question.wire[..]].concat())
                .unwrap();
            let mut length = [0; 2];
            self.tcp.read_exact(&mut length).unwrap();
            let mut reply = vec![0; u16::from_be_bytes(length).into()];
            self.tcp.read_exact(&mut reply).unwrap();
            reply
        } else {
            self.udp.send(&question.wire).unwrap();
            let silent =
                |e| panic!("{} is silent about {}: {e}", self.udp.peer_addr().unwrap(), question.told);
            receive(&self.udp).unwrap_or_else(silent)
        };
        let end = 12 + question.name.to_bytes().unwrap().len() + 4;
        assert_eq!(reply[12..end], question.wire[12..end], "the question comes back as it was spelled");
        Told::of(&Message::from_vec(&reply).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn onstage_bind_and_nsd_answer_alike() {
    if !available("named") || !available("nsd") {
        return;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let zone = format!("zone \"{ZONE}\" {{ type primary; file \"{}\"; }};", file.display());
    let options = "recursion no; allow-query-cache { none; }; max-udp-size 1232; zero-no-soa-ttl no; answer-cookie no; \
                   check-names primary ignore;";
    let peers = [Peer::bind(options, &zone, ZONE), Peer::nsd(ZONE, &file)];
    let state = tempfile::tempdir().unwrap();
    let config = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"{}\"\n[[zone]]\nfile = \"zone\"\n",
        state.path().display()
    );
    let loaded = load_site(&[("onstage.toml", &config), ("zone", &std::fs::read_to_string(&file).unwrap())]);
    let daemon = Daemon::start(&loaded.plan, &loaded.network).await.unwrap();
    let ours = daemon.addrs()[0];
    tokio::task::spawn_blocking(move || compare(ours, &peers)).await.unwrap();
    daemon.stop().await;
}

fn compare(ours: SocketAddr, peers: &[Peer]) {
    let questions = questions();
    println!("onstage {ours}, {:?}", peers.iter().map(|p| (p.name, p.addr)).collect::<Vec<_>>());
    assert!(questions.len() >= 300, "{} questions", questions.len());
    let mut us = Client::new(ours);
    let mut them: Vec<Client> = peers.iter().map(|peer| Client::new(peer.addr)).collect();
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    let mut differences = Vec::new();
    for question in &questions {
        let told = us.ask(question);
        for (peer, client) in peers.iter().zip(&mut them) {
            let (mut ours, mut theirs) = (told.clone(), client.ask(question));
            for rule in &RULES {
                *used.entry(rule.name).or_default() +=
                    usize::from((rule.level)(question, &mut ours, &mut theirs));
            }
            if ours != theirs {
                differences
                    .push(format!("{}\n  onstage {ours:?}\n  {} {theirs:?}", question.told, peer.name));
            }
        }
    }
    println!("{} questions to each of onstage, BIND, NSD; rules used: {used:?}", questions.len());
    let shown = differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences:\n{shown}", differences.len());
    for rule in &RULES {
        assert!(used[rule.name] > 0, "the rule {} is not needed", rule.name);
    }
}
