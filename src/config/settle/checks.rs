//! `[check.NAME]`: the one kind that a check has, and what it asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_spanned::Spanned;

use super::Settler;
use crate::config::decode::nearest;
use crate::config::schema::{self, Pacing};
use crate::config::settings::{Body, Check, HttpCheck, Kind, Located, TcpCheck, TlsCheck};
use crate::report::{Code, Location, Problem};

/// The checks that a pool may name without a table for them, with the kind they are of.
const BUILT_IN: [&str; 6] = ["puppetserver", "puppet-load", "http", "https", "tls", "tcp"];

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
        let (interval, timeout, recheck) = (check.interval, check.timeout, check.recheck);
        let (fall, rise) = (check.fall, check.rise);
        let kind = self.kind(name, at, check)?;
        let usual = match &kind {
            Kind::Load(_) => Pacing::LOAD,
            Kind::Tcp(_) | Kind::Tls(_) | Kind::Http(_) => Pacing::USUAL,
        };
        Some(Check {
            name: name.to_owned(),
            interval: interval.unwrap_or(usual.interval).0,
            timeout: timeout.unwrap_or(usual.timeout).0,
            recheck: recheck.unwrap_or(usual.recheck).0,
            fall: fall.unwrap_or(usual.fall),
            rise: rise.unwrap_or(usual.rise),
            kind,
        })
    }

    /// The one kind that a check has.
    fn kind(&mut self, name: &str, at: Location, check: schema::Check) -> Option<Kind> {
        let mut kinds: Vec<(Location, Kind)> = Vec::new();
        if let Some(puppetserver) = check.puppetserver {
            kinds.push((self.at(&puppetserver), self.puppetserver(puppetserver.get_ref())));
        }
        if let Some(load) = check.puppet_load {
            kinds.push((self.at(&load), self.puppet_load(load.into_inner())));
        }
        if let Some(http) = check.http {
            kinds.push((self.at(&http), self.http(http)));
        }
        if let Some(https) = check.https {
            kinds.push((self.at(&https), self.https(https)));
        }
        if let Some(tls) = check.tls {
            let (at, tls) = (self.at(&tls), tls.into_inner());
            let trust = self.trust(tls.tls_keys());
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
        let mut places = self.report.problems().iter().filter_map(|problem| problem.at.as_ref());
        places.any(|place| (start..end).contains(&place.span.start))
    }

    /// The kind of a check that has no table of one: the one it is named after.
    fn built_in(&mut self, name: &str, at: Location) -> Option<Kind> {
        match name {
            "puppetserver" => Some(self.puppetserver(&schema::Puppetserver::default())),
            "puppet-load" => Some(self.puppet_load(schema::PuppetLoad::default())),
            "http" => Some(self.http(Spanned::new(0..0, schema::Http::default()))),
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

    fn puppetserver(&mut self, check: &schema::Puppetserver) -> Kind {
        Kind::Http(HttpCheck {
            port: check.port,
            trust: Some(self.trust(check.tls_keys())),
            method: "GET".to_owned(),
            path: format!("/status/v1/simple/{}", check.service),
            host: None,
            headers: Vec::new(),
            status: vec![(200, 200)],
            body: Some(Body::PuppetState),
        })
    }

    fn http(&mut self, http: Spanned<schema::Http>) -> Kind {
        let at = self.at(&http);
        let http = http.into_inner();
        let body = self.body(at, http.body, http.body_contains);
        Kind::Http(HttpCheck {
            port: http.port,
            trust: None,
            method: http.method.0,
            path: http.path,
            host: http.host,
            headers: http.headers.into_iter().collect(),
            status: http.status.iter().map(|range| (range.0, range.1)).collect(),
            body,
        })
    }

    fn https(&mut self, https: Spanned<schema::Https>) -> Kind {
        let at = self.at(&https);
        let https = https.into_inner();
        let trust = Some(self.trust(https.tls_keys()));
        let schema::Https { port, path, method, host, headers, status, body, body_contains, .. } = https;
        let http = schema::Http { port, path, method, host, headers, status, body, body_contains };
        match self.http(Spanned::new(at.span, http)) {
            Kind::Http(http) => Kind::Http(HttpCheck { trust, ..http }),
            other => other,
        }
    }

    fn body(&mut self, at: Location, is: Option<String>, contains: Option<String>) -> Option<Body> {
        match (is, contains) {
            (Some(_), Some(_)) => {
                self.report.push(Problem::error(
                    Code::ConfigConflict,
                    at,
                    "`body` and `body-contains` exclude each other",
                ));
                None
            }
            (is, contains) => is.map(Body::Is).or(contains.map(Body::Contains)),
        }
    }
}
