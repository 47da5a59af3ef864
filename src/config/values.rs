//! Values with a text form of their own.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::name::Name;
use crate::units::{Presence, Share, Ttl};

/// A duration above zero: `"2s"`, `"1m 30s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Pause(pub(super) Duration);

impl Pause {
    pub(super) const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl TryFrom<String> for Pause {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Stretch(pause) = text.try_into()?;
        if pause.is_zero() { Err("a duration of zero".to_owned()) } else { Ok(Self(pause)) }
    }
}

impl Serialize for Pause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stretch(self.0).serialize(serializer)
    }
}

/// The longest that anything may last: added to any moment, it is still a moment. A hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 31_557_600);

/// A duration, or none at all: `"0s"`, `"5m"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Stretch(pub(super) Duration);

impl TryFrom<String> for Stretch {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let stretch =
            humantime::parse_duration(&text).map_err(|e| format!("`{text}` is no duration: {e}"))?;
        if stretch <= LONGEST { Ok(Self(stretch)) } else { Err(format!("`{text}` is more than 100 years")) }
    }
}

impl Serialize for Stretch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

/// A TTL as a duration: `"5s"`, `"1m"`. Whole seconds are all that a record can say, and 0 would send every single
/// lookup here (RFC 1035 §3.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct TtlText(pub(super) Ttl);

impl TryFrom<String> for TtlText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Stretch(stretch) = text.clone().try_into()?;
        let seconds = u32::try_from(stretch.as_secs()).ok().filter(|_| stretch.subsec_nanos() == 0);
        let ttl = seconds.filter(|&seconds| seconds > 0).and_then(Ttl::new);
        ttl.map(Self).ok_or_else(|| format!("`{text}` is no TTL: whole seconds, at least one"))
    }
}

impl Serialize for TtlText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stretch(Duration::from_secs(self.0.seconds().into())).serialize(serializer)
    }
}

/// A part of what is usual: `"50%"`, at least one percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PartText(pub(super) Presence);

impl TryFrom<String> for PartText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let percent = text.strip_suffix('%').and_then(|number| number.parse().ok());
        let part = percent.and_then(Presence::percent).filter(|part| part.is_some());
        part.map(Self).ok_or_else(|| format!("`{text}` is no part, from \"1%\" to \"100%\""))
    }
}

impl Serialize for PartText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}%", self.0.as_percent()))
    }
}

/// The largest reply over UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16")]
pub(super) struct UdpSize(pub(super) u16);

impl TryFrom<u16> for UdpSize {
    type Error = String;

    fn try_from(size: u16) -> Result<Self, String> {
        if (512..=4096).contains(&size) {
            Ok(Self(size))
        } else {
            Err(format!("{size} is not from 512 to 4096"))
        }
    }
}

/// Which server this is: up to 64 printable characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ServerId(pub(super) String);

impl TryFrom<String> for ServerId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if fits { Ok(Self(text)) } else { Err("an id has 1 to 64 printable ASCII characters".to_owned()) }
    }
}

/// A domain name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct NameText(pub(super) Name);

impl TryFrom<String> for NameText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Name::parse(&text).map(Self).map_err(|e| format!("`{text}` is no domain name: {e}"))
    }
}

impl Serialize for NameText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A method of HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Method(pub(super) String);

impl TryFrom<String> for Method {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if fits { Ok(Self(text)) } else { Err(format!("`{text}` is no HTTP method")) }
    }
}

/// Status codes from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct StatusRange(pub(super) u16, pub(super) u16);

impl TryFrom<String> for StatusRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (from, to) = text.split_once('-').unwrap_or((&text, &text));
        match (from.trim().parse(), to.trim().parse()) {
            (Ok(from), Ok(to)) if (100..=to).contains(&from) && to <= 599 => Ok(Self(from, to)),
            _ => Err(format!("`{text}` is neither a status code nor a range of them, as \"200-299\" is")),
        }
    }
}

impl Serialize for StatusRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == self.1 {
            serializer.collect_str(&self.0)
        } else {
            serializer.collect_str(&format_args!("{}-{}", self.0, self.1))
        }
    }
}

/// A count of members, or a share of them: `2`, `"50%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShareText(pub(super) Share);

impl<'de> Deserialize<'de> for ShareText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = ShareText;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a count of members, or a share of them as \"50%\"")
            }

            fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<ShareText, E> {
                let count =
                    u16::try_from(count).map_err(|_| E::custom(format!("{count} is no count of members")))?;
                Ok(ShareText(Share::Count(count)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ShareText, E> {
                let percent =
                    text.strip_suffix('%').and_then(|number| number.parse().ok()).filter(|&p| p <= 100);
                let percent =
                    percent.ok_or_else(|| E::custom(format!("`{text}` is no share, as \"50%\" is")))?;
                Ok(ShareText(Share::Percent(percent)))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for ShareText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Share::Count(count) => serializer.serialize_u16(count),
            Share::Percent(percent) => serializer.collect_str(&format_args!("{percent}%")),
        }
    }
}
