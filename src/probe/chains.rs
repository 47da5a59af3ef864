//! What is remembered of chains of certificates: each probe meets one, and hardly ever a new one.

use std::collections::HashMap;
use std::hash::Hasher;

use parking_lot::Mutex;
use siphasher::sip128::{Hasher128, SipHasher24};

/// The most chains that are remembered; then all are forgotten.
const MOST: usize = 16_384;

/// What is remembered of each chain, by its mark.
#[derive(Debug)]
pub(super) struct Chains<T> {
    /// Nobody else can make two chains with the same mark. Without random numbers nothing is ever remembered.
    key: Option<[u8; 16]>,
    known: Mutex<HashMap<u128, T>>,
}

impl<T: Copy> Chains<T> {
    /// Nothing yet.
    pub(super) fn nothing() -> Self {
        let mut key = [0; 16];
        let key = getrandom::fill(&mut key).ok().map(|()| key);
        Self { key, known: Mutex::default() }
    }

    /// The mark of what these parts are, one after another. `None`: there are no marks.
    pub(super) fn mark<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> Option<u128> {
        let mut hasher = SipHasher24::new_with_key(&self.key?);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        Some(hasher.finish128().as_u128())
    }

    /// What is remembered.
    pub(super) fn of(&self, mark: u128) -> Option<T> {
        self.known.lock().get(&mark).copied()
    }

    /// From now on this is.
    pub(super) fn learn(&self, mark: u128, what: T) {
        let mut known = self.known.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(mark, what);
    }
}
