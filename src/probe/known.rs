//! Chains that were found good a moment ago: the same certificate for the same name need not be led to its CA again with
//! each probe, which costs as much as all else that a handshake makes a client compute.
//!
//! Nothing else is skipped: that the member holds the certificate's key is proved with each handshake. Only what is good is
//! known, for a minute: so much later an expired certificate may be noticed. Other CAs are another verifier, which knows
//! nothing yet.

use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use siphasher::sip128::{Hasher128, SipHasher24};

/// For how many seconds a chain stays known.
const KNOWN_FOR: u64 = 60;
/// The most chains that are known; then all are forgotten.
const MOST: usize = 16_384;

/// A verifier that does not ask another one about what that one has just found good.
#[derive(Debug)]
pub(super) struct Knowing {
    verifier: Arc<dyn ServerCertVerifier>,
    /// Nobody else can make two chains with the same mark.
    key: [u8; 16],
    /// Since when each chain is known, in seconds of Unix time.
    known: Mutex<HashMap<u128, u64>>,
}

impl Knowing {
    /// Knows nothing yet. Without random numbers nothing ever is.
    pub(super) fn of(verifier: Arc<dyn ServerCertVerifier>) -> Arc<dyn ServerCertVerifier> {
        let mut key = [0; 16];
        match getrandom::fill(&mut key) {
            Ok(()) => Arc::new(Self { verifier, key, known: Mutex::default() }),
            Err(_) => verifier,
        }
    }

    fn mark(&self, certificates: &[&[u8]], name: &ServerName<'_>) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        for part in [name.to_str().as_bytes()].iter().chain(certificates) {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }

    fn is_known(&self, mark: u128, now: u64) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&mark).and_then(|&since| now.checked_sub(since)).is_some_and(|age| age < KNOWN_FOR)
    }

    fn learn(&self, mark: u128, now: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(mark, now);
    }
}

impl ServerCertVerifier for Knowing {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain: Vec<&[u8]> = [certificate].into_iter().chain(intermediates).map(AsRef::as_ref).collect();
        let mark = self.mark(&chain, name);
        if self.is_known(mark, now.as_secs()) {
            return Ok(ServerCertVerified::assertion());
        }
        let good = self.verifier.verify_server_cert(certificate, intermediates, name, ocsp, now)?;
        self.learn(mark, now.as_secs());
        Ok(good)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use rustls::CertificateError;

    use super::*;

    /// Finds every certificate good but one, and counts how often it was asked.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl ServerCertVerifier for Counting {
        fn verify_server_cert(
            &self,
            certificate: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            match certificate.as_ref() {
                b"bad" => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
                _ => Ok(ServerCertVerified::assertion()),
            }
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("not asked".to_owned()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.verify_tls12_signature(message, certificate, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            Vec::new()
        }
    }

    #[test]
    fn what_is_good_is_known_for_a_minute_and_nothing_else_is() {
        let counting = Arc::new(Counting::default());
        let knowing = Knowing::of(Arc::<Counting>::clone(&counting));
        let start = 1_800_000_000_u64;
        for (certificate, intermediate, name, at, is_asked) in [
            ("one", "ca", "puppet", 0, true),
            ("one", "ca", "puppet", 0, false),
            ("one", "ca", "puppet", 59, false),
            ("one", "ca", "another", 59, true),
            ("onec", "a", "puppet", 59, true),
            ("two", "ca", "puppet", 59, true),
            ("one", "ca", "puppet", 60, true),
            ("one", "ca", "puppet", 61, false),
            ("one", "ca", "puppet", -1, true), // somebody set the clock
            ("bad", "ca", "puppet", 0, true),
            ("bad", "ca", "puppet", 1, true),
        ] {
            let before = counting.0.load(Ordering::Relaxed);
            let der = |text: &'static str| CertificateDer::from(text.as_bytes());
            let now = UnixTime::since_unix_epoch(Duration::from_secs(start.checked_add_signed(at).unwrap()));
            let judged = knowing.verify_server_cert(
                &der(certificate),
                &[der(intermediate)],
                &ServerName::try_from(name).unwrap(),
                &[],
                now,
            );
            let asked = counting.0.load(Ordering::Relaxed) - before;
            assert_eq!(asked, usize::from(is_asked), "{certificate} {intermediate} {name} {at}");
            assert_eq!(judged.is_ok(), certificate != "bad");
        }
    }
}
