//! Who logs in proves it, as the server wants it proved.
//!
//! ```text
//!           ┌ (trust) ────────────────────────────────────────────────┐
//!  asked ───┼ password, MD5 ──▶ asked ────────────────────────────────┼─ AuthenticationOk ─▶ in ─ ReadyForQuery ─▶
//!           └ SASL ──▶ scram ─ continue ─▶ scram ─ final ─▶ asked ────┘
//! ```

use std::fmt;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncWrite};

use super::session::Session;
use super::{Client, Encrypted, garbled, out_of_turn};
use crate::health::Reason;
use crate::probe::Failure;

/// How far the login is.
enum Login {
    Asked,
    Scram(Box<ScramSha256>),
    In,
}

/// Until the server waits for a query.
pub(super) async fn log_in<S>(
    client: &Client,
    session: &mut Session<S>,
    encrypted: Encrypted,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut login = Login::Asked;
    loop {
        login = match (login, session.next().await?) {
            (Login::In, Message::ReadyForQuery(_)) => return Ok(()),
            (Login::Asked, Message::AuthenticationOk) | (Login::In, Message::BackendKeyData(_)) => Login::In,
            (login, message) => {
                let (next, reply) = client.prove(login, &message, encrypted)?;
                if let Some(reply) = reply {
                    session.send(&reply).await?;
                }
                next
            }
        };
    }
}

/// The next state, and what is said to the server.
type Step = Result<(Login, Option<BytesMut>), Failure>;

impl Client {
    fn prove(&self, login: Login, wanted: &Message, encrypted: Encrypted) -> Step {
        match (login, wanted) {
            (Login::Asked, Message::AuthenticationCleartextPassword) => self.tell(encrypted),
            (Login::Asked, Message::AuthenticationMd5Password(body)) => self.hash(body.salt()),
            (Login::Asked, Message::AuthenticationSasl(body)) => self.begin_scram(body),
            (Login::Scram(scram), Message::AuthenticationSaslContinue(body)) => go_on(scram, body.data()),
            (Login::Scram(scram), Message::AuthenticationSaslFinal(body)) => end(*scram, body.data()),
            (
                Login::Asked,
                Message::AuthenticationGss
                | Message::AuthenticationSspi
                | Message::AuthenticationKerberosV5
                | Message::AuthenticationScmCredential,
            ) => Err(refused("the server wants a kind of login that onstage does not know")),
            _ => Err(out_of_turn()),
        }
    }

    fn tell(&self, encrypted: Encrypted) -> Step {
        if encrypted == Encrypted::No {
            return Err(refused("the server wants the password in clear, and there is no TLS"));
        }
        said(Login::Asked, |reply| frontend::password_message(self.password()?, reply).map_err(refused))
    }

    fn hash(&self, salt: [u8; 4]) -> Step {
        let hash = md5_hash(self.user.as_bytes(), self.password()?, salt);
        said(Login::Asked, |reply| frontend::password_message(hash.as_bytes(), reply).map_err(refused))
    }

    fn begin_scram(&self, offered: &AuthenticationSaslBody) -> Step {
        if !offered.mechanisms().any(|mechanism| Ok(mechanism == SCRAM_SHA_256)).map_err(garbled)? {
            return Err(refused("the server offers no SCRAM-SHA-256"));
        }
        let scram = Box::new(ScramSha256::new(self.password()?, ChannelBinding::unsupported()));
        let first = scram.message().to_vec();
        said(Login::Scram(scram), |reply| {
            frontend::sasl_initial_response(SCRAM_SHA_256, &first, reply).map_err(refused)
        })
    }

    fn password(&self) -> Result<&[u8], Failure> {
        let password = self.password.as_ref().map(|password| password.0.as_slice());
        password.ok_or_else(|| refused("the server wants a password, and the check has no `password-file`"))
    }
}

/// The crate refuses a server that would have the password hashed more than 100,000 times: no CPU is burnt for it.
fn go_on(mut scram: Box<ScramSha256>, said_first: &[u8]) -> Step {
    scram.update(said_first).map_err(refused)?;
    let proof = scram.message().to_vec();
    said(Login::Scram(scram), |reply| frontend::sasl_response(&proof, reply).map_err(refused))
}

/// A server that does not know the password cannot pretend to.
fn end(mut scram: ScramSha256, said_last: &[u8]) -> Step {
    scram.finish(said_last).map_err(refused)?;
    Ok((Login::Asked, None))
}

fn said(next: Login, write: impl FnOnce(&mut BytesMut) -> Result<(), Failure>) -> Step {
    let mut reply = BytesMut::new();
    write(&mut reply)?;
    Ok((next, Some(reply)))
}

fn refused(why: impl fmt::Display) -> Failure {
    Failure::new(Reason::Login, why)
}
