//! EDNS(0): what a query's OPT record says, and the OPT record of the reply.
//!
//! | RFC | option | status |
//! |---|---|---|
//! | 5001 | NSID | sent to those who ask, where there is one |
//! | 6891 | unknown options | ignored |
//! | 7828 | edns-tcp-keepalive | over TCP and TLS, to those who ask; over QUIC it is an error (`serve/doq.rs`) |
//! | 7830, 8467 | padding | on encrypted transports, to those who pad, in blocks of 468 bytes |
//! | 7871 | client subnet | `sticky` pools are tailored to it; the scope is 0 for all else |
//! | 7873, 9018 | cookies | see `cookie.rs` |
//! | 8914 | extended errors | in each reply that needs one |
//!
//! Where an OPT record is malformed, FORMERR comes with one: RFC 6891 §7 wants it, so that nobody takes an error in EDNS for a server
//! that does not know EDNS, and asks without it from then on. So it is for two of them, too, since whoever is sent an OPT record has
//! to send one (§6.1.1). BIND leaves it out there, and where an option is cut off; NSD and Knot always do. Where the message ends
//! within the record, nothing of it is believed, and FORMERR comes alone.

use super::Via;
use super::page::Page;
use super::query::Additional;
use super::subnet::Subnet;

/// The code of an option and its length.
pub(crate) const OPTION_HEAD: usize = 4;

const DO: u32 = 0x8000;

const NSID: u16 = 3;
const SUBNET: u16 = 8;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
const ERROR: u16 = 15;

/// Encrypted replies are multiples of so many bytes (RFC 8467 §4.1).
pub(crate) const PADDED: usize = 468;

/// A query's OPT record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edns<'q> {
    /// The longest reply the client takes over UDP.
    pub(super) udp_size: u16,
    /// The version; 0 is the only one there is.
    pub(super) version: u8,
    /// Whether it gets FORMERR: it is not as it must be, or one of several.
    pub(super) is_malformed: bool,
    dnssec_ok: bool,
    pub(super) options: Options<'q>,
}

/// An OPT record of version 0 without options: all that most queries have.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlainOpt<'q>(&'q [u8; 11]);

impl<'q> PlainOpt<'q> {
    #[inline(always)]
    pub(super) fn read(record: &'q [u8]) -> Option<Self> {
        let record: &[u8; 11] = record.try_into().ok()?;
        matches!(record, [0, 0, 41, _, _, _, 0, _, _, 0, 0]).then_some(Self(record))
    }

    /// The longest reply the client takes over UDP.
    #[inline(always)]
    pub(super) const fn udp_size(self) -> u16 {
        u16::from_be_bytes([self.0[3], self.0[4]])
    }

    /// How long the record is, and that of the reply.
    pub(super) const fn len(self) -> usize {
        self.0.len()
    }

    /// The record to send back: see [`Edns::reply`].
    #[inline(always)]
    pub(super) const fn reply(self, udp_size: u16) -> [u8; 11] {
        record(udp_size, 0, self.0[7] & 0x80 != 0, 0)
    }
}

/// The options that mean something here.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options<'q> {
    nsid: bool,
    /// Whether it is asked how long the connection will be kept.
    pub(super) keepalive: bool,
    padding: bool,
    /// The client's cookie, and the server's behind it where the client has one.
    pub(super) cookie: Option<(&'q [u8; 8], &'q [u8])>,
    pub(super) subnet: Option<Subnet>,
}

/// Why a reply is not the answer that was hoped for (RFC 8914 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExtendedError {
    /// 0, Other: a pool answers members that are not known to be live.
    FailsOpen,
    /// 18, Prohibited.
    Prohibited,
    /// 20, Not Authoritative.
    NotAuthoritative,
    /// 21, Not Supported.
    NotSupported,
}

/// The OPT record of a reply, but for the extended rcode.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ReplyOpt<'s> {
    udp_size: u16,
    dnssec_ok: bool,
    nsid: &'s [u8],
    cookie: Option<[u8; 24]>,
    /// With the scope of the reply.
    subnet: Option<(Subnet, u8)>,
    keepalive: Option<u16>,
    error: Option<ExtendedError>,
    pads: bool,
}

impl<'q> Edns<'q> {
    /// It is malformed where it is not the root's (§6.1.2), or has options that are not as they must be. What those of another
    /// version must be, nobody knows (§6.1.3).
    pub(super) fn read(record: &Additional<'q>) -> Self {
        let version = record.ttl.to_be_bytes()[1];
        let options = match record.rdata {
            rdata if version == 0 && !rdata.is_empty() => Options::read(rdata),
            _ => Some(Options::default()),
        };
        let opt = Self {
            udp_size: record.class,
            version,
            dnssec_ok: record.ttl & DO != 0,
            is_malformed: false,
            options: options.unwrap_or_default(),
        };
        if record.of_root && options.is_some() { opt } else { opt.malformed() }
    }

    /// The same, with nothing to be done but to say that it is wrong.
    pub(super) fn malformed(self) -> Self {
        Self { is_malformed: true, options: Options::default(), ..self }
    }

    /// The record to send back: the server's own size, DO as it came (RFC 3225 §3), and the options that were asked
    /// for. `keepalive`: how long a silent connection stays open, in tenths of a second.
    pub(super) fn reply<'s>(
        &self,
        udp_size: u16,
        nsid: &'s [u8],
        via: Via,
        keepalive: u16,
        cookie: Option<[u8; 24]>,
    ) -> ReplyOpt<'s> {
        let options = &self.options;
        ReplyOpt {
            udp_size,
            dnssec_ok: self.dnssec_ok,
            nsid: if options.nsid { nsid } else { &[] },
            cookie,
            subnet: options.subnet.map(|subnet| (subnet, 0)),
            keepalive: (options.keepalive && via != Via::Datagram).then_some(keepalive),
            error: None,
            pads: options.padding && via == Via::Encrypted,
        }
    }
}

