//! `all` and `any`: what they make of a config, which probes they need, and who is answered by them.

use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{DNSClass, RecordType};
use onstage::answer::{Rotation, Via};
use onstage::daemon::{Director, State};
use onstage::health::{Reason, Told, Verdict};
use onstage::plan::{Condition, Plan};
use onstage::probe::Finding;
use onstage::snapshot::Reader;
use onstage::units::ProbeId;

use crate::harness::{ask, at, load_site, peer, query};

const ZONE: &str = "$ORIGIN puppet.example.org.\n$TTL 30\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n\
                    @ A 172.16.1.10\n@ A 172.16.4.26\n\
                    _x-puppet._tcp SRV 0 5 8141 twin\ntwin A 172.16.1.10\ntwin AAAA fd00::10\n";

/// Checks that change their mind at once.
const CHECKS: &str = "[check.master]\nall = [\"serving\", \"plain\"]\n[check.serving]\nany = [\"load\", \"tcp\"]\n\
                      [check.load]\nhttp = { port = 8140, path = \"/load\" }\nfall = 1\nrise = 1\n\
                      [check.tcp]\ntcp = { port = 8140 }\nfall = 1\nrise = 1\n\
                      [check.plain]\nhttp = { port = 8080 }\nfall = 1\nrise = 1\n";

fn plan(pools: &str) -> Arc<Plan> {
    let config = format!("[[zone]]\nfile = \"zone\"\n{CHECKS}{pools}");
    load_site(&[("onstage.toml", &config), ("zone", ZONE)]).plan
}

fn pool(name: &str, check: &str) -> String {
    format!("[[pool]]\nname = \"{name}\"\ncheck = \"{check}\"\n")
}

/// A condition in words: each probe as its check and its target.
fn told(plan: &Plan, condition: &Condition) -> String {
    let parts = |parts: &[Condition]| parts.iter().map(|part| told(plan, part)).collect::<Vec<_>>().join(" ");
    match condition {
        Condition::Probe(id) => {
            let probe = &plan.probes[id.index()];
            format!("{}@{}", probe.check.name, probe.target)
        }
        Condition::All(all) => format!("all({})", parts(all)),
        Condition::Any(any) => format!("any({})", parts(any)),
    }
}

#[test]
fn names_become_a_condition_for_each_member() {
    let plan = plan(&pool("puppet.example.org", "master"));
    let conditions: Vec<String> =
        plan.pools[0].members.iter().map(|member| told(&plan, &member.condition)).collect();
    let of = |ip| format!("all(any(load@{ip}:8140 tcp@{ip}:8140) plain@{ip}:8080)");
    assert_eq!(conditions, [of("172.16.1.10"), of("172.16.4.26")], "each check with its own port");
}

#[test]
fn the_port_of_a_member_or_its_record_holds_for_each_check() {
    let member = "[pool.member.\"172.16.1.10\"]\nport = 9000\n";
    let one = plan(&(pool("puppet.example.org", "serving") + member));
    let condition = told(&one, &one.pools[0].members[0].condition);
    assert_eq!(condition, "any(load@172.16.1.10:9000 tcp@172.16.1.10:9000)");
    let srv = plan(&pool("_x-puppet._tcp.puppet.example.org", "serving"));
    let condition = told(&srv, &srv.pools[0].members[0].condition);
    let expected =
        "all(any(load@172.16.1.10:8141 tcp@172.16.1.10:8141) any(load@[fd00::10]:8141 tcp@[fd00::10]:8141))";
    assert_eq!(condition, expected, "an agent may meet either address");
}

#[test]
fn what_asks_the_same_is_one_probe() {
    let alone = plan(&pool("puppet.example.org", "tcp"));
    let joined = plan(&pool("puppet.example.org", "serving"));
    assert_eq!((alone.probes.len(), joined.probes.len()), (2, 4));
    let twin = "[pool.member.\"twin.puppet.example.org\"]\naddress = \"172.16.1.10\"\nport = 8140\n";
    let both = plan(
        &(pool("puppet.example.org", "tcp") + &pool("_x-puppet._tcp.puppet.example.org", "serving") + twin),
    );
    let names: Vec<String> = both.probes.iter().map(onstage::plan::Probe::key).collect();
    assert_eq!(names.len(), 3, "tcp at 172.16.1.10 is in both: {names:?}");
}

/// A director that is told verdicts, and what is answered then.
struct Stage {
    plan: Arc<Plan>,
    director: Director,
    reader: Reader,
}

impl Stage {
    /// Everything passes.
    fn open(check: &str) -> Self {
        let (plan, state) = (plan(&pool("puppet.example.org", check)), State::default());
        let mut director = Director::new(Arc::clone(&plan), &state);
        for id in 0..plan.probes.len() {
            director.judge(ProbeId(id as u32), &finding(Verdict::Pass), at(0));
        }
        let reader = director.open(&state, at(0)).reader();
        Self { plan, director, reader }
    }

