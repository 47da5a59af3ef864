//! Reads a query: header, one question, and the OPT record where there is one (RFC 1035 §4.1, RFC 6891).

use super::edns::Edns;
use crate::name;

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

const QR: u16 = 0x8000;
const OPCODE: u16 = 0x7800;

const CLASS_IN: u16 = 1;
const CLASS_CH: u16 = 3;
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
    /// QTYPE.
    pub(super) record_type: u16,
    class: u16,
    /// What stands behind the question, and how many records that should be.
    rest: &'q [u8],
    additionals: u16,
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
    /// Reads `message`, its OPT record apart.
    #[inline(always)]
    pub(super) fn parse(message: &'q [u8]) -> Result<Self, Refusal> {
        let header = message.first_chunk::<HEADER>().ok_or(Refusal::Silence)?;
        let [id_high, id_low, flags @ .., _, _, _, _, _, _, _, _] = *header;
        let [_, _, _, _, counts @ ..] = *header;
        let flags = u16::from_be_bytes(flags);
        if flags & (QR | OPCODE) != 0 {
            return Err(if flags & QR != 0 { Refusal::Silence } else { Refusal::Header(NOTIMP) });
        }
        let counts = u64::from_be_bytes(counts);
        let (questions, additionals) = (counts >> 48, counts as u16);
        if counts & 0xfffe_ffff_ffff_0000 != 0 {
            return Err(MALFORMED); // more than one question, answers, authorities
        }
        let (len, fixed) = if questions == 0 {
            (HEADER, [0; 4])
        } else {
            let end = name_end(message).ok_or(MALFORMED)?;
            (end + 4, *message[end..].first_chunk::<4>().ok_or(MALFORMED)?)
        };
        let (opening, rest) = message.split_at_checked(len).ok_or(MALFORMED)?;
        let [record_type, class] = [[fixed[0], fixed[1]], [fixed[2], fixed[3]]].map(u16::from_be_bytes);
        Ok(Self { id: [id_high, id_low], flags, opening, record_type, class, rest, additionals })
    }

    /// Whether the question is all there is.
    #[inline(always)]
    pub(super) fn is_bare(&self) -> bool {
        self.additionals == 0 && self.rest.is_empty()
    }

    /// The OPT record, if there is one.
    pub(super) fn edns(&self) -> Result<Option<Edns<'q>>, Refusal> {
        read_additionals(self.rest, self.additionals)
    }

    /// The name of the question, as it came.
    pub(super) fn name(&self) -> &'q [u8] {
        if self.has_question() { &self.opening[HEADER..self.opening.len() - 4] } else { &[] }
    }

    /// Whether anything is asked.
    pub(super) const fn has_question(&self) -> bool {
        self.opening.len() > HEADER
    }

    /// What is to be looked up; if nothing, the rcode it gets.
    #[inline(always)]
    pub(super) fn judge(&self, edns: Option<&Edns<'_>>) -> Result<Subject, u16> {
        if edns.is_some_and(|edns| edns.version > 0) {
            return Err(BADVERS);
        }
        match (self.class, self.record_type) {
            (CLASS_IN, 1..TYPE_OPT) => Ok(Subject::Zones),
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

/// Where the question's name ends: it is not compressed.
#[inline(always)]
fn name_end(message: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        match *message.get(at)? {
            0 => return (at < HEADER + name::MAX_LEN).then_some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            _ => return None,
        }
    }
}

/// The OPT record among the additional records, which are all there may be behind the question.
fn read_additionals(mut rest: &[u8], count: u16) -> Result<Option<Edns<'_>>, Refusal> {
    let mut edns = None;
    for _ in 0..count {
        let (record, behind) = read_record(rest).ok_or(MALFORMED)?;
        if record.record_type == TYPE_OPT {
            let opt = Edns::read(&record).ok_or(MALFORMED)?;
            if edns.replace(opt).is_some() {
                return Err(MALFORMED); // RFC 6891 §6.1.1: at most one
            }
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
