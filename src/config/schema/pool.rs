//! `[[pool]]`: whose records are answered by health, and how.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use documented::{Documented, DocumentedFields};
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::port;
use crate::config::values::{NameText, ShareText, Stretch, TtlText};
use crate::units::{Share, Ttl};

/// `[[pool]]`
#[derive(Debug, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct Pool {
    /// The owner name whose A, AAAA and SRV records are the members.
    pub(in crate::config) name: Spanned<NameText>,
    /// The check.
    pub(in crate::config) check: Spanned<String>,
    /// Who is answered in which order.
    #[serde(default)]
    pub(in crate::config) policy: Policy,
    /// The most members in one answer.
    #[serde(default = "Pool::max_answers")]
    pub(in crate::config) max_answers: NonZeroU16,
    /// A count, or `"50%"`: with fewer live members the pool fails open.
    #[serde(default = "Pool::min_live")]
    pub(in crate::config) min_live: ShareText,
    /// What it answers then.
    #[serde(default)]
    pub(in crate::config) fail_open: FailOpen,
    /// The most that its records say they may be cached for while a change is pending, or while it fails open.
    #[serde(default = "Pool::ttl_unsettled")]
    pub(in crate::config) ttl_unsettled: TtlText,
    /// A member that came back is answered with rising probability for so long; `"0s"`: at once.
    #[serde(default)]
    pub(in crate::config) ramp: Stretch,
    /// Members that serve another version of the code than most of the pool are left out after so long.
    #[serde(default = "Pool::version_grace")]
    pub(in crate::config) version_grace: Stretch,
    /// What differs for one member, by its address or SRV target.
    #[serde(default)]
    pub(in crate::config) member: BTreeMap<Spanned<String>, Member>,
}

impl Pool {
    const fn max_answers() -> NonZeroU16 {
        port(8)
    }

    const fn min_live() -> ShareText {
        ShareText(Share::Count(1))
    }

    const fn version_grace() -> Stretch {
        Stretch(Duration::from_secs(15 * 60))
    }

    const fn ttl_unsettled() -> TtlText {
        const SECONDS: u32 = 5;
        match Ttl::new(SECONDS) {
            Some(ttl) => TtlText(ttl),
            None => TtlText(Ttl::MAX),
        }
    }
}

/// What of a pool has a default, to be printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct PoolDefaults {
    policy: Policy,
    max_answers: NonZeroU16,
    min_live: ShareText,
    fail_open: FailOpen,
    ttl_unsettled: TtlText,
    ramp: Stretch,
    version_grace: Stretch,
}

impl Default for PoolDefaults {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            max_answers: Pool::max_answers(),
            min_live: Pool::min_live(),
            fail_open: FailOpen::default(),
            ttl_unsettled: Pool::ttl_unsettled(),
            ramp: Stretch::default(),
            version_grace: Pool::version_grace(),
        }
    }
}

/// `[pool.member."MEMBER"]`: what differs for one member, an address or the target of an SRV record.
#[derive(Debug, Default, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case", default)]
pub(in crate::config) struct Member {
    /// What people call it.
    pub(in crate::config) label: Option<String>,
    /// The address to probe, where no zone tells it or it differs.
    pub(in crate::config) address: Option<IpAddr>,
    /// The port to probe, where it differs.
    pub(in crate::config) port: Option<NonZeroU16>,
    /// Its chance beside the others' (policy `weighted`); left out: 1.
    pub(in crate::config) weight: Option<NonZeroU16>,
    /// A lower one is answered first (policy `failover`); left out: 1.
    pub(in crate::config) tier: Option<u32>,
}

/// `policy`
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Documented, DocumentedFields,
)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Policy {
    /// Each live member is first equally often.
    #[default]
    RoundRobin,
    /// The same client networks meet the same members: rendezvous hashing over the /24 or /56, ECS where given.
    Sticky,
    /// Members are drawn by `weight`.
    Weighted,
    /// The live members of the lowest `tier`, in turn.
    Failover,
}

/// `fail-open`
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Documented, DocumentedFields,
)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum FailOpen {
    /// All members.
    #[default]
    All,
    /// Those that were live before.
    LastLive,
    /// Those that are live, even if that is none.
    None,
}
