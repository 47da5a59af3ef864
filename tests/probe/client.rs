//! The certificate that a check shows to members that ask for one.

use std::fs;

use onstage::daemon::{Daemon, load};
use onstage::demo::{Master, SiteCa};
use onstage::health::{Reason, Verdict};
use onstage::probe::schedule::Ask;
use onstage::units::ProbeId;

use super::site::{config, found, zone};
use super::{NAMES, Site, fail, local};

const AGENT: &str = "onstage.example.org";
const KINDS: [&str; 3] = [
    "puppetserver = { ca-file = \"ca.pem\", client-cert = \"own.crt\", client-key = \"own.key\" }",
    "https = { path = \"/status/v1/simple\", ca-file = \"ca.pem\", client-cert = \"own.crt\", client-key = \"own.key\" }",
    "tls = { ca-file = \"ca.pem\", client-cert = \"own.crt\", client-key = \"own.key\" }",
];

#[tokio::test]
async fn a_master_that_asks_for_a_certificate_lets_its_own_in() {
    let site = Site::new();
    let strict = Master::start(local(0), Some(site.ca.issue_strict(&NAMES).unwrap())).unwrap();
    let (certificate, key) = site.ca.credentials(AGENT).unwrap();
    let ca = site.ca.pem();
    for kind in KINDS {
        let files = [("ca.pem", &*ca), ("own.crt", &*certificate), ("own.key", &*key)];
        let finding = found(strict.addr(), kind, &files).await;
        assert_eq!(finding.verdict, Verdict::Pass, "{kind}: {}", finding.detail);
    }
    let (certificate, key) = SiteCa::new("Another CA").unwrap().credentials(AGENT).unwrap();
    for kind in &KINDS[..2] {
        let files = [("ca.pem", &*ca), ("own.crt", &*certificate), ("own.key", &*key)];
        let finding = found(strict.addr(), kind, &files).await;
        assert_eq!(finding.verdict, fail(Reason::TlsAlert), "{kind}: {}", finding.detail);
    }
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_shown_by_the_next_probe() {
    let site = Site::new();
    let strict = Master::start(local(0), Some(site.ca.issue_strict(&NAMES).unwrap())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let credentials = |ca: &SiteCa| {
        let (certificate, key) = ca.credentials(AGENT).unwrap();
        write("own.crt", &certificate);
        write("own.key", &key);
    };
    write("onstage.toml", &config(strict.addr(), KINDS[0]));
    write("zone", &zone(strict.addr()));
    write("ca.pem", &site.ca.pem());
    fs::create_dir(folder.path().join("state")).unwrap();
    credentials(&SiteCa::new("The CA before").unwrap());
    let loaded = load(&folder.path().join("onstage.toml"), |path| fs::read(path)).loaded.unwrap();
    let daemon = Daemon::start(&loaded.plan, &loaded.network).await.unwrap();
    assert_eq!(loaded.network.ask(ProbeId(0)).await.verdict, fail(Reason::TlsAlert));
    credentials(&site.ca);
    daemon.renew().await;
    let finding = loaded.network.ask(ProbeId(0)).await;
    assert_eq!(finding.verdict, Verdict::Pass, "{}", finding.detail);
    write("own.key", "torn");
    for _ in 0..3 {
        daemon.renew().await;
    }
    assert_eq!(loaded.network.ask(ProbeId(0)).await.verdict, Verdict::Pass, "the old one stays");
    daemon.stop().await;
}
