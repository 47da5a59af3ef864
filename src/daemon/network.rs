//! The real way to ask members: over the network, each probe with what its check prepared.

use std::net::SocketAddr;

use crate::probe::guard::{self, Vouch};
use crate::probe::schedule::Ask;
use crate::probe::{self, Finding, Held, Prober, Target};
use crate::units::ProbeId;

/// Who is dialled for each probe, and with what.
#[derive(Debug)]
pub struct Network(Vec<(Prober, Target)>);

impl Network {
    /// The line to each member, by `ProbeId`.
    pub const fn new(lines: Vec<(Prober, Target)>) -> Self {
        Self(lines)
    }
}

impl Ask for Network {
    async fn ask(&self, id: ProbeId) -> Finding {
        let (prober, target) = &self.0[id.index()];
        probe::run(prober, target).await
    }

    async fn hold(&self, id: ProbeId) -> Held {
        let (prober, target) = &self.0[id.index()];
        probe::hold(prober, target).await
    }
}

impl Vouch for Network {
    async fn vouches(&self, guard: SocketAddr) -> bool {
        guard::dial(guard).await
    }
}
