//! The keys that every kind of check has that speaks TLS: how the certificate is judged, and what is shown.

use std::path::PathBuf;

use serde_spanned::Spanned;

/// What the keys say, whatever kind they stand in.
#[derive(Debug)]
pub(in crate::config) struct TlsKeys {
    pub(in crate::config) server_name: Option<Spanned<String>>,
    pub(in crate::config) ca_file: Spanned<PathBuf>,
    pub(in crate::config) client_cert: Option<Spanned<PathBuf>>,
    pub(in crate::config) client_key: Option<Spanned<PathBuf>>,
}

/// A kind with these keys besides its own. (Serde's `flatten` forgets where a value stands, and which keys there are.)
macro_rules! encrypted {
    (
        $(#[$about:meta])*
        $kind:ident { $($(#[$key_about:meta])* $key:ident: $value:ty,)* }
    ) => {
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        $(#[$about])*
        pub(in crate::config) struct $kind {
            $($(#[$key_about])* pub(in crate::config) $key: $value,)*
            /// The name that the certificate must carry; left out: the pool's, or the SRV record's target.
            pub(in crate::config) server_name: Option<Spanned<String>>,
            /// The bundle that the certificate must lead to, PEM, with intermediates.
            pub(in crate::config) ca_file: Spanned<PathBuf>,
            /// Shown to a member that asks for a certificate, PEM, with what leads to its CA. Read again when it changes, as
            /// the user of `[server] user`.
            pub(in crate::config) client_cert: Option<Spanned<PathBuf>>,
            /// Its private key, PEM.
            pub(in crate::config) client_key: Option<Spanned<PathBuf>>,
        }

        impl $kind {
            /// The keys that say how TLS is spoken.
            pub(in crate::config) fn tls_keys(&self) -> $crate::config::schema::TlsKeys {
                $crate::config::schema::TlsKeys {
                    server_name: self.server_name.clone(),
                    ca_file: self.ca_file.clone(),
                    client_cert: self.client_cert.clone(),
                    client_key: self.client_key.clone(),
                }
            }
        }
    };
}

pub(super) use encrypted;
