//! `all` and `any`: names of checks become the checks themselves, in whatever order the file has them.
//!
//! ```text
//!  [check.master] all = ["puppetserver", "ready"]      master ──▶ all ─┬─▶ puppetserver (built in)
//!  [check.ready]  any = ["load", "idle"]                               └─▶ ready ──▶ any ─┬─▶ load
//!  [check.load]   http = {…}                                                              └─▶ idle
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Settler;
use super::checks::BUILT_IN;
use crate::config::decode::nearest;
use crate::config::schema;
use crate::config::settings::{Check, Demand, Located};
use crate::report::{Code, Location, Problem};

/// How deep `all` and `any` may be nested. Nobody reads a deeper one.
const DEEPEST: usize = 8;
/// How many checks one member may have to pass, each of them a probe of its own.
const MOST_CHECKS: usize = 64;

/// `[check.NAME]`, before the checks that it names are known.
#[derive(Debug)]
pub(super) enum Table {
    /// It has a kind.
    Check(Arc<Check>),
    /// It joins others.
    Join(Join),
    /// What is wrong with it was told.
    Bad,
}

/// `all = […]` or `any = […]`
#[derive(Debug)]
pub(super) struct Join {
    pub(super) how: How,
    /// Where the list stands.
    pub(super) at: Location,
    pub(super) names: Vec<Located<String>>,
}

/// Which of the two.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    All,
    Any,
}

/// The checks by name, and what is known of them so far.
#[derive(Debug, Default)]
pub(super) struct Checks {
    tables: BTreeMap<String, Table>,
    /// `None`: what is wrong was told.
    settled: BTreeMap<String, Option<Demand>>,
}

impl Checks {
    pub(super) fn insert(&mut self, name: String, table: Table) {
        self.tables.insert(name, table);
    }
}

impl How {
    /// The key in the config.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Any => "any",
        }
    }
}

impl Settler<'_> {
    /// Settles what no pool names, too: what is wrong there is wrong all the same.
    pub(super) fn demand_all(&mut self, checks: &mut Checks) {
        let joins = checks.tables.iter().filter(|(_, table)| matches!(table, Table::Join(_)));
        for name in joins.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.join(&name, checks, &mut Vec::new());
        }
    }

    /// What the check with this name demands of a member.
    pub(super) fn demand(&mut self, name: &Located<String>, checks: &mut Checks) -> Option<Demand> {
        self.resolve(name, checks, &mut Vec::new())
    }

    /// `path`: the names that led here, from the outside in.
    fn resolve(
        &mut self,
        name: &Located<String>,
        checks: &mut Checks,
        path: &mut Vec<String>,
    ) -> Option<Demand> {
        if path.contains(&name.value) {
            self.refuse_circle(name, path);
            return None;
        }
        let demand = match checks.tables.get(&name.value) {
            Some(Table::Bad) => return None,
            Some(Table::Check(check)) => Demand::Check(Arc::clone(check)),
            Some(Table::Join(_)) if path.len() < DEEPEST => self.join(&name.value, checks, path)?,
            Some(Table::Join(_)) => return self.refuse_depth(name),
            None if BUILT_IN.contains(&name.value.as_str()) => {
                let table = self.check(&name.value, name.at.clone(), schema::Check::default());
                checks.insert(name.value.clone(), table);
                return self.resolve(name, checks, path);
            }
            None => return self.refuse_unknown(name, checks),
        };
        if path.len() + demand.depth() > DEEPEST { self.refuse_depth(name) } else { Some(demand) }
    }

    fn join(&mut self, name: &str, checks: &mut Checks, path: &mut Vec<String>) -> Option<Demand> {
        if let Some(settled) = checks.settled.get(name) {
            return settled.clone();
        }
        let Some(Table::Join(Join { how, at, names })) = checks.tables.get(name) else { return None };
        let (how, at, names) = (*how, at.clone(), names.clone());
        path.push(name.to_owned());
        let parts: Vec<Option<Demand>> = names.iter().map(|part| self.resolve(part, checks, path)).collect();
        path.pop();
        let demand = parts.into_iter().collect::<Option<Vec<_>>>().map(|parts| match how {
            How::All => Demand::All(parts),
            How::Any => Demand::Any(parts),
        });
        let demand = demand.filter(|demand| self.is_affordable(name, at, demand));
        checks.settled.insert(name.to_owned(), demand.clone());
        demand
    }

    fn is_affordable(&mut self, name: &str, at: Location, demand: &Demand) -> bool {
        let count = demand.checks().len();
        if count > MOST_CHECKS {
            let message =
                format!("the check `{name}` comes to {count} checks, and {MOST_CHECKS} are the most");
            self.report.push(Problem::error(Code::ConfigBadValue, at, message));
        }
        count <= MOST_CHECKS
    }

    fn refuse_unknown(&mut self, name: &Located<String>, checks: &Checks) -> Option<Demand> {
        let Located { value: name, at } = name;
        let known: Vec<&str> = checks.tables.keys().map(String::as_str).chain(BUILT_IN).collect();
        let problem =
            Problem::error(Code::ConfigUnknownName, at.clone(), format!("there is no check `{name}`"));
        self.report.push(match nearest(name, &known) {
            Some(nearest) => problem.help(format!("there is a check `{nearest}`")),
            None => problem.help(format!("add a table [check.{name}]")),
        });
        None
    }

    fn refuse_circle(&mut self, name: &Located<String>, path: &[String]) {
        let round = path.iter().skip_while(|step| **step != name.value).skip(1).chain([&name.value]);
        let round: Vec<&str> = round.map(String::as_str).collect();
        let message = format!("the check `{}` needs itself", name.value);
        let label = format!("{} needs {}", name.value, round.join(", which needs "));
        self.report.push(Problem::error(Code::CheckCircle, name.at.clone(), message).label(label));
    }

    fn refuse_depth(&mut self, name: &Located<String>) -> Option<Demand> {
        let message = format!("`all` and `any` are nested more than {DEEPEST} deep");
        self.report.push(Problem::error(Code::ConfigBadValue, name.at.clone(), message));
        None
    }
}
