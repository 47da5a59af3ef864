//! Chains that were found good a moment ago: the same certificate for the same name need not be led to its CA again with
//! each probe, which costs as much as all else that a handshake makes a client compute.
//!
//! Nothing else is skipped: that the member holds the certificate's key is proved with each handshake. Only what is good is
//! known, for a minute: so much later an expired certificate may be noticed. Other CAs are another verifier, which knows
//! nothing yet.

use rustls::Error;
use rustls::client::danger::ServerCertVerified;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::chains::Chains;

/// For how many seconds a chain stays known.
const KNOWN_FOR: u64 = 60;

/// The chains that one verifier has just found good, and since when, in seconds of Unix time.
#[derive(Debug)]
pub(super) struct Known(Chains<u64>);

impl Known {
    /// Nothing yet.
    pub(super) fn nothing() -> Self {
        Self(Chains::nothing())
    }

    /// Whether a chain is good, as `judge` finds unless it is known.
    pub(super) fn or_judged(
        &self,
        chain: &[&CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        judge: impl FnOnce() -> Result<ServerCertVerified, Error>,
    ) -> Result<ServerCertVerified, Error> {
        let (name, now) = (name.to_str(), now.as_secs());
        let parts = [name.as_bytes()].into_iter().chain(chain.iter().map(AsRef::as_ref));
        let Some(mark) = self.0.mark(parts) else { return judge() };
        if self.is_known(mark, now) {
            return Ok(ServerCertVerified::assertion());
        }
        let good = judge()?;
        self.0.learn(mark, now);
        Ok(good)
    }

    fn is_known(&self, mark: u128, now: u64) -> bool {
        self.0.of(mark).and_then(|since| now.checked_sub(since)).is_some_and(|age| age < KNOWN_FOR)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::CertificateError;

    use super::*;

    #[test]
    fn what_is_good_is_known_for_a_minute_and_nothing_else_is() {
        let known = Known::nothing();
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
            let der = |text: &'static str| CertificateDer::from(text.as_bytes());
            let now = UnixTime::since_unix_epoch(Duration::from_secs(start.checked_add_signed(at).unwrap()));
            let mut asked = false;
            let judged = known.or_judged(
                &[&der(certificate), &der(intermediate)],
                &ServerName::try_from(name).unwrap(),
                now,
                || {
                    asked = true;
                    match certificate {
                        "bad" => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
                        _ => Ok(ServerCertVerified::assertion()),
                    }
                },
            );
            assert_eq!(asked, is_asked, "{certificate} {intermediate} {name} {at}");
            assert_eq!(judged.is_ok(), certificate != "bad");
        }
    }
}
