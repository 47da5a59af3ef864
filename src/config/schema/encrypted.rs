//! How the tables of checks are declared: each key once, with its default; and the keys that every kind has that speaks
//! TLS.

use std::path::PathBuf;

use documented::{Documented, DocumentedFields};
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

/// How far a member's certificate is looked at.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Documented, DocumentedFields,
)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Verify {
    /// It leads to `ca-file`, is valid now, and carries the name that clients use.
    #[default]
    Full,
    /// All of that but the name: certificates of old masters have a common name alone.
    Ca,
    /// Whoever answers is taken at its word.
    None,
}

/// What the keys say, whatever kind they stand in.
#[derive(Debug)]
pub(in crate::config) struct TlsKeys {
    pub(in crate::config) server_name: Option<Spanned<String>>,
    pub(in crate::config) ca_file: Option<Spanned<PathBuf>>,
    pub(in crate::config) verify: Spanned<Verify>,
    pub(in crate::config) client_cert: Option<Spanned<PathBuf>>,
    pub(in crate::config) client_key: Option<Spanned<PathBuf>>,
}

/// A kind with its keys, each of which has a default.
macro_rules! kind {
    (
        $(#[$about:meta])*
        $kind:ident { $($(#[$key_about:meta])* $key:ident: $value:ty = $default:expr,)* }
    ) => {
        $(#[$about])*
        #[derive(Debug, Serialize, Deserialize, Documented, DocumentedFields)]
        #[serde(rename_all = "kebab-case", default)]
        pub(in crate::config) struct $kind {
            $($(#[$key_about])* pub(in crate::config) $key: $value,)*
        }

        impl Default for $kind {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }
    };
}

/// The same, with the keys of TLS. (Serde's `flatten` forgets where a value stands, and which keys there are.)
macro_rules! encrypted {
    (
        $(#[$about:meta])*
        $kind:ident { $($keys:tt)* } ca_file = $ca_file:expr
    ) => {
        $crate::config::schema::encrypted::kind! {
            $(#[$about])*
            $kind {
                $($keys)*
                /// The name that the certificate must carry; left out: the pool's, or the SRV record's target.
                server_name: Option<Spanned<String>> = None,
                /// The bundle that the certificate must lead to, PEM, with intermediates.
                ca_file: Option<Spanned<PathBuf>> = $ca_file,
                /// How far the certificate is looked at: `full`; `ca`: whatever its name is; `none`: not at all.
                verify: Spanned<Verify> = Spanned::new(0..0, Verify::default()),
                /// Shown to a member that asks for a certificate, PEM, with what leads to its CA. Read again when it
                /// changes, as the user of `[server] user`.
                client_cert: Option<Spanned<PathBuf>> = None,
                /// Its private key, PEM.
                client_key: Option<Spanned<PathBuf>> = None,
            }
        }

        impl $kind {
            /// The keys that say how TLS is spoken.
            pub(in crate::config) fn tls_keys(&self) -> TlsKeys {
                TlsKeys {
                    server_name: self.server_name.clone(),
                    ca_file: self.ca_file.clone(),
                    verify: self.verify.clone(),
                    client_cert: self.client_cert.clone(),
                    client_key: self.client_key.clone(),
                }
            }
        }
    };
}

pub(super) use {encrypted, kind};
