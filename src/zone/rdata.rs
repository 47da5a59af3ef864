//! The data of a record, from its words.
//!
//! Types with names in them are read here, because hickory-proto's text parsers know no origin, and so are
//! character strings, whose escapes it leaves alone outside quotes, and the types it has no text form for
//! (DNAME, DS). All others are hickory's.

use std::fmt;
use std::str::FromStr;

use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, NULL, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name as Spelled, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, Restrict};
use hickory_proto::serialize::txt::parse_ttl;

use super::DNAME;
use super::scan::Token;
use crate::name::{self, unescape};
use crate::prose::plural;

/// Why rdata cannot be read: the sentence, and the word at fault (the type's, where it is none of them).
#[derive(Debug)]
pub(super) struct BadRdata {
    pub(super) why: String,
    pub(super) word: Option<usize>,
}

/// What stands before the digest of a DS record (RFC 4034 §5.1).
const DS_HEAD: usize = 4;

/// A type of records by its mnemonic, or as `TYPE65280` (RFC 3597 §5). Types that only questions and messages have are none
/// (RFC 6895 §3.1).
pub(super) fn record_type(text: &str) -> Option<RecordType> {
    let upper = text.to_ascii_uppercase();
    let found = match upper.strip_prefix("TYPE").and_then(|number| number.parse::<u16>().ok()) {
        Some(number) => Some(RecordType::from(number)),
        None => RecordType::from_str(&upper).ok().filter(|t| !matches!(t, RecordType::Unknown(_))),
    };
    found.filter(|found| !matches!(u16::from(*found), 0 | 41 | 128..=255))
}

