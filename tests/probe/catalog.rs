//! Catalogs, asked for over real sockets.

use onstage::demo::{Code, Master, Say};
use onstage::health::{Reason, Verdict};
use onstage::probe::Finding;

use super::site::found;
use super::{NAMES, Site, fail, local};

const NODE: &str = "onstage.example.org";
const KIND: &str = "puppet-catalog = { ca-file = \"ca.pem\", client-cert = \"onstage.example.org.pem\", \
                    client-key = \"own.key\", environment = \"next\", facts = { role = \"smoke\", cpus = 2 } }";

/// A master that asks for certificates, and what a probe finds there.
struct Stage {
    site: Site,
    master: Master,
}

impl Stage {
    fn set() -> Self {
        let site = Site::new();
        let master = Master::start(local(0), Some(site.ca.issue_strict(&NAMES).unwrap())).unwrap();
        Self { site, master }
    }

    async fn found(&self) -> Finding {
        let (certificate, key) = self.site.ca.credentials(NODE).unwrap();
        let files = [
            ("ca.pem", &*self.site.ca.pem()),
            ("onstage.example.org.pem", &*certificate),
            ("own.key", &*key),
        ];
        found(self.master.addr(), KIND, &files).await
    }
}

#[tokio::test]
async fn a_catalog_is_asked_for_as_an_agent_does() {
    let stage = Stage::set();
    let finding = stage.found().await;
    assert_eq!(finding.verdict, Verdict::Pass, "{}", finding.detail);
    let request = stage.master.heard();
    let (head, form) = request.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("POST /puppet/v3/catalog/onstage.example.org?environment=next HTTP/1.1\r\n"),
        "{head}"
    );
    for header in [
        "accept: application/json",
        "content-type: application/x-www-form-urlencoded",
        "x-puppet-version: 7.",
        "host: puppet.example.org:",
    ] {
        assert!(head.contains(&format!("\r\n{header}")), "{header}: {head}");
    }
    assert!(
        form.starts_with("environment=next&facts_format=application%2Fjson&facts=%257B%2522name"),
        "{form}"
    );
    assert!(form.contains("role%2522%253A%2522smoke") && form.contains("cpus%2522%253A2"), "{form}");
}

#[tokio::test]
async fn the_version_of_the_code_comes_with_the_verdict() {
    let stage = Stage::set();
    for (code, version) in [
        (Code::Version("v2-a1b2c3d".to_owned()), Some("v2-a1b2c3d")),
        (
            Code::Id("urn:puppet:code-id:1:67eb71417fbd736a619c8b5f9bfc0056ea8c53ca;next".to_owned()),
            Some("urn:puppet:code-id:1:67eb71417fbd736a619c8b5f9bfc0056ea8c53ca;next"),
        ),
        (Code::ReadAt(1_795_477_020), None),
    ] {
        stage.master.deploy(code);
        let finding = stage.found().await;
        assert_eq!((finding.verdict, finding.told.version.as_deref()), (Verdict::Pass, version));
    }
}

#[tokio::test]
async fn each_reply_has_its_verdict() {
    let stage = Stage::set();
    let broken = "Could not parse for environment next: Syntax error at end of input";
    stage.master.deploy(Code::Broken(broken.to_owned()));
    let finding = stage.found().await;
    assert_eq!(finding.verdict, fail(Reason::CatalogFailed));
    assert_eq!(finding.detail, format!("Server Error: {broken}"));
    for (say, verdict) in [
        (
            Say::Http(404, "{\"message\":\"Not Found: Could not find environment 'next'\"}"),
            fail(Reason::CatalogFailed),
        ),
        (Say::Http(403, "Forbidden request"), fail(Reason::Forbidden)),
        (
            Say::Http(503, "The number of requests waiting for a JRuby instance has exceeded the limit"),
            fail(Reason::Overloaded),
        ),
        (
            Say::Http(503, "Attempted to borrow a JRubyInstance from the pool during a shutdown."),
            Verdict::Leaving(Reason::ServiceState),
        ),
        (Say::Http(200, "running"), fail(Reason::BadReply)),
        (Say::Http(302, "elsewhere"), fail(Reason::HttpStatus)),
        (Say::Endless, fail(Reason::BadReply)),
        (Say::Raw("HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n{\"tags\":"), fail(Reason::Closed)),
    ] {
        stage.master.say([say]);
        let finding = stage.found().await;
        assert_eq!((finding.verdict, &finding.told.version), (verdict, &None), "{say:?}: {}", finding.detail);
    }
}

/// Catalogs of some megabytes are usual.
#[tokio::test]
async fn a_large_catalog_is_read_to_its_end() {
    let stage = Stage::set();
    stage.master.deploy(Code::Large(6 * 1024 * 1024));
    let finding = stage.found().await;
    assert_eq!(
        (finding.verdict, finding.told.version.as_deref()),
        (Verdict::Pass, Some("large")),
        "{}",
        finding.detail
    );
}
