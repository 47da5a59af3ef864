//! `postgres = {…}`: a session with a PostgreSQL server.

use std::num::NonZeroU16;
use std::path::PathBuf;

use documented::{Documented, DocumentedFields};
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::encrypted::{TlsKeys, Verify, encrypted};
use super::port;

encrypted! {
    /// `postgres = {…}`. Of the keys of TLS, all are idle unless `tls = "require"`, which needs a `ca-file`.
    Postgres {
        /// The port, where no SRV record tells it.
        port: NonZeroU16 = port(5432),
        /// Who logs in. It needs no rights but that to connect.
        user: String = "onstage".to_owned(),
        /// The database that is connected to.
        database: String = "postgres".to_owned(),
        /// The password, alone in a file; left out: none.
        password_file: Option<Spanned<PathBuf>> = None,
        /// What a member must be.
        role: Role = Role::default(),
        /// Whether the session is encrypted.
        tls: Encryption = Encryption::default(),
    }
    ca_file = None
}

/// `role`
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Documented, DocumentedFields,
)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Role {
    /// Either.
    #[default]
    Any,
    /// It takes writes.
    Primary,
    /// It follows a primary, and takes reads only.
    Replica,
}

/// `tls`
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Documented, DocumentedFields,
)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Encryption {
    /// No TLS.
    #[default]
    Off,
    /// TLS, or the member does not pass.
    Require,
}
