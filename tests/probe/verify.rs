//! How far certificates are looked at.

use std::sync::Arc;

use onstage::demo::{Identity, Master, SiteCa, Validity};
use onstage::health::{Reason, Verdict};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::site::found;
use super::{NAME, NAMES, Site, fail, local};

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

/// However little is verified, a certificate is worth nothing without its key.
#[tokio::test]
async fn somebody_elses_certificate_is_refused() {
    #[derive(Debug)]
    struct Borrowed(Arc<CertifiedKey>);

    impl ResolvesServerCert for Borrowed {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }

    let site = Site::new();
    let (certificate, _) = site.ca.credentials(NAME).unwrap();
    let (_, key) = site.ca.credentials(NAME).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let borrowed = Arc::new(Borrowed(Arc::new(CertifiedKey::new(chain, key))));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_protocol_versions(&[version]).unwrap().with_no_client_auth();
        let acceptor = TlsAcceptor::from(Arc::new(config.with_cert_resolver(borrowed.clone())));
        let listener = TcpListener::bind(local(0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
        for verify in ["full", "ca", "none"] {
            let kind = format!("tls = {{ verify = \"{verify}\", ca-file = \"ca.pem\" }}");
            let finding = found(addr, &kind, &[("ca.pem", &site.ca.pem())]).await;
            assert_eq!(
                finding.verdict,
                fail(Reason::TlsUntrusted),
                "{verify}, {version:?}: {}",
                finding.detail
            );
        }
    }
}
