//! The certificate that is shown now, to clients that connect or to members that ask for one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{Credentials, Identity, valid_until};

/// What is shown from now on; clones are the same. Connections that are open stay as they are.
#[derive(Debug, Clone)]
pub struct Shown(Arc<ArcSwap<CertifiedKey>>);

/// Files of a certificate and its key, and where what they say is shown.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The files.
    pub files: Credentials,
    /// What they said when they were read last.
    pub shown: Shown,
}

impl Shown {
    /// Shows `identity`.
    pub fn new(identity: &Identity) -> Self {
        Self(Arc::new(ArcSwap::new(Arc::clone(&identity.0))))
    }

    /// Whether this is what is shown.
    pub fn is(&self, identity: &Identity) -> bool {
        self.0.load().cert == identity.0.cert
    }

    /// When what is shown expires, in seconds of Unix time.
    pub fn valid_until(&self) -> Option<u32> {
        valid_until(&self.0.load().cert)
    }

    /// Shows from the next connection on what another one shows now.
    pub fn show_same(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    /// Shows `identity` from the next connection on.
    pub fn replace(&self, identity: &Identity) {
        self.0.store(Arc::clone(&identity.0));
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// A member names the CAs that it accepts, and they are not looked at: whether the certificate is good enough is for
/// the member to say, and its alert tells more than a certificate that was kept back.
impl ResolvesClientCert for Shown {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
