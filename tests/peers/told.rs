//! What of a reply must be the same.

use std::collections::BTreeSet;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};

use super::ask::Question;

/// What is compared of a reply. Records are lines without case, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub rcode: ResponseCode,
    pub aa: bool,
    pub tc: bool,
    rd: bool,
    ra: bool,
    ad: bool,
    edns: Option<(u8, bool)>,
    pub answer: Vec<String>,
    pub authority: Vec<String>,
    pub additional: Vec<String>,
    pub size: Size,
}

/// How long the reply would be without compression, and without what may be left out. Not compared.
#[derive(Debug, Clone, Eq)]
pub struct Size(pub usize);

impl PartialEq for Size {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Told {
    pub fn of(question: &Question, reply: &Message) -> Self {
        let section = |records: &[Record]| {
            let mut lines: Vec<String> =
                records.iter().map(|record| line(record).to_ascii_lowercase()).collect();
            lines.sort();
            lines
        };
        let mut told = Self {
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
            size: Size(0),
        };
        let glue = told.glue();
        let is_glue = |record: &&Record| glue.contains(&&line(record).to_ascii_lowercase());
        let needed =
            reply.answers.iter().chain(&reply.authorities).chain(reply.additionals.iter().filter(is_glue));
        let opt = if reply.edns.is_some() { 11 } else { 0 };
        let records: usize = needed.map(|record| length(&record.name) + 10 + length(&record.data)).sum();
        told.size = Size(12 + length(&question.name) + 4 + records + opt);
        told
    }

    /// The addresses without which a delegation cannot be followed: those below the name that is delegated.
    pub fn glue(&self) -> Vec<&String> {
        let cuts = self.authority.iter().filter(|line| line.contains(" ns "));
        let suffixes: Vec<String> = cuts.map(|line| format!(".{}", owner(line))).collect();
        let below = |line: &&String| suffixes.iter().any(|suffix| owner(line).ends_with(suffix));
        if self.has("soa") { Vec::new() } else { self.additional.iter().filter(below).collect() }
    }

    /// Whether `target` is where a record of the answer or the authority points. `.` is the owner itself (RFC 9460 §2.5).
    pub fn mentions(&self, target: &str) -> bool {
        let mut shown = self.answer.iter().chain(&self.authority);
        shown.any(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            words[3..].contains(&target) || words[0] == target && words.get(4) == Some(&".")
        })
    }

    /// Whether a delegation is to a server that is not below it.
    pub fn has_server_elsewhere(&self) -> bool {
        let mut servers = self.authority.iter().filter(|line| line.contains(" ns "));
        servers.any(|line| {
            line.rsplit(' ').next().is_some_and(|host| !host.ends_with(&format!(".{}", owner(line))))
        })
    }

    /// Whether answer or authority have a record of a type.
    pub fn has(&self, record_type: &str) -> bool {
        let mut records = self.answer.iter().chain(&self.authority);
        records.any(|line| line.split(' ').nth(2) == Some(record_type))
    }

    /// Owners and targets of the answer's CNAMEs.
    fn links(&self) -> Vec<(&str, &str)> {
        let links = self.answer.iter().filter(|line| line.contains(" cname "));
        links.filter_map(|line| Some((owner(line), line.rsplit(' ').next()?))).collect()
    }

    /// Where the CNAMEs of the answer lead from a name.
    pub fn end_of_chain<'t>(&'t self, asked: &str) -> Option<&'t str> {
        let links = self.links();
        let target = |from: &str| links.iter().find(|link| link.0 == from).map(|link| link.1);
        std::iter::successors(target(asked), |at| target(at)).take(links.len()).last()
    }

    /// Whether the answer shows that there is no end: a loop, a DNAME that leads below itself, or more CNAMEs than anybody
    /// follows.
    pub fn is_endless(&self) -> bool {
        let dnames = self.answer.iter().filter(|line| line.contains(" dname "));
        let mut dnames =
            dnames.filter_map(|line| line.rsplit(' ').next().map(|target| (owner(line), target)));
        self.turns()
            || self.links().len() > 9
            || dnames.any(|(owner, target)| target.ends_with(&format!(".{owner}")))
    }

    /// Whether CNAMEs of the answer lead back to where one of them started.
    fn turns(&self) -> bool {
        let links = self.links();
        let target = |from: &str| links.iter().find(|link| link.0 == from).map(|link| link.1);
        links.iter().any(|&(start, _)| {
            let steps = std::iter::successors(target(start), |at| target(at)).take(links.len());
            steps.into_iter().any(|at| at == start)
        })
    }

    /// What it is an example of: an rcode, and words for what is special.
    pub fn kinds(&self) -> Vec<String> {
        let special = [
            (self.tc, "truncated"),
            (self.aa && self.answer.is_empty() && self.has("soa"), "no data"),
            (!self.aa && self.has("ns"), "referral"),
            (!self.aa && !self.glue().is_empty(), "glue"),
            (self.is_endless(), "endless"),
            (!self.links().is_empty() && self.has("ns"), "alias of a delegation"),
            (!self.links().is_empty() && self.has("soa"), "alias of nothing"),
        ];
        let words = special.into_iter().filter(|(is, _)| *is).map(|(_, word)| word.to_owned());
        let types = self.answer.iter().filter_map(|line| line.split(' ').nth(2)).map(str::to_owned);
        words.chain(types).chain([format!("{:?}", self.rcode)]).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Takes over all sections.
    pub fn level_records(&mut self, other: &Self) {
        self.answer.clone_from(&other.answer);
        self.authority.clone_from(&other.authority);
        self.additional.clone_from(&other.additional);
    }
}

/// The owner of a line.
pub fn owner(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

fn length(part: &impl BinEncodable) -> usize {
    part.to_bytes().unwrap().len()
}

/// A record as `name ttl type data`. hickory leaves the data of a DNAME as bytes, but it is compared without case, too.
fn line(record: &Record) -> String {
    let Record { name, ttl, data, .. } = record;
    match data {
        RData::Unknown { code: RecordType::DNAME, rdata } => {
            format!("{name} {ttl} DNAME {}", Name::from_bytes(&rdata.anything).unwrap())
        }
        _ => format!("{name} {ttl} {} {data}", record.record_type()),
    }
}
