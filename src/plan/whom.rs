//! How people name members when they give orders.
//!
//! | they say | and mean |
//! |---|---|
//! | `172.16.1.10` | every member with this address |
//! | `172.16.1.10:8140` | every member that is probed there |
//! | `puppet1`, `puppet1.example.org` | the host: every member with this label or SRV target, and every member with one of their addresses |
//! | `puppet1.example.org:8140` | the same, where it is probed at the same port |
//! | `puppet1@puppet.example.org` | of these the members of one pool |
//!
//! An order on a host so reaches it in all pools. What identifies a member from one run to the next is none of these
//! words, which may change their meaning with the config, but its pool, type and record: [`Plan::member_key`].

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::{Member, MemberId, Plan};
use crate::name::{BadName, Name};

/// One or several members, as people name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whom {
    word: Word,
    pool: Option<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Address(IpAddr),
    Endpoint(SocketAddr),
    /// Lowered: labels and targets compare without case.
    Host(String),
}

/// Why a word names nobody, whatever the config.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWhom {
    /// There is no word.
    #[error("no member is named")]
    Empty,
    /// What follows the `@` is no name of a pool.
    #[error("no pool can be named so: {0}")]
    Pool(#[from] BadName),
}

impl FromStr for Whom {
    type Err = BadWhom;

    fn from_str(text: &str) -> Result<Self, BadWhom> {
        let (word, pool) = match text.trim().rsplit_once('@') {
            Some((word, pool)) => (word, Some(pool)),
            None => (text, None),
        };
        let word = word.trim().trim_end_matches('.');
        if word.is_empty() {
            return Err(BadWhom::Empty);
        }
        Ok(Self { word: Word::from(word), pool: pool.map(Name::parse).transpose()? })
    }
}

impl Whom {
    /// Whether the pool of this name is named, and no member.
    pub(super) fn is_pool(&self, name: &Name) -> bool {
        self.pool.is_none() && matches!(&self.word, Word::Host(word) if *word == name.to_string())
    }

    /// Whether an address is named, and it is this one.
    pub(super) fn is_at(&self, target: SocketAddr) -> bool {
        match self.word {
            Word::Address(address) => address == target.ip(),
            Word::Endpoint(endpoint) => endpoint == target,
            Word::Host(_) => false,
        }
    }

    /// Whether a member with this key is meant, where nothing but its key is known of it.
    pub fn means(&self, key: &str) -> bool {
        let mut words = key.rsplitn(3, ' ');
        let (Some(record), Some(_type), Some(pool)) = (words.next(), words.next(), words.next()) else {
            return false;
        };
        let of_pool = self.pool.as_ref().is_none_or(|wanted| wanted.to_string() == pool);
        of_pool
            && match &self.word {
                Word::Address(address) => record.parse() == Ok(*address),
                Word::Endpoint(_) => false,
                Word::Host(name) => record == name || target(record) == Some(name),
            }
    }
}

/// The target in the text of an SRV record; `None`: it is an address.
fn target(record_text: &str) -> Option<&str> {
    let address: Result<IpAddr, _> = record_text.parse();
    address.is_err().then(|| record_text.rsplit_once(':').map(|(target, _port)| target))?
}

impl From<&str> for Word {
    fn from(word: &str) -> Self {
        let address = word.parse().map(Self::Address);
        let endpoint = || word.parse().map(Self::Endpoint);
        address.or_else(|_| endpoint()).unwrap_or_else(|_| Self::Host(word.to_ascii_lowercase()))
    }
}

impl Plan {
    /// The members that are meant, in the order of the plan; none where nobody is named so.
    pub fn members(&self, whom: &Whom) -> Vec<MemberId> {
        let meant = match &whom.word {
            Word::Address(address) => self.those(None, |member| self.hosts(member).contains(address)),
            Word::Endpoint(endpoint) => self.those(None, |member| self.endpoints(member).contains(endpoint)),
            Word::Host(name) => self.host(name, whom.pool.as_ref()),
        };
        let pool = whom.pool.as_ref();
        meant.into_iter().filter(|&id| self.is_of(id, pool)).collect()
    }

