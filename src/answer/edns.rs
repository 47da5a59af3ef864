//! EDNS(0) (RFC 6891): what a query's OPT record says, and the OPT record of the reply.

use super::query::Additional;

const DO: u32 = 0x8000;

/// The length of an OPT record without options.
pub(super) const OPT_LEN: usize = 11;

/// A query's OPT record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edns {
    /// The longest reply the client takes over UDP.
    pub(super) udp_size: u16,
    /// The version; 0 is the only one there is.
    pub(super) version: u8,
    dnssec_ok: bool,
}

/// The OPT record of a reply, but for the extended rcode.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplyOpt {
    udp_size: u16,
    dnssec_ok: bool,
}

impl Edns {
    /// `None`: not the root's (§6.1.2), or with options that run over its end.
    pub(super) fn read(record: &Additional<'_>) -> Option<Self> {
        let fits = record.of_root && options_fit(record.rdata);
        fits.then_some(Self {
            udp_size: record.class,
            version: record.ttl.to_be_bytes()[1],
            dnssec_ok: record.ttl & DO != 0,
        })
    }

    /// The record to send back: the server's own size, DO as it came (RFC 3225 §3).
    pub(super) const fn reply(self, udp_size: u16) -> ReplyOpt {
        ReplyOpt { udp_size, dnssec_ok: self.dnssec_ok }
    }
}

impl ReplyOpt {
    /// The record in wire form, with the upper bits of `rcode` (§6.1.3).
    pub(super) fn write(self, rcode: u16) -> [u8; OPT_LEN] {
        let size = self.udp_size.to_be_bytes();
        let flags = if self.dnssec_ok { 0x80 } else { 0 };
        [0, 0, 41, size[0], size[1], (rcode >> 4) as u8, 0, flags, 0, 0, 0]
    }
}

fn options_fit(mut rdata: &[u8]) -> bool {
    while !rdata.is_empty() {
        let Some((head, rest)) = rdata.split_at_checked(4) else { return false };
        let Some(rest) = rest.get(usize::from(u16::from_be_bytes([head[2], head[3]]))..) else {
            return false;
        };
        rdata = rest;
    }
    true
}
