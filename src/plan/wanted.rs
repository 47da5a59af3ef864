//! Whom somebody wants to have probed: a pool is named as a whole, members as in orders, and where one of its addresses is
//! named, a member is asked what is asked there.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::{Condition, MemberId, Plan, Whom};

/// What is asked of a member, and what it has to come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The first member of whom this is asked.
    pub member: MemberId,
    /// All of it, or what is asked at one of its addresses.
    pub condition: Condition,
}

impl Plan {
    /// What is to be asked, each once, in the order of the plan; `None`: of everybody. Empty: nobody is named so.
    pub fn wanted(&self, whom: Option<&Whom>) -> Vec<Wanted> {
        let named: HashSet<MemberId> =
            whom.map(|whom| self.members(whom)).unwrap_or_default().into_iter().collect();
        let is_pool = |id: MemberId| whom.is_none_or(|whom| whom.is_pool(&self.pools[id.pool.index()].name));
        let is_there = |target: SocketAddr| whom.is_some_and(|whom| whom.is_at(target));
        let mut seen: HashSet<Condition> = HashSet::new();
        let mut wanted = Vec::new();
        for (member, is) in self.member_ids().filter(|(id, _)| is_pool(*id) || named.contains(id)) {
            let some = is.condition.parts_where(&|probe| is_there(self.probes[probe.index()].target));
            let meant = if is_pool(member) || some.is_empty() { vec![is.condition.clone()] } else { some };
            let new = meant.into_iter().filter(|condition| seen.insert(condition.clone()));
            wanted.extend(new.map(|condition| Wanted { member, condition }));
        }
        wanted
    }
}
