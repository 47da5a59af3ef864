//! `[check.NAME]`: the one kind that a check has, and what it asks.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::Settler;
use crate::config::decode::nearest;
use crate::config::schema;
use crate::config::settings::{Check, Kind, Located, TcpCheck, TlsCheck};
use crate::report::{Code, Location, Problem};

/// The checks that a pool may name without a table for them, with the kind they are of.
const BUILT_IN: [&str; 8] =
    ["puppetserver", "puppet-ca", "puppetdb", "puppet3", "http", "https", "tls", "tcp"];

impl Settler<'_> {
    pub(super) fn check_of(
        &mut self,
        name: &Located<String>,
        checks: &mut BTreeMap<String, Arc<Check>>,
    ) -> Option<Arc<Check>> {
        let Located { value: name, at } = name;
        if let Some(check) = checks.get(name) {
            return Some(Arc::clone(check));
        }
        if BUILT_IN.contains(&name.as_str()) {
            let check = Arc::new(self.check(name, at.clone(), schema::Check::default())?);
            checks.insert(name.clone(), Arc::clone(&check));
            return Some(check);
        }
        let known: Vec<&str> = checks.keys().map(String::as_str).chain(BUILT_IN).collect();
        let problem =
            Problem::error(Code::ConfigUnknownName, at.clone(), format!("there is no check `{name}`"));
        let problem = match nearest(name, &known) {
            Some(nearest) => problem.help(format!("there is a check `{nearest}`")),
            None => problem.help(format!("add a table [check.{name}]")),
        };
        self.report.push(problem);
        None
    }

    pub(super) fn check(&mut self, name: &str, at: Location, check: schema::Check) -> Option<Check> {
        let (interval, timeout, recheck) = (check.interval.0, check.timeout, check.recheck.0);
        let (fall, rise) = (check.fall, check.rise);
        let kind = self.kind(name, at, check)?;
        let timeout = timeout.unwrap_or_else(|| schema::Check::usual_timeout(&kind)).0;
        Some(Check { name: name.to_owned(), interval, timeout, recheck, fall, rise, kind })
    }

    /// The one kind that a check has.
    fn kind(&mut self, name: &str, at: Location, check: schema::Check) -> Option<Kind> {
        let mut kinds: Vec<(Location, Kind)> = Vec::new();
        if let Some(puppetserver) = check.puppetserver {
            let at = self.at(&puppetserver);
            kinds.push((at.clone(), self.puppetserver(&at, puppetserver.get_ref())));
        }
        if let Some(ca) = check.puppet_ca {
            let at = self.at(&ca);
            kinds.push((at.clone(), self.puppet_ca(&at, ca.get_ref())));
        }
        if let Some(db) = check.puppetdb {
            let at = self.at(&db);
            kinds.push((at.clone(), self.puppetdb(&at, db.get_ref())));
        }
        if let Some(puppet3) = check.puppet3 {
            let at = self.at(&puppet3);
            kinds.push((at.clone(), self.puppet3(&at, puppet3.get_ref())));
        }
        if let Some(http) = check.http {
            let at = self.at(&http);
            kinds.push((at.clone(), self.http(&at, http.get_ref())));
        }
        if let Some(https) = check.https {
            let at = self.at(&https);
            kinds.push((at.clone(), self.https(&at, https.get_ref())));
        }
        if let Some(tls) = check.tls {
            let (at, tls) = (self.at(&tls), tls.into_inner());
            let trust = self.trust(&at, tls.tls_keys());
            kinds.push((at, Kind::Tls(TlsCheck { port: tls.port, trust })));
        }
        if let Some(tcp) = check.tcp {
            kinds.push((self.at(&tcp), Kind::Tcp(TcpCheck { port: tcp.get_ref().port })));
        }
        kinds.sort_by_key(|(at, _)| at.span.start);
        let mut kinds = kinds.into_iter();
        match (kinds.next(), kinds.next()) {
            (Some((_, kind)), None) => Some(kind),
            (Some((first, _)), Some((second, _))) => {
                let problem =
                    Problem::error(Code::ConfigConflict, second, format!("the check `{name}` has two kinds"));
                self.report.push(problem.label("the second").related(first, "the first"));
                None
            }
            (None, _) if self.is_excused(&at) => None,
            (None, _) => self.built_in(name, at),
        }
    }

    /// Whether something in the table at `at` was left out because it did not fit: its absence is no news.
    fn is_excused(&self, at: &Location) -> bool {
        let start = at.span.start;
        let end = self.tables.iter().copied().filter(|&table| table > start).min().unwrap_or(usize::MAX);
        self.has_problem_within(&(start..end))
    }

    pub(super) fn has_problem_within(&self, span: &Range<usize>) -> bool {
        let mut places = self.report.problems().iter().filter_map(|problem| problem.at.as_ref());
        places.any(|place| span.contains(&place.span.start))
    }

    /// The kind of a check that has no table of one: the one it is named after.
    fn built_in(&mut self, name: &str, at: Location) -> Option<Kind> {
        match name {
            "puppetserver" => Some(self.puppetserver(&at, &schema::Puppetserver::default())),
            "puppet-ca" => Some(self.puppet_ca(&at, &schema::PuppetCa::default())),
            "puppetdb" => Some(self.puppetdb(&at, &schema::Puppetdb::default())),
            "puppet3" => Some(self.puppet3(&at, &schema::Puppet3::default())),
            "http" => Some(self.http(&at, &schema::Http::default())),
            "https" | "tls" => self.needs(name, at, "ca-file = \"...\""),
            "tcp" => self.needs(name, at, "port = ..."),
            _ => {
                let problem =
                    Problem::error(Code::ConfigMissingKey, at, format!("the check `{name}` has no kind"));
                self.report.push(
                    problem.label("how is it probed?").help(format!("add one of: {}", BUILT_IN.join(", "))),
                );
                None
            }
        }
    }

    fn needs(&mut self, name: &str, at: Location, key: &str) -> Option<Kind> {
        let message = format!("the check `{name}` has a key without a default");
        let help = format!("add to [check.{name}]: {name} = {{ {key} }}");
        self.report.push(Problem::error(Code::ConfigMissingKey, at, message).help(help));
        None
    }
}
