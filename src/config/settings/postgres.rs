//! A `postgres` check as the rest of the program sees it.

use std::num::NonZeroU16;
use std::path::PathBuf;

use super::{Located, Trust};

/// Settings of a `postgres` check.
#[derive(Debug, Clone, PartialEq)]
pub struct PostgresCheck {
    /// Where the member's record does not tell the port.
    pub port: NonZeroU16,
    /// `None`: no TLS.
    pub trust: Option<Trust>,
    /// Who logs in.
    pub user: String,
    /// The database that is connected to.
    pub database: String,
    /// The file of the password; `None`: the server is not given any.
    pub password_file: Option<Located<PathBuf>>,
    /// What a member must be; `None`: either.
    pub role: Option<Role>,
}

/// What a PostgreSQL server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It is in recovery: it follows a primary.
    Replica,
}

impl Role {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}
