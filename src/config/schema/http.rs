//! `http = {…}`, `https = {…}`, `puppet3 = {…}`: one request and what the reply must be; and `tls = {…}`.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::PathBuf;

use documented::{Documented, DocumentedFields};
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::encrypted::{TlsKeys, Verify, encrypted, kind};
use super::port;
use super::puppet::{PUPPET_PORT, puppet_ca};
use crate::config::values::{Method, StatusRange};

/// What the keys of a request say, whatever kind they stand in.
#[derive(Debug)]
pub(in crate::config) struct RequestKeys {
    pub(in crate::config) port: NonZeroU16,
    pub(in crate::config) path: String,
    pub(in crate::config) method: String,
    pub(in crate::config) host: Option<String>,
    pub(in crate::config) headers: BTreeMap<String, String>,
    pub(in crate::config) status: Vec<StatusRange>,
    pub(in crate::config) expect_headers: BTreeMap<String, String>,
    pub(in crate::config) body: Option<String>,
    pub(in crate::config) body_contains: Option<String>,
}

/// A kind with the keys of a request, and those that `$kinds` adds.
macro_rules! request {
    (
        $kinds:ident!
        $(#[$about:meta])*
        $kind:ident {
            port = $port:expr, path = $path:expr, headers = $headers:expr, status = $status:expr,
            expect_headers = $expect_headers:expr $(,)?
        } $($rest:tt)*
    ) => {
        $kinds! {
            $(#[$about])*
            $kind {
                /// The port, where no SRV record tells it.
                port: NonZeroU16 = $port,
                /// Path and query.
                path: String = $path.to_owned(),
                /// The method.
                method: Method = Method("GET".to_owned()),
                /// The Host header; left out: the server name, with the port unless it is the usual one.
                host: Option<String> = None,
                /// More headers, sent as they are.
                headers: BTreeMap<String, String> = owned(&$headers),
                /// Accepted status codes, `"200"` or `"200-299"`.
                status: Vec<StatusRange> = $status.into(),
                /// Headers that the reply must have, and what each must contain; `""`: anything.
                expect_headers: BTreeMap<String, String> = owned(&$expect_headers),
                /// What the body must be, white space at both ends apart.
                body: Option<String> = None,
                /// What the body must contain, in its first 64 KiB.
                body_contains: Option<String> = None,
            } $($rest)*
        }

        impl $kind {
            /// The keys that say what is asked and expected.
            pub(in crate::config) fn request_keys(&self) -> RequestKeys {
                RequestKeys {
                    port: self.port,
                    path: self.path.clone(),
                    method: self.method.0.clone(),
                    host: self.host.clone(),
                    headers: self.headers.clone(),
                    status: self.status.clone(),
                    expect_headers: self.expect_headers.clone(),
                    body: self.body.clone(),
                    body_contains: self.body_contains.clone(),
                }
            }
        }
    };
}

request! {
    kind!
    /// `http = {…}`
    Http { port = port(80), path = "/", headers = [], status = [StatusRange(200, 299)], expect_headers = [] }
}

request! {
    encrypted!
    /// `https = {…}`: as `http`, and how the certificate is judged.
    Https { port = port(443), path = "/", headers = [], status = [StatusRange(200, 299)], expect_headers = [] }
    ca_file = None
}

request! {
    encrypted!
    /// `puppet3 = {…}`: as `https`. Masters of Puppet 3 say 403 to everybody unless their auth.conf was changed, and 400
    /// to what they do not have, but each of their replies carries their version.
    Puppet3 {
        port = PUPPET_PORT,
        path = "/production/status/test",
        headers = [("Accept", "pson")],
        status = [StatusRange(200, 200), StatusRange(400, 400), StatusRange(403, 403)],
        expect_headers = [("X-Puppet-Version", "")],
    }
    ca_file = Some(puppet_ca())
}

encrypted! {
    /// `tls = {…}`
    Tls {
        /// The port, where no SRV record tells it.
        port: NonZeroU16 = port(443),
    }
    ca_file = None
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}
