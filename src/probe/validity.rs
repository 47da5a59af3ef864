//! Until when members' certificates are valid: read once of each chain.

use rustls::pki_types::CertificateDer;

use super::chains::Chains;
use crate::config::valid_until;

/// When the chains that were met expire.
#[derive(Debug)]
pub(super) struct Validity(Chains<Option<u32>>);

impl Validity {
    /// Nothing yet.
    pub(super) fn nothing() -> Self {
        Self(Chains::nothing())
    }

    /// When a chain expires, in seconds of Unix time; see [`valid_until`].
    pub(super) fn end(&self, chain: &[CertificateDer<'_>]) -> Option<u32> {
        let Some(mark) = self.0.mark(chain.iter().map(AsRef::as_ref)) else { return valid_until(chain) };
        self.0.of(mark).unwrap_or_else(|| {
            let end = valid_until(chain);
            self.0.learn(mark, end);
            end
        })
    }
}
