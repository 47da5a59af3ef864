//! What is special about Puppet's services: names that changed, CAs, and masters that are old.

use onstage::demo::{Master, Say, SiteCa, Validity};
use onstage::health::{Reason, Verdict};
use onstage::probe::Finding;

use super::site::found;
use super::{HASTY, NAMES, PATIENT, Site, fail, probe, prober, puppetserver};

const NOT_FOUND: Say = Say::Http(404, "not found: server");
/// What any service says that runs.
const RUNNING: Say = Say::Http(200, "running");

/// What was asked for, in order.
fn asked(finding: &Finding) -> Vec<&str> {
    let replies = finding.steps.iter().filter(|step| step.name == "reply");
    replies.map(|step| step.seen.split_once(':').unwrap().0).collect()
}

#[tokio::test]
async fn a_master_that_does_not_know_server_is_asked_for_master() {
    let site = Site::new();
    let (master, ca) = (site.master(), site.ca.pem());
    for (script, expected, paths) in [
        (&[Say::Running][..], Verdict::Pass, &["server"][..]),
        (&[NOT_FOUND, Say::Running], Verdict::Pass, &["server", "master"]),
        (
            &[NOT_FOUND, Say::Http(503, "stopping")],
            Verdict::Leaving(Reason::ServiceState),
            &["server", "master"],
        ),
        (&[NOT_FOUND, NOT_FOUND], fail(Reason::HttpStatus), &["server", "master"]),
        (&[NOT_FOUND, Say::Raw("")], fail(Reason::Closed), &["server"]),
        (&[Say::Http(503, "error")], fail(Reason::ServiceState), &["server"]),
        (&[Say::Running], Verdict::Pass, &["server"]),
    ] {
        master.say(script.iter().copied());
        let finding =
            found(master.addr(), "puppetserver = { ca-file = \"ca.pem\" }", &[("ca.pem", &ca)]).await;
        assert_eq!(finding.verdict, expected, "{script:?}: {}", finding.detail);
        let paths: Vec<String> = paths.iter().map(|path| format!("GET /status/v1/simple/{path}")).collect();
        assert_eq!(asked(&finding), paths, "{script:?}");
    }
}

#[tokio::test]
async fn another_service_has_no_former_name() {
    let site = Site::new();
    let master = site.master();
    master.say([NOT_FOUND, Say::Running]);
    let kind = "puppetserver = { ca-file = \"ca.pem\", service = \"pe-master\" }";
    let finding = found(master.addr(), kind, &[("ca.pem", &site.ca.pem())]).await;
    assert_eq!(finding.verdict, fail(Reason::HttpStatus));
    assert_eq!(master.requests(), 1);
}

#[tokio::test]
async fn the_second_question_has_what_is_left_of_the_deadline() {
    let site = Site::new();
    let master = site.master();
    master.say([NOT_FOUND, Say::Slow(PATIENT)]);
    let finding = probe(&prober(puppetserver(), HASTY, Some(&site.ca.pem())), master.addr()).await;
    assert_eq!(finding.verdict, fail(Reason::ReplyTimeout));
    assert!(finding.latency >= HASTY && finding.latency < HASTY * 3, "{:?}", finding.latency);
}

#[tokio::test]
async fn a_ca_hands_out_the_certificates_of_the_site_and_no_others() {
    let root = SiteCa::new("Root").unwrap();
    let intermediate = root.intermediate("Intermediate").unwrap();
    let rogue = SiteCa::new("Root").unwrap(); // the same name, another key
    let identity = intermediate.issue(&NAMES, Validity::Current).unwrap();
    let master = Master::start(super::local(0), Some(identity)).unwrap();
    let bundle = intermediate.pem() + &root.pem();
    let long = format!("{}{}", "a line of something else\n".repeat(3000), rogue.pem());
    for (handed_out, expected) in [
        (bundle.clone(), Verdict::Pass),
        (root.pem() + &intermediate.pem(), Verdict::Pass),
        (intermediate.pem(), Verdict::Pass),
        (format!("Subject: Root\n{}", root.pem()), Verdict::Pass),
        (rogue.pem(), fail(Reason::WrongCa)),
        (bundle.clone() + &rogue.pem(), fail(Reason::WrongCa)),
        (String::new(), fail(Reason::HttpBody)),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(), fail(Reason::HttpBody)),
        (root.pem().replace("END", "EMD"), fail(Reason::HttpBody)),
        (root.pem() + &long, fail(Reason::HttpBody)),
    ] {
        for role in ["ca", "any"] {
            master.say([RUNNING, Say::Http(200, handed_out.clone().leak())]);
            let kind = format!("puppet-ca = {{ ca-file = \"ca.pem\", role = \"{role}\" }}");
            let finding = found(master.addr(), &kind, &[("ca.pem", &bundle)]).await;
            assert_eq!(finding.verdict, expected, "{handed_out}: {}", finding.detail);
        }
    }
}