    /// One verdict on 172.16.1.10.
    fn judge(&mut self, check: &str, verdict: Verdict) {
        let is_meant = |probe: &onstage::plan::Probe| {
            probe.check.name == check && probe.target.ip().to_string() == "172.16.1.10"
        };
        let id = self.plan.probes.iter().position(is_meant).unwrap();
        self.director.judge(ProbeId(id as u32), &finding(verdict), at(0));
    }

    fn is_answered(&mut self) -> bool {
        let query = query("puppet.example.org", RecordType::A);
        let from = peer("127.0.0.1", Via::Stream);
        let reply = ask(self.reader.load(), &from, &mut Rotation::new(0), &query).unwrap();
        assert!(matches!(reply[7], 1 | 2), "the other one is always answered");
        reply[7] == 2
    }

    /// What `dig CH TXT` tells of 172.16.1.10.
    fn account(&mut self) -> String {
        let mut query = query("puppet.example.org", RecordType::TXT);
        let class = query.len() - 2;
        query[class..].copy_from_slice(&u16::from(DNSClass::CH).to_be_bytes());
        let from = peer("127.0.0.1", Via::Stream);
        let reply = ask(self.reader.load(), &from, &mut Rotation::new(0), &query).unwrap();
        let reply = hickory_proto::op::Message::from_vec(&reply).unwrap();
        let lines = reply.answers.iter().map(|record| record.data.to_string());
        lines.filter(|line| line.contains("172.16.1.10")).collect()
    }
}

fn finding(verdict: Verdict) -> Finding {
    let (detail, told, steps) = (String::new(), Told::default(), Vec::new());
    Finding { verdict, detail, told, steps, latency: Duration::ZERO }
}

const PASS: Verdict = Verdict::Pass;
const REFUSED: Verdict = Verdict::Fail(Reason::Refused);
const TIMEOUT: Verdict = Verdict::Fail(Reason::ReplyTimeout);

#[test]
fn any_one_is_enough_and_all_are_needed() {
    let mut stage = Stage::open("master");
    assert!(stage.is_answered());
    for (check, verdict, answered, account) in [
        ("load", REFUSED, true, "up"),
        ("tcp", TIMEOUT, false, "down (refused)"),
        ("load", PASS, true, "up"),
        ("plain", TIMEOUT, false, "down (reply-timeout)"),
        ("tcp", PASS, false, "down (reply-timeout)"),
        ("plain", PASS, true, "up"),
    ] {
        stage.judge(check, verdict);
        assert_eq!(stage.is_answered(), answered, "{check}: {verdict:?}");
        let said = stage.account();
        assert!(said.contains(&format!("172.16.1.10 {account}")), "{check}: {verdict:?}: {said}");
    }
}

#[test]
fn what_waits_for_its_first_verdict_is_not_taken_for_granted() {
    let (plan, state) = (plan(&pool("puppet.example.org", "master")), State::default());
    let mut director = Director::new(Arc::clone(&plan), &state);
    for id in 0..plan.probes.len() - 1 {
        assert!(!director.is_informed());
        director.judge(ProbeId(id as u32), &finding(PASS), at(0));
    }
    assert!(!director.is_informed());
    let mut reader = director.open(&state, at(0)).reader();
    let query = query("puppet.example.org", RecordType::A);
    let reply = ask(reader.load(), &peer("127.0.0.1", Via::Stream), &mut Rotation::new(0), &query).unwrap();
    assert_eq!(reply[7], 1, "the last probe is one that the second member needs");
}

/// `onstage probe` asks each check once, and its exit code is what they add up to.
#[test]
fn the_probe_command_adds_up() {
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = open.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let zone = "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n@ A 127.0.0.1\n";
    std::fs::write(folder.path().join("zone"), zone).unwrap();
    let config = folder.path().join("onstage.toml");
    for (how, code, verdict) in [("any", 0, "pass"), ("all", 1, "fail")] {
        let text = format!(
            "[[zone]]\nfile = \"zone\"\n[check.open]\ntcp = {{ port = {port} }}\n[check.closed]\ntcp = {{ port = 1 }}\n\
             [check.both]\n{how} = [\"closed\", \"open\"]\n{}[pool.member.\"127.0.0.1\"]\nlabel = \"one\"\n",
            pool("p.example", "both")
        );
        std::fs::write(&config, text).unwrap();
        for what in ["p.example", "one", "127.0.0.1"] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_onstage"));
            let output = command.args(["probe", "--here", "-c"]).arg(&config).arg(what).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(code), "{how} {what}\n{said}");
            assert_eq!(said.matches("  verdict").count(), 2, "{said}");
            assert!(said.ends_with(&format!("one: {verdict}, all in all\n")), "{said}");
        }
    }
}
