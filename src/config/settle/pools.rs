//! `[[pool]]`: whose records are watched, with which check.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU16;

use serde_spanned::Spanned;

use super::Settler;
use super::demands::Checks;
use crate::config::schema;
use crate::config::settings::{FailOpen, Located, Member, MemberKey, Policy, Pool, PoolRules};
use crate::name::Name;
use crate::report::{Code, Problem};

impl Settler<'_> {
    pub(super) fn pool(&mut self, pool: schema::Pool, checks: &mut Checks) -> Option<Pool> {
        let name = self.located(pool.name);
        let check = self.demand(&self.located(pool.check), checks);
        let mut members: Vec<Member> =
            pool.member.into_iter().filter_map(|(key, member)| self.member(key, member)).collect();
        members.sort_by_key(|member| member.key.at.span.start);
        self.refuse_repeated("member", members.iter().map(|member| &member.key));
        Some(Pool {
            name: Located { value: name.value.0, at: name.at },
            check: check?,
            rules: PoolRules {
                policy: match pool.policy {
                    schema::Policy::RoundRobin => Policy::RoundRobin,
                    schema::Policy::Sticky => Policy::Sticky,
                    schema::Policy::Weighted => Policy::Weighted,
                    schema::Policy::Failover => Policy::Failover,
                },
                max_answers: pool.max_answers,
                min_live: pool.min_live.0,
                fail_open: match pool.fail_open {
                    schema::FailOpen::All => FailOpen::All,
                    schema::FailOpen::LastLive => FailOpen::LastLive,
                    schema::FailOpen::None => FailOpen::None,
                },
                ttl_unsettled: pool.ttl_unsettled.0,
                ramp: pool.ramp.0,
                version_grace: pool.version_grace.0,
            },
            members,
        })
    }

    fn member(&mut self, key: Spanned<String>, member: schema::Member) -> Option<Member> {
        let Located { value: text, at } = self.located(key);
        let value = match (text.parse::<IpAddr>(), Name::parse(&text)) {
            (Ok(address), _) => MemberKey::Address(address),
            (_, Ok(name)) => MemberKey::Target(name),
            _ => {
                let message = format!("`{text}` is neither an address nor a name");
                self.report.push(Problem::error(Code::ConfigBadValue, at, message));
                return None;
            }
        };
        Some(Member {
            key: Located { value, at },
            label: member.label,
            address: member.address,
            port: member.port,
            weight: member.weight.unwrap_or(NonZeroU16::MIN),
            tier: member.tier.unwrap_or(1),
        })
    }

    pub(super) fn refuse_twins(&mut self, pools: &[Pool]) {
        self.refuse_repeated("pool", pools.iter().map(|pool| &pool.name));
    }

    fn refuse_repeated<'l, T>(&mut self, what: &str, all: impl Iterator<Item = &'l Located<T>>)
    where
        T: fmt::Display + Eq + Hash + 'l,
    {
        let mut seen = HashMap::new();
        for again in all {
            let first = *seen.entry(&again.value).or_insert(again);
            if !std::ptr::eq(first, again) {
                let message = format!("the {what} `{}` is defined twice", again.value);
                let problem = Problem::error(Code::ConfigDuplicate, again.at.clone(), message);
                self.report.push(problem.label("again here").related(first.at.clone(), "first here"));
            }
        }
    }
}
