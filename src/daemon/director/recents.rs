//! The last verdicts of each probe, for people who want to know how it came to be what it is. They decide nothing.
//!
//! ```text
//!  │ when, seconds of Unix time: 32 bits │ how long, in 10 µs: 24 bits │ leaving: 1 bit │ reason, or pass: 7 bits │
//! ```
//!
//! With ten thousand probes this is the most that is kept of them: eight bytes a verdict.

use serde::{Deserialize, Serialize};

use crate::admin::status;
use crate::health::{Reason, Verdict};
use crate::probe::Finding;

/// So many verdicts of a probe are remembered.
const MOST: usize = 32;
/// So much of what the last probe saw that failed.
const LONGEST: usize = 200;

const UNIT_US: u128 = 10;
const LONGEST_TOOK: u64 = (1 << 24) - 1;
const LEAVING: u64 = 1 << 7;
const PASS: u64 = LEAVING - 1;

/// What is remembered of one probe. A full one has the oldest verdict at `next`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Recents {
    verdicts: Vec<Packed>,
    next: u8,
    detail: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Packed(u64);

impl Recents {
    /// One more verdict, heard at `now` in seconds of Unix time.
    pub(super) fn note(&mut self, finding: &Finding, now: u32) {
        let packed = Packed::new(finding, now);
        match self.verdicts.get_mut(usize::from(self.next)) {
            Some(oldest) => *oldest = packed,
            None => self.verdicts.push(packed),
        }
        self.next = (self.next + 1) % MOST as u8;
        if finding.verdict != Verdict::Pass && *self.detail != *shown(&finding.detail) {
            self.detail = shown(&finding.detail).into();
        }
    }

    /// What the last probe saw that failed; empty: none has, or it saw nothing to tell.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// All of them, the newest last.
    pub(super) fn told(&self) -> Vec<status::Verdict> {
        let (newer, older) = self.verdicts.split_at(usize::from(self.next).min(self.verdicts.len()));
        older.iter().chain(newer).map(|packed| packed.told()).collect()
    }
}

impl Packed {
    fn new(finding: &Finding, now: u32) -> Self {
        let took = u64::try_from(finding.latency.as_micros() / UNIT_US).unwrap_or(u64::MAX);
        let reason = finding.verdict.reason().map_or(PASS, |reason| reason as u64);
        let leaving = if matches!(finding.verdict, Verdict::Leaving(_)) { LEAVING } else { 0 };
        Self(u64::from(now) << 32 | took.min(LONGEST_TOOK) << 8 | leaving | reason)
    }

    fn told(self) -> status::Verdict {
        let reason = Reason::ALL.get((self.0 & PASS) as usize);
        status::Verdict {
            at: (self.0 >> 32) as u32,
            reason: reason.map(ToString::to_string),
            leaving: self.0 & LEAVING != 0,
            latency_ms: ms(self.0 >> 8 & LONGEST_TOOK),
        }
    }
}

/// A number of 10 µs, of 24 bits, in milliseconds.
fn ms(took: u64) -> f32 {
    (f64::from(took as u32) / 100.0) as f32
}

fn shown(detail: &str) -> &str {
    let end = (0..=LONGEST.min(detail.len())).rev().find(|&end| detail.is_char_boundary(end));
    &detail[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::health::Told;

    fn finding(verdict: Verdict, detail: &str, latency: Duration) -> Finding {
        Finding { verdict, detail: detail.to_owned(), told: Told::default(), steps: Vec::new(), latency }
    }

    #[test]
    fn every_verdict_comes_back_as_it_was() {
        let mut recents = Recents::default();
        recents.note(&finding(Verdict::Pass, "", Duration::from_micros(1_230)), 7);
        let mut wanted = vec![status::Verdict { at: 7, reason: None, leaving: false, latency_ms: 1.23 }];
        for (i, &reason) in Reason::ALL.iter().enumerate() {
            for verdict in [Verdict::Fail(reason), Verdict::Leaving(reason)] {
                recents.note(&finding(verdict, "", Duration::from_secs(1000)), i as u32);
                wanted.push(status::Verdict {
                    at: i as u32,
                    reason: Some(reason.to_string()),
                    leaving: verdict == Verdict::Leaving(reason),
                    latency_ms: ms(LONGEST_TOOK),
                });
                let last = wanted.len().saturating_sub(MOST);
                assert_eq!(recents.told(), wanted[last..], "{reason}");
            }
        }
        assert!(Reason::ALL.len() < PASS as usize, "there is room for all reasons");
        assert_eq!(recents.verdicts.capacity(), MOST);
    }

    #[test]
    fn what_the_last_fail_saw_is_kept_within_bounds() {
        let mut recents = Recents::default();
        let long = "é".repeat(LONGEST);
        for (verdict, detail, kept) in [
            (Verdict::Pass, "", ""),
            (Verdict::Fail(Reason::Refused), "nobody is there", "nobody is there"),
            (Verdict::Pass, "", "nobody is there"),
            (Verdict::Fail(Reason::BadReply), &long, &long[..LONGEST]),
        ] {
            recents.note(&finding(verdict, detail, Duration::ZERO), 0);
            assert_eq!(recents.detail(), kept);
        }
    }
}
