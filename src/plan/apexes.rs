//! Which zone a name is in: of the zones that are served, one may be below another.

use std::collections::HashMap;

use crate::name::{self, Name};
use crate::units::ZoneId;
use crate::zone::Zone;

/// The zones by their apexes.
#[derive(Debug)]
pub(crate) struct Apexes(HashMap<Name, ZoneId>);

impl Apexes {
    /// Of `zones`, each of which has a name of its own.
    pub(super) fn of(zones: &[Zone]) -> Self {
        Self(zones.iter().zip(0..).map(|(zone, id)| (zone.origin.clone(), ZoneId(id))).collect())
    }

    /// The zone that has the say on a lowered wire name: the lowest one at or above it. `None`: there is none.
    pub(crate) fn holder(&self, name: &[u8]) -> Option<ZoneId> {
        name::up_from(name).find_map(|name| self.0.get(name).copied())
    }

    /// The zone that delegates an apex to its own zone, if it is served as well.
    pub(crate) fn above(&self, apex: &[u8]) -> Option<ZoneId> {
        self.holder(name::parent(apex)?)
    }
}
