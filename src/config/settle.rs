//! From the file as it is written to the config as it is used: what types alone cannot say.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::Path;
use std::sync::Arc;

use serde_spanned::Spanned;

use super::decode::nearest;
use super::listen;
use super::schema::{self, File};
use super::settings::{
    Body, Check, Config, FailOpen, HttpCheck, Kind, Located, Member, MemberKey, Policy, Pool, RateLimit,
    Server, Tcp, TcpCheck, Tls, TlsCheck, Trust, ZoneFile,
};
use crate::name::Name;
use crate::report::{Code, Location, Problem, Report, SourceId};

/// The checks that a pool may name without a table for them, with the kind they are of.
const BUILT_IN: [&str; 5] = ["puppetserver", "http", "https", "tls", "tcp"];

/// Checks how the values hang together. What does not is reported, and left out.
pub(super) fn settle(file: File, folder: &Path, source: SourceId, report: &mut Report) -> Config {
    let tables = file.check.keys().map(|name| name.span().start).collect();
    let mut settler = Settler { folder, source, tables, report };
    let server = settler.server(file.server);
    let zones = settler.zones(file.zone);
    let mut checks = BTreeMap::new();
    for (name, check) in file.check {
        let (at, name) = (settler.at(&name), name.into_inner());
        if let Some(check) = settler.check(&name, at, check) {
            checks.insert(name, Arc::new(check));
        }
    }
    let pools: Vec<Pool> = file.pool.into_iter().filter_map(|pool| settler.pool(pool, &mut checks)).collect();
    settler.refuse_twins(&pools);
    checks.retain(|_, check| pools.iter().any(|pool| pool.check.name == check.name));
    Config { server, zones, checks, pools }
}

/// One of everything, with all that has a default.
pub(super) fn defaults() -> String {
    #[derive(serde::Serialize)]
    struct Defaults {
        server: schema::Server,
        check: BTreeMap<&'static str, schema::Check>,
        pool: [schema::PoolDefaults; 1],
    }
    let kind = |value| Some(Spanned::new(0..0, value));
    let puppetserver =
        schema::Check { puppetserver: kind(schema::Puppetserver::default()), ..Default::default() };
    let http =
        schema::Check { http: Some(Spanned::new(0..0, schema::Http::default())), ..Default::default() };
    let check = BTreeMap::from([("puppetserver", puppetserver), ("http", http)]);
    let pool = [schema::PoolDefaults::default()];
    match toml::to_string(&Defaults { server: schema::Server::default(), check, pool }) {
        Ok(text) => text,
        Err(e) => unreachable!("the schema is TOML: {e}"),
    }
}

struct Settler<'s> {
    folder: &'s Path,
    source: SourceId,
    /// Where the tables of checks start.
    tables: Vec<usize>,
    report: &'s mut Report,
}

