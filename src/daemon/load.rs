//! Reads everything that the config names, and makes a plan of it, or a report of all that is wrong.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::certificates::Certificates;
use super::clock::unix_now;
use super::cookies;
use super::network::Network;
use crate::config::{self, Check, Config, Located, Password, Token};
use crate::plan::{self, Origin, Plan, Probe};
use crate::probe::{Prober, Target};
use crate::report::{Code, Problem, Report, Sources};
use crate::units::CookieSecret;
use crate::zone::{self, Zone};

/// Everything that serving needs, checked.
#[derive(Debug)]
pub struct Loaded {
    /// What is served and probed.
    pub plan: Arc<Plan>,
    /// The way to the members.
    pub network: Arc<Network>,
}

/// What reading a config came to.
pub struct Reading<'s> {
    /// The files, for rendering the report.
    pub sources: Sources<'s>,
    /// All that is wrong, and all that is worth a look.
    pub report: Report,
    /// `None` where the report has an error.
    pub loaded: Option<Loaded>,
}

/// Reads the config at `path`, its zones and its certificates, through `read`: the file system's `std::fs::read`,
/// unless the files are made up, as the demo's are.
pub fn load<'r>(path: &Path, read: impl Fn(&Path) -> io::Result<Vec<u8>> + 'r) -> Reading<'r> {
    let origin =
        Rc::new(RefCell::new(Origin { config: path.to_owned(), loaded: unix_now(), ..Origin::default() }));
    let read = Rc::new({
        let origin = Rc::clone(&origin);
        move |path: &Path| {
            let said = read(path);
            origin.borrow_mut().note(path, said.as_deref().ok());
            said
        }
    });
    let mut sources = Sources::new({
        let read = Rc::clone(&read);
        move |path| read(path)
    });
    let mut report = Report::default();
    let plan = read_all(path, &*read, &mut sources, &mut report);
    let loaded = plan.map(|(plan, network)| loaded(plan, network, origin.take()));
    Reading { sources, report, loaded }
}

fn read_all(
    path: &Path,
    read: &impl Fn(&Path) -> io::Result<Vec<u8>>,
    sources: &mut Sources<'_>,
    report: &mut Report,
) -> Option<(Plan, Network)> {
    let config = config::read(path, sources, report)?;
    let zones = read_zones(&config, sources, report);
    let files = Files {
        certificates: Certificates::read(&config, read, report),
        passwords: read_passwords(&config, read, report),
    };
    let secrets = read_secrets(config.server.cookie_secret_file.as_ref(), read, report);
    let tls = config.server.tls.as_ref();
    let shown = tls.and_then(|tls| files.certificates.shown(&tls.credentials)).cloned();
    let token = read_token(config.admin.token_file.as_ref(), read, report);
    let plan = plan::build(config, zones?, report)?;
    let network = network(&plan.probes, &files, report);
    let plan = Plan { secrets, token, shown, watched: files.certificates.watched, ..plan };
    (!report.has_errors()).then_some((plan, network))
}

/// Certificates that are shown are not among what a plan was made of: they are read again by themselves.
fn loaded(plan: Plan, network: Network, mut origin: Origin) -> Loaded {
    for watched in &plan.watched {
        origin.files.remove(&watched.files.certificate.value);
        origin.files.remove(&watched.files.key.value);
    }
    Loaded { plan: Arc::new(Plan { origin: Arc::new(origin), ..plan }), network: Arc::new(network) }
}

/// What the files say that checks name; one that cannot be used is not here, and that was told.
struct Files {
    certificates: Certificates,
    passwords: HashMap<PathBuf, Password>,
}

/// Prepares each check once, for all of its probes.
fn network(probes: &[Probe], files: &Files, report: &mut Report) -> Network {
    let mut prepared: HashMap<&str, Option<Prober>> = HashMap::new();
    let mut lines = Vec::new();
    for probe in probes {
        let asks = prepared.entry(&probe.check.name).or_insert_with(|| prepare(&probe.check, files, report));
        lines.extend(asks.clone().map(|asks| (asks, target(probe))));
    }
    Network::new(lines)
}