    /// What identifies a member from one run, or config, to the next: `puppet.example.org A 172.16.1.10`,
    /// `_x-puppet._tcp.example.org SRV puppet1.example.org:8140`.
    pub fn member_key(&self, id: MemberId) -> String {
        let pool = &self.pools[id.pool.index()];
        format!("{} {}", pool.key(), pool.members[id.place as usize].record_text)
    }

    /// All members with their ids.
    pub fn member_ids(&self) -> impl Iterator<Item = (MemberId, &Member)> {
        self.pool_ids().flat_map(|(pool, settings)| {
            let members = settings.members.iter().enumerate();
            members.map(move |(place, member)| (MemberId { pool, place: place as u32 }, member))
        })
    }

    /// Those that are named so (in `pool`, where anybody there is), and all that have one of their addresses.
    fn host(&self, name: &str, pool: Option<&Name>) -> Vec<MemberId> {
        let mut named = self.those(pool, |member| member.is_named(name));
        if named.is_empty() {
            named = self.those(None, |member| member.is_named(name));
        }
        let members: Vec<&Member> = named.iter().map(|&id| self.member(id)).collect();
        let hosts: BTreeSet<IpAddr> = members.iter().flat_map(|member| self.hosts(member)).collect();
        let endpoints: BTreeSet<SocketAddr> =
            members.iter().flat_map(|member| self.endpoints(member)).collect();
        let with_port = members.iter().any(|member| member.record_text.eq_ignore_ascii_case(name));
        let shares = |member: &Member| {
            if with_port {
                self.endpoints(member).iter().any(|endpoint| endpoints.contains(endpoint))
            } else {
                self.hosts(member).iter().any(|host| hosts.contains(host))
            }
        };
        let mut all = self.those(None, shares);
        all.extend(named); // whose addresses nobody tells
        all.sort_unstable();
        all.dedup();
        all
    }

    fn those(&self, pool: Option<&Name>, are: impl Fn(&Member) -> bool) -> Vec<MemberId> {
        let members = self.member_ids().filter(|&(id, member)| self.is_of(id, pool) && are(member));
        members.map(|(id, _)| id).collect()
    }

    fn is_of(&self, id: MemberId, pool: Option<&Name>) -> bool {
        pool.is_none_or(|pool| self.pools[id.pool.index()].name == *pool)
    }

    /// Where clients of a member go: its own address, or those of its target.
    fn hosts(&self, member: &Member) -> Vec<IpAddr> {
        match member.address() {
            Some(own) => vec![own],
            None => self.targets(member).map(|target| target.ip()).collect(),
        }
    }

    fn endpoints(&self, member: &Member) -> Vec<SocketAddr> {
        let host = |target: SocketAddr| member.address().unwrap_or(target.ip());
        self.targets(member).map(|target| SocketAddr::new(host(target), target.port())).collect()
    }

    fn targets(&self, member: &Member) -> impl Iterator<Item = SocketAddr> {
        member.condition.probes().into_iter().map(|probe| self.probes[probe.index()].target)
    }
}

impl Member {
    /// The address in its record; `None`: it is an SRV record.
    fn address(&self) -> Option<IpAddr> {
        self.record_text.parse().ok()
    }

    fn is_named(&self, name: &str) -> bool {
        let target = target(&self.record_text).unwrap_or_default();
        [&self.label, &self.record_text, target].iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.word {
            Word::Address(address) => address.fmt(f),
            Word::Endpoint(endpoint) => endpoint.fmt(f),
            Word::Host(name) => f.write_str(name),
        }?;
        self.pool.as_ref().map_or(Ok(()), |pool| write!(f, "@{pool}"))
    }
}