impl Settler<'_> {
    fn at<T>(&self, value: &Spanned<T>) -> Location {
        Location { source: self.source, span: value.span() }
    }

    fn located<T>(&self, value: Spanned<T>) -> Located<T> {
        Located { at: self.at(&value), value: value.into_inner() }
    }

    fn path(&self, path: Spanned<std::path::PathBuf>) -> Located<std::path::PathBuf> {
        let Located { value, at } = self.located(path);
        Located { value: self.folder.join(value), at }
    }

    fn server(&mut self, server: schema::Server) -> Server {
        listen::refuse_twins(&server, self.source, self.report);
        Server {
            listen: server.listen.into_iter().map(Spanned::into_inner).collect(),
            workers: server.workers,
            udp_size: server.udp_size.0,
            cpus: server.cpus,
            nsid: server.nsid.map_or_else(String::new, |nsid| nsid.0),
            insiders: server.chaos,
            cookie_secret_file: server.cookie_secret_file.map(|path| self.path(path)),
            rate_limit: RateLimit {
                per_second: NonZeroU32::new(server.rate_limit.per_second),
                slip: server.rate_limit.slip,
            },
            user: server.user.map(|user| self.located(user)),
            state_dir: self.folder.join(server.state_dir),
            first_round: server.first_round.0,
            tcp: Tcp {
                clients: server.tcp.clients,
                per_client: server.tcp.per_client,
                idle: server.tcp.idle.0,
            },
            tls: server.tls.map(|tls| self.tls(tls)),
        }
    }

    fn tls(&self, tls: schema::Tls) -> Tls {
        let addrs = |addrs: Vec<Spanned<_>>| addrs.into_iter().map(Spanned::into_inner).collect();
        Tls {
            certificate: self.path(tls.certificate),
            key: self.path(tls.key),
            dot: addrs(tls.dot),
            doh: addrs(tls.doh),
            doq: addrs(tls.doq),
        }
    }

    fn zones(&mut self, zones: Vec<schema::Zone>) -> Vec<ZoneFile> {
        if zones.is_empty() && !self.report.has_errors() {
            let at = Location { source: self.source, span: 0..0 };
            let problem =
                Problem::error(Code::ConfigMissingKey, at, "there is no [[zone]], so nothing to answer");
            self.report.push(problem.help("add `[[zone]]` with the `file` of a zone"));
        }
        let zone = |zone: schema::Zone| ZoneFile {
            name: zone
                .name
                .map(|name| self.located(name))
                .map(|name| Located { value: name.value.0, at: name.at }),
            file: self.path(zone.file),
        };
        zones.into_iter().map(zone).collect()
    }

    fn check(&mut self, name: &str, at: Location, check: schema::Check) -> Option<Check> {
        let (interval, timeout, recheck) = (check.interval.0, check.timeout.0, check.recheck.0);
        let (fall, rise) = (check.fall, check.rise);
        let kind = self.kind(name, at, check)?;
        Some(Check { name: name.to_owned(), interval, timeout, recheck, fall, rise, kind })
    }

    /// The one kind that a check has.
    fn kind(&mut self, name: &str, at: Location, check: schema::Check) -> Option<Kind> {
        let mut kinds: Vec<(Location, Kind)> = Vec::new();
        if let Some(puppetserver) = check.puppetserver {
            kinds.push((self.at(&puppetserver), self.puppetserver(puppetserver.into_inner())));
        }
        if let Some(http) = check.http {
            kinds.push((self.at(&http), self.http(http)));
        }
        if let Some(https) = check.https {
            kinds.push((self.at(&https), self.https(https)));
        }
        if let Some(tls) = check.tls {
            let (at, tls) = (self.at(&tls), tls.into_inner());
            let trust = self.trust(tls.server_name, tls.ca_file);
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
            "puppetserver" => Some(self.puppetserver(schema::Puppetserver::default())),
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

    fn puppetserver(&mut self, check: schema::Puppetserver) -> Kind {
        Kind::Http(HttpCheck {
            port: check.port,
            trust: Some(self.trust(check.server_name, check.ca_file)),
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
        let schema::Https {
            port,
            path,
            method,
            host,
            headers,
            status,
            body,
            body_contains,
            server_name,
            ca_file,
        } = https.into_inner();
        let http = schema::Http { port, path, method, host, headers, status, body, body_contains };
        let trust = Some(self.trust(server_name, ca_file));
        match self.http(Spanned::new(at.span, http)) {
            Kind::Http(http) => Kind::Http(HttpCheck { trust, ..http }),
            other => other,
        }
    }

    fn trust(&mut self, server_name: Option<Spanned<String>>, ca_file: Spanned<std::path::PathBuf>) -> Trust {
        let server_name = server_name.and_then(|name| {
            let Located { value, at } = self.located(name);
            let name = rustls::pki_types::ServerName::try_from(value.clone());
            if name.is_ok() {
                return Some(value);
            }
            self.report.push(Problem::error(
                Code::ConfigBadValue,
                at,
                format!("`{value}` is no server name"),
            ));
            None
        });
        Trust { server_name, ca_file: self.path(ca_file) }
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

    fn pool(&mut self, pool: schema::Pool, checks: &mut BTreeMap<String, Arc<Check>>) -> Option<Pool> {
        let name = self.located(pool.name);
        let check = self.check_of(&self.located(pool.check), checks);
        let members = pool.member.into_iter().filter_map(|(key, member)| self.member(key, member)).collect();
        Some(Pool {
            name: Located { value: name.value.0, at: name.at },
            check: check?,
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
            members,
        })
    }

    fn check_of(
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

    fn refuse_twins(&mut self, pools: &[Pool]) {
        for (i, pool) in pools.iter().enumerate() {
            if let Some(twin) = pools[..i].iter().find(|twin| twin.name.value == pool.name.value) {
                let message = format!("the pool `{}` is defined twice", pool.name.value);
                let problem = Problem::error(Code::ConfigDuplicate, pool.name.at.clone(), message);
                self.report.push(problem.label("again here").related(twin.name.at.clone(), "first here"));
            }
        }
    }
}
