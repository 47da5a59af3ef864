//! How everything is in a few numbers: for whoever looks all the time, and shows one line. No member is drawn for it.

use super::Director;
use crate::snapshot::Mode;
use crate::units::Moment;

/// The director's state in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// How many pools there are.
    pub pools: usize,
    /// Those that fail open, in the order of the config: their names and types.
    pub failing: Vec<String>,
    /// How many members all pools have.
    pub members: usize,
    /// How many of them are live.
    pub live: usize,
    /// Of how many probes nothing was heard for so long that their verdicts are stale.
    pub stale: usize,
    /// Whether what is observed is frozen: the members are silent, and the guards, too.
    pub frozen: bool,
}

impl Director {
    /// What a status would say, added up.
    pub fn brief(&self, now: Moment) -> Brief {
        let pools = &self.plan.pools;
        let failing = pools.iter().zip(&self.lineups).filter(|(_, lineup)| lineup.mode == Mode::FailingOpen);
        let members = || self.plan.pool_ids().flat_map(|(id, _)| self.ids(id));
        Brief {
            pools: pools.len(),
            failing: failing.map(|(pool, _)| pool.key()).collect(),
            members: members().count(),
            live: members().filter(|&id| self.standing(id, now).is_live()).count(),
            stale: *self.stale.borrow(),
            frozen: self.guard.is_blind(),
        }
    }
}