/// Reads the rdata of a record.
pub(super) fn parse(
    record_type: RecordType,
    words: &[Token<'_>],
    origin: Option<&Spelled>,
) -> Result<RData, BadRdata> {
    if words.first().is_some_and(|word| word.text == r"\#" && !word.quoted) {
        return generic(record_type, &words[1..]);
    }
    let mut fields = Fields { words, next: 0, origin };
    let rdata = match record_type {
        RecordType::A => RData::A(A(fields.parsed("an IPv4 address")?)),
        RecordType::AAAA => RData::AAAA(AAAA(fields.parsed("an IPv6 address")?)),
        RecordType::NS => RData::NS(NS(fields.name()?)),
        RecordType::CNAME => RData::CNAME(CNAME(fields.name()?)),
        RecordType::PTR => RData::PTR(PTR(fields.name()?)),
        RecordType::MX => RData::MX(MX::new(fields.parsed("a preference (0 to 65535)")?, fields.name()?)),
        RecordType::SRV => RData::SRV(fields.srv()?),
        RecordType::SOA => RData::SOA(fields.soa()?),
        RecordType::TXT => RData::TXT(TXT::from_bytes(fields.strings()?.iter().map(Vec::as_slice).collect())),
        RecordType::DS => fields.ds()?,
        other @ DNAME => unknown(other, name::wire(&fields.name()?)),
        RecordType::Unknown(_) => return Err(bad("a type without a text form needs `\\# LENGTH HEX`", None)),
        other => return by_hickory(other, words, origin),
    };
    fields.end()?;
    Ok(rdata)
}

fn bad(why: impl Into<String>, word: Option<usize>) -> BadRdata {
    BadRdata { why: why.into(), word }
}

fn unknown(code: RecordType, bytes: Vec<u8>) -> RData {
    let mut rdata = NULL::new(); // `with` takes no empty data, which RFC 3597 §5 does
    rdata.anything = bytes;
    RData::Unknown { code, rdata }
}

/// `\# LENGTH HEX…` (RFC 3597 §5).
fn generic(record_type: RecordType, words: &[Token<'_>]) -> Result<RData, BadRdata> {
    let length: u16 = words
        .first()
        .and_then(|word| word.text.parse().ok())
        .ok_or_else(|| bad("a length is expected", Some(1)))?;
    let hex: String = words[1..].iter().map(|word| word.text).collect();
    let bytes = unhex(&hex).ok_or_else(|| bad("this is not hexadecimal", Some(2)))?;
    if bytes.len() != usize::from(length) {
        let announced = plural(length, "byte is", "bytes are");
        return Err(bad(format!("{announced} announced, and the data has {}", bytes.len()), Some(1)));
    }
    let bad_data = |e: &dyn fmt::Display| bad(e.to_string(), Some(2));
    let mut decoder = BinDecoder::new(&bytes);
    match record_type {
        RecordType::Unknown(_) => Ok(unknown(record_type, bytes)),
        RecordType::DS if bytes.len() > DS_HEAD => Ok(unknown(record_type, bytes)),
        RecordType::DS => Err(bad("there is no digest in it", Some(2))),
        DNAME => {
            let name = Spelled::read(&mut decoder).map_err(|e| bad_data(&e))?;
            let is_all = decoder.is_empty();
            is_all
                .then(|| unknown(DNAME, name::wire(&name)))
                .ok_or_else(|| bad_data(&"more follows the name"))
        }
        _ => RData::read(&mut decoder, record_type, Restrict::new(length)).map_err(|e| bad_data(&e)),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Where the name is in types that hickory reads, and that may be relative.
const fn name_place(record_type: RecordType) -> Option<usize> {
    match record_type {
        RecordType::ANAME => Some(0),
        RecordType::SVCB | RecordType::HTTPS => Some(1),
        RecordType::NAPTR => Some(5),
        _ => None,
    }
}

fn by_hickory(
    record_type: RecordType,
    words: &[Token<'_>],
    origin: Option<&Spelled>,
) -> Result<RData, BadRdata> {
    let mut text = String::new();
    for (i, word) in words.iter().enumerate() {
        if name_place(record_type) == Some(i) {
            text += &name::spell(word.text, origin).map_err(|e| bad(e.to_string(), Some(i)))?.to_ascii();
        } else if word.quoted {
            text.extend(["\"", word.text, "\""]);
        } else {
            text += word.text;
        }
        text.push(' ');
    }
    let read = RData::try_from_str(record_type, &text);
    // It reads what it cannot write: an `alpn=` without a value.
    let writable = |rdata: RData| rdata.to_bytes().map_err(|e| bad(e.to_string(), None)).map(|_| rdata);
    read.map_err(|e| match e.to_string() {
        // hickory writes these types itself, when it signs.
        why if why.contains("dynamically generated") => {
            bad("this type is read as `\\# LENGTH HEX` only", None)
        }
        why => bad(why, None),
    })
    .and_then(writable)
}

/// The words of a record's data, one after another.
struct Fields<'w> {
    words: &'w [Token<'w>],
    next: usize,
    origin: Option<&'w Spelled>,
}

impl Fields<'_> {
    fn word(&mut self, what: &str) -> Result<&str, BadRdata> {
        let word = self.words.get(self.next).ok_or_else(|| bad(format!("{what} is missing"), None))?;
        self.next += 1;
        Ok(word.text)
    }

    fn last(&self) -> Option<usize> {
        self.next.checked_sub(1)
    }

    fn parsed<T: FromStr>(&mut self, what: &str) -> Result<T, BadRdata> {
        let word = self.word(what)?;
        let parsed = word.parse().map_err(|_| format!("`{word}` is not {what}"));
        parsed.map_err(|why| bad(why, self.last()))
    }

    fn name(&mut self) -> Result<Spelled, BadRdata> {
        let origin = self.origin;
        let name = name::spell(self.word("a name")?, origin);
        name.map_err(|e| bad(e.to_string(), self.last()))
    }

    fn timer(&mut self) -> Result<u32, BadRdata> {
        let word = self.word("a time")?;
        let timer = parse_ttl(word).map_err(|_| format!("`{word}` is not a time"));
        timer.map_err(|why| bad(why, self.last()))
    }

    fn srv(&mut self) -> Result<SRV, BadRdata> {
        let number = "a number from 0 to 65535";
        Ok(SRV::new(self.parsed(number)?, self.parsed(number)?, self.parsed(number)?, self.name()?))
    }

    fn soa(&mut self) -> Result<SOA, BadRdata> {
        let (mname, rname, serial) = (self.name()?, self.name()?, self.parsed("a serial")?);
        let timers = [self.timer()?, self.timer()?, self.timer()?].map(u32::cast_signed);
        Ok(SOA::new(mname, rname, serial, timers[0], timers[1], timers[2], self.timer()?))
    }

    /// RFC 4034 §5.3.
    fn ds(&mut self) -> Result<RData, BadRdata> {
        let tag: u16 = self.parsed("a key tag")?;
        let (algorithm, digest_type): (u8, u8) =
            (self.parsed("an algorithm number")?, self.parsed("a digest type number")?);
        let hex: String = self.words[self.next..].iter().map(|word| word.text).collect();
        let digest = unhex(&hex)
            .filter(|digest| !digest.is_empty())
            .ok_or_else(|| bad("a digest in hexadecimal is expected", Some(self.next)))?;
        self.next = self.words.len();
        let bytes = [&tag.to_be_bytes()[..], &[algorithm, digest_type], &digest].concat();
        Ok(unknown(RecordType::DS, bytes))
    }

    /// Character strings (RFC 1035 §3.3), one at least.
    fn strings(&mut self) -> Result<Vec<Vec<u8>>, BadRdata> {
        let mut strings = Vec::new();
        loop {
            let string = unescape(self.word("a text")?).map_err(|why| bad(why, self.last()))?;
            if string.len() > 255 {
                return Err(bad("a text over 255 bytes: split it into several quoted strings", self.last()));
            }
            strings.push(string);
            if self.next == self.words.len() {
                return Ok(strings);
            }
        }
    }

    fn end(&self) -> Result<(), BadRdata> {
        if self.next == self.words.len() {
            Ok(())
        } else {
            Err(bad("more words than this type has", Some(self.next)))
        }
    }
}
