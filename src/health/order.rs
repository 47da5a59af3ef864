//! An operator's word on a member: who gave it, why, and until when. It decides how far the member is answered, and
//! never what is observed: probes go on underneath, and what they found counts again once the order is over.
//!
//! ```text
//!              drain                     release, or its time is over
//!  observed ───────────▶ Drained ──────────────────────────────────────▶ observed
//!           ───────────▶ Live(100 %) ──────────────────────────────────▶
//!              force
//! ```

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Standing;

/// What an operator wants of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Whether it is kept out, or in.
    pub word: Word,
    /// Who gave it.
    pub who: Remark,
    /// What for.
    pub why: Remark,
    /// When it was given, in seconds of Unix time.
    pub since: u32,
    /// When it is over, in seconds of Unix time; `None`: when it is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u32>,
}

/// An order that nobody has taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Whether the member is to be kept out, or in.
    pub word: Word,
    /// Who gives it.
    pub who: Remark,
    /// What for.
    pub why: Remark,
    /// For how long; `None`: until it is released.
    pub lasts: Option<Duration>,
}

/// Whether whoever gives an order knows that it leaves a pool nobody who can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// It is refused then.
    Asked,
    /// It is meant so.
    Given,
}

/// Out or in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// It is not answered while anybody else can be.
    Drain,
    /// It is answered whatever probes say.
    Force,
}

/// What people write beside an order: one line, not empty, of at most [`Remark::LONGEST`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Remark(String);

/// Why something is no remark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRemark {
    /// It says nothing.
    #[error("it is empty")]
    Empty,
    /// It is longer than one string of a TXT record has room for, beside the rest.
    #[error("it is longer than {} bytes", Remark::LONGEST)]
    Long,
    /// It would break a log's line.
    #[error("it has a control character or a line break in it")]
    Control,
}

impl Draft {
    /// The order, taken at `now`, in seconds of Unix time. It ends with a whole second, and by 2106.
    pub fn taken(&self, now: u32) -> Order {
        let end = |lasts| now.saturating_add(whole_seconds(lasts).try_into().unwrap_or(u32::MAX));
        let Self { word, who, why, lasts } = self.clone();
        Order { word, who, why, since: now, until: lasts.map(end) }
    }
}

/// An order ends with a whole second: how many it lasts.
pub fn whole_seconds(lasts: Duration) -> u64 {
    lasts.as_secs().saturating_add(u64::from(lasts.subsec_nanos() > 0))
}

impl Order {
    /// Whether its time is over at `now`, in seconds of Unix time.
    pub const fn is_over(&self, now: u32) -> bool {
        matches!(self.until, Some(until) if until <= now)
    }
}

impl Standing {
    /// The same member under an order.
    #[must_use]
    pub const fn under(self, order: Option<&Order>, now: u32) -> Self {
        match order {
            Some(order) if !order.is_over(now) => match order.word {
                Word::Drain if matches!(self, Self::Foreign) => self,
                Word::Drain => Self::Drained,
                Word::Force => Self::LIVE,
            },
            _ => self,
        }
    }
}

impl Word {
    /// The word itself.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Force => "force",
        }
    }

    /// What an ordered member is: drained or forced.
    pub const fn participle(self) -> &'static str {
        match self {
            Self::Drain => "drained",
            Self::Force => "forced",
        }
    }
}

impl Remark {
    /// The most bytes in one.
    pub const LONGEST: usize = 100;

    /// Who has the token, and where from.
    pub fn of_holder(addr: IpAddr) -> Self {
        Self(format!("token from {addr}"))
    }

    /// A user without a name.
    pub fn of_uid(uid: u32) -> Self {
        Self(format!("uid {uid}"))
    }

    /// # Errors
    /// See [`BadRemark`].
    pub fn new(text: &str) -> Result<Self, BadRemark> {
        let text = text.trim();
        if text.is_empty() {
            Err(BadRemark::Empty)
        } else if text.len() > Self::LONGEST {
            Err(BadRemark::Long)
        } else if text.contains(char::is_control) {
            Err(BadRemark::Control)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl FromStr for Remark {
    type Err = BadRemark;

    fn from_str(text: &str) -> Result<Self, BadRemark> {
        Self::new(text)
    }
}

impl TryFrom<String> for Remark {
    type Error = BadRemark;

    fn try_from(text: String) -> Result<Self, BadRemark> {
        Self::new(&text)
    }
}

impl From<Remark> for String {
    fn from(remark: Remark) -> Self {
        remark.0
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Presence;

    fn order(word: Word, until: Option<u32>) -> Order {
        let remark = |text| Remark::new(text).unwrap();
        Order { word, who: remark("root"), why: remark("kernel update"), since: 100, until }
    }

    #[test]
    fn an_order_decides_until_it_is_over() {
        let half = Standing::Live(Presence::percent(50).unwrap());
        for observed in [Standing::Down, Standing::Doubtful, half, Standing::LIVE] {
            for (word, until, now, standing) in [
                (Word::Drain, None, u32::MAX, Standing::Drained),
                (Word::Force, None, u32::MAX, Standing::LIVE),
                (Word::Drain, Some(200), 199, Standing::Drained),
                (Word::Drain, Some(200), 200, observed),
                (Word::Force, Some(200), 199, Standing::LIVE),
                (Word::Force, Some(200), 201, observed),
                (Word::Drain, Some(200), 0, Standing::Drained), // the clock was set back
            ] {
                let order = order(word, until);
                assert_eq!(observed.under(Some(&order), now), standing, "{observed:?} {order:?} at {now}");
            }
            assert_eq!(observed.under(None, 0), observed);
        }
    }

    #[test]
    fn it_lasts_from_when_it_is_taken() {
        let Order { word, who, why, .. } = order(Word::Drain, None);
        for (lasts, until) in [
            (None, None),
            (Some(Duration::ZERO), Some(100)),
            (Some(Duration::from_millis(1500)), Some(102)),
            (Some(Duration::from_secs(7200)), Some(7300)),
            (Some(Duration::MAX), Some(u32::MAX)),
        ] {
            let draft = Draft { word, who: who.clone(), why: why.clone(), lasts };
            assert_eq!(draft.taken(100), order(Word::Drain, until), "{lasts:?}");
        }
    }

    #[test]
    fn a_remark_is_a_line() {
        assert_eq!(
            Remark::new(" kernel update\n").map(|remark| remark.to_string()).unwrap(),
            "kernel update"
        );
        for (text, why) in [
            (" ", BadRemark::Empty),
            (&"a".repeat(101), BadRemark::Long),
            ("one\ntwo", BadRemark::Control),
            ("\u{1b}[2J", BadRemark::Control),
        ] {
            assert_eq!(Remark::new(text), Err(why), "{text}");
        }
    }

    /// The state file keeps them; this is how they are written there.
    #[test]
    fn it_is_kept_as_json() {
        let written = r#"{"word":"drain","who":"root","why":"kernel update","since":100,"until":200}"#;
        assert_eq!(serde_json::to_string(&order(Word::Drain, Some(200))).unwrap(), written);
        assert_eq!(serde_json::from_str::<Order>(written).unwrap(), order(Word::Drain, Some(200)));
        let forever = r#"{"word":"force","who":"root","why":"kernel update","since":100}"#;
        assert_eq!(serde_json::from_str::<Order>(forever).unwrap(), order(Word::Force, None));
        for wrong in [forever.replace("force", "burn"), forever.replace("root", " ")] {
            assert!(serde_json::from_str::<Order>(&wrong).is_err(), "{wrong}");
        }
    }
}
