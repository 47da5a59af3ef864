//! From the file as it is written to the config as it is used: what types alone cannot say.

mod catalog;
mod checks;
mod demands;
mod exec;
mod listen;
mod pools;
mod postgres;
mod puppet;
mod requests;
mod trust;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use serde_spanned::Spanned;

use super::schema::{self, File, Pacing};
use super::settings::{
    Admin, Config, Credentials, Dnstap, Guard, Located, Pool, RateLimit, Server, Tcp, Tls, ZoneFile,
};
use super::values::ShareText;
use crate::report::{Code, Location, Problem, Report, SourceId};
use crate::units::Share;
use demands::Checks;

/// Checks how the values hang together. What does not is reported, and left out.
pub(super) fn settle(file: File, folder: &Path, source: SourceId, report: &mut Report) -> Config {
    let tables = file.check.keys().map(|name| name.span().start).collect();
    let mut settler = Settler { folder, source, tables, report };
    listen::refuse_twins(&file.server, &file.admin, source, settler.report);
    let admin = settler.admin(file.admin, &file.server);
    let server = settler.server(file.server);
    let guard = settler.guard(file.guard);
    let zones = settler.zones(file.zone);
    let mut checks = Checks::default();
    for (name, check) in file.check {
        let (at, name) = (settler.at(&name), name.into_inner());
        let table = settler.check(&name, at, check);
        checks.insert(name, table);
    }
    settler.demand_all(&mut checks);
    let pools: Vec<Pool> = file.pool.into_iter().filter_map(|pool| settler.pool(pool, &mut checks)).collect();
    settler.refuse_twins(&pools);
    settler.refuse_strangers(&pools);
    let checks = pools.iter().flat_map(|pool| pool.check.checks());
    let checks = checks.map(|check| (check.name.clone(), Arc::clone(check))).collect();
    Config { server, admin, guard, zones, checks, pools }
}

/// One of everything, with all that has a default.
pub(super) fn defaults() -> String {
    #[derive(serde::Serialize)]
    struct Defaults {
        server: schema::Server,
        admin: schema::Admin,
        guard: schema::Guard,
        check: BTreeMap<&'static str, schema::Check>,
        pool: [schema::PoolDefaults; 1],
    }
    let check = |pacing, name, kind: fn(&mut schema::Check)| {
        let mut check = schema::Check::paced(pacing);
        kind(&mut check);
        (name, check)
    };
    let check = BTreeMap::from_iter(vec![
        check(Pacing::USUAL, "puppetserver", |check| check.puppetserver = Some(of_kind())),
        check(Pacing::LOAD, "puppet-load", |check| check.puppet_load = Some(of_kind())),
        check(Pacing::CATALOG, "puppet-catalog", |check| check.puppet_catalog = Some(of_kind())),
        check(Pacing::USUAL, "puppet-ca", |check| check.puppet_ca = Some(of_kind())),
        check(Pacing::PUPPETDB, "puppetdb", |check| {
            check.puppetdb = Some(Spanned::new(0..0, schema::Puppetdb::usual()));
        }),
        check(Pacing::USUAL, "puppet3", |check| check.puppet3 = Some(of_kind())),
        check(Pacing::USUAL, "http", |check| check.http = Some(of_kind())),
        check(Pacing::SESSION, "postgres", |check| check.postgres = Some(of_kind())),
    ]);
    let pool = [schema::PoolDefaults::default()];
    match toml::to_string(&Defaults {
        server: schema::Server::default(),
        admin: schema::Admin::usual(),
        guard: schema::Guard::default(),
        check,
        pool,
    }) {
        Ok(text) => text,
        Err(e) => unreachable!("the schema is TOML: {e}"),
    }
}

/// The table of a kind with its defaults.
fn of_kind<T: Default>() -> Spanned<T> {
    Spanned::new(0..0, T::default())
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

    fn admin(&self, admin: schema::Admin, server: &schema::Server) -> Admin {
        let socket = schema::Admin::socket(admin.socket.as_deref(), &server.state_dir);
        Admin {
            socket: socket.map(|path| self.folder.join(path)),
            http: admin.http.map(Spanned::into_inner),
            names: admin.names.into_iter().map(|name| name.0).collect(),
            token_file: admin.token_file.map(|path| self.path(path)),
        }
    }

    fn server(&self, server: schema::Server) -> Server {
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
            dnstap: server
                .dnstap
                .map(|schema::Dnstap { socket, one_of }| Dnstap { socket: self.folder.join(socket), one_of }),
            query_log: server.query_log.map(|log| log.one_of),
        }
    }

    fn guard(&mut self, guard: schema::Guard) -> Guard {
        let max_leaving = guard.max_leaving.map(|most| self.located(most));
        if let Some(Located { value: ShareText(Share::Count(0) | Share::Percent(0)), at }) = &max_leaving {
            let problem = Problem::error(Code::ConfigBadValue, at.clone(), "nobody could ever leave");
            self.report.push(problem.help("leave it out for no bound"));
        }
        let max_leaving = max_leaving.map(|most| most.value.0);
        Guard { addresses: guard.addresses, share: guard.share.0, max_leaving }
    }

    fn tls(&self, tls: schema::Tls) -> Tls {
        let addrs = |addrs: Vec<Spanned<_>>| addrs.into_iter().map(Spanned::into_inner).collect();
        Tls {
            credentials: Credentials { certificate: self.path(tls.certificate), key: self.path(tls.key) },
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
}
