//! One session with PostgreSQL on a connection that the probe opened: log in, ask for the role, take leave.
//!
//! ```text
//!  [SSLRequest ──▶ TLS ──▶] startup ──▶ login ──▶ select pg_is_in_recovery() ──▶ Terminate
//! ```
//!
//! | PostgreSQL's documentation, chapter "Frontend/Backend Protocol" (3.0) | status |
//! |---|---|
//! | SSLRequest | yes, where the check wants TLS; TLS from the first byte on (17): no |
//! | login: trust, MD5, SCRAM-SHA-256 | yes |
//! | login: password in clear | over TLS only |
//! | login: SCRAM-SHA-256-PLUS | no: a server that offers it offers SCRAM-SHA-256, too |
//! | login: GSSAPI, SSPI | no |
//! | simple query | yes |
//! | Terminate | yes, so that the server has nothing to complain of in its log |

mod login;
mod session;

use std::fmt;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Failure;
use crate::config::{Password, PostgresCheck, Role};
use crate::health::Reason;
use session::Session;

/// Who logs in, and what a member must be.
#[derive(Debug)]
pub(super) struct Client {
    user: String,
    password: Option<Password>,
    role: Option<Role>,
    /// The first message, the same for each member.
    startup: BytesMut,
}

/// Whether others could read along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encrypted {
    Yes,
    No,
}

/// Asks for TLS. The server says yes with one byte, and waits for the handshake.
pub(super) async fn request_tls(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(), Failure> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await.map_err(|e| Failure::new(Reason::Closed, e))?;
    match stream.read_u8().await {
        Ok(b'S') => Ok(()),
        Ok(b'N') => Err(Failure::new(Reason::TlsHandshake, "the server speaks no TLS")),
        Ok(_) => Err(garbled("the answer to the wish for TLS is neither yes nor no")),
        Err(e) => Err(Failure::new(Reason::Closed, e)),
    }
}

impl Client {
    /// # Errors
    /// A user or a database that cannot be told to any server.
    pub(super) fn new(check: &PostgresCheck, password: Option<Password>) -> Result<Self, String> {
        let said = [
            ("user", check.user.as_str()),
            ("database", check.database.as_str()),
            ("application_name", "onstage"),
            ("client_encoding", "UTF8"),
        ];
        let mut startup = BytesMut::new();
        frontend::startup_message(said, &mut startup).map_err(|e| format!("its user or database: {e}"))?;
        Ok(Self { user: check.user.clone(), password, role: check.role, startup })
    }

    /// Logs in.
    pub(super) async fn log_in<S>(&self, stream: S, encrypted: Encrypted) -> Result<Session<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut session = Session::new(stream);
        session.send(&self.startup).await?;
        login::log_in(self, &mut session, encrypted).await?;
        Ok(session)
    }

    /// Whether a server of this role is what is wanted.
    pub(super) fn judge(&self, found: Role) -> Result<(), Failure> {
        match self.role {
            Some(wanted) if wanted != found => {
                Err(Failure::new(Reason::WrongRole, format!("it is a {}", found.as_str())))
            }
            _ => Ok(()),
        }
    }
}

fn garbled(why: impl fmt::Display) -> Failure {
    Failure::new(Reason::BadReply, why)
}

fn out_of_turn() -> Failure {
    garbled("the server says what it was not asked")
}