fn prepare(check: &Check, files: &Files, report: &mut Report) -> Option<Prober> {
    let (trust, password) = (check.kind.trust(), check.kind.password_file());
    let bundle = trust.and_then(|trust| files.certificates.bundle(trust));
    let credentials = trust.and_then(|trust| trust.credentials.as_ref());
    let shown = credentials.and_then(|own| files.certificates.shown(own));
    let secret = password.and_then(|file| files.passwords.get(&file.value));
    let needs_bundle = trust.is_some_and(|trust| trust.ca_file.is_some());
    if (needs_bundle, credentials.is_some(), password.is_some())
        != (bundle.is_some(), shown.is_some(), secret.is_some())
    {
        return None; // that a file of it cannot be used was told already
    }
    let prepared = Prober::new(check, bundle, shown, secret.cloned());
    let at = check.kind.program().map(|program| program.at.clone());
    prepared
        .map_err(|e| report.push(Problem { at, ..Problem::nowhere(Code::CheckUnusable, e.to_string()) }))
        .ok()
}

fn target(probe: &Probe) -> Target {
    Target { addr: probe.target, server_name: probe.server_name.clone() }
}

/// All zones, or `None` where one of them is not as it must be.
fn read_zones(config: &Config, sources: &mut Sources<'_>, report: &mut Report) -> Option<Vec<Zone>> {
    let zones: Vec<Option<Zone>> = config
        .zones
        .iter()
        .map(|zone| {
            if let Err(e) = sources.open(&zone.file.value) {
                report.push(unreadable(&zone.file, &e));
                return None;
            }
            zone::read(&zone.file.value, zone.name.as_ref().map(|name| &name.value), sources, report)
        })
        .collect();
    zones.into_iter().collect()
}

/// The secrets of DNS cookies, none where none are configured.
fn read_secrets(
    file: Option<&Located<PathBuf>>,
    read: &impl Fn(&Path) -> io::Result<Vec<u8>>,
    report: &mut Report,
) -> Arc<[CookieSecret]> {
    let Some(file) = file else { return Arc::default() };
    match read(&file.value).map(|text| cookies::read(&String::from_utf8_lossy(&text))) {
        Ok(Ok(secrets)) => return secrets,
        Ok(Err(why)) => {
            report.push(unusable(Code::BadSecret, file, &why, "the secrets of DNS cookies are read from it"));
        }
        Err(e) => report.push(unreadable(file, &e)),
    }
    Arc::default()
}

/// The token of the dashboard.
fn read_token(
    file: Option<&Located<PathBuf>>,
    read: &impl Fn(&Path) -> io::Result<Vec<u8>>,
    report: &mut Report,
) -> Option<Arc<Token>> {
    let bad = (Code::BadSecret, "who shows it may steer the server");
    let mut read = read_each(file.into_iter(), read, Token::from_file, bad, report);
    read.remove(&file?.value).map(Arc::new)
}

/// The passwords that checks log in with.
fn read_passwords(
    config: &Config,
    read: &impl Fn(&Path) -> io::Result<Vec<u8>>,
    report: &mut Report,
) -> HashMap<PathBuf, Password> {
    let files = config.checks.values().filter_map(|check| check.kind.password_file());
    read_each(files, read, Password::from_file, (Code::BadSecret, "the check logs in with it"), report)
}

/// What `files` hold, each read once. `bad`: what one is called that holds something else, and what it is for.
pub(super) fn read_each<'c, T, E: Display>(
    files: impl Iterator<Item = &'c Located<PathBuf>>,
    read: &impl Fn(&Path) -> io::Result<Vec<u8>>,
    parse: impl Fn(&[u8]) -> Result<T, E>,
    bad: (Code, &str),
    report: &mut Report,
) -> HashMap<PathBuf, T> {
    let mut held = HashMap::new();
    for file in files {
        if held.contains_key(&file.value) {
            continue;
        }
        match read(&file.value).map(|bytes| parse(&bytes)) {
            Ok(Ok(value)) => drop(held.insert(file.value.clone(), value)),
            Ok(Err(e)) => report.push(unusable(bad.0, file, &e, bad.1)),
            Err(e) => report.push(unreadable(file, &e)),
        }
    }
    held
}

/// `why`: what the file is for.
pub(super) fn unusable(code: Code, file: &Located<PathBuf>, e: &impl Display, why: &str) -> Problem {
    let message = format!("`{}`: {e}", file.value.display());
    Problem::error(code, file.at.clone(), message).label(why)
}

pub(super) fn unreadable(file: &Located<PathBuf>, e: &io::Error) -> Problem {
    Problem::error(
        Code::FileUnreadable,
        file.at.clone(),
        format!("cannot read `{}`: {e}", file.value.display()),
    )
    .label("named here")
}
