//! Messages to and from a server that may lie: bounded, and what its errors mean.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, ErrorResponseBody, Header, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{garbled, out_of_turn};
use crate::config::Role;
use crate::health::{Reason, Verdict};
use crate::probe::{Failure, glimpse, tls};

/// The most bytes that are read of a server.
const MOST: usize = 64 * 1024;
/// A login and its reply fit in it.
const USUAL: usize = 2048;
/// Any user may ask it; it writes nothing and waits for no lock.
const QUESTION: &str = "select pg_is_in_recovery()";

/// A connection on which somebody logs in, or is.
pub(in crate::probe) struct Session<S> {
    stream: S,
    inbox: BytesMut,
    /// How many bytes may still be read.
    left: usize,
    /// The server's own word.
    version: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, inbox: BytesMut::with_capacity(USUAL), left: MOST, version: String::new() }
    }

    /// Who it is.
    pub(in crate::probe) fn describe(&self) -> String {
        format!("PostgreSQL {}", self.version)
    }

    /// What the server is.
    pub(in crate::probe) async fn role(&mut self) -> Result<Role, Failure> {
        let mut question = BytesMut::new();
        frontend::query(QUESTION, &mut question).map_err(garbled)?;
        self.send(&question).await?;
        let mut role = None;
        loop {
            match self.next().await? {
                Message::RowDescription(_) | Message::CommandComplete(_) => {}
                Message::DataRow(row) => role = Some(answer(&row)?),
                Message::ReadyForQuery(_) => return role.ok_or_else(out_of_turn),
                _ => return Err(out_of_turn()),
            }
        }
    }

    /// Says goodbye; a server that does not care is no worse for it.
    pub(in crate::probe) async fn leave(mut self) {
        let mut terminate = BytesMut::new();
        frontend::terminate(&mut terminate);
        if self.send(&terminate).await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }

    pub(super) async fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        let sent = match self.stream.write_all(message).await {
            Ok(()) => self.stream.flush().await,
            Err(e) => Err(e),
        };
        sent.map_err(|e| tls::broken(&e))
    }

    /// The next message that means something. An error is a failure.
    pub(super) async fn next(&mut self) -> Result<Message, Failure> {
        loop {
            match self.message().await? {
                Message::NoticeResponse(_) => {}
                Message::ParameterStatus(status) => {
                    if let (Ok("server_version"), Ok(version)) = (status.name(), status.value()) {
                        self.version = glimpse(version.as_bytes());
                    }
                }
                Message::ErrorResponse(body) => return Err(error(&body)),
                message => return Ok(message),
            }
        }
    }

    async fn message(&mut self) -> Result<Message, Failure> {
        loop {
            self.refuse_length()?;
            if let Some(message) = Message::parse(&mut self.inbox).map_err(garbled)? {
                return Ok(message);
            }
            let mut more = (&mut self.stream).take(self.left as u64);
            match more.read_buf(&mut self.inbox).await {
                Ok(0) if self.left == 0 => return Err(garbled("the server does not come to an end")),
                Ok(0) => return Err(Failure::new(Reason::Closed, "the server closed the connection")),
                Ok(read) => self.left -= read,
                Err(e) => return Err(tls::broken(&e)),
            }
        }
    }

    /// Parsing makes room for the message that begins; for one that is too long there is none.
    fn refuse_length(&self) -> Result<(), Failure> {
        let header = Header::parse(&self.inbox).map_err(garbled)?;
        let length = header.map_or(0, |header| header.len().unsigned_abs() as usize);
        if length >= self.inbox.len() + self.left {
            return Err(garbled(format!("the server announces a message of {length} bytes")));
        }
        Ok(())
    }
}

/// The one value of the one row.
fn answer(row: &DataRowBody) -> Result<Role, Failure> {
    let value = row.ranges().next().map_err(garbled)?.flatten();
    match value.and_then(|range| row.buffer().get(range)) {
        Some(b"f") => Ok(Role::Primary),
        Some(b"t") => Ok(Role::Replica),
        _ => Err(garbled("the server does not tell whether it is in recovery")),
    }
}

fn error(body: &ErrorResponseBody) -> Failure {
    let (mut code, mut text) = (String::new(), String::new());
    let read = body.fields().for_each(|field| {
        match field.type_() {
            b'C' => code = glimpse(field.value_bytes()),
            b'M' => text = glimpse(field.value_bytes()),
            _ => {}
        }
        Ok(())
    });
    match read {
        Ok(()) => Failure { verdict: verdict(&code), detail: format!("{text} ({code})") },
        Err(e) => garbled(e),
    }
}

/// What an error says about the server (PostgreSQL's documentation, appendix "Error Codes").
fn verdict(code: &str) -> Verdict {
    match code {
        // It is shut down by its administrator or after a crash, it is starting or stopping.
        "57P01" | "57P02" | "57P03" => Verdict::Leaving(Reason::ServiceState),
        // There is no such database, or this user may not connect to it.
        "3D000" | "42501" => Verdict::Fail(Reason::Login),
        _ if code.starts_with("28") => Verdict::Fail(Reason::Login),
        // Connections, memory or disk have run out.
        _ if code.starts_with("53") => Verdict::Fail(Reason::Overloaded),
        _ => Verdict::Fail(Reason::DatabaseError),
    }
}