impl<'q> Options<'q> {
    fn read(mut rdata: &'q [u8]) -> Option<Self> {
        let mut options = Self::default();
        while !rdata.is_empty() {
            let (head, rest) = rdata.split_first_chunk::<4>()?;
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([head[2], head[3]])))?;
            match u16::from_be_bytes([head[0], head[1]]) {
                NSID => options.nsid = true,
                COOKIE => {
                    let (client, server) = value.split_first_chunk::<8>()?;
                    if !matches!(server.len(), 0 | 8..=32) {
                        return None; // RFC 7873 §5.2.2
                    }
                    options.cookie = options.cookie.or(Some((client, server))); // §5.2: the first counts
                }
                SUBNET => options.subnet = Some(Subnet::read(value)?),
                KEEPALIVE => options.keepalive = true,
                PADDING => options.padding = true,
                _ => {}
            }
            rdata = rest;
        }
        Some(options)
    }
}

impl ReplyOpt<'_> {
    /// The longest that one can be, without padding: room that every limit leaves beside the longest question.
    const MOST: usize = 11 + (4 + 64) + (4 + 24) + (4 + Subnet::MOST) + (4 + 2) + (4 + 2 + 64);

    pub(super) fn tell(&mut self, error: ExtendedError) {
        self.error = Some(error);
    }

    /// The answer was made for the client's network.
    pub(super) fn tailor(&mut self) {
        if let Some((subnet, scope)) = &mut self.subnet {
            *scope = subnet.scope();
        }
    }

    /// The length of the record, without padding.
    #[inline]
    pub(super) fn len(&self) -> usize {
        11 + self.options_len()
    }

    #[inline]
    fn options_len(&self) -> usize {
        let mut len = 0;
        if !self.nsid.is_empty() {
            len += 4 + self.nsid.len();
        }
        if self.cookie.is_some() {
            len += 4 + 24;
        }
        if let Some((subnet, _)) = &self.subnet {
            len += 4 + subnet.len();
        }
        if self.keepalive.is_some() {
            len += 4 + 2;
        }
        if let Some(error) = self.error {
            len += 4 + 2 + error.text().len();
        }
        len
    }

    /// Writes the record, with the upper bits of `rcode` (§6.1.3), at the end of a message of at most `limit` bytes.
    pub(super) fn write(&self, rcode: u16, limit: usize, page: &mut Page<'_>) {
        let padding = if self.pads { padding(page.len() + self.len(), limit) } else { None };
        let length = (self.options_len() + padding.map_or(0, |len| 4 + len)) as u16;
        page.put(&record(self.udp_size, rcode, self.dnssec_ok, length));
        if length > 0 {
            self.write_options(padding, page);
        }
    }

    fn write_options(&self, padding: Option<usize>, page: &mut Page<'_>) {
        if !self.nsid.is_empty() {
            put_option(NSID, &[self.nsid], page);
        }
        if let Some(cookie) = &self.cookie {
            put_option(COOKIE, &[cookie], page);
        }
        if let Some((subnet, scope)) = &self.subnet {
            let (head, address) = subnet.write(*scope);
            put_option(SUBNET, &[&head, address], page);
        }
        if let Some(timeout) = self.keepalive {
            put_option(KEEPALIVE, &[&timeout.to_be_bytes()], page);
        }
        if let Some(error) = self.error {
            put_option(ERROR, &[&error.code().to_be_bytes(), error.text().as_bytes()], page);
        }
        if let Some(len) = padding {
            put_option(PADDING, &[&[0; PADDED][..len]], page);
        }
    }
}

impl ExtendedError {
    const fn code(self) -> u16 {
        match self {
            Self::FailsOpen => 0,
            Self::Prohibited => 18,
            Self::NotAuthoritative => 20,
            Self::NotSupported => 21,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::FailsOpen => "too few members are live",
            Self::Prohibited | Self::NotAuthoritative | Self::NotSupported => "",
        }
    }
}

/// An OPT record up to its options, which are `length` bytes (§6.1.2, §6.1.3).
#[inline(always)]
const fn record(udp_size: u16, rcode: u16, dnssec_ok: bool, length: u16) -> [u8; 11] {
    let ([size_high, size_low], [high, low]) = (udp_size.to_be_bytes(), length.to_be_bytes());
    [0, 0, 41, size_high, size_low, (rcode >> 4) as u8, 0, (dnssec_ok as u8) << 7, 0, high, low]
}

fn put_option(code: u16, parts: &[&[u8]], page: &mut Page<'_>) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    page.put(&code.to_be_bytes());
    page.put(&(len as u16).to_be_bytes());
    for part in parts {
        page.put(part);
    }
}

/// How many bytes of padding bring a message of `len` bytes to the next block; none where only the option's head would
/// not fit.
fn padding(len: usize, limit: usize) -> Option<usize> {
    let with_head = len + OPTION_HEAD;
    let padded = with_head.next_multiple_of(PADDED).min(limit);
    padded.checked_sub(with_head)
}

/// An empty reply with every option fits into the smallest datagram.
const _: () = assert!(super::query::HEADER + crate::name::MAX_LEN + 4 + ReplyOpt::MOST <= super::MIN_MESSAGE);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_fills_the_block_and_never_passes_the_limit() {
        assert_eq!(padding(464, 65_535), Some(0));
        assert_eq!(padding(465, 65_535), Some(467));
        assert_eq!(padding(100, 300), Some(196));
        assert_eq!(padding(100, 102), None);
    }
}
