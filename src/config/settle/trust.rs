//! How a check's TLS is meant: whom it trusts, and whom it shows.

use std::path::PathBuf;

use serde_spanned::Spanned;

use super::Settler;
use crate::config::schema::TlsKeys;
use crate::config::settings::{Credentials, Located, Trust};
use crate::report::{Code, Problem};

impl Settler<'_> {
    pub(super) fn trust(&mut self, keys: TlsKeys) -> Trust {
        Trust {
            server_name: keys.server_name.and_then(|name| self.server_name(name)),
            ca_file: self.path(keys.ca_file),
            credentials: self.credentials(keys.client_cert, keys.client_key),
        }
    }

    fn server_name(&mut self, name: Spanned<String>) -> Option<String> {
        let Located { value, at } = self.located(name);
        if rustls::pki_types::ServerName::try_from(value.as_str()).is_ok() {
            return Some(value);
        }
        self.report.push(Problem::error(Code::ConfigBadValue, at, format!("`{value}` is no server name")));
        None
    }

    /// Both files or neither.
    fn credentials(
        &mut self,
        certificate: Option<Spanned<PathBuf>>,
        key: Option<Spanned<PathBuf>>,
    ) -> Option<Credentials> {
        let (there, missing, alone) = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                return Some(Credentials { certificate: self.path(certificate), key: self.path(key) });
            }
            (Some(certificate), None) => ("client-cert", "client-key", certificate),
            (None, Some(key)) => ("client-key", "client-cert", key),
            (None, None) => return None,
        };
        let message = format!("`{there}` stands without `{missing}`");
        let problem = Problem::error(Code::ConfigMissingKey, self.at(&alone), message);
        self.report
            .push(problem.label("a certificate is shown together with the proof that it is one's own"));
        None
    }
}
