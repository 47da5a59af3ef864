//! `[server] tls`: where clients are served encrypted, and as whom.

use std::net::SocketAddr;
use std::path::PathBuf;

use documented::{Documented, DocumentedFields};
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

/// `[server] tls`
#[derive(Debug, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) struct Tls {
    /// The server's certificate and what leads from it to its CA, PEM. Read again when it changes.
    pub(in crate::config) certificate: Spanned<PathBuf>,
    /// Its private key, PEM. Read again when it changes, as the user of `[server] user`.
    pub(in crate::config) key: Spanned<PathBuf>,
    /// Addresses for DNS over TLS (TCP).
    #[serde(default)]
    pub(in crate::config) dot: Vec<Spanned<SocketAddr>>,
    /// Addresses for DNS over HTTPS: HTTP/2 (TCP) and HTTP/3 (UDP), path `/dns-query`.
    #[serde(default)]
    pub(in crate::config) doh: Vec<Spanned<SocketAddr>>,
    /// Addresses for DNS over QUIC (UDP).
    #[serde(default)]
    pub(in crate::config) doq: Vec<Spanned<SocketAddr>>,
}
