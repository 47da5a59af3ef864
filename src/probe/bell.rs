//! What interrupts the pause between two probes: the idle connection to the member is lost, or somebody wants to know now.
//!
//! Whoever rings is told a number, and each verdict says up to which number its question was asked for: one question
//! answers all that rang before it, and those that ring while it is under way share the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::units::ProbeId;

/// The how manieth ring it was; the first questions are asked without one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ring(u64);

/// The bell of one probe.
#[derive(Debug, Default)]
pub(super) struct Bell {
    loss: Notify,
    wish: Notify,
    rings: AtomicU64,
}

impl Bell {
    /// The connection is lost.
    pub(super) fn lose(&self) {
        self.loss.notify_one();
    }

    /// Ends with a loss.
    pub(super) async fn lost(&self) {
        self.loss.notified().await;
    }

    /// Somebody wants to know.
    fn ring(&self) -> Ring {
        let ring = Ring(self.rings.fetch_add(1, Ordering::Relaxed) + 1);
        self.wish.notify_one();
        ring
    }

    /// The last one.
    pub(super) fn last(&self) -> Ring {
        Ring(self.rings.load(Ordering::Relaxed))
    }

    /// Ends with the first one after `heard`.
    pub(super) async fn rung_after(&self, heard: Ring) {
        while self.last() <= heard {
            self.wish.notified().await; // be it of one that was heard already
        }
    }
}

/// The bells of all probes, for whoever wants to know. Clones ring the same ones.
#[derive(Debug, Clone, Default)]
pub struct Bells(Arc<[Arc<Bell>]>);

impl Bells {
    /// Has a probe ask at once, or where it is asking, once more then. `None`: there is no such probe.
    pub fn ring(&self, probe: ProbeId) -> Option<Ring> {
        self.0.get(probe.index()).map(|bell| bell.ring())
    }
}

impl FromIterator<Arc<Bell>> for Bells {
    fn from_iter<T: IntoIterator<Item = Arc<Bell>>>(bells: T) -> Self {
        Self(bells.into_iter().collect())
    }
}
