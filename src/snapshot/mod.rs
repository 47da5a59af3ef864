//! One immutable state of everything that is answered.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// Everything that is answered.
#[derive(Debug, Default)]
pub struct Snapshot {}

/// The one writer. Not `Clone`.
#[derive(Debug)]
pub struct Publisher(Arc<ArcSwap<Snapshot>>);

/// Reads the newest snapshot; one for each worker or connection.
#[derive(Debug, Clone)]
pub struct Reader(arc_swap::Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>);

impl Publisher {
    /// Starts with a snapshot.
    pub fn new(first: Snapshot) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(first)))
    }

    /// From now on `next` is answered.
    pub fn publish(&self, next: Snapshot) {
        self.0.store(Arc::new(next));
    }

    /// A reader of what is published.
    pub fn reader(&self) -> Reader {
        Reader(arc_swap::Cache::new(Arc::clone(&self.0)))
    }
}

impl Reader {
    /// The newest snapshot: one atomic load where nothing changed.
    pub fn load(&mut self) -> &Arc<Snapshot> {
        self.0.load()
    }
}
