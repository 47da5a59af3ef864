//! What of two replies must be the same, and the differences that RFCs allow.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};

use super::differential::Question;
use crate::harness::lines;

/// What is compared of a reply. Records are lines without case, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    rcode: ResponseCode,
    aa: bool,
    tc: bool,
    rd: bool,
    ra: bool,
    ad: bool,
    edns: Option<(u8, bool)>,
    answer: Vec<String>,
    authority: Vec<String>,
    additional: Vec<String>,
}

impl Told {
    pub fn of(reply: &Message) -> Self {
        let section = |records: &[Record]| {
            let mut lines: Vec<String> =
                lines(records).iter().map(|line| line.to_ascii_lowercase()).collect();
            lines.sort();
            lines
        };
        Self {
            rcode: reply.metadata.response_code,
            aa: reply.metadata.authoritative,
            tc: reply.metadata.truncation,
            rd: reply.metadata.recursion_desired,
            ra: reply.metadata.recursion_available,
            ad: reply.metadata.authentic_data,
            edns: reply.edns.as_ref().map(|edns| (edns.version(), edns.flags().dnssec_ok)),
            answer: section(&reply.answers),
            authority: section(&reply.authorities),
            additional: section(&reply.additionals),
        }
    }

    /// The addresses without which a delegation cannot be followed: those below the name that is delegated.
    fn glue(&self) -> Vec<&String> {
        let cuts = self.authority.iter().filter(|line| line.contains(" ns "));
        let suffixes: Vec<String> = cuts.map(|line| format!(".{}", owner(line))).collect();
        let below = |line: &&String| suffixes.iter().any(|suffix| owner(line).ends_with(suffix));
        if self.aa { Vec::new() } else { self.additional.iter().filter(below).collect() }
    }

    /// Whether `target` is where a record of the answer or the authority points.
    fn mentions(&self, target: &str) -> bool {
        let mut shown = self.answer.iter().chain(&self.authority);
        shown.any(|line| line.rsplit(' ').next() == Some(target))
    }
}

fn owner(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

/// A difference that an RFC allows.
pub struct Rule {
    pub name: &'static str,
    /// Levels what may differ between our reply and theirs; true if something did.
    pub level: fn(&Question, &mut Told, &mut Told) -> bool,
}

/// In the order they are applied; each must be needed. What a rule does not level must still be the same.
pub const RULES: [Rule; 4] = [
    // RFC 8482 §4.2: ANY may be answered with a HINFO record in place of all that there is.
    Rule { name: "rfc8482-any", level: any },
    // RFC 2181 §9: the records of a truncated reply are not to be used, so that it does not matter how many are left.
    Rule { name: "rfc2181-truncated", level: truncated },
    // RFC 1034 §4.3.2 step 6, RFC 2181 §9: additional records are a help that may be left out. Glue is not, RFC 9471.
    Rule { name: "rfc1034-additional", level: additional },
    // RFC 1034 §3.6.2 calls a CNAME loop an error, and does not say how often it is followed.
    Rule { name: "rfc1034-cname-loop", level: cname_loop },
];

fn any(question: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let synthesized = ours.answer.len() == 1 && ours.answer[0].contains(" hinfo rfc8482 ");
    if question.record_type != RecordType::ANY || !synthesized || theirs.answer.is_empty() && !theirs.tc {
        return false;
    }
    ours.answer.clone_from(&theirs.answer);
    ours.tc = theirs.tc; // all that there is may not fit
    true
}

fn truncated(_: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    if !(ours.tc && theirs.tc) || ours == theirs {
        return false;
    }
    ours.answer.clone_from(&theirs.answer);
    ours.authority.clone_from(&theirs.authority);
    ours.additional.clone_from(&theirs.additional);
    true
}

fn additional(_: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let helps = |line: &String| {
        let is_address = matches!(line.split(' ').nth(2), Some("a" | "aaaa"));
        is_address && ours.mentions(owner(line)) || theirs.additional.contains(line)
    };
    let allowed = ours.glue() == theirs.glue() && ours.additional.iter().all(helps);
    if ours.additional == theirs.additional || !allowed {
        return false;
    }
    ours.additional.clone_from(&theirs.additional);
    true
}

fn cname_loop(question: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let zone = Name::from_ascii("p.example.").unwrap();
    let turning =
        ["loop", "a.loop"].map(|label| Name::from_ascii(label).unwrap().append_domain(&zone).unwrap());
    let all_turn = |told: &Told| told.answer.iter().all(|line| line.contains("loop.p.example. 300 cname "));
    if !turning.contains(&question.name) || !all_turn(ours) || !all_turn(theirs) || ours == theirs {
        return false;
    }
    ours.answer.clone_from(&theirs.answer);
    if theirs.rcode == ResponseCode::ServFail {
        ours.rcode = theirs.rcode;
    }
    true
}
