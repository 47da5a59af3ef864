//! What became something else lately, for people who ask what happened. It decides nothing.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::admin::status::Transition;
use crate::health::Observed;
use crate::plan::{Pool, Probe};
use crate::snapshot::Mode;

/// So much of it is remembered.
const MOST: usize = 256;

/// The last transitions, the oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct History(VecDeque<Transition>);

impl History {
    /// A member was observed so, and is observed otherwise. That it is up at all is no news of a new one.
    pub(super) fn observed(&mut self, probe: &Probe, before: Observed, after: Observed, at: u32) {
        if before == Observed::Unknown && after.is_up() {
            return;
        }
        self.note(Transition {
            at,
            who: probe.target.to_string(),
            check: Some(probe.check.name.clone()),
            from: before.as_str().to_owned(),
            to: after.as_str().to_owned(),
            reason: after.reason().map(|reason| reason.to_string()),
        });
    }

    /// A pool began or ceased to fail open.
    pub(super) fn turned(&mut self, pool: &Pool, before: Mode, after: Mode, at: u32) {
        if before != after {
            self.note(Transition {
                at,
                who: pool.key(),
                check: None,
                from: before.as_str().to_owned(),
                to: after.as_str().to_owned(),
                reason: None,
            });
        }
    }

    /// All that is remembered, the newest last.
    pub(super) fn told(&self) -> Vec<Transition> {
        self.0.iter().cloned().collect()
    }

    fn note(&mut self, transition: Transition) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(transition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut history = History::default();
        let [who, from, to] = ["127.0.0.1:8140", "up", "down"].map(ToOwned::to_owned);
        let (check, reason) = (None, None);
        for at in 0..300 {
            let [who, from, to] = [&who, &from, &to].map(Clone::clone);
            history.note(Transition { at, who, check: check.clone(), from, to, reason: reason.clone() });
        }
        let told = history.told();
        assert_eq!((told.len(), told[0].at, told[255].at), (MOST, 44, 299));
    }
}
