//! Class CH: what the server tells about itself, to those who may know.
//!
//! | name | tells |
//! |---|---|
//! | `version.bind`, `version.server` | name and version |
//! | `hostname.bind`, `id.server` | `nsid`, where there is one (RFC 4892) |
//! | the name of a pool | the pool, and each of its members with state, reason and age |

use std::fmt::Write;

use super::compose::{Composer, Full};
use super::edns::ExtendedError;
use super::query::REFUSED;
use super::{Peer, Reply};
use crate::snapshot::Cell;
use crate::snapshot::counts::Counts;
use crate::snapshot::flags::AA;

const TYPE_TXT: u16 = 16;
const TYPE_ANY: u16 = 255;
/// The pointer to the question's name, TXT, CH, not to be cached (RFC 4892 §2.1).
const RECORD: [u8; 10] = [0xc0, 12, 0, 16, 0, 3, 0, 0, 0, 0];
/// The longest character string (RFC 1035 §3.3).
const LONGEST: usize = 255;

const VERSION: &str = concat!("onstage ", env!("CARGO_PKG_VERSION"));

impl Composer<'_, '_> {
    /// The reply to a question of class CH.
    #[cold]
    pub(super) fn about_us(&mut self, peer: &Peer, name: &[u8]) -> Reply {
        let address = peer.addr.to_canonical();
        if !self.snapshot.terms().insiders.iter().any(|net| net.contains(&address)) {
            return self.without_records(REFUSED, Some(ExtendedError::Prohibited));
        }
        if !matches!(self.query.record_type, TYPE_TXT | TYPE_ANY) {
            return self.without_records(REFUSED, Some(ExtendedError::NotSupported));
        }
        let cell = Cell::of(0, self.query.record_type);
        match self.tell(peer, name) {
            Ok(()) if self.counts != Counts::default() => self.finish(AA, cell),
            Ok(()) => self.without_records(REFUSED, Some(ExtendedError::NotAuthoritative)),
            Err(Full) => self.truncated(AA, cell),
        }
    }

    fn tell(&mut self, peer: &Peer, name: &[u8]) -> Result<(), Full> {
        let snapshot = self.snapshot;
        let nsid = &snapshot.terms().nsid;
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"\x07version\x04bind\0") || is(b"\x07version\x06server\0") {
            return self.string(VERSION.as_bytes());
        }
        if !nsid.is_empty() && (is(b"\x08hostname\x04bind\0") || is(b"\x02id\x06server\0")) {
            return self.string(nsid);
        }
        for line in snapshot.accounts(name).flat_map(|account| &account.lines) {
            let mut text = Text { bytes: [0; LONGEST], len: 0 };
            let _ = text.write_str(&line.text); // what is too long is cut off
            if let Some(since) = line.since {
                let _ = write!(text, ", for {}", Age(peer.now.saturating_sub(since)));
            }
            self.string(&text.bytes[..text.len])?;
        }
        Ok(())
    }

    /// A TXT record of one string of at most 255 bytes.
    fn string(&mut self, text: &[u8]) -> Result<(), Full> {
        if self.page.len() + RECORD.len() + 3 + text.len() + self.opt_len() > self.limit {
            return Err(Full);
        }
        self.page.put(&RECORD);
        self.page.put(&(1 + text.len() as u16).to_be_bytes());
        self.page.put(&[text.len() as u8]);
        self.page.put(text);
        self.counts += Counts::answers(1);
        Ok(())
    }
}

/// Room for one character string.
struct Text {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = &mut self.bytes[self.len..];
        let fits = text.len().min(room.len());
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.len += fits;
        Ok(())
    }
}

/// Seconds in the two largest units.
struct Age(u32);

impl std::fmt::Display for Age {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (minutes, hours, days) = (self.0 / 60, self.0 / 3600, self.0 / 86_400);
        match self.0 {
            ..60 => write!(f, "{}s", self.0),
            60..3600 => write!(f, "{minutes}m {}s", self.0 % 60),
            3600..86_400 => write!(f, "{hours}h {}m", minutes % 60),
            _ => write!(f, "{days}d {}h", hours % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Age;

    #[test]
    fn ages_are_told_in_two_units() {
        let ages =
            [(0, "0s"), (59, "59s"), (60, "1m 0s"), (3599, "59m 59s"), (7260, "2h 1m"), (90_000, "1d 1h")];
        for (seconds, text) in ages {
            assert_eq!(Age(seconds).to_string(), text);
        }
    }
}