#[tokio::test]
async fn a_ca_that_does_not_run_is_not_asked_for_its_certificate() {
    let site = Site::new();
    let (master, ca) = (site.master(), site.ca.pem());
    for (say, role, expected) in [
        (Say::Http(503, "starting"), "ca", Verdict::Leaving(Reason::ServiceState)),
        (Say::Http(503, "error"), "any", fail(Reason::ServiceState)),
        (Say::Http(500, ""), "any", fail(Reason::HttpStatus)),
        (Say::Http(404, "not found: ca"), "ca", fail(Reason::WrongRole)),
    ] {
        master.say([say]);
        let before = master.requests();
        let kind = format!("puppet-ca = {{ ca-file = \"ca.pem\", role = \"{role}\" }}");
        let finding = found(master.addr(), &kind, &[("ca.pem", &ca)]).await;
        assert_eq!(finding.verdict, expected, "{say:?}: {}", finding.detail);
        assert_eq!(master.requests() - before, 1, "{say:?}");
    }
}

/// Who does not look at certificates looks at what is handed out all the same.
#[tokio::test]
async fn a_foreign_ca_is_seen_whatever_its_own_certificate_is() {
    let (site, rogue) = (Site::new(), SiteCa::new("Rogue").unwrap());
    let master =
        Master::start(super::local(0), Some(rogue.issue(&NAMES, Validity::Expired).unwrap())).unwrap();
    for (pem, expected) in [(rogue.pem(), fail(Reason::WrongCa)), (site.ca.pem(), Verdict::Pass)] {
        master.say([RUNNING, Say::Http(200, pem.leak())]);
        let kind = "puppet-ca = { ca-file = \"ca.pem\", verify = \"none\" }";
        let finding = found(master.addr(), kind, &[("ca.pem", &site.ca.pem())]).await;
        assert_eq!(finding.verdict, expected, "{}", finding.detail);
    }
}

#[tokio::test]
async fn what_a_reply_must_have_can_be_set() {
    const HEADED: Say =
        Say::Raw("HTTP/1.1 418 Teapot\r\nX-Puppet-Version: 3.8.7\r\nContent-Length: 3\r\n\r\ntea");
    let site = Site::new();
    let (master, ca) = (site.master(), site.ca.pem());
    for (keys, say, expected) in [
        ("status = [\"418\"]", HEADED, Verdict::Pass),
        ("status = [\"418\"], body = \"tea\"", HEADED, Verdict::Pass),
        ("status = [\"418\"], body-contains = \"coffee\"", HEADED, fail(Reason::HttpBody)),
        ("status = [\"418\"], expect-headers = { x-puppet-version = \"3.8\" }", HEADED, Verdict::Pass),
        (
            "status = [\"418\"], expect-headers = { X-Puppet-Version = \"2.7\" }",
            HEADED,
            fail(Reason::HttpHeader),
        ),
        ("status = [\"418\"], expect-headers = { Server = \"\" }", HEADED, fail(Reason::HttpHeader)),
        ("", HEADED, fail(Reason::HttpStatus)),
        ("expect-headers = {}", Say::Http(403, ""), Verdict::Pass),
        ("", Say::Http(403, ""), fail(Reason::HttpHeader)),
        ("expect-headers = {}", Say::Http(200, "{\"is_alive\":true}"), Verdict::Pass),
        ("expect-headers = {}", Say::Http(200, "{\"is_alive\":false}"), fail(Reason::HttpBody)),
        ("expect-headers = {}", Say::Http(200, "<html>It works!</html>"), fail(Reason::HttpBody)),
        ("expect-headers = {}, path = \"/production/certificate/ca\"", Say::Http(200, "PEM"), Verdict::Pass),
    ] {
        master.say([say]);
        let kind = format!(
            "puppet3 = {{ ca-file = \"ca.pem\", {} }}",
            if keys.is_empty() { "port = 1" } else { keys }
        );
        let finding = found(master.addr(), &kind, &[("ca.pem", &ca)]).await;
        assert_eq!(finding.verdict, expected, "{keys}: {}", finding.detail);
    }
}
