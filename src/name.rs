//! Canonical names: the wire form in lower case, which is what tables are keyed by.
//!
//! Names compare without case (RFC 4343), so a name is lowered once, when it is read, and compared as
//! bytes from then on. Where the operator's spelling matters (in rdata that is sent out) the zone
//! keeps hickory's `Name` beside it.

use std::borrow::Borrow;
use std::fmt;

use hickory_proto::rr::Name as Spelled;

/// The longest name in wire form, root label included (RFC 1035 §2.3.4).
pub const MAX_LEN: usize = 255;

/// The longest label (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// A name in uncompressed wire form, ASCII letters lowered, root label included.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Reads a name as people write it. A missing final dot changes nothing: it is taken as absolute.
    ///
    /// # Errors
    /// The text is not a name (RFC 1035 §2.3.1, §5.1): a label over 63 bytes, over 255 in all, an empty label.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        spell(text, Some(&Spelled::root())).map(|spelled| Self::from(&spelled))
    }

    /// The wire form.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        parent(&self.0).map(|wire| Self(wire.into()))
    }

    /// Whether this name is `ancestor` or below it.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        is_within(&self.0, &ancestor.0)
    }
}

/// What was given is not a domain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(String);

impl BadName {
    fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// The wire form without its first label; `None` for the root.
pub(crate) fn parent(wire: &[u8]) -> Option<&[u8]> {
    match wire.first() {
        None | Some(0) => None,
        Some(&len) => wire.get(usize::from(len) + 1..),
    }
}

/// A wire name, and those above it, the root last.
pub(crate) fn up_from(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(wire), |wire| parent(wire))
}

/// Whether wire name `name` is `ancestor` or below it, both lowered.
pub(crate) fn is_within(mut name: &[u8], ancestor: &[u8]) -> bool {
    loop {
        if name.len() <= ancestor.len() {
            return name == ancestor;
        }
        match parent(name) {
            Some(rest) => name = rest,
            None => return false,
        }
    }
}

/// The labels of a wire name from left to right, the root label not among them.
pub(crate) fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let len = usize::from(*rest.first()?);
        if len == 0 {
            return None;
        }
        let label = rest.get(1..=len)?;
        rest = rest.get(len + 1..)?;
        Some(label)
    })
}

/// Reads a name as it is written in master files (RFC 1035 §5.1); a relative one is completed with `origin`.
pub(crate) fn spell(text: &str, origin: Option<&Spelled>) -> Result<Spelled, BadName> {
    if text == "@" {
        return origin.cloned().ok_or_else(|| BadName::new("`@` without an origin"));
    }
    if text == "." {
        return Ok(Spelled::root());
    }
    let (text, absolute) = match text.strip_suffix('.') {
        Some(rest) if !ends_in_escape(rest) => (rest, true),
        _ => (text, false),
    };
    let mut labels = Vec::new();
    for label in split_labels(text) {
        labels.push(unescape(label).map_err(BadName::new)?);
    }
    if labels.iter().any(|label| label.len() > MAX_LABEL) {
        return Err(BadName::new("a label over 63 bytes"));
    }
    if labels.iter().any(Vec::is_empty) {
        return Err(BadName(format!("`{text}` has an empty label")));
    }
    let mut name = Spelled::from_labels(labels).map_err(BadName::new)?;
    if !absolute {
        let origin =
            origin.ok_or_else(|| BadName(format!("`{text}` is relative, and there is no origin")))?;
        name = name.append_name(origin).map_err(BadName::new)?;
    }
    name.set_fqdn(true);
    if wire(&name).len() > MAX_LEN { Err(BadName::new("a name over 255 bytes")) } else { Ok(name) }
}

/// Whether the dot that follows belongs to an escape.
fn ends_in_escape(text: &str) -> bool {
    text.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

fn split_labels(text: &str) -> Vec<&str> {
    let mut labels = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            b'.' if !escaped => {
                labels.push(&text[start..i]);
                start = i + 1;
            }
            _ => escaped = byte == b'\\' && !escaped,
        }
    }
    labels.push(&text[start..]);
    labels
}

