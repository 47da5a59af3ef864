//! Turns: so many probes are in flight at once, and the others wait in line.
//!
//! Members that are down have a line of their own: a site where most are frozen, each of which takes its turn for as long
//! as its timeout, still finds out at once about those that are well.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::Check;

/// Probes of one line in flight at once: connections, and so file descriptors, that a site full of frozen members may hold.
const IN_FLIGHT: usize = 512;

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
    up: Line,
    down: Line,
}

#[derive(Debug)]
struct Line {
    turns: Semaphore,
    given: AtomicUsize,
}

/// Whose turn it is among the members of each check that asks one at a time.
#[derive(Debug, Default)]
pub(super) struct Lone<'c>(HashMap<&'c str, Arc<Semaphore>>);

impl<'c> Lone<'c> {
    /// The one turn that all probes of a check share; `None`: they need not wait for one another.
    pub(super) fn of(&mut self, check: &'c Check) -> Option<Arc<Semaphore>> {
        let turn = || Arc::new(Semaphore::new(1));
        let asks_alone = check.kind.asks_one_at_a_time();
        asks_alone.then(|| Arc::clone(self.0.entry(&check.name).or_insert_with(turn)))
    }
}

/// Waits until no other member is asked with a check that asks one at a time.
pub(super) async fn alone(lone: Option<&Semaphore>) -> Option<SemaphorePermit<'_>> {
    lone?.acquire().await.ok() // it is never closed
}

impl Turns {
    pub(super) fn new() -> Self {
        let line = || Line { turns: Semaphore::new(IN_FLIGHT), given: AtomicUsize::new(0) };
        Self { up: line(), down: line() }
    }

    /// Waits for a turn, which ends when it is dropped; `in_line` is set meanwhile.
    pub(super) async fn wait(&self, belief: Belief, in_line: &AtomicBool) -> Option<SemaphorePermit<'_>> {
        in_line.store(true, Ordering::Relaxed);
        let line = self.line(belief);
        let turn = line.turns.acquire().await.ok(); // it is never closed
        in_line.store(false, Ordering::Relaxed);
        line.given.fetch_add(1, Ordering::Relaxed);
        turn
    }

    /// How many turns were given so far: while this rises, the line moves.
    pub(super) fn given(&self, belief: Belief) -> usize {
        self.line(belief).given.load(Ordering::Relaxed)
    }

    const fn line(&self, belief: Belief) -> &Line {
        match belief {
            Belief::Up => &self.up,
            Belief::Down => &self.down,
        }
    }
}
