//! What is told about a pool to those who may know: `dig CH TXT` of its name.
//!
//! It is part of the snapshot, so that who is answered and what is said about it are of the same moment.

/// What is told about a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// A line for the pool and one for each member.
    pub lines: Vec<Line>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who and how.
    pub text: String,
    /// Since when, in seconds of Unix time, where that is known.
    pub since: Option<u32>,
}
