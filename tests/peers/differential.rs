//! The same questions to onstage, BIND and NSD about the same zone: the same answers, but for what RFCs leave open.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use onstage::daemon::Daemon;

use super::process::{Peer, available};
use crate::harness::{lines, load_site, query, receive, with_edns};

const ZONE: &str = "p.example";
const FILE: &str = "tests/replay/properties.zone";

/// One question, in one of its forms.
struct Question {
    name: String,
    record_type: RecordType,
    wire: Vec<u8>,
    stream: bool,
    told: String,
}

/// What is compared of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    rcode: ResponseCode,
    aa: bool,
    tc: bool,
    rd: bool,
    ra: bool,
    edns: Option<(u8, bool)>,
    answer: Vec<String>,
    authority: Vec<String>,
    additional: Vec<String>,
}

/// A difference that an RFC allows: which, and when it applies.
struct Rule {
    name: &'static str,
    /// Levels what may differ, where it applies; true if it did.
    level: fn(&Question, &mut Told, &mut Told) -> bool,
}

/// In the order they are applied; each must be needed.
const RULES: [Rule; 4] = [
    // RFC 8482 §4: ANY may be answered with all, some or one synthesized RRset.
    Rule { name: "rfc8482-any", level: any },
    // RFC 1034 §4.3.2 step 6, RFC 2181 §9: additional records are a help that may be left out; glue is not.
    Rule { name: "rfc1034-additional", level: additional },
    // RFC 1035 §4.1.4: compression is optional, so that what fits for one may be truncated by another; a
    // truncated reply's records are not to be used (RFC 2181 §9).
    Rule { name: "rfc2181-truncated", level: truncated },
    // RFC 1034 §3.6.2 says that a CNAME loop is an error and not what is answered then.
    Rule { name: "rfc1034-cname-loop", level: cname_loop },
];

fn any(question: &Question, a: &mut Told, b: &mut Told) -> bool {
    let applies = question.record_type == RecordType::ANY && a.answer != b.answer;
    if applies && !a.answer.is_empty() && !b.answer.is_empty() || applies && (a.tc || b.tc) {
        b.clone_from(a);
    }
    applies
}

fn additional(_: &Question, a: &mut Told, b: &mut Told) -> bool {
    let referral = !a.aa && !a.authority.is_empty() && a.answer.is_empty();
    if a.additional == b.additional || referral {
        return false;
    }
    b.additional.clone_from(&a.additional);
    true
}

fn truncated(_: &Question, a: &mut Told, b: &mut Told) -> bool {
    let applies = (a.tc || b.tc) && a != b && a.rcode == b.rcode;
    if applies {
        b.clone_from(a);
    }
    applies
}

fn cname_loop(question: &Question, a: &mut Told, b: &mut Told) -> bool {
    let applies = question.name.to_ascii_lowercase().ends_with("loop.p.example") && a != b;
    if applies {
        b.clone_from(a);
    }
    applies
}

/// Names of the zone, above, below and beside them.
fn names() -> BTreeSet<String> {
    let site = crate::harness::plan_of_zone(&std::fs::read_to_string(FILE).unwrap());
    let mut names = BTreeSet::from(["elsewhere".to_owned(), "example".to_owned(), "P.eXample".to_owned()]);
    for record in &site.zones[0].records {
        let owner = record.owner.to_string();
        if owner.contains('\\') {
            continue; // the harness writes names without escapes
        }
        names.extend([
            format!("x.{owner}"),
            format!("x.y.{owner}"),
            owner.replace('*', "any"),
            owner.to_uppercase(),
        ]);
        names.insert(owner.split_once('.').map_or_else(String::new, |(_, parent)| parent.to_owned()));
        names.insert(owner);
    }
    names.retain(|name| name.len() > 3);
    names
}

fn questions() -> Vec<Question> {
    use RecordType::{A, AAAA, ANY, CAA, CNAME, DS, HINFO, MX, NS, PTR, SOA, SRV, TLSA, TXT};
    let mut questions = Vec::new();
    for name in names() {
        for record_type in
            [A, AAAA, ANY, CAA, CNAME, DS, HINFO, MX, NS, PTR, SOA, SRV, TLSA, TXT, 65_280.into(), 999.into()]
        {
            let plain = query(&name, record_type);
            let mut recursive = plain.clone();
            recursive[2] |= 1;
            for (form, wire, stream) in [
                ("plain", plain.clone(), false),
                ("RD", recursive, false),
                ("512", with_edns(plain.clone(), 512, 0, 0), false),
                ("1232 DO", with_edns(plain.clone(), 1232, 0, 0x8000), false),
                ("version 1", with_edns(plain.clone(), 1232, 1, 0), false),
                ("TCP", plain, true),
            ] {
                // All forms of some types, one form of the others, so that it ends soon.
                if matches!(record_type, A | MX | SRV | NS | TXT) || form == "1232 DO" {
                    let told = format!("{name} {record_type} ({form})");
                    questions.push(Question { name: name.clone(), record_type, wire, stream, told });
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
        let end = question.wire.len().min(12 + question.name.len() + 2);
        assert_eq!(reply[12..end], question.wire[12..end], "the question comes back as it was spelled");
        told(&Message::from_vec(&reply).unwrap())
    }
}

fn told(reply: &Message) -> Told {
    let section = |records: &[hickory_proto::rr::Record]| {
        let mut lines: Vec<String> = lines(records).iter().map(|line| line.to_ascii_lowercase()).collect();
        lines.sort();
        lines
    };
    Told {
        rcode: reply.metadata.response_code,
        aa: reply.metadata.authoritative,
        tc: reply.metadata.truncation,
        rd: reply.metadata.recursion_desired,
        ra: reply.metadata.recursion_available,
        edns: reply.edns.as_ref().map(|edns| (edns.version(), edns.flags().dnssec_ok)),
        answer: section(&reply.answers),
        authority: section(&reply.authorities),
        additional: section(&reply.additionals),
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
