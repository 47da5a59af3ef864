//! When certificates expire, those of members and the server's own; and what became of reloads.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rcgen::{Certificate, CertificateParams, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{PATIENCE, Scraped, has};
use crate::harness::own_address;

/// A certificate and its key.
pub struct Pair {
    pub certificate: Certificate,
    pub key: KeyPair,
}

/// A certificate that is valid until a year begins.
pub fn made(until: i32) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["dns.example".to_owned()]).unwrap();
    params.not_after = date_time_ymd(until, 1, 1);
    Pair { certificate: params.self_signed(&key).unwrap(), key }
}

impl Pair {
    fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let chain = vec![self.certificate.der().clone()];
        Arc::new(versions.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap())
    }
}

/// A member that speaks TLS.
pub struct Member {
    pub addr: Ipv4Addr,
    shown: Arc<Mutex<Arc<ServerConfig>>>,
}

impl Member {
    /// With a certificate until 2030.
    pub fn start() -> Self {
        let addr = own_address();
        let listener = std::net::TcpListener::bind((addr, 8140)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let shown = Arc::new(Mutex::new(made(2030).server()));
        let own = Arc::clone(&shown);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = TlsAcceptor::from(Arc::clone(&own.lock().unwrap()));
                tokio::spawn(async move { drop(acceptor.accept(stream).await) });
            }
        });
        Self { addr, shown }
    }

    fn present(&self, pair: &Pair) {
        *self.shown.lock().unwrap() = pair.server();
    }
}

impl Scraped {
    /// Scrapes until this line is there.
    async fn until(&self, line: &str) {
        let began = Instant::now();
        loop {
            let (_, body) = self.scrape("*/*").await;
            if has(&body, line) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{line} in\n{body}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_when_certificates_expire() {
    let server = Scraped::start().await;
    let member = server.member.addr;
    let of_member = |end: u64| {
        format!(
            "onstage_member_certificate_expiry_timestamp_seconds{{pool=\"tls.p.example\",type=\"A\",member=\"{member}\"}} {end}"
        )
    };
    let (_, body) = server.scrape("*/*").await;
    assert!(has(&body, &of_member(1_893_456_000)), "seen in the first round: {body}");
    assert!(
        has(&body, "onstage_certificate_expiry_timestamp_seconds{file=\"own.pem\"} 1924992000"),
        "{body}"
    );
    server.member.present(&made(2032));
    server.until(&of_member(1_956_528_000)).await;
    let others = body.lines().filter(|line| line.starts_with("onstage_member_certificate_expiry"));
    assert_eq!(others.count(), 1, "who shows none has none: {body}");
    server.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_is_refused_is_counted() {
    let server = Scraped::start().await;
    for line in ["onstage_config_last_reload_successful 1", "onstage_reloads_total{outcome=\"refused\"} 0"] {
        server.until(line).await;
    }
    server.daemon.reload_files().await.expect_err("the site of a test has no files");
    for line in [
        "onstage_config_last_reload_successful 0",
        "onstage_reloads_total{outcome=\"refused\"} 1",
        "onstage_reloads_total{outcome=\"done\"} 0",
    ] {
        server.until(line).await;
    }
    server.daemon.stop().await;
}
