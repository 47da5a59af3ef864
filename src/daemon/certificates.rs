//! The files of certificates and keys that the config names, each read once.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::load::{read_each, unreadable, unusable};
use crate::config::{Authorities, Config, Credentials, Identity, Located, Shown, Trust, Watched};
use crate::report::{Code, Report};

/// Everything that was read. What could not be is in the report, and missing here.
#[derive(Debug)]
pub(super) struct Certificates {
    bundles: HashMap<PathBuf, Authorities>,
    pub(super) watched: Vec<Watched>,
}

impl Certificates {
    pub(super) fn read(
        config: &Config,
        read: &impl Fn(&Path) -> io::Result<Vec<u8>>,
        report: &mut Report,
    ) -> Self {
        let trusts = || config.checks.values().filter_map(|check| check.kind.trust());
        let bundles = trusts().filter_map(|trust| trust.ca_file.as_ref());
        let bad = (Code::BadCertificate, "members' certificates are checked against it");
        let bundles = read_each(bundles, read, Authorities::from_pem, bad, report);
        let mut certificates = Self { bundles, watched: Vec::new() };
        let mut tried = Vec::new();
        let server = config.server.tls.iter().map(|tls| (&tls.credentials, "clients are shown it"));
        let checks = trusts().filter_map(|trust| trust.credentials.as_ref());
        for (files, why) in server.chain(checks.map(|files| (files, "members are shown it"))) {
            if !tried.iter().any(|&other| files.are(other)) {
                tried.push(files);
                let identity = read_identity(files, why, read, report);
                let watch = |identity| Watched { files: files.clone(), shown: Shown::new(&identity) };
                certificates.watched.extend(identity.map(watch));
            }
        }
        certificates
    }

    /// What is shown of these files.
    pub(super) fn shown(&self, files: &Credentials) -> Option<&Shown> {
        self.watched.iter().find(|watched| watched.files.are(files)).map(|watched| &watched.shown)
    }

    /// What a check's certificates are judged with.
    pub(super) fn bundle(&self, trust: &Trust) -> Option<&Authorities> {
        self.bundles.get(&trust.ca_file.as_ref()?.value)
    }
}

/// A certificate and its key. `why`: what the certificate is for.
fn read_identity(
    files: &Credentials,
    why: &str,
    read: &impl Fn(&Path) -> io::Result<Vec<u8>>,
    report: &mut Report,
) -> Option<Identity> {
    let Credentials { certificate, key } = files;
    let mut pem = |file: &Located<PathBuf>| {
        let text = read(&file.value);
        text.map_err(|e| report.push(unreadable(file, &e))).ok()
    };
    let (chain, secret) = (pem(certificate), pem(key));
    let bad = match Identity::from_pem(&chain?, &secret?) {
        Ok(identity) => return Some(identity),
        Err(bad) => bad,
    };
    if let Some(e) = bad.certificate {
        report.push(unusable(Code::BadCertificate, certificate, &e, why));
    }
    if let Some(e) = bad.key {
        report.push(unusable(Code::BadKey, key, &e, "the certificate is proved with it"));
    }
    None
}
