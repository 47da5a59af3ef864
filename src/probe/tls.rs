//! TLS towards members: what is accepted, and what each refusal is called.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, ClientConnection, Error};

use super::Failure;
use crate::config::{Shown, Verify};
use crate::health::Reason;

/// A client that judges certificates as `verifier` does, and shows what is `shown` to a member that asks for it. Sessions
/// are never resumed: a resumed one would not show the member's certificate again.
pub(super) fn client(verifier: Arc<dyn ServerCertVerifier>, shown: Option<&Shown>) -> Arc<ClientConfig> {
    let versions = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let versions = match versions {
        Ok(versions) => versions,
        Err(e) => unreachable!("ring speaks TLS 1.2 and 1.3: {e}"),
    };
    // "Dangerous" is what rustls calls a verifier of one's own.
    let judging = versions.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match shown {
        Some(shown) => judging.with_client_cert_resolver(Arc::new(shown.clone())),
        None => judging.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Why a handshake, or what came right after it, failed.
pub(super) fn failure(e: &io::Error) -> Failure {
    match e.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(e) => Failure::new(reason(e), e),
        None if e.kind() == io::ErrorKind::UnexpectedEof => {
            Failure::new(Reason::TlsHandshake, "the member closed the connection during the TLS handshake")
        }
        None => Failure::new(Reason::TlsHandshake, e),
    }
}

/// Why a connection that was open is no more. An alert that the member sent right after the handshake (TLS 1.3 checks a
/// client's certificate that late) is a failed handshake.
pub(super) fn broken(e: &io::Error) -> Failure {
    match e.get_ref() {
        Some(inner) if inner.is::<Error>() => failure(e),
        _ => Failure::new(Reason::Closed, e),
    }
}

fn reason(e: &Error) -> Reason {
    use CertificateError as Bad;
    match e {
        Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                Reason::TlsExpired
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Reason::TlsWrongName,
            _ => Reason::TlsUntrusted,
        },
        Error::AlertReceived(_) => Reason::TlsAlert,
        _ => Reason::TlsHandshake,
    }
}

/// What was agreed on, for people.
pub(super) fn describe(connection: &ClientConnection, verify: Verify, name: &str) -> String {
    let version = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
    match verify {
        Verify::Full => format!("{version}, certificate good for {name}"),
        Verify::Chain => format!("{version}, certificate of the site's CA, its name not looked at"),
        Verify::Nothing => format!("{version}, certificate not looked at"),
    }
}
