//! Whom somebody may have meant who named nobody.

use std::fmt;

use super::{Plan, Whom};

/// The most that are told.
const MOST: usize = 3;
/// How alike two words are, from 0 to 1, of which one may be meant by the other.
const LIKE: f64 = 0.8;

/// Words for members that somebody may have meant, the most alike first. Shown, it is the end of the sentence that nobody is named
/// as was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Near(Vec<String>);

impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted: Vec<String> = self.0.iter().map(|word| format!("`{word}`")).collect();
        if quoted.is_empty() { Ok(()) } else { write!(f, "; is it {}?", quoted.join(" or ")) }
    }
}

impl Plan {
    /// The words for members that are most like what was said, where a pool was named, for the first of its members.
    pub fn near(&self, whom: &Whom) -> Near {
        let said = whom.to_string();
        let said = said.split('@').next().unwrap_or_default();
        let of_pool = self.pools.iter().filter(|pool| pool.name.to_string() == said);
        let mut near: Vec<&str> = Vec::new();
        for pool in of_pool {
            near.extend(pool.members.iter().map(|member| member.label.as_str()));
        }
        if near.is_empty() {
            near = self.alike(said);
        }
        let mut told: Vec<String> = Vec::new();
        for word in near {
            if told.len() < MOST && told.iter().all(|told| told != word) {
                told.push(word.to_owned());
            }
        }
        Near(told)
    }

    fn alike(&self, said: &str) -> Vec<&str> {
        let words = self.member_ids().flat_map(|(_, member)| [member.label.as_str(), &member.record_text]);
        let likeness = |word: &str| strsim::jaro_winkler(said, &word.to_ascii_lowercase());
        let mut alike: Vec<(f64, &str)> = words.map(|word| (likeness(word), word)).collect();
        alike.retain(|&(likeness, _)| likeness > LIKE);
        alike.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        alike.into_iter().map(|(_, word)| word).collect()
    }
}
