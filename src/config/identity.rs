//! A certificate, and the key that proves it: the server's, for clients that ask encrypted; a check's, for members that
//! ask who probes them.

use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use super::pem::fault;

/// A certificate, what leads from it to its CA, and the private key of it.
#[derive(Debug, Clone)]
pub struct Identity(pub(crate) Arc<CertifiedKey>);

/// What is wrong with the two files. Both may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", [&self.certificate, &self.key].into_iter().flatten().cloned().collect::<Vec<_>>().join("; "))]
pub struct BadIdentity {
    /// The file of the certificate.
    pub certificate: Option<String>,
    /// The file of the key.
    pub key: Option<String>,
}

impl Identity {
    /// Reads the PEM texts of a certificate with its chain, the server's own first, and of its key (PKCS #8, PKCS #1 or
    /// SEC1).
    ///
    /// # Errors
    /// See [`BadIdentity`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, BadIdentity> {
        let provider = rustls::crypto::ring::default_provider();
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|e| match e {
                pem::Error::NoItemsFound => "there is no private key in it".to_owned(),
                e => format!("the key cannot be read: {}", fault(&e)),
            })
            .and_then(|key| {
                let loaded = provider.key_provider.load_private_key(key);
                loaded.map_err(|e| format!("the key cannot be used: {e}"))
            });
        match (chain(certificate), key) {
            (Ok(chain), Ok(key)) => {
                let identity = CertifiedKey::new(chain, key);
                match identity.keys_match() {
                    Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                        Ok(Self(Arc::new(identity)))
                    }
                    Err(rustls::Error::InconsistentKeys(_)) => {
                        let why = "the key is not that of the certificate".to_owned();
                        Err(BadIdentity { certificate: None, key: Some(why) })
                    }
                    Err(e) => Err(BadIdentity { certificate: Some(unreadable(1, &e)), key: None }),
                }
            }
            (chain, key) => Err(BadIdentity { certificate: chain.err(), key: key.err() }),
        }
    }
}

/// The certificates, each of them readable.
fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut chain = Vec::new();
    for (i, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let certificate = certificate.map_err(|e| unreadable(i + 1, &fault(&e)))?;
        ParsedCertificate::try_from(&certificate).map_err(|e| unreadable(i + 1, &e))?;
        chain.push(certificate);
    }
    if chain.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(chain) }
}

fn unreadable(number: usize, why: &impl std::fmt::Display) -> String {
    format!("certificate {number} cannot be read: {why}")
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A certificate and its key.
    fn made() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["dns.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn refused(certificate: &str, key: &str) -> (Option<String>, Option<String>) {
        let bad = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        (bad.certificate, bad.key)
    }

    #[test]
    fn a_pair_is_taken_also_from_one_file() {
        let (certificate, key) = made();
        Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let both = format!("{key}{certificate}");
        Identity::from_pem(both.as_bytes(), both.as_bytes()).unwrap();
    }

    /// Puppet writes PKCS #1; later tools write PKCS #8.
    #[test]
    fn the_key_may_be_in_either_form() {
        let certificate = include_bytes!("../../tests/fixtures/client/agent.crt");
        let pkcs1 = include_bytes!("../../tests/fixtures/client/agent.pkcs1.key");
        let pkcs8 = include_bytes!("../../tests/fixtures/client/agent.pkcs8.key");
        assert!(pkcs1.starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
        assert!(pkcs8.starts_with(b"-----BEGIN PRIVATE KEY-----"));
        Identity::from_pem(certificate, pkcs1).unwrap();
        Identity::from_pem(certificate, pkcs8).unwrap();
    }

    #[test]
    fn what_is_wrong_is_said_of_the_file_it_is_in() {
        let (certificate, key) = made();
        let (no_certificate, no_key) = ("there is no certificate in it", "there is no private key in it");
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(refused("", "words"), (said(no_certificate), said(no_key)));
        assert_eq!(refused(&key, &key), (said(no_certificate), None));
        assert_eq!(refused(&certificate, &certificate), (None, said(no_key)));
        assert_eq!(refused(&certificate, &made().1), (None, said("the key is not that of the certificate")));
        let torn = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (pem, number) in [(torn.to_owned(), 1), (format!("{certificate}{torn}"), 2)] {
            let (why, _) = refused(&pem, &key);
            assert!(why.unwrap().starts_with(&format!("certificate {number} cannot be read: ")));
        }
        let torn = torn.replace("CERTIFICATE", "PRIVATE KEY");
        assert!(refused(&certificate, &torn).1.unwrap().starts_with("the key cannot be used: "));
    }
}
