//! For whom requests are, as members hear it.

use super::site::found;
use super::{NAME, Site, master};

#[tokio::test]
async fn every_request_names_the_host_and_its_port() {
    let site = Site::new();
    let (plain, encrypted) = (master(None), site.master());
    let (ca, (certificate, key)) = (site.ca.pem(), site.ca.credentials("onstage.example.org").unwrap());
    let files = [("ca.pem", &*ca), ("own.crt", &*certificate), ("own.key", &*key)];
    for (kind, master) in [
        ("puppetserver = { ca-file = \"ca.pem\" }", &encrypted),
        ("puppet-ca = { ca-file = \"ca.pem\" }", &encrypted),
        ("puppet-load = { ca-file = \"ca.pem\" }", &encrypted),
        (
            "puppet-catalog = { ca-file = \"ca.pem\", client-cert = \"own.crt\", client-key = \"own.key\" }",
            &encrypted,
        ),
        ("puppetdb = { ca-file = \"ca.pem\" }", &encrypted),
        ("puppet3 = { ca-file = \"ca.pem\" }", &encrypted),
        ("https = { ca-file = \"ca.pem\" }", &encrypted),
        ("puppetdb = { plain = true }", &plain),
        ("http = {}", &plain),
    ] {
        let finding = found(master.addr(), kind, &files).await;
        let (head, host) = (master.heard(), format!("\r\nhost: {NAME}:{}\r\n", master.addr().port()));
        assert!(head.contains(&host) && head.contains(" HTTP/1.1\r\n"), "{kind}: {head} {}", finding.detail);
    }
    let finding = found(plain.addr(), "http = { host = \"other.example.org\" }", &[]).await;
    assert!(plain.heard().contains("\r\nhost: other.example.org\r\n"), "{}", finding.detail);
}
