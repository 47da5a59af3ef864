//! The config as its author meets it: what is wrong with it, all at once, and what a good one means.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use onstage::config::{
    self, Body, CaRole, Config, Demand, FailOpen, Kind, MemberKey, Policy, PoolRules, Role, Tripwire, Verify,
    VersionFrom, Warning,
};
use onstage::daemon::load;
use onstage::name::Name;
use onstage::report::{Code, Colour, Report, Sources};
use onstage::units::Share;
use proptest::prelude::*;

use crate::fixtures;

/// Every code that a config, or a config together with its zones, can show.
pub const CODES: [Code; 20] = [
    Code::ConfigSyntax,
    Code::ConfigUnknownKey,
    Code::ConfigBadValue,
    Code::ConfigMissingKey,
    Code::ConfigDuplicate,
    Code::ConfigConflict,
    Code::ConfigUnknownName,
    Code::FileUnreadable,
    Code::BadCertificate,
    Code::BadKey,
    Code::BadSecret,
    Code::DuplicateZone,
    Code::PoolEmpty,
    Code::PoolBelowCut,
    Code::AnswerTooLong,
    Code::MemberNoAddress,
    Code::MemberUnknown,
    Code::CheckCircle,
    Code::CheckUnusable,
    Code::CheckUnverified,
];

#[test]
fn each_code_has_its_text() {
    fixtures::check("config", "toml", &CODES, |path| {
        let reading = load(path, |path| std::fs::read(path));
        assert_eq!(reading.loaded.is_none(), reading.report.has_errors(), "{}", path.display());
        reading.report.render(&reading.sources, Colour::Never)
    });
}

