//! What a reload changes, for the operator: one glance at it tells whether that was meant.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::marks::Marks;
use crate::config::{Admin, Check, Token};
use crate::name::Name;
use crate::plan::{Condition, Plan};
use crate::serve::places;

/// So many of a kind are named.
const MOST_NAMED: usize = 20;

/// What is not as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Addresses and the way to ask there; the doors of administrators among them.
    pub addresses: Difference,
    /// Zones, by name.
    pub zones: Difference,
    /// Pools, by name and type.
    pub pools: Difference,
    /// Members, by pool, type and record.
    pub members: Difference,
    /// Checks that members are asked with, by name.
    pub checks: Difference,
    /// Keys of `[server]` that are as they were until the server is started again.
    pub restart: Vec<&'static str>,
}

/// How things of one kind have changed, each by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Those that were not there.
    pub new: Vec<String>,
    /// Those that were there, and are otherwise now.
    pub changed: Vec<String>,
    /// Those that are not there any more.
    pub gone: Vec<String>,
}

impl Changes {
    /// From one plan to another.
    pub(super) fn between(
        before: (&Plan, &Marks),
        after: (&Plan, &Marks),
        restart: Vec<&'static str>,
    ) -> Self {
        let ((before, marks_before), (after, marks_after)) = (before, after);
        Self {
            addresses: Difference::between(addresses(before), &addresses(after)),
            zones: Difference::between(marks_before.clone(), marks_after),
            pools: Difference::between(pools(before), &pools(after)),
            members: Difference::between(members(before), &members(after)),
            checks: Difference::between(checks(before), &checks(after)),
            restart,
        }
    }

    fn kinds(&self) -> [(&'static str, &Difference); 5] {
        [
            ("address", &self.addresses),
            ("zone", &self.zones),
            ("pool", &self.pools),
            ("member", &self.members),
            ("check", &self.checks),
        ]
    }

    /// How many of all kinds are new, changed and gone.
    pub fn counts(&self) -> [usize; 3] {
        let count =
            |of: fn(&Difference) -> &Vec<String>| self.kinds().iter().map(|(_, kind)| of(kind).len()).sum();
        [count(|kind| &kind.new), count(|kind| &kind.changed), count(|kind| &kind.gone)]
    }
}

impl Difference {
    fn between<T: PartialEq>(mut before: BTreeMap<String, T>, after: &BTreeMap<String, T>) -> Self {
        let mut difference = Self::default();
        for (name, is) in after {
            match before.remove(name) {
                None => difference.new.push(name.clone()),
                Some(was) if was != *is => difference.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        difference.gone = before.into_keys().collect();
        difference
    }
}

/// Who may come in at an address of administrators: by which names, and with which token.
type Gate<'p> = (&'p [Name], Option<&'p Token>);

fn addresses(plan: &Plan) -> BTreeMap<String, Option<Gate<'_>>> {
    let places = places(&plan.server.listen, plan.server.tls.as_ref());
    let places = places.iter().map(|place| (format!("{} ({})", place.addr, place.protocol.as_str()), None));
    let Admin { socket, http, names, .. } = &plan.admin;
    let socket = socket.iter().map(|path| (format!("{} (socket)", path.display()), None));
    let gate = (&names[..], plan.token.as_deref());
    let http = http.iter().map(|addr| (format!("{addr} (http)"), Some(gate)));
    places.chain(socket).chain(http).collect()
}

fn pools(plan: &Plan) -> BTreeMap<String, String> {
    let settings = plan.pools.iter().map(|pool| (pool.key(), format!("{:?}", pool.rules)));
    settings.collect()
}

fn members(plan: &Plan) -> BTreeMap<String, String> {
    let settings = plan.member_ids().map(|(id, member)| {
        let asked = spelled(plan, &member.condition);
        (plan.member_key(id), format!("{} {} {} {asked}", member.label, member.weight, member.tier))
    });
    settings.collect()
}

fn checks(plan: &Plan) -> BTreeMap<String, &Check> {
    plan.probes.iter().map(|probe| (probe.check.name.clone(), &*probe.check)).collect()
}

fn spelled(plan: &Plan, condition: &Condition) -> String {
    let parts =
        |parts: &[Condition]| parts.iter().map(|part| spelled(plan, part)).collect::<Vec<_>>().join(", ");
    match condition {
        Condition::Probe(id) => plan.probes[id.index()].key(),
        Condition::All(all) => format!("all({})", parts(all)),
        Condition::Any(any) => format!("any({})", parts(any)),
    }
}

/// A line for each thing; one for all, where nothing has changed.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        for (kind, Difference { new, changed, gone }) in self.kinds() {
            for (word, names) in [("new", new), ("changed", changed), ("gone", gone)] {
                lines.extend(names.iter().take(MOST_NAMED).map(|name| format!("{word} {kind} {name}")));
                if let Some(more @ 1..) = names.len().checked_sub(MOST_NAMED) {
                    lines.push(format!("{word}: {more} more of this kind"));
                }
            }
        }
        let restart =
            self.restart.iter().map(|key| format!("`{key}` stays as it was until onstage is started again"));
        lines.extend(restart);
        f.write_str(if lines.is_empty() { "nothing has changed" } else { "" })?;
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[(&str, u8)]) -> BTreeMap<String, u8> {
        names.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn what_is_new_changed_or_gone_is_told_by_its_name() {
        let before = named(&[("a", 1), ("b", 1), ("c", 1)]);
        let zones = Difference::between(before, &named(&[("b", 2), ("c", 1), ("d", 1)]));
        let changes = Changes { zones, restart: vec!["user"], ..Changes::default() };
        assert_eq!(
            changes.to_string(),
            "new zone d\nchanged zone b\ngone zone a\n`user` stays as it was until onstage is started again"
        );
        assert_eq!(changes.counts(), [1, 1, 1]);
        assert_eq!(Changes::default().to_string(), "nothing has changed");
    }

    #[test]
    fn many_are_counted() {
        let new: Vec<String> = (0..100).map(|i| format!("m{i}")).collect();
        let members = Difference { new, ..Difference::default() };
        let told = Changes { members, ..Changes::default() }.to_string();
        assert_eq!(told.lines().count(), MOST_NAMED + 1);
        assert!(told.ends_with("new: 80 more of this kind"), "{told}");
    }
}
