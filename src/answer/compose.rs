//! Puts a reply together: copies stretches of a template, patches what only the query knows.

use super::Chance;
use super::Reply;
use super::edns::{ExtendedError, ReplyOpt};
use super::page::Page;
use super::query::{HEADER, Query};
use crate::snapshot::counts::Counts;
use crate::snapshot::draw::Places;
use crate::snapshot::flags::{OPCODE, QR, RCODE, RD, TC};
use crate::snapshot::{Cell, Hit, Pieces, Snapshot};

/// A reply to a query whose question could be read.
pub(super) struct Composer<'c, 'b> {
    pub(super) snapshot: &'c Snapshot,
    pub(super) query: &'c Query<'c>,
    pub(super) opt: Option<ReplyOpt<'c>>,
    pub(super) limit: usize,
    pub(super) page: Page<'b>,
    pub(super) counts: Counts,
}

/// The name that a template's owners and pointers mean: where it is in the message, and how long it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) at: usize,
    pub(super) len: usize,
}

/// There is no room for what has to be there.
#[derive(Debug)]
pub(super) struct Full;

/// A header alone: the question could not be read, or does not matter.
pub(super) fn header_only(query: &[u8], rcode: u16, mut page: Page<'_>) -> Reply {
    let flags = u16::from_be_bytes([query[2], query[3]]) & (OPCODE | RD) | QR | rcode;
    page.put(&header([query[0], query[1]], flags, Counts::default()));
    let cell = Cell::of(rcode, 0);
    Reply { len: page.len() as u16, cell, is_truncated: false, is_known: false }
}

/// Makes a reply an empty truncated one (RFC 2181 §9): the client asks again over TCP. `reply` is what [`super::answer`]
/// wrote; how much of it is left is returned.
pub fn truncate(reply: &mut [u8]) -> usize {
    let Some((question_len, header)) = question_len(reply).zip(reply.first_chunk_mut::<HEADER>()) else {
        return reply.len();
    };
    header[2] |= (TC >> 8) as u8;
    header[6..].fill(0);
    HEADER + question_len
}

/// The length of the question behind a header that we wrote.
fn question_len(reply: &[u8]) -> Option<usize> {
    let [questions @ .., _, _, _, _, _, _] = reply.get(4..HEADER)? else { return None };
    let mut rest = reply.get(HEADER..)?;
    if questions == [0, 0] {
        return Some(0);
    }
    let mut len = 5;
    while let Some((&label, behind)) = rest.split_first().filter(|(label, _)| **label > 0) {
        len += 1 + usize::from(label);
        rest = behind.get(usize::from(label)..)?;
    }
    Some(len)
}

impl<'c, 'b> Composer<'c, 'b> {
    /// A reply with a header that is yet to be written, the question, and no OPT record yet.
    #[inline]
    pub(super) fn new(
        snapshot: &'c Snapshot,
        query: &'c Query<'c>,
        limit: usize,
        mut page: Page<'b>,
    ) -> Self {
        page.put(query.opening);
        Self { snapshot, query, opt: None, limit, page, counts: Counts::default() }
    }

    /// The reply without records. BADVERS needs EDNS.
    pub(super) fn without_records(&mut self, rcode: u16, error: Option<ExtendedError>) -> Reply {
        if let (Some(opt), Some(error)) = (&mut self.opt, error) {
            opt.tell(error);
        }
        self.finish(0, Cell::of(rcode, self.query.record_type))
    }

    /// The reply that a template is, or the empty truncated one where it does not fit.
    pub(super) fn records(&mut self, hit: &Hit<'_>, chance: &Chance<'_>) -> Reply {
        let named = Named { at: HEADER, len: self.query.name.len() };
        let cell = hit.template.cell.any(self.query.record_type);
        match self.append(hit, chance, named) {
            Ok(()) => self.finish(hit.template.flags, cell),
            Err(Full) => self.truncated(hit.template.flags, cell),
        }
    }

    #[inline]
    pub(super) fn opt_len(&self) -> usize {
        self.opt.as_ref().map_or(0, ReplyOpt::len)
    }

