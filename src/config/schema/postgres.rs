//! `postgres = {…}`: a session with a PostgreSQL server.

use std::num::NonZeroU16;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::port;

/// `postgres = {…}`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(in crate::config) struct Postgres {
    /// The port, where no SRV record tells it.
    pub(in crate::config) port: NonZeroU16,
    /// Who logs in. It needs no rights but that to connect.
    pub(in crate::config) user: String,
    /// The database that is connected to.
    pub(in crate::config) database: String,
    /// The password, alone in a file; left out: none.
    pub(in crate::config) password_file: Option<Spanned<PathBuf>>,
    /// What a member must be.
    pub(in crate::config) role: Role,
    /// Whether the session is encrypted.
    pub(in crate::config) tls: Encryption,
    /// As in `puppetserver`.
    pub(in crate::config) server_name: Option<Spanned<String>>,
    /// The bundle that the certificate must lead to, PEM; with `tls = "require"`.
    pub(in crate::config) ca_file: Option<Spanned<PathBuf>>,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            port: port(5432),
            user: "onstage".to_owned(),
            database: "postgres".to_owned(),
            password_file: None,
            role: Role::default(),
            tls: Encryption::default(),
            server_name: None,
            ca_file: None,
        }
    }
}

/// `role`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Encryption {
    /// No TLS.
    #[default]
    Off,
    /// TLS, or the member does not pass.
    Require,
}
