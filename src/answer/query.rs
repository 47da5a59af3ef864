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
const TYPE_OPT: u16 = 41;
const TYPE_TSIG: u16 = 250;
const TYPE_IXFR: u16 = 251;
const TYPE_AXFR: u16 = 252;
const TYPE_MAILB: u16 = 253;
const TYPE_MAILA: u16 = 254;

/// Room for the lowered name of a question.
pub(super) type NameBuf = NameBytes<{ name::MAX_LEN }>;

/// Bytes on the stack.
pub(super) struct NameBytes<const N: usize>([u8; N]);

impl<const N: usize> NameBytes<N> {
    pub(super) const fn new() -> Self {
        Self([0; N])
    }
}

/// A query that could be read.
#[derive(Debug)]
pub(super) struct Query<'q> {
    /// The first four bytes: id and flags.
    pub(super) id: [u8; 2],
    /// RD as it came.
    pub(super) flags: u16,
    /// Name, type and class as they came.
    pub(super) question: &'q [u8],
    /// The name, lowered.
    pub(super) name: &'q [u8],
    /// QTYPE.
    pub(super) record_type: u16,
    class: u16,
    /// The OPT record.
    pub(super) edns: Option<Edns>,
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
    /// Reads `message`; its lowered name goes to `name`.
    pub(super) fn parse(message: &'q [u8], name: &'q mut NameBuf) -> Result<Self, Refusal> {
        let (header, body) = message.split_at_checked(HEADER).ok_or(Refusal::Silence)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let flags = word(2);
        if flags & QR != 0 {
            return Err(Refusal::Silence);
        }
        if flags & OPCODE != 0 {
            return Err(Refusal::Header(NOTIMP));
        }
        let [questions, answers, authorities, additionals] = [4, 6, 8, 10].map(word);
        if (questions, answers, authorities) != (1, 0, 0) {
            return Err(MALFORMED);
        }
        let name_len = lower_name(body, &mut name.0).ok_or(MALFORMED)?;
        let (question, rest) = body.split_at_checked(name_len + 4).ok_or(MALFORMED)?;
        let word = |at: usize| u16::from_be_bytes([question[at], question[at + 1]]);
        Ok(Self {
            id: [header[0], header[1]],
            flags,
            question,
            name: &name.0[..name_len],
            record_type: word(name_len),
            class: word(name_len + 2),
            edns: read_additionals(rest, additionals)?,
        })
    }

    /// Whether it can be looked up; if not, the rcode it gets.
    pub(super) fn judge(&self) -> Result<(), u16> {
        if self.edns.is_some_and(|edns| edns.version > 0) {
            return Err(BADVERS);
        }
        if self.class != CLASS_IN {
            return Err(REFUSED);
        }
        match self.record_type {
            TYPE_AXFR | TYPE_IXFR => Err(REFUSED),
            TYPE_MAILA | TYPE_MAILB => Err(NOTIMP),
            TYPE_OPT | TYPE_TSIG => Err(FORMERR),
            _ => Ok(()),
        }
    }
}

/// Copies an uncompressed name in lower case; its length.
fn lower_name(body: &[u8], lowered: &mut [u8]) -> Option<usize> {
    const POINTER_OR_RESERVED: u8 = 0xc0;
    let mut at = 0;
    loop {
        let len = *body.get(at)?;
        if len & POINTER_OR_RESERVED != 0 {
            return None;
        }
        let end = at + 1 + usize::from(len);
        lowered.get_mut(at..end)?.copy_from_slice(body.get(at..end)?);
        lowered[at + 1..end].make_ascii_lowercase();
        if len == 0 {
            return Some(end);
        }
        at = end;
    }
}

/// The OPT record among the additional records, which are all there may be behind the question.
fn read_additionals(mut rest: &[u8], count: u16) -> Result<Option<Edns>, Refusal> {
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