    /// Adds the records of a template behind what is there, piece by piece: those of a ring in the order that the policy
    /// gives, and as many additional ones as there is room for.
    pub(super) fn append(&mut self, hit: &Hit<'_>, chance: &Chance<'_>, named: Named) -> Result<(), Full> {
        if let Some(opt) = &mut self.opt {
            if hit.template.fails_open {
                opt.tell(ExtendedError::FailsOpen);
            }
            if hit.template.is_tailored() {
                opt.tailor();
            }
        }
        let (answers, template) = (hit.answers, hit.template);
        let (head, authority) = (answers.head(template), answers.authority(template));
        let places = &chance.choose(hit);
        let ring = answers.ring(template, places);
        let ring_len = length(ring.clone());
        let start = self.page.len();
        let room = self.limit.checked_sub(self.opt_len()).ok_or(Full)?;
        let room = room.checked_sub(start + head.len() + ring_len + authority.len()).ok_or(Full)?;
        let (all, required) = (answers.additional(template), answers.required(template));
        let (additional, records) = match room.checked_sub(all.bytes.len()) {
            Some(room) => (all, fitting(hit, places, room)),
            None if required.bytes.len() > room => return Err(Full), // RFC 9471 §3.1
            None => (required, 0),
        };
        self.counts += template.counts;
        self.page.put(head);
        let records_of_ring = self.put_all(ring);
        self.counts += Counts::answers(records_of_ring);
        self.page.put(authority);
        self.page.put(additional.bytes);
        self.counts.0 -= u64::from(all.count - additional.count);
        let extra = self.put_all(answers.extra(template, places, records));
        self.counts += Counts::additionals(extra);
        patch(self.snapshot, *hit, named, &mut self.page.written()[start..], ring_len);
        Ok(())
    }

    /// The question, and TC: ask again over TCP.
    pub(super) fn truncated(&mut self, flags: u16, cell: Cell) -> Reply {
        self.page.cut(self.query.opening.len());
        self.counts = Counts::default();
        self.finish(flags | TC, cell)
    }

    /// OPT last, then the header, whose counts are known by now.
    pub(super) fn finish(&mut self, flags: u16, cell: Cell) -> Reply {
        let rcode = cell.rcode();
        if let Some(opt) = &self.opt {
            opt.write(rcode, self.limit, &mut self.page);
            self.counts += Counts::additionals(1);
        }
        let words = QR | flags & !RCODE | rcode & RCODE | self.query.flags & RD;
        if self.query.has_question() {
            self.counts += Counts::QUESTION;
        }
        let len = self.page.len();
        if let Some(room) = self.page.written().first_chunk_mut() {
            *room = header(self.query.id, words, self.counts);
        }
        Reply { len: len as u16, cell, is_truncated: flags & TC != 0, is_known: false }
    }

    /// How many records they are.
    fn put_all(&mut self, pieces: Pieces<'_>) -> u16 {
        let mut records = 0;
        for piece in pieces {
            self.page.put(piece.bytes);
            records += piece.count;
        }
        records
    }
}

/// Fills in what a template could not know: where the name is that it points to, how much longer that is than the one it
/// was compiled for, and the serial of now. `records`: its whole answer; `ring`: how many bytes of that are the ring's.
#[inline(always)]
pub(super) fn patch(snapshot: &Snapshot, hit: Hit<'_>, named: Named, records: &mut [u8], ring: usize) {
    if named.len > hit.template.untouched_len() || named.at > HEADER {
        patch_each(snapshot, hit, named, records, ring);
    }
}

#[inline(never)]
fn patch_each(snapshot: &Snapshot, hit: Hit<'_>, named: Named, records: &mut [u8], ring: usize) {
    let head = hit.template.head_len() as usize;
    let place = |at: u32| at as usize + if at as usize >= head { ring } else { 0 };
    if let Some((at, zone)) = hit.template.serial() {
        let serial = snapshot.serial(zone).0;
        records[place(at)..place(at) + 4].copy_from_slice(&serial.to_be_bytes());
    }
    if named.at > HEADER {
        super::redirect::move_pointers(records, (named.at - HEADER) as u16);
    }
    let surplus = (named.len - hit.template.anchor_len()) as u16;
    if surplus > 0 {
        let (end, relocations) = (records.len(), hit.answers.relocations(hit.template));
        for at in relocations.iter().map(|&at| place(at)).filter(|&at| at < end) {
            let pointer = u16::from_be_bytes([records[at], records[at + 1]]) + surplus;
            records[at..at + 2].copy_from_slice(&pointer.to_be_bytes());
        }
    }
}

fn length(pieces: Pieces<'_>) -> usize {
    pieces.map(|piece| piece.bytes.len()).sum()
}

/// Of how many of the chosen records the additional ones fit.
fn fitting(hit: &Hit<'_>, places: &Places, room: usize) -> u16 {
    let mut records = places.len();
    while length(hit.answers.extra(hit.template, places, records)) > room {
        records -= 1;
    }
    records
}

#[inline]
pub(super) fn header(id: [u8; 2], flags: u16, counts: Counts) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..2].copy_from_slice(&id);
    header[2..4].copy_from_slice(&flags.to_be_bytes());
    header[4..].copy_from_slice(&counts.0.to_be_bytes());
    header
}
