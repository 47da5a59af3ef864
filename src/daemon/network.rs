//! The real way to ask members: over the network, each probe with what its check prepared.

use crate::plan::Probe;
use crate::probe::schedule::Ask;
use crate::probe::{self, Finding, Prober, Target};
use crate::units::ProbeId;

/// Who is dialled for each probe, and with what.
#[derive(Debug)]
pub struct Network(Vec<(Prober, Target)>);

impl Network {
    /// Joins probes with their probers, which come in the same order.
    ///
    /// # Errors
    /// The first prober that could not be prepared.
    pub fn new<E>(probes: &[Probe], prepared: impl Iterator<Item = Result<Prober, E>>) -> Result<Self, E> {
        let joined = probes.iter().zip(prepared).map(|(probe, prober)| {
            let target = Target { addr: probe.target, server_name: probe.server_name.clone() };
            Ok((prober?, target))
        });
        joined.collect::<Result<_, E>>().map(Self)
    }
}

impl Ask for Network {
    async fn ask(&self, id: ProbeId) -> Finding {
        let (prober, target) = &self.0[id.index()];
        probe::run(prober, target).await
    }
}
