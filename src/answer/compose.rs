//! Puts a reply together: copies stretches of a template, patches what only the query knows.

use super::ReplyBuf;
use super::edns::{OPT_LEN, ReplyOpt};
use super::query::{HEADER, Query};
use crate::snapshot::{Hit, Run};

const QR: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const RCODE: u16 = 0x000f;

/// The counts of a header (RFC 1035 §4.1.1).
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    questions: u16,
    answers: u16,
    authorities: u16,
    additionals: u16,
}

/// A header alone: the question could not be read, or does not matter.
pub(super) fn header_only(query: &[u8], rcode: u16, reply: &mut ReplyBuf) {
    let flags = u16::from_be_bytes([query[2], query[3]]) & (OPCODE | RD) | QR | rcode;
    reply.len = HEADER;
    put_header(reply, [query[0], query[1]], flags, Counts::default());
}

/// The question, and an rcode. BADVERS needs `edns`.
pub(super) fn without_records(query: &Query<'_>, rcode: u16, edns: Option<ReplyOpt>, reply: &mut ReplyBuf) {
    start(query, reply);
    finish(query, 0, rcode, edns, Counts::default(), reply);
}

/// A template, or the empty truncated reply where it does not fit into `limit`.
pub(super) fn from_template(
    query: &Query<'_>,
    hit: &Hit<'_>,
    edns: Option<ReplyOpt>,
    limit: usize,
    reply: &mut ReplyBuf,
) {
    let turn = reply.next_turn();
    let template = hit.template;
    let ring = hit.answers.ring_from(template, turn);
    let (head, authority) = (hit.answers.head(template), hit.answers.authority(template));
    let opt_len = if edns.is_some() { OPT_LEN } else { 0 };
    let needed = HEADER + query.question.len() + head.len() + ring.bytes.len() + authority.len() + opt_len;
    let Some((additional, extra)) =
        limit.checked_sub(needed).and_then(|room| fit_additionals(hit, turn, room))
    else {
        start(query, reply);
        return finish(query, template.flags | TC, template.flags & RCODE, edns, Counts::default(), reply);
    };
    start(query, reply);
    for bytes in [head, ring.bytes, authority, additional.bytes, extra.bytes] {
        put(reply, bytes);
    }
    let fixed = head.len() + authority.len() + additional.bytes.len();
    patch(query, hit, ring.bytes.len(), fixed, reply);
    let counts = Counts {
        questions: 0,
        answers: template.answers + ring.count,
        authorities: template.authorities,
        additionals: additional.count + extra.count,
    };
    finish(query, template.flags, template.flags & RCODE, edns, counts, reply);
}

/// As many additional records as there is room for, in whole RRsets. `None`: some are missing that must not be
/// (RFC 9471 §3.1).
fn fit_additionals<'s>(hit: &Hit<'s>, turn: u32, room: usize) -> Option<(Run<'s>, Run<'s>)> {
    let additional = hit.answers.additional(hit.template);
    let Some(room) = room.checked_sub(additional.bytes.len()) else {
        return (!hit.template.additionals_required).then_some((Run::NOTHING, Run::NOTHING));
    };
    let mut records = hit.template.window();
    let mut extra = hit.answers.extra_from(hit.template, turn, records);
    while extra.bytes.len() > room {
        records -= 1;
        extra = hit.answers.extra_from(hit.template, turn, records);
    }
    Some((additional, extra))
}

/// Fills in what the template could not know: how much longer the question is than the name it was compiled
/// for, and the serial of now.
fn patch(query: &Query<'_>, hit: &Hit<'_>, ring: usize, fixed: usize, reply: &mut ReplyBuf) {
    let start = HEADER + query.question.len();
    let head = hit.template.head_len() as usize;
    let place = |at: u32| start + at as usize + if at as usize >= head { ring } else { 0 };
    if let Some((at, serial)) = hit.serial {
        reply.bytes[place(at)..place(at) + 4].copy_from_slice(&serial.0.to_be_bytes());
    }
    let surplus = (query.name.len() - hit.anchor_len) as u16;
    if surplus > 0 {
        for &at in hit.answers.relocations(hit.template).iter().filter(|&&at| (at as usize) < fixed) {
            let place = place(at);
            let pointer = u16::from_be_bytes([reply.bytes[place], reply.bytes[place + 1]]) + surplus;
            reply.bytes[place..place + 2].copy_from_slice(&pointer.to_be_bytes());
        }
    }
}

fn start(query: &Query<'_>, reply: &mut ReplyBuf) {
    reply.len = HEADER;
    put(reply, query.question);
}

/// OPT last, then the header, whose counts are known by now.
fn finish(
    query: &Query<'_>,
    flags: u16,
    rcode: u16,
    edns: Option<ReplyOpt>,
    counts: Counts,
    reply: &mut ReplyBuf,
) {
    let mut counts = Counts { questions: 1, ..counts };
    if let Some(opt) = edns {
        put(reply, &opt.write(rcode));
        counts.additionals += 1;
    }
    put_header(reply, query.id, QR | flags | rcode & RCODE | query.flags & RD, counts);
}

fn put(reply: &mut ReplyBuf, bytes: &[u8]) {
    let end = reply.len + bytes.len();
    reply.bytes[reply.len..end].copy_from_slice(bytes);
    reply.len = end;
}

fn put_header(reply: &mut ReplyBuf, id: [u8; 2], flags: u16, counts: Counts) {
    let words = [flags, counts.questions, counts.answers, counts.authorities, counts.additionals];
    reply.bytes[..2].copy_from_slice(&id);
    for (word, at) in words.into_iter().zip((2..).step_by(2)) {
        reply.bytes[at..at + 2].copy_from_slice(&word.to_be_bytes());
    }
}
