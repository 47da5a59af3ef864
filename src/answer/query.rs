//! Reads a query: header, one question, and the OPT record where there is one (RFC 1035 §4.1, RFC 6891).

use super::edns::Edns;
use crate::name;
use crate::snapshot::flags::{OPCODE, QR};

/// FORMERR: the query cannot be read.
pub(super) const FORMERR: u16 = 1;
/// NOTIMP: the query is of a kind that is not served.
pub(super) const NOTIMP: u16 = 4;
/// REFUSED: the question is outside all zones, or for a transfer.
pub(super) const REFUSED: u16 = 5;
/// BADVERS, an extended rcode (RFC 6891 §6.1.3).
pub(super) const BADVERS: u16 = 16;

/// The length of a header.
pub(super) const HEADER: usize = 12;

const CLASS_IN: u16 = 1;
const CLASS_CH: u16 = 3;
/// Class IN above the first and behind the last type of ordinary records.
const IN_A: u32 = 0x0001_0001;
const IN_OPT: u32 = 0x0001_0000 | TYPE_OPT as u32;
const TYPE_OPT: u16 = 41;
const TYPE_TSIG: u16 = 250;
const TYPE_IXFR: u16 = 251;
const TYPE_AXFR: u16 = 252;
const TYPE_MAILB: u16 = 253;
const TYPE_MAILA: u16 = 254;

/// A query that could be read.
#[derive(Debug)]
pub(super) struct Query<'q> {
    /// The first two bytes.
    pub(super) id: [u8; 2],
    /// The flags as they came.
    pub(super) flags: u16,
    /// Header and question as they came; no question where only a cookie is asked for (RFC 7873 §5.4).
    pub(super) opening: &'q [u8],
    /// QNAME, as it came.
    pub(super) name: &'q [u8],
    /// QTYPE.
    pub(super) record_type: u16,
    class: u16,
    /// What stands behind the question, and how many records that should be.
    pub(super) rest: &'q [u8],
    pub(super) additionals: u16,
}

/// What a query is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// Records of the zones.
    Zones,
    /// The server itself: class CH.
    Server,
    /// A cookie alone.
    Cookie,
}

/// Why a query gets no real answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not worth a reply: no header, or a response (which must never be answered: two servers would go
    /// on for ever).
    Silence,
    /// A header with this rcode is all that it gets.
    Header(u16),
}

const MALFORMED: Refusal = Refusal::Header(FORMERR);

impl<'q> Query<'q> {
    /// Reads `message`, and its OPT record where it has one.
    pub(super) fn parse(message: &'q [u8]) -> Result<(Self, Option<Edns<'q>>), Refusal> {
        let query = match message.get(..HEADER) {
            Some(header @ [id_high, id_low, rd, ra, 0, 0, 0, 0, 0, 0, additionals @ ..]) => Self {
                id: [*id_high, *id_low],
                flags: checked_flags([*rd, *ra])?,
                opening: header,
                name: &[],
                record_type: 0,
                class: 0,
                rest: &message[HEADER..],
                additionals: additionals.iter().fold(0, |sum, &byte| sum << 8 | u16::from(byte)),
            },
            _ => Self::with_question(message).map_err(|refusal| or_refused(refusal, message))?,
        };
        let edns = read_additionals(query.rest, query.additionals)?;
        Ok((query, edns))
    }

    /// Reads a message with a question, up to what stands behind it.
    #[inline(always)]
    pub(super) fn with_question(message: &'q [u8]) -> Result<Self, Refusal> {
        let (header, body) = message.split_first_chunk::<HEADER>().ok_or(Refusal::Silence)?;
        let [id_high, id_low, rd, ra, counts @ .., high, low] = *header;
        let flags = checked_flags([rd, ra])?;
        if counts != [0, 1, 0, 0, 0, 0] {
            return Err(MALFORMED); // one question, no answers, no authorities
        }
        let end = name_len(body).ok_or(MALFORMED)? + 4;
        let (question, rest) = body.split_at_checked(end).ok_or(MALFORMED)?;
        let (name, fixed) = question.split_last_chunk::<4>().ok_or(MALFORMED)?;
        let opening = &message[..HEADER + end];
        let [record_type, class] = [[fixed[0], fixed[1]], [fixed[2], fixed[3]]].map(u16::from_be_bytes);
        let additionals = u16::from_be_bytes([high, low]);
        Ok(Self { id: [id_high, id_low], flags, opening, name, record_type, class, rest, additionals })
    }

    /// Whether it is for ordinary records of the zones.
    #[inline(always)]
    pub(super) fn asks_for_records(&self) -> bool {
        let both = u32::from(self.class) << 16 | u32::from(self.record_type);
        (IN_A..IN_OPT).contains(&both)
    }

