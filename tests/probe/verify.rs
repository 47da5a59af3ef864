//! How far certificates are looked at.

use onstage::demo::{Identity, Master, SiteCa, Validity};
use onstage::health::{Reason, Verdict};

use super::site::found;
use super::{NAMES, Site, fail, local};

/// Names of a certificate that carries none: its common name is all there is, as on old masters.
const NONE: [&str; 0] = [];

#[tokio::test]
async fn each_way_to_verify_takes_what_it_says() {
    let site = Site::new();
    let rogue = SiteCa::new("Another CA").unwrap();
    let issue = |ca: &SiteCa, names: &[&str], validity| ca.issue(names, validity).unwrap();
    let identities: [(&str, Identity, [Verdict; 3]); 5] = [
        ("good", site.identity(), [Verdict::Pass; 3]),
        (
            "another name",
            issue(&site.ca, &["other.example.org"], Validity::Current),
            [fail(Reason::TlsWrongName), Verdict::Pass, Verdict::Pass],
        ),
        (
            "no name",
            issue(&site.ca, &NONE, Validity::Current),
            [fail(Reason::TlsWrongName), Verdict::Pass, Verdict::Pass],
        ),
        (
            "expired, another name",
            issue(&site.ca, &NONE, Validity::Expired),
            [fail(Reason::TlsExpired), fail(Reason::TlsExpired), Verdict::Pass],
        ),
        (
            "another CA",
            issue(&rogue, &NAMES, Validity::Current),
            [fail(Reason::TlsUntrusted), fail(Reason::TlsUntrusted), Verdict::Pass],
        ),
    ];
    for (what, identity, expected) in identities {
        let master = Master::start(local(0), Some(identity)).unwrap();
        for (verify, expected) in ["full", "ca", "none"].into_iter().zip(expected) {
            for kind in ["puppetserver", "https", "tls"] {
                let path = if kind == "https" { "path = \"/status/v1/simple\", " } else { "" };
                let kind = format!("{kind} = {{ {path}verify = \"{verify}\", ca-file = \"ca.pem\" }}");
                let finding = found(master.addr(), &kind, &[("ca.pem", &site.ca.pem())]).await;
                assert_eq!(finding.verdict, expected, "{what}, {kind}: {}", finding.detail);
            }
        }
        let finding = found(master.addr(), "tls = { verify = \"none\" }", &[]).await;
        assert_eq!(finding.verdict, Verdict::Pass, "{what}: no bundle is needed");
        assert!(finding.steps[1].seen.ends_with("certificate not looked at"), "{finding:?}");
    }
}
