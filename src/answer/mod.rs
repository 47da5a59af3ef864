//! Query bytes in, reply bytes out: a pure function of one snapshot.
//!
//! ```text
//!  query ──Query::parse──▶ Snapshot::find ──▶ template ──compose──▶ reply
//!            │ Outcome::Drop: no header, or a response
//!            └ FORMERR, NOTIMP, BADVERS, REFUSED: header, and what of the question could be read
//! ```
//!
//! It does not fail, block, allocate or log. Every transport calls it, and so do the tests.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 1034 §4.3.2 | the algorithm: CNAME chains, wildcards, delegations | whole |
//! | 1035 §4.1 | messages; §4.1.4 compression | whole |
//! | 2181 §5, §9 | RRsets are whole or absent; TC | whole |
//! | 2308 | negative answers carry the SOA | whole |
//! | 3597 | unknown types | whole |
//! | 4343 | names compare without case, and come back as they were sent | whole |
//! | 4592 | wildcards, empty non-terminals | whole |
//! | 6891 | EDNS(0): sizes, BADVERS, unknown options | whole |
//! | 8020 | NXDOMAIN means that nothing is below | whole |
//! | 8482 §4.2 | ANY is answered with HINFO | whole |
//! | 9471 | glue that does not fit sets TC | whole |
//! | 9715 | no fragments: at most `udp-size` over UDP | whole |
//! | 1995, 5936 | transfers | refused |
//! | 2136, 1996 | UPDATE, NOTIFY | NOTIMP |

mod compose;
mod edns;
mod query;

use std::net::SocketAddr;

use crate::snapshot::Snapshot;
use query::{Query, Refusal};

/// Who asks, and over what.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The source of the query.
    pub addr: SocketAddr,
    /// What carries it.
    pub via: Via,
}

/// What carries a query: it decides how long a reply may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// UDP: the reply must fit, or is truncated.
    Datagram,
    /// TCP: up to 65,535 bytes.
    Stream,
}

/// What became of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The reply is in the buffer.
    Reply,
    /// No reply is sent: the query has no header, or is itself a response.
    Drop,
}

/// Room for one reply, kept by whoever calls [`answer`] and used again for each query.
#[derive(Debug)]
pub struct ReplyBuf {
    bytes: Box<[u8]>,
    len: usize,
    turn: u32,
}

impl ReplyBuf {
    /// The longest reply there is, in bytes.
    pub const SIZE: usize = 65_535;

    /// Room for any reply. `seed` decides where its rotation starts: callers differ in it, so that many
    /// short-lived ones do not all answer the same member first.
    pub fn new(seed: u32) -> Self {
        Self { bytes: vec![0; Self::SIZE].into(), len: 0, turn: seed }
    }

    /// The reply, after an [`Outcome::Reply`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Where the next rotation starts, as a fraction of 2^32 of a ring.
    ///
    /// The steps are the golden ratio's: any periodic pattern of queries (A, AAAA, A, AAAA, …) still meets
    /// each member first equally often, without a counter for each RRset. See `docs/design/rotation.md`.
    fn next_turn(&mut self) -> u32 {
        const GOLDEN_RATIO: u32 = 0x9e37_79b9;
        self.turn = self.turn.wrapping_add(GOLDEN_RATIO);
        self.turn
    }
}

/// Answers `query` from `snapshot` into `reply`.
pub fn answer(snapshot: &Snapshot, peer: &Peer, query: &[u8], reply: &mut ReplyBuf) -> Outcome {
    let mut name = query::NameBuf::new();
    match Query::parse(query, &mut name) {
        Ok(query) => reply_to(snapshot, peer, &query, reply),
        Err(Refusal::Silence) => return Outcome::Drop,
        Err(Refusal::Header(rcode)) => compose::header_only(query, rcode, reply),
    }
    Outcome::Reply
}

fn reply_to(snapshot: &Snapshot, peer: &Peer, query: &Query<'_>, reply: &mut ReplyBuf) {
    let limit = limit(snapshot, peer.via, query);
    let edns = query.edns.map(|edns| edns.reply(snapshot.udp_size()));
    match query.judge() {
        Err(rcode) => compose::without_records(query, rcode, edns, reply),
        Ok(()) => match snapshot.find(query.name, query.record_type) {
            Some(hit) => compose::from_template(query, &hit, edns, limit, reply),
            None => compose::without_records(query, query::REFUSED, edns, reply),
        },
    }
}

/// The longest reply that may go back (RFC 1035 §4.2.1, RFC 6891 §6.2.3).
fn limit(snapshot: &Snapshot, via: Via, query: &Query<'_>) -> usize {
    const WITHOUT_EDNS: u16 = 512;
    match via {
        Via::Stream => ReplyBuf::SIZE,
        Via::Datagram => {
            let asked = query.edns.map_or(WITHOUT_EDNS, |edns| edns.udp_size.max(WITHOUT_EDNS));
            usize::from(asked.min(snapshot.udp_size()))
        }
    }
}