/// The bytes that a text with escapes stands for: `\X` is X, `\DDD` the byte with that number.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'\\' {
            bytes.push(byte);
        } else if let Some((digits, behind)) =
            rest.split_at_checked(3).filter(|(d, _)| d.iter().all(u8::is_ascii_digit))
        {
            let number = digits.iter().fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'));
            bytes.push(u8::try_from(number).map_err(|_| "an escape above \\255")?);
            rest = behind;
        } else {
            let (&escaped, behind) = rest.split_first().ok_or("a `\\` with nothing behind it")?;
            if escaped.is_ascii_digit() {
                return Err("an escape with fewer than three digits");
            }
            bytes.push(escaped);
            rest = behind;
        }
    }
    Ok(bytes)
}

/// `name`, which is below `ancestor`, with `target` in its place (RFC 6672 §2.2). `None`: it would be too long.
pub(crate) fn substitute(name: &Spelled, ancestor: &Name, target: &Spelled) -> Option<Spelled> {
    // Not `num_labels`, which does not count a wildcard's first label.
    let kept = name.iter().count().checked_sub(labels(ancestor.as_wire()).count())?;
    let labels: Vec<&[u8]> = name.iter().take(kept).chain(target.iter()).collect();
    let mut name = Spelled::from_labels(labels).ok()?;
    name.set_fqdn(true);
    (wire(&name).len() <= MAX_LEN).then_some(name)
}

impl From<&Spelled> for Name {
    fn from(spelled: &Spelled) -> Self {
        Self(wire(spelled).to_ascii_lowercase().into())
    }
}

/// The wire form of a name as it is spelled, uncompressed.
pub(crate) fn wire(spelled: &Spelled) -> Vec<u8> {
    let mut wire = Vec::with_capacity(spelled.len() + 1);
    for label in spelled {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// As people write it: without the final dot, unless it is the root; odd bytes escaped (RFC 1035 §5.1).
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= 1 {
            return f.write_str(".");
        }
        for (i, label) in labels(&self.0).enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(f, "\\{}", byte as char)?;
                    }
                    0x21..=0x7e => write!(f, "{}", byte as char)?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn names_compare_without_case_and_final_dot() {
        assert_eq!(name("Puppet.Example.ORG."), name("puppet.example.org"));
        assert_eq!(name("puppet.example.org").as_wire(), b"\x06puppet\x07example\x03org\0");
        assert_eq!(name("puppet.example.org").to_string(), "puppet.example.org");
        assert_eq!(name(".").to_string(), ".");
    }

    #[test]
    fn a_name_is_within_itself_and_its_ancestors() {
        assert!(name("a.b.org").is_within(&name("b.org")));
        assert!(name("b.org").is_within(&name("b.org")));
        assert!(name("b.org").is_within(&name(".")));
        assert!(!name("xb.org").is_within(&name("b.org")));
        assert!(!name("org").is_within(&name("b.org")));
    }

    #[test]
    fn odd_bytes_are_escaped() {
        assert_eq!(name(r"a\.b.org").to_string(), r"a\.b.org");
        let odd = Spelled::from_labels([b"a\x07".as_slice(), b"org"]).unwrap();
        assert_eq!(Name::from(&odd).to_string(), r"a\007.org");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert!(Name::parse("a..b").is_err());
        assert!(Name::parse(&"a".repeat(64)).is_err());
    }

    #[test]
    fn escapes_stand_for_bytes() {
        assert_eq!(unescape(r"a\.b\000\255\\").unwrap(), b"a.b\x00\xff\\");
        assert!(unescape(r"\256").is_err() && unescape(r"\25x").is_err() && unescape("\\").is_err());
    }

    #[test]
    fn relative_names_are_completed() {
        let origin = spell("example.org.", None).unwrap();
        let read = |text: &str| spell(text, Some(&origin)).map(|name| name.to_ascii());
        assert_eq!(read("puppet").unwrap(), "puppet.example.org.");
        assert_eq!(read("Puppet.Example.NET.").unwrap(), "Puppet.Example.NET.");
        assert_eq!(read("@").unwrap(), "example.org.");
        assert_eq!(wire(&spell(r"a\.b\000c.", None).unwrap()), b"\x05a.b\x00c\x00");
        assert_eq!(wire(&spell(r"a\\.b.", None).unwrap()), b"\x02a\\\x01b\x00");
        assert!(read("a..b").is_err() && read(&"a".repeat(64)).is_err() && read(&"abc.".repeat(64)).is_err());
        assert!(spell("puppet", None).is_err());
    }
}
