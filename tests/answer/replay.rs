//! Replay files: questions and the replies that an RFC gives for them, in `tests/replay`.

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use crate::harness::{Site, lines, plan_of_zone};

#[test]
fn rfc_1034_6_the_examples() {
    replay(include_str!("../replay/rfc1034-6.zone"), include_str!("../replay/rfc1034-6.txt"));
}

#[test]
fn rfc_4592_2_wildcards() {
    replay(include_str!("../replay/rfc4592-2.zone"), include_str!("../replay/rfc4592-2.txt"));
}

/// Asks each question of the file and compares the reply, record by record, order apart.
fn replay(zone: &str, file: &str) {
    let site = Site::new(plan_of_zone(zone));
    let cases: Vec<&str> = file.split("\n> ").skip(1).collect();
    assert!(cases.len() > 5, "the file has cases");
    for case in cases {
        let mut words = case.lines().next().expect("a question").split(' ');
        let (name, record_type) = (words.next().expect("a name"), words.next().expect("a type"));
        let record_type: RecordType = record_type.parse().expect("a type");
        let wanted: Vec<&str> =
            case.lines().skip(1).filter(|l| !l.is_empty() && !l.starts_with(';')).collect();
        assert_eq!(told(&site.ask(name, record_type)), sorted(wanted), "{name} {record_type}");
    }
}

fn sorted(lines: Vec<&str>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn told(reply: &Message) -> Vec<String> {
    let rcode = match u16::from(reply.metadata.response_code) {
        0 => "NOERROR",
        3 => "NXDOMAIN",
        5 => "REFUSED",
        other => panic!("rcode {other}"),
    };
    let aa = if reply.metadata.authoritative { " aa" } else { "" };
    let mut told = vec![format!("< {rcode}{aa}")];
    let sections =
        [("answer", &reply.answers), ("authority", &reply.authorities), ("additional", &reply.additionals)];
    for (section, records) in sections {
        told.extend(lines(records).into_iter().map(|line| format!("{section} {}", line.trim_end())));
    }
    told.sort();
    told
}
