//! Query bytes in, reply bytes out: a pure function of one snapshot.
//!
//! ```text
//!  query ──▶ ready: the records lie in a row ──▶ reply
//!    │
//!    └ thorough ──Query::parse──▶ judge ──▶ Snapshot::find ──▶ template ──compose──▶ reply
//!                   │               │          └ below a DNAME: redirect
//!                   │               └ class CH: chaos; not for us: an rcode
//!                   └ Outcome::Drop: no header, or a response
//! ```
//!
//! It does not fail, block, allocate or log. Every transport calls it, and so do the tests.
//!
//! | RFC | what | status | tested in |
//! |---|---|---|---|
//! | 1034 §4.3.2 | the algorithm: CNAME chains, wildcards, delegations | whole | `answer/replay.rs`, `peers/differential.rs` |
//! | 1035 §4.1 | header, question; one question | whole | `answer/edns.rs` |
//! | 2181 §5, §9 | RRsets are whole, or TC is set | whole | `answer/edns.rs`, `answer/properties.rs` |
//! | 2308 §2, §3 | NXDOMAIN and NODATA with the SOA, its TTL the lesser | whole | `answer/replay.rs`, `answer/unsettled.rs`, `peers/differential.rs` |
//! | 2782, 1034 §3.7 | addresses of the hosts that SRV, MX and NS point to | whole | `answer/pools.rs`, `answer/hosts.rs` |
//! | 3597 | unknown types are opaque | whole | `peers/differential.rs` |
//! | 4035 §3.1.4.1 | DS is the parent's; nothing is signed | as far as unsigned zones go | `answer/nested.rs`, `peers/differential.rs` |
//! | 4343 | names compare without case, and come back as asked | whole | `answer/edns.rs`, `answer/options.rs` |
//! | 4592 | wildcards, empty non-terminals | whole | `answer/replay.rs` |
//! | 4892 | `id.server`, `version.bind` in class CH | whole, to those who may know | `answer/chaos.rs` |
//! | 5001 | NSID | whole | `answer/options.rs` |
//! | 6672 | DNAME | whole | `answer/dname.rs` |
//! | 6891 | EDNS(0); FORMERR for a malformed OPT has one (§7) | whole | `answer/edns.rs` |
//! | 7766, 7828 | streams are kept; how long is told | whole | `serve/tcp.rs`, `answer/options.rs` |
//! | 7830, 8467 | padding in blocks of 468, on encrypted transports | whole | `answer/options.rs` |
//! | 7871 | client subnet, for `sticky` pools; scope 0 elsewhere | whole | `answer/options.rs` |
//! | 7873, 9018 | DNS cookies | whole, none is required | `answer/cookie.rs`, `answer/options.rs` |
//! | 8020 | below a name that does not exist there is nothing | whole | `peers/differential.rs` |
//! | 8482 | ANY gets one HINFO record | whole | `answer/replay.rs` |
//! | 8914 | extended errors | 0 (fail-open), 18, 20, 21 | `answer/options.rs` |
//! | 9250 | DNS over QUIC | whole (`serve/doq.rs`) | `encrypted/quic.rs` |
//! | 9460 §4.2 | SVCB and HTTPS with addresses of their targets | whole | `answer/hosts.rs` |
//! | 9471 | glue that does not fit sets TC | whole | `answer/edns.rs` |
//! | 9715 | replies are not fragmented: 1,232 bytes, no path MTU believed | whole (`serve/bind.rs`) | `answer/edns.rs` |
//! | 5936, 1995 | transfers | refused | `answer/edns.rs`, `answer/found.rs` |
//! | 1996, 2136 | NOTIFY, UPDATE | NOTIMP | `answer/edns.rs` |

mod chaos;
mod compose;
mod cookie;
mod edns;
mod page;
mod query;
mod ready;
mod redirect;
mod subnet;

use std::net::IpAddr;

use crate::snapshot::draw::Places;
use crate::snapshot::{Cell, Hit, Snapshot};
use compose::Composer;
use edns::{Edns, ExtendedError, ReplyOpt};
use page::Page;
use query::{Query, Refusal, Subject};

pub use compose::truncate;
pub(crate) use edns::{OPTION_HEAD, PADDED};
pub use subnet::network;

/// Who asks, over what, and when.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The source of the query.
    pub addr: IpAddr,
    /// What carries it.
    pub via: Via,
    /// Seconds of Unix time: cookies have an age (RFC 9018 §4.3).
    pub now: u32,
}

/// What carries a query: it decides how long a reply may be, and what may be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// UDP: the reply must fit, or is truncated.
    Datagram,
    /// TCP: up to 65,535 bytes.
    Stream,
    /// TLS, HTTPS or QUIC: as TCP, and padded.
    Encrypted,
}

/// What became of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The reply is in the buffer.
    Reply(Reply),
    /// No reply is sent: the query has no header, or is itself a response.
    Drop,
}

/// A reply that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// How many bytes of the buffer it is.
    pub len: u16,
    /// What it is counted as, which tells its rcode.
    pub cell: Cell,
    /// Whether TC is set.
    pub is_truncated: bool,
    /// Whether the client has shown a cookie of ours: it is where it says it is.
    pub is_known: bool,
}

/// Where rotations start: what whoever calls [`answer`] keeps from one query to the next.
#[derive(Debug)]
pub struct Rotation(u32);

impl Rotation {
    /// `seed` decides where the first rotation starts: callers differ in it, so that many short-lived ones do not all
    /// answer the same member first.
    pub const fn new(seed: u32) -> Self {
        Self(seed)
    }

