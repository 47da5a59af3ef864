//! Chains that were found good a moment ago: the same certificate for the same name need not be led to its CA again with
//! each probe, which costs as much as all else that a handshake makes a client compute.
//!
//! Nothing else is skipped: that the member holds the certificate's key is proved with each handshake. Only what is good is
//! known, for a minute: so much later an expired certificate may be noticed. Other CAs are another verifier, which knows
//! nothing yet.

use std::collections::HashMap;
use std::hash::Hasher;

use parking_lot::Mutex;
use rustls::Error;
use rustls::client::danger::ServerCertVerified;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use siphasher::sip128::{Hasher128, SipHasher24};

/// For how many seconds a chain stays known.
const KNOWN_FOR: u64 = 60;
/// The most chains that are known; then all are forgotten.
const MOST: usize = 16_384;

/// The chains that one verifier has just found good.
#[derive(Debug)]
pub(super) struct Known {
    /// Nobody else can make two chains with the same mark. Without random numbers nothing is ever known.
    key: Option<[u8; 16]>,
    /// Since when each chain is known, in seconds of Unix time.
    since: Mutex<HashMap<u128, u64>>,
}

impl Known {
    /// Nothing yet.
    pub(super) fn nothing() -> Self {
        let mut key = [0; 16];
        let key = getrandom::fill(&mut key).ok().map(|()| key);
        Self { key, since: Mutex::default() }
    }

    /// Whether a chain is good, as `judge` finds unless it is known.
    pub(super) fn or_judged(
        &self,
        chain: &[&CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        judge: impl FnOnce() -> Result<ServerCertVerified, Error>,
    ) -> Result<ServerCertVerified, Error> {
        let Some(key) = &self.key else { return judge() };
        let mark = mark(key, chain, name);
        if self.is_known(mark, now.as_secs()) {
            return Ok(ServerCertVerified::assertion());
        }
        let good = judge()?;
        self.learn(mark, now.as_secs());
        Ok(good)
    }

    fn is_known(&self, mark: u128, now: u64) -> bool {
        let known = self.since.lock();
        known.get(&mark).and_then(|&since| now.checked_sub(since)).is_some_and(|age| age < KNOWN_FOR)
    }

    fn learn(&self, mark: u128, now: u64) {
        let mut known = self.since.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(mark, now);
    }
}

fn mark(key: &[u8; 16], chain: &[&CertificateDer<'_>], name: &ServerName<'_>) -> u128 {
    let mut hasher = SipHasher24::new_with_key(key);
    let name = name.to_str();
    for part in [name.as_bytes()].into_iter().chain(chain.iter().map(AsRef::as_ref)) {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish128().as_u128()
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