    /// Whether anything is asked.
    pub(super) const fn has_question(&self) -> bool {
        self.opening.len() > HEADER
    }

    /// What is to be looked up; if nothing, the rcode it gets.
    #[inline(always)]
    pub(super) fn judge(&self, edns: Option<&Edns<'_>>) -> Result<Subject, u16> {
        match edns {
            Some(edns) if edns.is_malformed => return Err(FORMERR),
            Some(edns) if edns.version > 0 => return Err(BADVERS),
            _ => {}
        }
        match (self.class, self.record_type) {
            (0, 0) if !self.has_question() => {
                let asks = edns.is_some_and(|edns| edns.options.cookie.is_some());
                if asks { Ok(Subject::Cookie) } else { Err(FORMERR) }
            }
            (_, TYPE_OPT | TYPE_TSIG) => Err(FORMERR),
            (CLASS_CH, _) => Ok(Subject::Server),
            (CLASS_IN, TYPE_AXFR | TYPE_IXFR) => Err(REFUSED),
            (CLASS_IN, TYPE_MAILA | TYPE_MAILB) => Err(NOTIMP),
            (CLASS_IN, _) => Ok(Subject::Zones),
            _ => Err(REFUSED),
        }
    }
}

/// A query for a transfer since a serial, which stands in its authority section (RFC 1995 §3), is not malformed but refused.
fn or_refused(refusal: Refusal, message: &[u8]) -> Refusal {
    let is_transfer = || {
        let (header, body) = message.split_first_chunk::<HEADER>()?;
        let (_, behind) = body.split_at_checked(name_len(body)?)?;
        Some(header[4..10] == [0, 1, 0, 0, 0, 1] && behind.starts_with(&TYPE_IXFR.to_be_bytes()))
    };
    if refusal == MALFORMED && is_transfer() == Some(true) { Refusal::Header(REFUSED) } else { refusal }
}

/// The flags of a query.
#[inline(always)]
fn checked_flags(flags: [u8; 2]) -> Result<u16, Refusal> {
    let flags = u16::from_be_bytes(flags);
    if flags & (QR | OPCODE) == 0 {
        return Ok(flags);
    }
    Err(if flags & QR != 0 { Refusal::Silence } else { Refusal::Header(NOTIMP) })
}

/// The length of the question's name, which is not compressed.
#[inline(always)]
fn name_len(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    let end = loop {
        let len = *body.get(at)?;
        if len.wrapping_sub(1) >= 63 {
            break len; // the root, or no label
        }
        at += 1 + usize::from(len);
    };
    (end == 0 && at < name::MAX_LEN).then_some(at + 1)
}

/// The OPT record among the additional records, which are all there may be behind the question.
fn read_additionals(mut rest: &[u8], count: u16) -> Result<Option<Edns<'_>>, Refusal> {
    let mut edns: Option<Edns<'_>> = None;
    for _ in 0..count {
        let (record, behind) = read_record(rest).ok_or(MALFORMED)?;
        if record.record_type == TYPE_OPT {
            edns = Some(match edns {
                None => Edns::read(&record),
                Some(first) => first.malformed(), // RFC 6891 §6.1.1: at most one
            });
        }
        rest = behind;
    }
    if rest.is_empty() { Ok(edns) } else { Err(MALFORMED) }
}

/// A record of the additional section.
#[derive(Debug)]
pub(super) struct Additional<'q> {
    /// Whether the root owns it.
    pub(super) of_root: bool,
    /// TYPE.
    pub(super) record_type: u16,
    /// CLASS.
    pub(super) class: u16,
    /// TTL.
    pub(super) ttl: u32,
    /// RDATA.
    pub(super) rdata: &'q [u8],
}

fn read_record(rest: &[u8]) -> Option<(Additional<'_>, &[u8])> {
    let (of_root, rest) = skip_name(rest)?;
    let (fixed, rest) = rest.split_at_checked(10)?;
    let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    let (rdata, behind) = rest.split_at_checked(usize::from(word(8)))?;
    let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    Some((Additional { of_root, record_type: word(0), class: word(2), ttl, rdata }, behind))
}

/// Whether the name is the root, and what stands behind it. Pointers are not followed.
fn skip_name(mut rest: &[u8]) -> Option<(bool, &[u8])> {
    let of_root = rest.first() == Some(&0);
    loop {
        let (&len, behind) = rest.split_first()?;
        match len {
            0 => return Some((of_root, behind)),
            1..=63 => rest = behind.get(usize::from(len)..)?,
            192..=255 => return Some((of_root, behind.get(1..)?)),
            _ => return None,
        }
    }
}
