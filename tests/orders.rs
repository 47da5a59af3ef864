//! Orders as an operator gives them: to whom, what they leave, how long they last, and that nothing forgets them.

mod daemon;
mod director;
mod whom;

use onstage::health::{Draft, Remark, Word};
use std::time::Duration;

/// An order of root's.
pub fn draft(word: Word, lasts: Option<Duration>) -> Draft {
    let remark = |text| Remark::new(text).unwrap();
    Draft { word, who: remark("root"), why: remark("kernel update"), lasts }
}
