//! The checked whole: zones, pools, members and probes, with dense ids.
//!
//! Config and zone files do not know each other. Here they meet: each pool finds its records, each record
//! becomes a member, each member finds the address to probe, and members that would ask the same question
//! of the same address share one probe.

mod apexes;
mod build;
mod fit;
mod misfit;
mod near;
mod origin;
mod wanted;
mod whom;

use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::config::{Admin, Check, Credentials, Guard, PoolRules, Server, Shown, Token, Watched};
use crate::health::Standing;
use crate::name::Name;
use crate::units::{CookieSecret, PoolId, ProbeId, Ttl};
use crate::zone::Zone;

pub(crate) use apexes::Apexes;
pub use build::build;
pub use near::Near;
pub use origin::Origin;
pub use wanted::Wanted;
pub use whom::{BadWhom, Whom};

/// Everything that will be served and probed.
#[derive(Debug)]
pub struct Plan {
    /// `[server]`
    pub server: Server,
    /// `[admin]`
    pub admin: Admin,
    /// What steers the server over HTTP; `None`: nothing does.
    pub token: Option<Arc<Token>>,
    /// `[guard]`
    pub guard: Guard,
    /// The zones, by `ZoneId`. No two have the same name.
    pub zones: Vec<Zone>,
    /// Which of them a name is in.
    pub(crate) apexes: Apexes,
    /// The pools, by `PoolId`.
    pub pools: Vec<Pool>,
    /// The probes, by `ProbeId`.
    pub probes: Vec<Probe>,
    /// What DNS cookies are made and checked with, the newest first; empty: the server makes its own.
    pub secrets: Arc<[CookieSecret]>,
    /// What clients are shown that ask encrypted; `None`: nobody may.
    pub shown: Option<Shown>,
    /// Every certificate that is shown to anybody, with the files to read it from again.
    pub watched: Vec<Watched>,
    /// What it was made of.
    pub origin: Arc<Origin>,
}

/// The RRset of one type at a pool's name. A name with A and AAAA records is two of these: an agent that has
/// IPv4 alone must not be left without an answer because the members' IPv6 addresses are live.
#[derive(Debug)]
pub struct Pool {
    /// The owner name.
    pub name: Name,
    /// A, AAAA or SRV.
    pub record_type: RecordType,
    /// The TTL of its records in the zone file.
    pub ttl: Ttl,
    /// The members: each record of the RRset, in the order of the zone file.
    pub members: Vec<Member>,
    /// Who of them is answered.
    pub rules: PoolRules,
}

/// A member of the plan, by its pool and its place among the pool's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId {
    /// The pool.
    pub pool: PoolId,
    /// The place in its `members`.
    pub place: u32,
}

/// One record of a pool.
#[derive(Debug)]
pub struct Member {
    /// What the record says: an address, or a target and a port.
    pub record_text: String,
    /// What people call it: the config's label, else its address or target.
    pub label: String,
    /// What is probed for it, and how that adds up.
    pub condition: Condition,
    /// Its chance beside the others' (policy `weighted`).
    pub weight: u32,
    /// A lower one is answered first (policy `failover`).
    pub tier: u32,
}

/// What has to be up for a member to be live.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Condition {
    /// One probe.
    Probe(ProbeId),
    /// Everything: the checks of `all`; the addresses of an SRV target, any of which an agent may meet. Nothing at all is
    /// never fulfilled.
    All(Vec<Condition>),
    /// Something: the checks of `any`.
    Any(Vec<Condition>),
}

/// One question to one address, whichever members share it.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Who is dialled; with port 0, who a command is told of.
    pub target: SocketAddr,
    /// The name that clients use for it, which its certificate must carry; empty where nobody is told it.
    pub server_name: String,
    /// How it is asked.
    pub check: Arc<Check>,
}

impl Plan {
    /// A member.
    pub fn member(&self, id: MemberId) -> &Member {
        &self.pools[id.pool.index()].members[id.place as usize]
    }

    /// The certificates to read again where clients are shown `own`, which may have been there before this plan.
    pub fn watched_for(&self, own: Option<&Shown>) -> Vec<Watched> {
        let (Some(own), Some(tls)) = (own, &self.server.tls) else { return self.watched.clone() };
        let checks = self.probes.iter().filter_map(|probe| probe.check.kind.trust()?.credentials.as_ref());
        let shown_to_members: Vec<&Credentials> = checks.collect();
        let members = self.watched.iter().filter(|watched| {
            !watched.files.are(&tls.credentials)
                || shown_to_members.iter().any(|files| files.are(&watched.files))
        });
        let clients = Watched { files: tls.credentials.clone(), shown: own.clone() };
        members.cloned().chain([clients]).collect()
    }

    /// The pools with their ids.
    pub fn pool_ids(&self) -> impl Iterator<Item = (PoolId, &Pool)> {
        self.pools.iter().enumerate().map(|(i, pool)| (PoolId(i as u32), pool))
    }
}

impl Condition {
    /// The probes in it, in the order of the config; one may be there twice.
    pub fn probes(&self) -> Vec<ProbeId> {
        match self {
            Self::Probe(id) => vec![*id],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::probes).collect(),
        }
    }

    /// The largest parts of it all of whose probes are `meant`.
    fn parts_where(&self, meant: &impl Fn(ProbeId) -> bool) -> Vec<Self> {
        match self {
            whole if whole.probes().into_iter().all(meant) => vec![whole.clone()],
            Self::Probe(_) => Vec::new(),
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().flat_map(|part| part.parts_where(meant)).collect()
            }
        }
    }

    /// What the standings that single probes give add up to.
    pub fn standing(&self, of: &impl Fn(ProbeId) -> Standing) -> Standing {
        match self {
            Self::Probe(id) => of(*id),
            Self::All(parts) => parts.iter().map(|part| part.standing(of)).min().unwrap_or(Standing::Down),
            Self::Any(parts) => parts.iter().map(|part| part.standing(of)).max().unwrap_or(Standing::Down),
        }
    }
}

impl Pool {
    /// What identifies it from one config to the next: `puppet.example.org A`.
    pub fn key(&self) -> String {
        format!("{} {}", self.name, self.record_type)
    }
}

impl Probe {
    /// What identifies it from one run to the next.
    pub fn key(&self) -> String {
        format!("{} {} {}", self.check.name, self.target, self.server_name).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Presence;

    #[test]
    fn a_condition_is_as_good_as_its_worst_or_its_best_part() {
        let half = Standing::Live(Presence::percent(50).unwrap_or(Presence::NONE));
        let standings = [Standing::LIVE, half, Standing::Doubtful, Standing::Down];
        let of = |id: ProbeId| standings[id.index()];
        let parts = |ids: &[u32]| ids.iter().map(|&id| Condition::Probe(ProbeId(id))).collect::<Vec<_>>();
        for (condition, standing) in [
            (Condition::Probe(ProbeId(1)), half),
            (Condition::All(parts(&[0, 1])), half),
            (Condition::All(parts(&[0, 2, 3])), Standing::Down),
            (Condition::Any(parts(&[3, 2, 1])), half),
            (
                Condition::All(vec![Condition::Any(parts(&[0, 3])), Condition::Probe(ProbeId(2))]),
                Standing::Doubtful,
            ),
            (Condition::All(Vec::new()), Standing::Down),
            (Condition::Any(Vec::new()), Standing::Down),
        ] {
            assert_eq!(condition.standing(&of), standing, "{condition:?}");
        }
    }
}
