//! Until when members' certificates are valid. Each probe meets one, and hardly ever a new one, so that each is read once.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;

use crate::config::valid_until;

/// The most chains that are known; then all are forgotten, and read again.
const MOST: usize = 16_384;

/// Chains that were met, by their mark.
#[derive(Debug, Default)]
pub(super) struct Validity {
    marks: RandomState,
    ends: Mutex<HashMap<u64, Option<u32>>>,
}

impl Validity {
    /// When a chain expires, in seconds of Unix time; see [`valid_until`].
    pub(super) fn end(&self, chain: &[CertificateDer<'_>]) -> Option<u32> {
        let mark = self.marks.hash_one(chain);
        let mut ends = self.ends.lock();
        if ends.len() >= MOST {
            ends.clear();
        }
        *ends.entry(mark).or_insert_with(|| valid_until(chain))
    }
}
