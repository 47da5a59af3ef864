//! The way that a query comes: over which transport, from whom, to which address of ours.

use std::net::SocketAddr;
use std::time::Duration;

use super::tally::Transport;
use crate::answer::Peer;

/// The way of one client's queries, and back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) transport: Transport,
    /// Who asks.
    pub(super) from: SocketAddr,
    /// Whom it asks, as far as the system tells.
    pub(super) to: Option<SocketAddr>,
}

impl Way {
    /// Whoever is at its other end, at a moment of Unix time.
    pub(super) fn peer(&self, now: Duration) -> Peer {
        Peer { addr: self.from.ip(), via: self.transport.via(), now: now.as_secs() as u32 }
    }
}

#[cfg(test)]
impl Way {
    pub(super) fn for_tests() -> Self {
        let from = SocketAddr::from(([127, 0, 0, 1], 5300));
        Self { transport: Transport::Tcp, from, to: None }
    }
}
