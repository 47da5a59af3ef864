//! `[check.NAME]`: the one kind that a check has, and what it asks.

use std::ops::Range;
use std::sync::Arc;

use serde_spanned::Spanned;

use super::Settler;
use super::demands::{How, Join, Table};
use crate::config::schema::{self, Pacing};
use crate::config::settings::{Check, Kind, Located, TcpCheck, TlsCheck, Tripwire};
use crate::report::{Code, Location, Problem};

/// The checks that a pool may name without a table for them, with the kind they are of.
pub(super) const BUILT_IN: [&str; 12] = [
    "puppetserver",
    "puppet-load",
    "puppet-catalog",
    "puppet-ca",
    "puppetdb",
    "puppet3",
    "http",
    "https",
    "tls",
    "tcp",
    "postgres",
    "exec",
];

/// What stands in the table of a check.
enum Form {
    Kind(Box<Kind>),
    Join(How, Spanned<Vec<Spanned<String>>>),
}

impl Settler<'_> {
    pub(super) fn check(&mut self, name: &str, at: Location, check: schema::Check) -> Table {
        let written = check.written();
        match self.form(name, at, check) {
            Some(Form::Kind(kind)) => {
                let Pacing { interval, timeout, recheck, fall, rise, tripwire } = written.or(usual(&kind));
                let (name, kind) = (name.to_owned(), *kind);
                let (interval, timeout, recheck) = (interval.0, timeout.0, recheck.0);
                let tripwire = if tripwire { Tripwire::On } else { Tripwire::Off };
                Table::Check(Arc::new(Check { name, interval, timeout, recheck, fall, rise, tripwire, kind }))
            }
            Some(Form::Join(how, names)) => self.join_table(how, names, &written.places()),
            None => Table::Bad,
        }
    }

    /// `idle`: keys that say nothing beside `all` or `any`, with their places where they are written.
    fn join_table(
        &mut self,
        how: How,
        names: Spanned<Vec<Spanned<String>>>,
        idle: &[(&str, Range<usize>)],
    ) -> Table {
        let at = self.at(&names);
        for (key, span) in idle {
            let place = Location { source: self.source, span: span.clone() };
            let message = format!("`{key}` has no effect beside `{}`", how.as_str());
            let problem = Problem::error(Code::ConfigConflict, place, message);
            self.report.push(problem.related(at.clone(), "these checks have their own"));
        }
        let names: Vec<Located<String>> =
            names.into_inner().into_iter().map(|name| self.located(name)).collect();
        for (i, again) in names.iter().enumerate() {
            if let Some(first) = names[..i].iter().find(|first| first.value == again.value) {
                let message = format!("the check `{}` is named twice", again.value);
                let problem = Problem::error(Code::ConfigDuplicate, again.at.clone(), message);
                self.report.push(problem.label("again here").related(first.at.clone(), "first here"));
            }
        }
        if !names.is_empty() {
            return Table::Join(Join { how, at, names });
        }
        if !self.is_told(at.span.clone()) {
            let message = format!("`{}` names no check", how.as_str());
            self.report.push(Problem::error(Code::ConfigBadValue, at, message));
        }
        Table::Bad
    }

    /// The one kind that a check has, or the checks that it joins.
    fn form(&mut self, name: &str, at: Location, check: schema::Check) -> Option<Form> {
        let kinds = [
            self.kind(check.puppetserver, Self::puppetserver),
            self.kind(check.puppet_ca, Self::puppet_ca),
            self.kind(check.puppetdb, Self::puppetdb),
            self.kind(check.puppet3, Self::puppet3),
            self.kind(check.puppet_load, Self::puppet_load),
            self.kind(check.puppet_catalog, Self::puppet_catalog),
            self.kind(check.http, Self::http),
            self.kind(check.https, Self::https),
            self.kind(check.tls, Self::handshake),
            self.kind(check.tcp, |_, _, tcp| Some(Kind::Tcp(TcpCheck { port: tcp.port }))),
            self.kind(check.postgres, Self::postgres),
            self.kind(check.exec, |settler, _, exec| settler.exec(exec)),
        ];
        let mut forms: Vec<(Location, Form)> = kinds.into_iter().flatten().collect();
        for (how, names) in [(How::All, check.all), (How::Any, check.any)] {
            forms.extend(names.map(|names| (self.at(&names), Form::Join(how, names))));
        }
        forms.sort_by_key(|(at, _)| at.span.start);
        let mut forms = forms.into_iter();
        match (forms.next(), forms.next()) {
            (Some((_, form)), None) => Some(form),
            (Some((first, _)), Some((second, _))) => {
                let problem =
                    Problem::error(Code::ConfigConflict, second, format!("the check `{name}` has two kinds"));
                self.report.push(problem.label("the second").related(first, "the first"));
                None
            }
            (None, _) if self.is_excused(&at) => None,
            (None, _) => self.built_in(name, at).map(|kind| Form::Kind(Box::new(kind))),
        }
    }

    /// What the table of a kind comes to, if it is there.
    fn kind<T, K: Into<Option<Kind>>>(
        &mut self,
        table: Option<Spanned<T>>,
        settle: impl FnOnce(&mut Self, &Location, &T) -> K,
    ) -> Option<(Location, Form)> {
        let table = table?;
        let at = self.at(&table);
        let kind = settle(self, &at, table.get_ref()).into()?;
        Some((at, Form::Kind(Box::new(kind))))
    }

    fn handshake(&mut self, at: &Location, tls: &schema::TlsHandshake) -> Kind {
        Kind::Tls(TlsCheck { port: tls.port, trust: self.trust(at, tls.tls_keys()) })
    }

    /// Whether something in the table at `at` was left out because it did not fit: its absence is no news.
    fn is_excused(&self, at: &Location) -> bool {
        let start = at.span.start;
        let end = self.tables.iter().copied().filter(|&table| table > start).min().unwrap_or(usize::MAX);
        self.is_told(start..end)
    }

    /// Whether there was a problem in this part of the file.
    pub(super) fn is_told(&self, part: Range<usize>) -> bool {
        let mut places = self.report.problems().iter().filter_map(|problem| problem.at.as_ref());
        places.any(|place| part.contains(&place.span.start))
    }

    /// The kind of a check that has no table of one: the one it is named after.
    fn built_in(&mut self, name: &str, at: Location) -> Option<Kind> {
        match name {
            "puppetserver" => Some(self.puppetserver(&at, &schema::Puppetserver::default())),
            "puppet-load" => Some(self.puppet_load(&at, &schema::PuppetLoad::default())),
            "puppet-ca" => Some(self.puppet_ca(&at, &schema::PuppetCa::default())),
            "puppetdb" => Some(self.puppetdb(&at, &schema::Puppetdb::default())),
            "puppet3" => Some(self.puppet3(&at, &schema::Puppet3::default())),
            "http" => Some(self.http(&at, &schema::Http::default())),
            "postgres" => Some(self.postgres(&at, &schema::Postgres::default())),
            "https" | "tls" => self.needs(name, at, "ca-file = \"...\""),
            "puppet-catalog" => self.needs(name, at, "client-cert = \"...\", client-key = \"...\""),
            "exec" => self.needs(name, at, "command = [\"...\"]"),
            "tcp" => self.needs(name, at, "port = ..."),
            _ => {
                let problem =
                    Problem::error(Code::ConfigMissingKey, at, format!("the check `{name}` has no kind"));
                self.report.push(
                    problem
                        .label("how is it probed?")
                        .help(format!("add one of: {}, all, any", BUILT_IN.join(", "))),
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

/// How often members are asked with a check of this kind where its table does not say it.
const fn usual(kind: &Kind) -> Pacing {
    match kind {
        Kind::Load(_) => Pacing::LOAD,
        Kind::Catalog(_) => Pacing::CATALOG,
        Kind::Puppetdb(_) => Pacing::PUPPETDB,
        Kind::Postgres(_) | Kind::Exec(_) => Pacing::SESSION,
        _ => Pacing::USUAL,
    }
}
