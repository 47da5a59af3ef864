//! What is wrong with PEM text (RFC 7468), for people: the library shows what it met byte by byte, however long it is.

use rustls::pki_types::pem::Error;

/// A half sentence.
pub(super) fn fault(e: &Error) -> String {
    match e {
        Error::MissingSectionEnd { .. } => "it has no line that ends it".to_owned(),
        Error::IllegalSectionStart { .. } => {
            "the line that should begin it does not end with `-----`".to_owned()
        }
        e => e.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Authorities, Identity};

    #[test]
    fn what_was_met_is_not_repeated() {
        let long = "x".repeat(60_000);
        for (text, why) in [
            (format!("-----BEGIN CERTIFICATE-----\n{long}"), "it has no line that ends it"),
            (format!("-----BEGIN CERTIFICATE {long}\n"), "the line that should begin it"),
            ("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n".to_owned(), "base64"),
        ] {
            let bundle = Authorities::from_pem(text.as_bytes()).unwrap_err().to_string();
            let identity = Identity::from_pem(text.as_bytes(), b"").unwrap_err().to_string();
            for said in [bundle, identity] {
                assert!(said.contains(why) && said.len() < 200, "{said}");
            }
        }
        assert!(fault(&Error::NoItemsFound).len() < 100);
    }
}
