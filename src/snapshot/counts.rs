//! How many records a message has.

use std::ops::AddAssign;

/// How many records there are in each section, as the last three words of a header (RFC 1035 §4.1.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts(pub(crate) u64);

impl Counts {
    /// One in the question section.
    pub(crate) const QUESTION: Self = Self(1 << 48);

    /// So many in the answer section.
    pub(crate) const fn answers(count: u16) -> Self {
        Self((count as u64) << 32)
    }

    /// Whether any are in the answer section.
    pub(crate) const fn has_answers(self) -> bool {
        (self.0 >> 32) as u16 > 0
    }

    /// So many in the authority section.
    pub(crate) const fn authorities(count: u16) -> Self {
        Self((count as u64) << 16)
    }

    /// So many in the additional section.
    pub(crate) const fn additionals(count: u16) -> Self {
        Self(count as u64)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0; // no message is long enough for 65,536 records
    }
}
