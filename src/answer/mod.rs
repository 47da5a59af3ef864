//! Query bytes in, reply bytes out.

use std::net::SocketAddr;

use crate::snapshot::Snapshot;

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

/// Room for one reply, kept by whoever calls [`answer`] and used again for each query.
pub struct ReplyBuf(Vec<u8>);

impl ReplyBuf {
    /// Room for the largest reply there is; `seed` decides where its rotation starts.
    pub fn new(_seed: u32) -> Self {
        Self(vec![0; 65_535])
    }

    /// The reply.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What became of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The reply is in the buffer.
    Reply,
    /// No reply is sent.
    Drop,
}

/// Answers `query` from `snapshot` into `reply`.
pub fn answer(_snapshot: &Snapshot, _peer: &Peer, _query: &[u8], _reply: &mut ReplyBuf) -> Outcome {
    Outcome::Drop
}
