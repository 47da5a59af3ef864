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

use super::known::Known;
use super::tls::provider;
use crate::config::{Authorities, Verify};

/// What judges certificates. `None` where there is nothing to judge them with.
pub(super) fn verifier(
    verify: Verify,
    authorities: Option<&Authorities>,
) -> Option<Arc<dyn ServerCertVerifier>> {
    let chain = || {
        let roots = Arc::clone(&authorities?.0);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build().ok()?;
        Some(Chain { verifier, known: Known::nothing() })
    };
    let chain = if verify == Verify::Nothing { None } else { Some(chain()?) };
    let algorithms = provider().signature_verification_algorithms;
    Some(Arc::new(Verifier { verify, chain, algorithms }))
}

/// Looks at certificates as far as it is told to.
#[derive(Debug)]
struct Verifier {
    verify: Verify,
    /// `None`: any certificate will do.
    chain: Option<Chain>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// What leads certificates to the site's CA.
#[derive(Debug)]
struct Chain {
    verifier: Arc<WebPkiServerVerifier>,
    known: Known,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(Chain { verifier, known }) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        let whole: Vec<_> = [certificate].into_iter().chain(intermediates).collect();
        known.or_judged(&whole, name, now, || {
            match verifier.verify_server_cert(certificate, intermediates, name, ocsp, now) {
                // The name is looked at last: whoever fails for it alone has passed everything else.
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                )) if self.verify == Verify::Chain => Ok(ServerCertVerified::assertion()),
                judged => judged,
            }
        })
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
