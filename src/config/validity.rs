//! Until when certificates are valid: what is told of them beside whether they are good.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// When the first of these certificates expires, in seconds of Unix time, 2106 at the latest; `None`: no such moment can be read.
pub fn valid_until(chain: &[CertificateDer<'_>]) -> Option<u32> {
    let ends = chain.iter().filter_map(|certificate| {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let end = certificate.validity().not_after.timestamp().max(0);
        Some(u32::try_from(end).unwrap_or(u32::MAX))
    });
    ends.min()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_first_of_a_chain_to_expire_counts() {
        let made = |year| {
            let mut params = CertificateParams::new(["dns.example".to_owned()]).unwrap();
            (params.not_before, params.not_after) = (date_time_ymd(1960, 1, 1), date_time_ymd(year, 1, 1));
            params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
        };
        let torn = CertificateDer::from(made(2030)[..100].to_vec());
        for (chain, end) in [
            (vec![made(2030)], Some(1_893_456_000)),
            (vec![made(2040), made(2030), made(9999)], Some(1_893_456_000)),
            (vec![made(9999)], Some(u32::MAX)), // RFC 5280 §4.1.2.5: it has no end
            (vec![made(1965)], Some(0)),
            (vec![torn.clone(), made(2030)], Some(1_893_456_000)),
            (vec![torn], None),
            (vec![], None),
        ] {
            assert_eq!(valid_until(&chain), end);
        }
    }
}
