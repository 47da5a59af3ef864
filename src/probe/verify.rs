//! How far a member's certificate is looked at, where the config asks for less than all.
//!
//! | `verify` | leads to `ca-file`, valid now | carries the name | the member holds its key |
//! |---|---|---|---|
//! | full | yes | yes | yes |
//! | ca | yes | no | yes |
//! | none | no | no | yes |

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::known::Knowing;
use super::tls::provider;
use crate::config::{Authorities, Verify};

/// What judges certificates. `None` where there is nothing to judge them with.
pub(super) fn verifier(
    verify: Verify,
    authorities: Option<&Authorities>,
) -> Option<Arc<dyn ServerCertVerifier>> {
    let algorithms = provider().signature_verification_algorithms;
    let whole = || {
        let roots = Arc::clone(&authorities?.0);
        WebPkiServerVerifier::builder_with_provider(roots, provider()).build().ok()
    };
    Some(match verify {
        Verify::Full => Knowing::of(whole()?),
        Verify::Chain => Knowing::of(Arc::new(Lenient { chain: Some(whole()?), algorithms })),
        Verify::Nothing => Arc::new(Lenient { chain: None, algorithms }),
    })
}

/// Takes any name, and without a chain any certificate.
#[derive(Debug)]
struct Lenient {
    chain: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // The name is looked at last: whoever fails for it alone has passed everything else.
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
