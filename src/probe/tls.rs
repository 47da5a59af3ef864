//! TLS towards members: what is accepted, and what each refusal is called.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{CertificateError, ClientConfig, ClientConnection, Error};

use super::Failure;
use crate::config::{Authorities, Shown};
use crate::health::Reason;

/// A client that trusts `authorities`, and shows what is `shown` to a member that asks for it. Sessions are never
/// resumed: a resumed one would not show the member's certificate again.
pub(super) fn client(authorities: &Authorities, shown: Option<&Shown>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = match versions {
        Ok(versions) => versions,
        Err(e) => unreachable!("ring speaks TLS 1.2 and 1.3: {e}"),
    };
    let trusting = versions.with_root_certificates(Arc::clone(&authorities.0));
    let mut config = match shown {
        Some(shown) => trusting.with_client_cert_resolver(Arc::new(shown.clone())),
        None => trusting.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Arc::new(config)
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
        _ => Reason::TlsHandshake,
    }
}

/// What was agreed on, for people.
pub(super) fn describe(connection: &ClientConnection, name: &str) -> String {
    let version = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
    format!("{version}, certificate good for {name}")
}
