//! The CA bundle that members' certificates are checked against.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, TrustAnchor};

use super::pem::fault;

/// A bundle of CA certificates. Masters send only their leaf, so an intermediate belongs into it as well; any
/// certificate in it is an anchor.
#[derive(Debug, Clone)]
pub struct Authorities(pub(crate) Arc<RootCertStore>);

/// Why a bundle cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBundle {
    /// No PEM block with a certificate in it.
    #[error("there is no certificate in it")]
    Empty,
    /// A block that is no certificate, or no PEM.
    #[error("certificate {number} cannot be read: {why}")]
    Unreadable {
        /// Which, counted from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
}

impl Authorities {
    /// Reads a PEM bundle; what is no certificate in it (keys, CRLs) is passed over.
    ///
    /// # Errors
    /// See [`BadBundle`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, BadBundle> {
        let mut store = RootCertStore::empty();
        for (i, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let unreadable = |why: String| BadBundle::Unreadable { number: i + 1, why };
            let certificate = certificate.map_err(|e| unreadable(fault(&e)))?;
            store.add(certificate).map_err(|e| unreadable(e.to_string()))?;
        }
        if store.is_empty() { Err(BadBundle::Empty) } else { Ok(Self(Arc::new(store))) }
    }

    /// Which certificate of another bundle belongs to no CA of this one, counted from 1; `None`: none does not. A CA is the
    /// same as long as it has its name and its key: its certificate may have been renewed.
    pub fn first_stranger(&self, other: &Self) -> Option<usize> {
        let known = |anchor: &TrustAnchor<'_>| {
            self.0.roots.iter().any(|own| {
                own.subject == anchor.subject && own.subject_public_key_info == anchor.subject_public_key_info
            })
        };
        other.0.roots.iter().position(|anchor| !known(anchor)).map(|place| place + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_bundle_is_refused() {
        assert_eq!(Authorities::from_pem(b"").unwrap_err(), BadBundle::Empty);
        assert_eq!(Authorities::from_pem(b"just some words\n").unwrap_err(), BadBundle::Empty);
        let torn = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Authorities::from_pem(torn), Err(BadBundle::Unreadable { number: 1, .. })));
    }
}
