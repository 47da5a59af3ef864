//! What real servers said, in each state that could be brought about, and the verdict on it.
//!
//! `tests/fixtures/members` has the replies of Puppet Server 7.9.5, `PuppetDB` 7.12.1 and a master of Puppet 3.8.7, as they
//! came but for the framing: the headers end their lines as Unix does, a chunked body stands there whole, and the file
//! ends with a line feed.

use std::fs;
use std::path::Path;

use onstage::demo::Say;
use onstage::health::{Reason, Verdict};

use super::site::found;
use super::{Site, fail, master};

const SERVER: &str = "puppetserver = { ca-file = \"ca.pem\" }";
const CA: &str = "puppet-ca = { ca-file = \"ca.pem\" }";
const ANY: &str = "puppet-ca = { ca-file = \"ca.pem\", role = \"any\" }";
const DB: &str = "puppetdb = { ca-file = \"ca.pem\" }";
const THREE: &str = "puppet3 = { ca-file = \"ca.pem\" }";
const LEAVING: fn(Reason) -> Verdict = Verdict::Leaving;

/// A reply as it went over the wire.
pub fn captured(name: &str) -> Say {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/members").join(name);
    let text = fs::read_to_string(file.with_extension("http")).unwrap();
    let (head, body) = text.strip_suffix('\n').unwrap().split_once("\n\n").unwrap();
    let body = if head.contains("Transfer-Encoding: chunked") {
        format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    } else {
        body.to_owned()
    };
    Say::Raw(format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n")).leak())
}

/// The CA that Puppet Server of the captures hands out.
pub fn real_ca() -> String {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/members/puppet-ca-certificate.http");
    let text = fs::read_to_string(file).unwrap();
    text.split_once("\n\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn each_state_has_its_verdict() {
    let site = Site::new();
    let ca = site.ca.pem() + &real_ca();
    let master = site.master();
    for (replies, kind, expected) in [
        (&["puppetserver-running"][..], SERVER, Verdict::Pass),
        // It answers while no JRuby is free: other checks look deeper.
        (&["puppetserver-jruby-exhausted"], SERVER, Verdict::Pass),
        (&["puppetserver-no-such-service"; 2], SERVER, fail(Reason::HttpStatus)),
        (&["puppetserver-no-such-service", "puppetserver-running"], SERVER, Verdict::Pass),
        (&["puppet-ca-running", "puppet-ca-certificate"], CA, Verdict::Pass),
        (&["puppet-ca-running", "puppet-ca-certificate-rogue"], CA, fail(Reason::WrongCa)),
        (&["puppet-ca-running", "puppet-ca-certificate-none"], CA, fail(Reason::WrongRole)),
        (&["puppet-ca-none"], CA, fail(Reason::WrongRole)),
        (&["puppet-ca-none", "puppet-ca-certificate-none"], ANY, Verdict::Pass),
        (&["puppet-ca-none", "puppet-ca-certificate-rogue"], ANY, fail(Reason::WrongCa)),
        (&["puppet-ca-running", "puppet-ca-certificate"], ANY, Verdict::Pass),
        (&["puppet-ca-running", "puppet-ca-certificate-rogue"], ANY, fail(Reason::WrongCa)),
        (&["puppetdb-starting-404"], DB, fail(Reason::HttpStatus)),
        (&["puppetdb-starting-unknown"], DB, fail(Reason::ServiceState)),
        (&["puppetdb-running"], DB, Verdict::Pass),
        (&["puppetdb-pg-down"], DB, fail(Reason::DatabaseDown)),
        (&["puppetdb-pg-frozen"], DB, fail(Reason::DatabaseDown)),
        (&["puppetdb-pg-back"], DB, Verdict::Pass),
        (&["puppet3-alive"], THREE, Verdict::Pass),
        (&["puppet3-forbidden"], THREE, Verdict::Pass),
        (&["puppet3-no-ca"], THREE, Verdict::Pass),
        // What one kind is told by the members of another.
        (&["puppetserver-running"], DB, fail(Reason::HttpBody)),
        (&["puppetserver-running"], THREE, fail(Reason::HttpHeader)),
        (&["puppet3-forbidden"], SERVER, fail(Reason::Forbidden)),
        (&["puppet3-forbidden"], CA, fail(Reason::Forbidden)),
        (&["puppetdb-running"], SERVER, fail(Reason::HttpBody)),
    ] {
        master.say(replies.iter().map(|name| captured(name)));
        let asked = master.requests();
        let finding = found(master.addr(), kind, &[("ca.pem", &ca)]).await;
        assert_eq!(finding.verdict, expected, "{replies:?}, {kind}: {}", finding.detail);
        assert_eq!(master.requests() - asked, replies.len(), "{replies:?}, {kind}");
    }
}

/// What could not be brought about, from the sources of `PuppetDB` and Puppet 3.
#[tokio::test]
async fn each_state_of_a_database_has_its_verdict() {
    let site = Site::new();
    let (master, ca) = (site.master(), site.ca.pem());
    for (code, state, [maintenance, read, write], expected) in [
        (200, "running", ["false", "true", "true"], Verdict::Pass),
        (503, "starting", ["true", "false", "false"], LEAVING(Reason::Maintenance)),
        (503, "starting", ["false", "true", "true"], LEAVING(Reason::ServiceState)),
        (503, "error", ["false", "true", "false"], fail(Reason::DatabaseDown)),
        (503, "error", ["false", "false", "true"], fail(Reason::DatabaseDown)),
        (503, "error", ["false", "true", "true"], fail(Reason::ServiceState)),
        (503, "running", ["false", "true", "true"], fail(Reason::Unavailable)),
        (200, "running", ["false", "true", "null"], fail(Reason::HttpBody)),
        (200, "", ["false", "true", "true"], fail(Reason::HttpBody)),
        (200, "running", ["false", "true", "true, [[["], fail(Reason::HttpBody)),
    ] {
        let said = format!(
            r#"{{"state":"{state}","status":{{"maintenance_mode?":{maintenance},"read_db_up?":{read},"write_db_up?":{write}}}}}"#
        );
        master.say([Say::Http(code, said.leak())]);
        let finding = found(master.addr(), DB, &[("ca.pem", &ca)]).await;
        assert_eq!(finding.verdict, expected, "{state} {maintenance} {read} {write}: {}", finding.detail);
    }
}

#[tokio::test]
async fn a_plain_database_is_asked_without_tls() {
    let plain = master(None);
    for (name, expected) in
        [("puppetdb-running", Verdict::Pass), ("puppetdb-pg-down", fail(Reason::DatabaseDown))]
    {
        plain.say([captured(name)]);
        let finding = found(plain.addr(), "puppetdb = { plain = true }", &[]).await;
        assert_eq!(finding.verdict, expected, "{name}: {}", finding.detail);
    }
}
