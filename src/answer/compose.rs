//! Puts a reply together: copies stretches of a template, patches what only the query knows.

use super::Reply;
use super::edns::{ExtendedError, ReplyOpt};
use super::page::Page;
use super::query::{HEADER, Query};
use crate::snapshot::draw::Places;
use crate::snapshot::{Hit, Pieces};

const QR: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const RCODE: u16 = 0x000f;

/// The counts of a header, the questions apart (RFC 1035 §4.1.1).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) answers: u16,
    pub(super) authorities: u16,
    pub(super) additionals: u16,
}

/// A reply to a query whose question could be read.
pub(super) struct Composer<'c, 'b> {
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
    page.put(&header([query[0], query[1]], flags, 0, Counts::default()));
    Reply { len: page.len(), rcode, is_truncated: false, is_known: false }
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
    /// A reply with the question, and room for the header.
    #[inline]
    pub(super) fn new(
        query: &'c Query<'c>,
        opt: Option<ReplyOpt<'c>>,
        limit: usize,
        mut page: Page<'b>,
    ) -> Self {
        page.put(&[0; HEADER]);
        page.put(query.question);
        Self { query, opt, limit, page, counts: Counts::default() }
    }

    /// The reply without records. BADVERS needs EDNS.
    pub(super) fn without_records(mut self, rcode: u16, error: Option<ExtendedError>) -> Reply {
        if let (Some(opt), Some(error)) = (&mut self.opt, error) {
            opt.tell(error);
        }
        self.finish(0, rcode)
    }

    /// The reply that a template is, or the empty truncated one where it does not fit.
    #[inline]
    pub(super) fn records(mut self, hit: &Hit<'_>, places: &Places) -> Reply {
        let named = Named { at: HEADER, len: self.query.name().len() };
        match self.append(hit, places, named) {
            Ok(()) => self.finish(hit.template.flags, hit.template.flags & RCODE),
            Err(Full) => self.truncated(hit.template.flags),
        }
    }

    /// Adds the records of a template behind what is there.
    #[inline]
    pub(super) fn append(&mut self, hit: &Hit<'_>, places: &Places, named: Named) -> Result<(), Full> {
        let (answers, template) = (hit.answers, hit.template);
        if let Some(opt) = &mut self.opt {
            if template.fails_open {
                opt.tell(ExtendedError::FailsOpen);
            }
            if template.is_tailored() {
                opt.tailor();
            }
        }
        let (head, authority) = (answers.head(template), answers.authority(template));
        let ring = answers.ring(template, places);
        let ring_len = length(ring.clone());
        let start = self.page.len();
        let room = self.limit.checked_sub(self.opt.as_ref().map_or(0, ReplyOpt::len)).ok_or(Full)?;
        let room = room.checked_sub(start + head.len() + ring_len + authority.len()).ok_or(Full)?;
        let additional = answers.additional(template);
        let (with_additional, records) = match room.checked_sub(additional.bytes.len()) {
            Some(room) => (true, fitting(hit, places, room)),
            None if template.additionals_required => return Err(Full), // RFC 9471 §3.1
            None => (false, 0),
        };
        self.put(head);
        self.counts.answers += template.answers + self.put_all(ring);
        self.put(authority);
        self.counts.authorities += template.authorities;
        let mut fixed = head.len() + authority.len();
        if with_additional {
            self.put(additional.bytes);
            fixed += additional.bytes.len();
            self.counts.additionals += additional.count;
            self.counts.additionals += self.put_all(answers.extra(template, places, records));
        }
        if named.len > hit.anchor_len || named.at > HEADER || hit.serial.is_some() {
            self.patch(hit, named, start, ring_len, fixed);
        }
        Ok(())
    }

    /// Fills in what the template could not know: where the name is that it points to, how much longer that is than
    /// the one it was compiled for, and the serial of now.
    fn patch(&mut self, hit: &Hit<'_>, named: Named, start: usize, ring: usize, fixed: usize) {
        let head = hit.template.head_len() as usize;
        let place = |at: u32| start + at as usize + if at as usize >= head { ring } else { 0 };
        let written = self.page.written();
        if let Some((at, serial)) = hit.serial {
            written[place(at)..place(at) + 4].copy_from_slice(&serial.0.to_be_bytes());
        }
        if named.at > HEADER {
            super::redirect::move_pointers(&mut written[start..], (named.at - HEADER) as u16);
        }
        let surplus = (named.len - hit.anchor_len) as u16;
        if surplus > 0 {
            for &at in hit.answers.relocations(hit.template).iter().filter(|&&at| (at as usize) < fixed) {
                let place = place(at);
                let pointer = u16::from_be_bytes([written[place], written[place + 1]]) + surplus;
                written[place..place + 2].copy_from_slice(&pointer.to_be_bytes());
            }
        }
    }

    /// The question, and TC: ask again over TCP.
    pub(super) fn truncated(mut self, flags: u16) -> Reply {
        self.page.cut(HEADER + self.query.question.len());
        self.counts = Counts::default();
        self.finish(flags & !RCODE | TC, flags & RCODE)
    }

    /// OPT last, then the header, whose counts are known by now.
    #[inline]
    pub(super) fn finish(mut self, flags: u16, rcode: u16) -> Reply {
        if let Some(opt) = &self.opt {
            opt.write(rcode, self.limit, &mut self.page);
            self.counts.additionals += 1;
        }
        let words = QR | flags & !RCODE | rcode & RCODE | self.query.flags & RD;
        let questions = u16::from(!self.query.question.is_empty());
        let len = self.page.len();
        self.page.written()[..HEADER].copy_from_slice(&header(self.query.id, words, questions, self.counts));
        Reply { len, rcode, is_truncated: flags & TC != 0, is_known: false }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.page.put(bytes);
        }
    }

    /// How many records they are.
    #[inline]
    fn put_all(&mut self, pieces: Pieces<'_>) -> u16 {
        let mut records = 0;
        for piece in pieces {
            self.page.put(piece.bytes);
            records += piece.count;
        }
        records
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
fn header(id: [u8; 2], flags: u16, questions: u16, counts: Counts) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..2].copy_from_slice(&id);
    let words = [flags, questions, counts.answers, counts.authorities, counts.additionals];
    for (bytes, word) in header[2..].as_chunks_mut::<2>().0.iter_mut().zip(words) {
        *bytes = word.to_be_bytes();
    }
    header
}
