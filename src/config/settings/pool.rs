//! What the config says of pools and their members.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use super::{Demand, Located};
use crate::name::Name;
use crate::units::{MaxAnswers, Share, Ttl};

/// `[[pool]]`
#[derive(Debug, Clone)]
pub struct Pool {
    /// The owner name whose records are the members.
    pub name: Located<Name>,
    /// What its members have to pass.
    pub check: Demand,
    /// Who of them is answered.
    pub rules: PoolRules,
    /// `[pool.member.KEY]`
    pub members: Vec<Member>,
}

/// Who of a pool is answered, how many, and how far an answer is to be trusted: for each RRset at its name alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolRules {
    /// Who is answered in which order.
    pub policy: Policy,
    /// The most members in one answer.
    pub max_answers: MaxAnswers,
    /// Fewer live members than this: the pool fails open.
    pub min_live: Share,
    /// What it answers then.
    pub fail_open: FailOpen,
    /// The largest TTL of its records while a change is pending, or while it fails open.
    pub ttl_unsettled: Ttl,
    /// How long a member that came back is answered with rising probability; zero: not at all.
    pub ramp: Duration,
    /// How long members may serve another version of the code than most of the pool.
    pub version_grace: Duration,
}

/// Who of a pool is answered, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Each live member is first equally often.
    RoundRobin,
    /// The same clients meet the same members.
    Sticky,
    /// Members are drawn by their weights.
    Weighted,
    /// The members of the lowest tier that has a live one, in turn.
    Failover,
}

impl Policy {
    /// The word for it in the config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::Sticky => "sticky",
            Self::Weighted => "weighted",
            Self::Failover => "failover",
        }
    }
}

/// What a pool answers with fewer live members than `min-live`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOpen {
    /// All members.
    All,
    /// Those that were live before it fell below; all where that is not known.
    LastLive,
    /// Those that are live, even if that is none.
    None,
}

/// `[pool.member.KEY]`: what differs for one member.
#[derive(Debug, Clone)]
pub struct Member {
    /// An address, or the target of an SRV record.
    pub key: Located<MemberKey>,
    /// What people call it.
    pub label: Option<String>,
    /// The address to probe, where the zones do not tell it or it differs.
    pub address: Option<IpAddr>,
    /// The port to probe, where it differs.
    pub port: Option<NonZeroU16>,
    /// Its chance beside the others'.
    pub weight: NonZeroU16,
    /// A lower one is answered first.
    pub tier: u32,
}

/// How the config names a member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MemberKey {
    /// The address of an A or AAAA record.
    Address(IpAddr),
    /// The target of an SRV record.
    Target(Name),
}

impl fmt::Display for MemberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Target(target) => target.fmt(f),
        }
    }
}