fn read(text: &str) -> (Option<Config>, String) {
    let mut sources = Sources::new(|path: &Path| match path.to_str() {
        Some("/etc/onstage/onstage.toml") => Ok(text.as_bytes().to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    });
    let mut report = Report::default();
    let config = config::read(Path::new("/etc/onstage/onstage.toml"), &mut sources, &mut report);
    (config, report.render(&sources, Colour::Never))
}

#[test]
fn a_config_may_be_very_short() {
    let (config, report) =
        read("[[zone]]\nfile = \"z\"\n[[pool]]\nname = \"p.example\"\ncheck = \"puppetserver\"\n");
    let config = config.unwrap_or_else(|| panic!("{report}"));
    assert_eq!(config.zones[0].file.value, Path::new("/etc/onstage/z"));
    let check = &config.checks["puppetserver"];
    assert_eq!(config.pools[0].check.checks(), [check]);
    assert_eq!((check.interval, check.timeout, check.recheck), (2 * SECOND, 2 * SECOND, SECOND / 2));
    assert_eq!((check.fall.get(), check.rise.get()), (2, 2));
    let Kind::Puppetserver(server) = &check.kind else { panic!("{check:?}") };
    assert_eq!((server.service.as_str(), server.trust.verify), ("server", Verify::Full));
}

/// What is longer could not be added to a moment.
#[test]
fn no_duration_is_longer_than_moments_are() {
    for (key, value) in [
        ("[server]\nfirst-round", "200y"),
        ("[check.tcp]\ntcp = { port = 1 }\ninterval", "500000000000y"),
        ("[[pool]]\nname = \"a\"\ncheck = \"http\"\nramp", "200y"),
    ] {
        let (config, report) = read(&format!("[[zone]]\nfile = \"z\"\n{key} = \"{value}\"\n"));
        assert!(config.is_none() && report.contains("config-bad-value"), "{key}: {report}");
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_key_has_its_effect() {
    let (config, report) = read(include_str!("fixtures/full.toml"));
    let config = config.unwrap_or_else(|| panic!("{report}"));
    let server = &config.server;
    let listen: Vec<SocketAddr> =
        ["127.0.0.1:5300", "[::1]:5300"].iter().map(|addr| addr.parse().unwrap()).collect();
    assert_eq!(server.listen, listen);
    assert_eq!((server.workers.unwrap().get(), server.udp_size), (3, 1400));
    assert_eq!((&server.cpus[..], server.nsid.as_str()), (&[0, 2][..], "ns1-rack2"));
    assert_eq!(server.insiders, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(server.cookie_secret_file.as_ref().unwrap().value, Path::new("/etc/onstage/cookie.secrets"));
    assert_eq!((server.rate_limit.per_second.unwrap().get(), server.rate_limit.slip), (200, 3));
    assert_eq!(server.user.as_ref().unwrap().value, "onstage");
    assert_eq!(server.state_dir, Path::new("/etc/onstage/state"));
    assert_eq!(server.first_round, 5 * SECOND);
    assert_eq!(
        (server.tcp.clients.get(), server.tcp.per_client.get(), server.tcp.idle),
        (10, 2, 20 * SECOND)
    );
    let admin = &config.admin;
    assert_eq!(admin.socket.as_deref(), Some(Path::new("/etc/onstage/control.sock")));
    assert_eq!(admin.http, Some("127.0.0.1:8053".parse().unwrap()));
    assert_eq!(admin.names, [Name::parse("dns1.example.org").unwrap()]);
    let token_file = admin.token_file.as_ref().map(|file| file.value.as_path());
    assert_eq!(token_file, Some(Path::new("/etc/onstage/token")));
    let guard = &config.guard;
    let guards: Vec<SocketAddr> =
        ["172.16.0.1:53", "[2001:db8::1]:22"].iter().map(|addr| addr.parse().unwrap()).collect();
    assert_eq!((&guard.addresses, guard.share), (&guards, Share::Count(3)));
    assert_eq!(guard.max_leaving, Some(Share::Percent(25)));
    let tls = server.tls.as_ref().unwrap();
    assert_eq!(tls.credentials.certificate.value, Path::new("/etc/onstage/server.crt"));
    assert_eq!(tls.credentials.key.value, Path::new("/etc/onstage/server.key"));
    let addrs = |texts: &[&str]| texts.iter().map(|addr| addr.parse().unwrap()).collect::<Vec<SocketAddr>>();
    assert_eq!(tls.dot, addrs(&["127.0.0.1:853", "[::1]:853"]));
    assert_eq!((&tls.doh, &tls.doq), (&addrs(&["127.0.0.1:443"]), &addrs(&["127.0.0.1:853"])));
    let dnstap = server.dnstap.as_ref().unwrap();
    assert_eq!((dnstap.socket.as_path(), dnstap.one_of.get()), (Path::new("/etc/onstage/dnstap.sock"), 20));
    assert_eq!(server.query_log.unwrap().get(), 1000);
    assert_eq!(config.zones[0].name.as_ref().unwrap().value.to_string(), "puppet.example.org");
    let web = &config.checks["web"];
    assert_eq!((web.interval, web.timeout, web.recheck), (10 * SECOND, 3 * SECOND, SECOND / 4));
    assert_eq!((web.fall.get(), web.rise.get()), (3, 4));
    assert_eq!((web.tripwire, config.checks["plain"].tripwire), (Tripwire::Off, Tripwire::On));
    let Kind::Http(http) = &web.kind else { panic!("{web:?}") };
    assert_eq!((http.port.get(), http.method.as_str(), http.path.as_str()), (8443, "POST", "/health?deep=1"));
    assert_eq!(http.host.as_deref(), Some("web.example.org"));
    assert_eq!(http.headers, [("Accept".to_owned(), "text/plain".to_owned())]);
    assert_eq!(http.status, [(200, 204), (301, 301)]);
    assert_eq!(http.body, Some(Body::Contains("fine".to_owned())));
    let trust = http.trust.as_ref().unwrap();
    assert_eq!(trust.server_name.as_deref(), Some("web.example.org"));
    assert_eq!(trust.ca_file.as_ref().unwrap().value, Path::new("/etc/onstage/ca.pem"));
    assert_eq!((trust.verify, &trust.credentials), (Verify::Full, &None));
    assert_eq!(http.expect_headers, [("Content-Type".to_owned(), "text/plain".to_owned())]);
    let credentials = config.checks["puppetserver"].kind.trust().unwrap().credentials.as_ref().unwrap();
    assert_eq!(credentials.certificate.value, Path::new("/etc/onstage/agent.crt"));
    assert_eq!(credentials.key.value, Path::new("/etc/onstage/agent.key"));
    let pool = &config.pools[0];
    let PoolRules { max_answers, min_live, fail_open, ttl_unsettled, ramp, version_grace, .. } = pool.rules;
    assert_eq!((max_answers.get(), min_live, fail_open), (1, Share::Percent(50), FailOpen::LastLive));
    assert_eq!((ttl_unsettled.seconds(), ramp, version_grace), (2, 90 * SECOND, 300 * SECOND));
    let member = &pool.members[0];
    assert_eq!(member.key.value, MemberKey::Address([172, 16, 1, 10].into()));
    assert_eq!(member.label.as_deref(), Some("puppet1"));
    assert_eq!((member.weight.get(), member.tier), (7, 2));
    let names =
        |demand: &Demand| -> Vec<String> { demand.checks().iter().map(|check| check.name.clone()).collect() };
    let Demand::All(every) = &config.pools[4].check else { panic!("{:?}", config.pools[4].check) };
    assert_eq!(names(&every[0]), ["handshake"]);
    assert!(matches!(&every[1], Demand::Any(_)) && names(&every[1]) == ["plain", "tcp", "db", "plug-in"]);
    let Kind::Postgres(db) = &config.checks["db"].kind else { panic!("{:?}", config.checks["db"]) };
    assert_eq!((db.port.get(), db.user.as_str(), db.database.as_str()), (5433, "watcher", "puppetdb"));
    assert_eq!(db.password_file.as_ref().unwrap().value, Path::new("/etc/onstage/db.secret"));
    assert_eq!(db.role, Some(Role::Replica));
    let trust = db.trust.as_ref().unwrap();
    assert_eq!(
        (trust.server_name.as_deref(), &*trust.ca_file.as_ref().unwrap().value),
        (Some("db"), Path::new("/etc/onstage/ca.pem"))
    );
    let credentials = trust.credentials.as_ref().unwrap();
    assert_eq!(
        (trust.verify, &*credentials.certificate.value),
        (Verify::Chain, Path::new("/etc/onstage/db.crt"))
    );
    assert_eq!(credentials.key.value, Path::new("/etc/onstage/db.key"));
    let Kind::Exec(exec) = &config.checks["plug-in"].kind else { panic!("{:?}", config.checks["plug-in"]) };
    assert_eq!(exec.program.value, Path::new("/etc/onstage/plugins/check_http"));
    assert_eq!(
        (&exec.arguments[..], exec.port.unwrap().get()),
        (&["-p".to_owned(), "{port}".to_owned()][..], 8082)
    );
    assert_eq!(exec.warning, Warning::Fail);
    let policies = config.pools.iter().map(|pool| pool.rules.policy).collect::<Vec<_>>();
    let expected =
        [Policy::RoundRobin, Policy::Failover, Policy::Sticky, Policy::Weighted, Policy::RoundRobin];
    assert_eq!(policies[..5], expected);
    assert_eq!((member.address, member.port.unwrap().get()), (Some([172, 16, 1, 11].into()), 8141));
}

#[test]
fn every_key_of_the_deeper_checks_has_its_effect() {
    let (config, report) = read(include_str!("fixtures/full.toml"));
    let config = config.unwrap_or_else(|| panic!("{report}"));
    let check = &config.checks["puppet-load"];
    assert_eq!((check.interval, check.timeout, check.recheck), (5 * SECOND, 5 * SECOND, SECOND));
    assert_eq!((check.fall.get(), check.rise.get()), (2, 3));
    let Kind::Load(load) = &check.kind else { panic!("{check:?}") };
    assert_eq!((load.port.get(), load.busy, load.saturated), (8142, 3 * SECOND, 40 * SECOND));
    assert_eq!((load.busy_share.as_percent(), load.trust.server_name.as_deref()), (25, Some("puppet")));
    let Kind::PuppetCa(ca) = &config.checks["ca"].kind else { panic!() };
    assert_eq!((ca.port.get(), ca.role, ca.trust.verify), (8142, CaRole::Any, Verify::Chain));
    let Kind::Puppetdb(pdb) = &config.checks["pdb"].kind else { panic!() };
    assert_eq!((pdb.port.get(), pdb.trust.is_none(), config.checks["pdb"].timeout), (8080, true, 5 * SECOND));
    let Kind::Http(three) = &config.checks["three"].kind else { panic!() };
    assert_eq!((three.path.as_str(), three.status.as_slice()), ("/v2.0/environments", &[(401, 401)][..]));
    assert_eq!((&three.body, &three.expect_headers[..]), (&None, &[][..]));
    let trust = three.trust.as_ref().unwrap();
    assert_eq!((trust.verify, &trust.ca_file), (Verify::Nothing, &None));
    let check = &config.checks["puppet-catalog"];
    assert_eq!((check.interval, check.timeout, check.recheck), (600 * SECOND, 60 * SECOND, 10 * SECOND));
    assert_eq!((check.fall.get(), check.rise.get(), check.tripwire), (2, 1, Tripwire::Off));
    let Kind::Catalog(catalog) = &check.kind else { panic!("{check:?}") };
    assert_eq!((catalog.port.get(), &*catalog.certname.value), (8143, "onstage.example.org"));
    assert_eq!((&*catalog.environment, catalog.version_from), ("staging", VersionFrom::ConfigVersion));
    assert_eq!(catalog.version_after.as_deref(), Some("-"));
    let facts = serde_json::json!({
        "role": "smoke", "cpus": 4, "virtual": false, "mounts": ["/", "/var"],
        "os": { "family": "RedHat", "release": { "major": "9" } },
    });
    assert_eq!(serde_json::Value::from(catalog.facts.clone()), facts);
    assert!(
        check.kind.asks_one_at_a_time()
            && check.kind.trust().is_some_and(|trust| trust.credentials.is_some())
    );
}

#[test]
fn the_printed_defaults_are_the_defaults() {
    let printed = config::defaults();
    let (config, report) =
        read(&format!("{printed}name = \"p.example\"\ncheck = \"puppetserver\"\n[[zone]]\nfile = \"z\"\n"));
    let printed_config = config.unwrap_or_else(|| panic!("{printed}\n{report}"));
    let short = "[[zone]]\nfile = \"z\"\n[[pool]]\nname = \"p.example\"\ncheck = \"puppetserver\"\n";
    let config = read(short).0.unwrap();
    let said = |config: &Config| format!("{:?} {:?} {:?}", config.server, config.admin, config.guard);
    assert_eq!(said(&printed_config), said(&config));
    assert_eq!(printed_config.pools[0].rules, config.pools[0].rules);
    let times = |config: &Config| {
        let check = &config.checks["puppetserver"];
        (check.interval, check.timeout, check.recheck, check.fall, check.rise, check.tripwire)
    };
    assert_eq!(times(&printed_config), times(&config));
}

#[test]
fn the_control_socket_is_found_in_any_config() {
    for (text, socket) in [
        ("", Some("/run/onstage/onstage.sock")),
        ("[server]\nstate-dir = \"/var/lib/onstage\"", Some("/run/onstage/onstage.sock")),
        ("[server]\nstate-dir = \"state\"", Some("/etc/onstage/state/onstage.sock")),
        ("[server]\nstate-dir = \"state\"\n[admin]\nsocket = \"/run/two.sock\"", Some("/run/two.sock")),
        ("[admin]\nsocket = \"two.sock\"", Some("/etc/onstage/two.sock")),
        ("[admin]\nsocket = \"\"", None),
    ] {
        let mended = format!("{text}\n[[zone]]\nfile = \"z\"\n");
        assert_eq!(read(&mended).0.unwrap().admin.socket.as_deref(), socket.map(Path::new), "{text}");
        let broken = format!("{text}\n[chekc]\nzone = 3\n");
        let seen = config::control_socket(Path::new("/etc/onstage/onstage.toml"), &broken).unwrap();
        assert_eq!(seen.as_deref(), socket.map(Path::new), "{text}");
    }
    assert!(config::control_socket(Path::new("onstage.toml"), "[admin").is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\n]{0,200}") {
        read(&text);
    }

    #[test]
    fn a_config_with_lines_changed_is_read_or_refused(
        cut in any::<prop::sample::Index>(),
        put in "[ -~\n]{0,20}",
    ) {
        let mut text = include_str!("fixtures/full.toml").to_owned();
        let at = cut.index(text.len());
        text.replace_range(at..(at + 3).min(text.len()), &put);
        read(&text);
    }
}
