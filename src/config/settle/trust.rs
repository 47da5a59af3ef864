//! How a check's TLS is meant: whom it trusts, and whom it shows.

use std::path::PathBuf;

use serde_spanned::Spanned;

use super::Settler;
use crate::config::schema::{self, TlsKeys};
use crate::config::settings::{Credentials, Located, Trust, Verify};
use crate::report::{Code, Location, Problem};

impl Settler<'_> {
    /// The keys of TLS in the table at `at`.
    pub(super) fn trust(&mut self, at: &Location, keys: TlsKeys) -> Trust {
        let verify = match keys.verify.get_ref() {
            schema::Verify::Full => Verify::Full,
            schema::Verify::Ca => Verify::Chain,
            schema::Verify::None => Verify::Nothing,
        };
        let ca_file = match (verify, keys.ca_file) {
            (Verify::Nothing, _) => {
                self.warn_of_strangers(&keys.verify);
                None
            }
            (_, Some(file)) => Some(self.path(file)),
            (_, None) => {
                self.miss_bundle(at);
                None
            }
        };
        let server_name = keys.server_name.and_then(|name| self.server_name(name));
        let credentials = self.credentials(keys.client_cert, keys.client_key);
        Trust { server_name, verify, ca_file, credentials }
    }

    /// None of them has a meaning where TLS is not spoken.
    pub(super) fn refuse_tls_keys(&mut self, keys: TlsKeys) {
        for (key, at) in self.written(keys) {
            let message = format!("`{key}` and `plain` exclude each other");
            let problem = Problem::error(Code::ConfigConflict, at, message);
            self.report.push(problem.label("there is no certificate without TLS"));
        }
    }

    /// Those that stand in the file, and where. (A default that is written out has no more effect than one that is not.)
    pub(super) fn written(&self, keys: TlsKeys) -> impl Iterator<Item = (&'static str, Location)> + use<> {
        let source = self.source;
        let places = [
            ("server-name", keys.server_name.map(|key| key.span())),
            ("ca-file", keys.ca_file.map(|key| key.span())),
            ("verify", (*keys.verify.get_ref() != schema::Verify::default()).then(|| keys.verify.span())),
            ("client-cert", keys.client_cert.map(|key| key.span())),
            ("client-key", keys.client_key.map(|key| key.span())),
        ];
        let written = places.into_iter().filter_map(|(key, span)| Some((key, span?)));
        let written = written.filter(|(_, span)| !span.is_empty());
        written.map(move |(key, span)| (key, Location { source, span }))
    }

    fn warn_of_strangers(&mut self, verify: &Spanned<schema::Verify>) {
        let message = "members may be anybody: their certificates are not looked at";
        let problem = Problem::warning(Code::CheckUnverified, self.at(verify), message);
        let help = "`verify = \"ca\"` takes any certificate of the site's CA, whatever its name is";
        self.report.push(problem.label("whoever answers is answered to clients").help(help));
    }

    /// A bundle that is missing is told, unless what stands there did not fit, which was told already.
    fn miss_bundle(&mut self, at: &Location) {
        if self.is_told(at.span.clone()) {
            return;
        }
        let problem =
            Problem::error(Code::ConfigMissingKey, at.clone(), "the key `ca-file` is missing".to_owned());
        self.report.push(problem.label("in this table").help("it is the bundle of the site's CA, PEM"));
    }

    fn server_name(&mut self, name: Spanned<String>) -> Option<String> {
        let Located { value, at } = self.located(name);
        if Trust::can_meet(&value) {
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
