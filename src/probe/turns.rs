//! Turns: so many probes are in flight at once, and the others wait in line.
//!
//! Members that are down have a part of the turns: a site where most are frozen, each of which takes its turn for as long
//! as its timeout, still finds out at once about those that are well.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Probes in flight at once: connections, and so file descriptors, that a site full of frozen members may hold.
const IN_FLIGHT: usize = 1024;
/// Those of them that ask members that are down.
const DOWN_IN_FLIGHT: usize = IN_FLIGHT / 4 * 3;

/// What the last answers make of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    /// It is up, or may soon be, or may not be much longer.
    Up,
    /// It is down, or nothing is known yet: an answer that is late is no news.
    Down,
}

/// The turns of all probes.
#[derive(Debug)]
pub(super) struct Turns {
    all: Semaphore,
    down: Semaphore,
    given: AtomicUsize,
}

/// The right to ask, until it is dropped.
pub(super) struct Turn<'t> {
    _down: Option<SemaphorePermit<'t>>,
    _turn: Option<SemaphorePermit<'t>>,
}

impl Turns {
    pub(super) fn new() -> Self {
        let (all, down) = (Semaphore::new(IN_FLIGHT), Semaphore::new(DOWN_IN_FLIGHT));
        Self { all, down, given: AtomicUsize::new(0) }
    }

    /// Waits for a turn; `in_line` is set meanwhile.
    pub(super) async fn wait(&self, belief: Belief, in_line: &AtomicBool) -> Turn<'_> {
        in_line.store(true, Ordering::Relaxed);
        let down = match belief {
            Belief::Up => None,
            Belief::Down => self.down.acquire().await.ok(), // neither is ever closed
        };
        let turn = self.all.acquire().await.ok();
        in_line.store(false, Ordering::Relaxed);
        self.given.fetch_add(1, Ordering::Relaxed);
        Turn { _down: down, _turn: turn }
    }

    /// How many turns were given so far: while this rises, the line moves.
    pub(super) fn given(&self) -> usize {
        self.given.load(Ordering::Relaxed)
    }
}
