//! The one place that writes records in wire form (RFC 1035 §4.1.3); OPT excepted.
//!
//! Names are compressed (§4.1.4) against one name only: the *anchor*, a suffix of the question that is known
//! before any query comes. So a record can be copied to any place in a reply without touching its pointers.
//! Where the question may be longer than the anchor (below a wildcard, a cut, or a name that does not exist)
//! the pointers move by the difference, and their places are noted as relocations.

use hickory_proto::rr::{Name as Spelled, RData};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

use crate::name;
use crate::units::Ttl;

/// Where the question's name starts in every message.
pub(crate) const QUESTION: u16 = 12;

/// The pointer to the question's name.
const TO_QUESTION: [u8; 2] = (0xc000 | QUESTION).to_be_bytes();

const CLASS_IN: [u8; 2] = 1_u16.to_be_bytes();

/// The name that pointers point into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor<'n> {
    /// Lowered wire form of a suffix of the question.
    pub(super) name: &'n [u8],
    /// Whether pointers are allowed, and whether they have to be noted.
    pub(super) pointers: Pointers,
}

/// What a record may do with pointers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pointers {
    /// The question is the anchor.
    Fixed,
    /// The question ends in the anchor: note where pointers are.
    Noted,
    /// The record moves about in the reply, and the question is longer than the anchor.
    None,
}

/// Whose record it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner<'n> {
    /// The name that was asked for.
    Question,
    /// Another name.
    Name(&'n Spelled),
}

/// Records that follow one another in a reply.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The wire form.
    pub(super) bytes: Vec<u8>,
    /// How many they are.
    pub(super) count: u16,
    /// Where pointers stand that move with the question's length.
    pub(super) relocations: Vec<u32>,
    /// Where a SOA's serial stands.
    pub(super) serial: Option<u32>,
}

impl Records {
    /// Adds one record.
    pub(super) fn push(&mut self, anchor: Anchor<'_>, owner: Owner<'_>, ttl: Ttl, rdata: &RData) {
        match owner {
            Owner::Question => self.bytes.extend_from_slice(&TO_QUESTION),
            Owner::Name(owner) => self.name(anchor, owner),
        }
        self.bytes.extend_from_slice(&u16::from(rdata.record_type()).to_be_bytes());
        self.bytes.extend_from_slice(&CLASS_IN);
        self.bytes.extend_from_slice(&ttl.seconds().to_be_bytes());
        let length_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.rdata(anchor, rdata);
        let length = (self.bytes.len() - length_at - 2) as u16;
        self.bytes[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        self.count = self.count.saturating_add(1); // so many fit into no message
    }

    /// The well-known types may hold pointers (RFC 3597 §4), SRV and all later ones may not.
    fn rdata(&mut self, anchor: Anchor<'_>, rdata: &RData) {
        match rdata {
            RData::A(a) => self.bytes.extend_from_slice(&a.octets()),
            RData::AAAA(aaaa) => self.bytes.extend_from_slice(&aaaa.octets()),
            RData::NS(ns) => self.name(anchor, &ns.0),
            RData::CNAME(cname) => self.name(anchor, &cname.0),
            RData::PTR(ptr) => self.name(anchor, &ptr.0),
            RData::MX(mx) => {
                self.bytes.extend_from_slice(&mx.preference.to_be_bytes());
                self.name(anchor, &mx.exchange);
            }
            RData::SOA(soa) => {
                self.name(anchor, &soa.mname);
                self.name(anchor, &soa.rname);
                self.serial = Some(self.bytes.len() as u32);
                for number in
                    [soa.serial, timer(soa.refresh), timer(soa.retry), timer(soa.expire), soa.minimum]
                {
                    self.bytes.extend_from_slice(&number.to_be_bytes());
                }
            }
            other => self.bytes.extend_from_slice(&encode(other)),
        }
    }

    fn name(&mut self, anchor: Anchor<'_>, spelled: &Spelled) {
        let wire = name::wire(spelled);
        let Some((prefix, target)) = shared_suffix(&wire, anchor) else {
            self.bytes.extend_from_slice(&wire);
            return;
        };
        self.bytes.extend_from_slice(&wire[..prefix]);
        if anchor.pointers == Pointers::Noted {
            self.relocations.push(self.bytes.len() as u32);
        }
        self.bytes.extend_from_slice(&(0xc000 | target).to_be_bytes());
    }
}

/// hickory reads the SOA's timers as signed; the wire has 32 bits either way.
const fn timer(seconds: i32) -> u32 {
    seconds.cast_unsigned()
}

/// The length of what stands before the longest suffix that `wire` shares with the anchor, and where that
/// suffix is in the message; the root alone is not worth a pointer.
fn shared_suffix(wire: &[u8], anchor: Anchor<'_>) -> Option<(usize, u16)> {
    if anchor.pointers == Pointers::None {
        return None;
    }
    let mut suffix = wire;
    while suffix.len() > 1 {
        let mut candidate = Some(anchor.name);
        while let Some(name) = candidate.filter(|name| name.len() >= suffix.len()) {
            if name.eq_ignore_ascii_case(suffix) {
                let target = usize::from(QUESTION) + anchor.name.len() - name.len();
                return Some((wire.len() - suffix.len(), target as u16));
            }
            candidate = name::parent(name);
        }
        suffix = name::parent(suffix)?;
    }
    None
}

/// The rdata alone, without compression.
pub(super) fn rdata(rdata: &RData) -> Vec<u8> {
    let mut records = Records::default();
    records.rdata(Anchor { name: b"\0", pointers: Pointers::None }, rdata);
    records.bytes
}

/// All other types as hickory writes them, without compression.
fn encode(rdata: &RData) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    // The zone was read from text, so its rdata is known to fit; an encoder can only fail for want of room.
    let written = rdata.emit(&mut encoder);
    debug_assert!(written.is_ok(), "{written:?}");
    bytes
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{CNAME, SRV};

    use super::*;
    use crate::name::Name;

    fn spelled(text: &str) -> Spelled {
        Spelled::from_ascii(text).unwrap()
    }

    fn written(pointers: Pointers, rdata: &RData) -> (Vec<u8>, Vec<u32>) {
        let anchor = Name::parse("a.example.org").unwrap();
        let anchor = Anchor { name: anchor.as_wire(), pointers };
        let mut records = Records::default();
        records.push(anchor, Owner::Question, Ttl::new(30).unwrap(), rdata);
        (records.bytes[12..].to_vec(), records.relocations)
    }

    #[test]
    fn names_point_to_the_longest_suffix_of_the_question() {
        let cname = RData::CNAME(CNAME(spelled("B.Example.org.")));
        assert_eq!(written(Pointers::Fixed, &cname).0, b"\x01B\xc0\x0e");
        assert_eq!(written(Pointers::Noted, &cname).1, [14]);
        assert_eq!(written(Pointers::None, &cname).0, b"\x01B\x07Example\x03org\0");
        let other = RData::CNAME(CNAME(spelled("b.example.net.")));
        assert_eq!(written(Pointers::Fixed, &other).0, b"\x01b\x07example\x03net\0");
    }

    #[test]
    fn srv_targets_are_never_compressed() {
        let srv = RData::SRV(SRV::new(0, 5, 8140, spelled("b.example.org.")));
        let expected = b"\x00\x00\x00\x05\x1f\xcc\x01b\x07example\x03org\0";
        assert_eq!(written(Pointers::Fixed, &srv).0, expected);
    }
}