    /// Where the next rotation starts, as a fraction of 2^32 of a ring.
    ///
    /// The steps are the golden ratio's: any periodic pattern of queries (A, AAAA, A, AAAA, …) still meets
    /// each member first equally often, without a counter for each RRset. See `docs/design/rotation.md`.
    fn next(&mut self) -> u32 {
        const GOLDEN_RATIO: u32 = 0x9e37_79b9;
        self.0 = self.0.wrapping_add(GOLDEN_RATIO);
        self.0
    }
}

/// The longest message there is, in bytes.
pub const MAX_MESSAGE: usize = 65_535;

/// The shortest buffer for replies that [`answer`] takes: every client takes so much (RFC 1035 §4.2.1).
pub const MIN_MESSAGE: usize = 512;

/// Answers `message` from `snapshot` into `reply`, which holds at least [`MIN_MESSAGE`] bytes. A reply that is longer than
/// the buffer is truncated, as one that is longer than the client takes.
#[inline(always)]
pub fn answer(
    snapshot: &Snapshot,
    peer: &Peer,
    message: &[u8],
    rotation: &mut Rotation,
    reply: &mut [u8],
) -> Outcome {
    let turn = rotation.next();
    match ready::reply(snapshot, peer.via, message, turn, reply) {
        Some(reply) => Outcome::Reply(reply),
        None => thorough(snapshot, peer, message, turn, reply),
    }
}

/// Whether a query asks how long its connection will be kept (RFC 7828): over QUIC nobody may (RFC 9250 §5.5.2).
pub(crate) fn asks_to_be_kept(message: &[u8]) -> bool {
    matches!(Query::parse(message), Ok((_, Some(edns))) if edns.options.keepalive)
}

/// Answers whatever there is.
#[inline(never)]
fn thorough(snapshot: &Snapshot, peer: &Peer, message: &[u8], turn: u32, reply: &mut [u8]) -> Outcome {
    match Query::parse(message) {
        Ok((query, edns)) => {
            let chance = Chance { turn, peer, edns: edns.as_ref() };
            Outcome::Reply(reply_to(snapshot, &query, &chance, reply))
        }
        Err(Refusal::Silence) => Outcome::Drop,
        Err(Refusal::Header(rcode)) => Outcome::Reply(compose::header_only(message, rcode, Page::new(reply))),
    }
}

fn reply_to(snapshot: &Snapshot, query: &Query<'_>, chance: &Chance<'_>, reply: &mut [u8]) -> Reply {
    let Chance { peer, edns, .. } = *chance;
    let limit = limit(snapshot, peer.via, edns.map(|edns| edns.udp_size)).min(reply.len());
    let mut composer = Composer::new(snapshot, query, limit, Page::new(reply));
    let is_known = edns.is_some_and(|edns| set_opt(snapshot, peer, edns, &mut composer.opt));
    let reply = match query.judge(edns) {
        Ok(Subject::Zones) => match snapshot.find(query.name, query.record_type) {
            Some(hit) if hit.template.redirects() => composer.redirected(&hit, chance),
            Some(hit) => composer.records(&hit, chance),
            None => composer.without_records(query::REFUSED, Some(ExtendedError::NotAuthoritative)),
        },
        Ok(Subject::Server) => composer.about_us(peer, query.name),
        Ok(Subject::Cookie) => composer.without_records(0, None),
        Err(rcode) => composer.without_records(rcode, extended(rcode)),
    };
    Reply { is_known, ..reply }
}

/// Sets the OPT record to send back; whether the query's cookie is ours.
fn set_opt<'s>(snapshot: &'s Snapshot, peer: &Peer, edns: &Edns<'_>, opt: &mut Option<ReplyOpt<'s>>) -> bool {
    let terms = snapshot.terms();
    let checked = edns
        .options
        .cookie
        .and_then(|(client, server)| cookie::check(*client, server, peer.addr, peer.now, snapshot.secrets()));
    let cookie = checked.map(|checked| checked.cookie);
    *opt = Some(edns.reply(terms.udp_size, &terms.nsid, peer.via, terms.keepalive, cookie));
    checked.is_some_and(|checked| checked.is_valid)
}

const fn extended(rcode: u16) -> Option<ExtendedError> {
    match rcode {
        query::REFUSED => Some(ExtendedError::Prohibited),
        query::NOTIMP => Some(ExtendedError::NotSupported),
        _ => None,
    }
}

/// The longest reply that may go back (RFC 1035 §4.2.1, RFC 6891 §6.2.3). `udp_size`: what the query's OPT record says.
#[inline]
fn limit(snapshot: &Snapshot, via: Via, udp_size: Option<u16>) -> usize {
    match (via, udp_size) {
        (Via::Stream | Via::Encrypted, _) => MAX_MESSAGE,
        (Via::Datagram, None) => MIN_MESSAGE,
        (Via::Datagram, Some(size)) => usize::from(size.min(snapshot.terms().udp_size)).max(MIN_MESSAGE),
    }
}

/// What decides which members of a pool a query is answered with.
struct Chance<'c> {
    turn: u32,
    peer: &'c Peer,
    edns: Option<&'c Edns<'c>>,
}

impl Chance<'_> {
    #[inline]
    fn choose(&self, hit: &Hit<'_>) -> Places {
        hit.answers.choose(hit.template, self.turn, || self.network())
    }

    /// What the resolver tells of the client's network, else that of the resolver.
    fn network(&self) -> u64 {
        let told = self.edns.and_then(|edns| edns.options.subnet).and_then(|subnet| subnet.network());
        told.unwrap_or_else(|| network(self.peer.addr))
    }
}
