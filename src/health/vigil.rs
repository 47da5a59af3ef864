//! Who watches the prober: verdicts of which nothing was heard for too long are old, whatever they said.
//!
//! ```text
//!  heard          heard          heard            patience is over: stale
//!  ├──────────────┼──────────────┼ · · · · · · · · · · · · ┤
//!                                  stalled, or dead
//! ```
//!
//! Times are counted from any start that never jumps.

use std::time::Duration;

use crate::units::ProbeId;

/// When each probe was heard of, and how long it may be silent.
#[derive(Debug)]
pub struct Vigil {
    probes: Vec<Watched>,
    /// When the next of them can be too silent.
    next: Option<Duration>,
}

#[derive(Debug)]
struct Watched {
    heard: Duration,
    patience: Duration,
}

/// A look that is later than this was held up, and so, it seems, was everything else.
const LATE: Duration = Duration::from_millis(500);

impl Vigil {
    /// Begins `now`, as if all had just been heard of. `patience`: how long each may be silent, by `ProbeId`.
    pub fn begin(patience: impl IntoIterator<Item = Duration>, now: Duration) -> Self {
        let probes = patience.into_iter().map(|patience| Watched { heard: now, patience });
        let mut vigil = Self { probes: probes.collect(), next: None };
        vigil.next = vigil.earliest(now);
        vigil
    }

    /// Something was heard of this probe, which may be silent for so long now.
    pub fn hear(&mut self, probe: ProbeId, patience: Duration, now: Duration) {
        let watched = Watched { heard: now, patience };
        let end = watched.end();
        self.probes[probe.index()] = watched;
        self.next = Some(self.next.map_or(end, |next| next.min(end)));
    }

    /// For how long nothing was heard of this probe.
    pub fn silence(&self, probe: ProbeId, now: Duration) -> Duration {
        now.saturating_sub(self.probes[probe.index()].heard)
    }

    /// When to look next; `None`: not before something is heard.
    pub const fn next_look(&self) -> Option<Duration> {
        self.next
    }

    /// The probes that have been silent for too long. A look that is late itself begins anew: who was stopped together
    /// with the probes cannot blame them.
    pub fn look(&mut self, now: Duration) -> Vec<ProbeId> {
        if self.next.is_some_and(|next| now > next + LATE) {
            self.probes.iter_mut().for_each(|watched| watched.heard = now);
        }
        self.next = self.earliest(now);
        let silent = self.probes.iter().enumerate().filter(|(_, watched)| watched.end() <= now);
        silent.map(|(i, _)| ProbeId(i as u32)).collect()
    }

    fn earliest(&self, now: Duration) -> Option<Duration> {
        self.probes.iter().map(Watched::end).filter(|&end| end > now).min()
    }
}

impl Watched {
    fn end(&self) -> Duration {
        self.heard + self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: ProbeId = ProbeId(0);
    const SECOND: ProbeId = ProbeId(1);

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Two probes; the second is asked less often.
    fn vigil() -> Vigil {
        Vigil::begin([ms(1000), ms(3000)], ms(0))
    }

    #[test]
    fn who_is_silent_for_too_long_is_noticed_then_and_not_before() {
        let mut vigil = vigil();
        assert_eq!(vigil.next_look(), Some(ms(1000)));
        vigil.hear(FIRST, ms(1000), ms(700));
        assert_eq!((vigil.look(ms(1000)), vigil.next_look()), (vec![], Some(ms(1700))));
        assert_eq!((vigil.look(ms(1700)), vigil.next_look()), (vec![FIRST], Some(ms(3000))));
        assert_eq!((vigil.look(ms(3000)), vigil.next_look()), (vec![FIRST, SECOND], None));
    }

    #[test]
    fn who_is_heard_again_is_watched_again() {
        let mut vigil = vigil();
        assert_eq!(vigil.look(ms(1000)), [FIRST]);
        assert_eq!(vigil.look(ms(3000)), [FIRST, SECOND]);
        vigil.hear(SECOND, ms(3000), ms(5000));
        assert_eq!(vigil.next_look(), Some(ms(8000)));
        vigil.hear(FIRST, ms(1000), ms(5500));
        assert_eq!((vigil.look(ms(5600)), vigil.next_look()), (vec![], Some(ms(6500))));
    }

    /// The whole process was stopped for an hour, or the machine slept.
    #[test]
    fn who_was_stopped_as_well_blames_nobody() {
        let mut vigil = vigil();
        vigil.hear(FIRST, ms(1000), ms(900));
        assert_eq!(vigil.look(ms(1000)), []);
        assert_eq!((vigil.look(ms(3_600_000)), vigil.next_look()), (vec![], Some(ms(3_601_000))));
        assert_eq!(vigil.look(ms(3_601_000)), [FIRST], "but not for ever");
    }
}
