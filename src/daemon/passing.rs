//! How two processes talk while one takes over from the other: over a Unix socket, words as JSON behind their length, and
//! sockets beside a byte each (`SCM_RIGHTS`, unix(7)).
//!
//! ```text
//!  new                                         old
//!   │ ── Hello: protocol, patience ─────────▶   │
//!   │ ◀─ Granted(Estate), then its sockets ──   │  goes on
//!   │    binds what is new, asks who is new     │
//!   │ ── Ready ─────────────────────────────▶   │  holds still: nothing is published or written
//!   │ ◀─ Last: all that is known now ────────   │
//!   │    answers                                │
//!   │ ── Serving ───────────────────────────▶   │  stops reading, answers what has arrived
//!   │ ◀─ Left: what it has counted ──────────   ╵
//! ```
//!
//! Whoever hangs up, is silent for too long, or says something else, ends it; until `Serving` the old one then goes on as if
//! nothing had been.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::director::Legacy;
use super::marks::Marks;
use crate::serve::{Counts, Maker, Place};

/// What is spoken here. Another number is another language.
pub(super) const PROTOCOL: u32 = 1;
/// The longest word: a hundred thousand probes fit.
const LONGEST: u32 = 512 << 20;
/// Sockets at once; the kernel takes 253.
const AT_ONCE: usize = 128;
/// The most sockets there are.
const MOST: usize = 16_384;

/// What the new process says first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) protocol: u32,
    pub(super) version: String,
    pub(super) pid: u32,
    /// How long it may take to get ready.
    pub(super) patience: Duration,
}

/// What the old one answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// No, and why.
    Refused(String),
    Granted(Box<Estate>),
}

/// What there is to take over.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Estate {
    pub(super) version: String,
    pub(super) pid: u32,
    /// When the server was started, in seconds of Unix time.
    pub(super) started: u32,
    /// What each socket that follows is for.
    pub(super) sockets: Vec<Purpose>,
    /// Who has made the file of the control socket among them.
    #[serde(default)]
    pub(super) control_by: Maker,
    pub(super) legacy: Legacy,
    pub(super) marks: Marks,
}

/// What a socket is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Purpose {
    Datagrams(Place),
    Connections(Place),
    Control(PathBuf),
    Http(SocketAddr),
}

/// The new process knows who is live, and has all that it needs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {}

/// All that the old one knows. It holds still from now on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Last {
    pub(super) legacy: Legacy,
    pub(super) secret_left: Duration,
    pub(super) counts: Counts,
}

/// The new process answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Serving {
    /// It has no use for the control socket of the old one.
    #[serde(default)]
    pub(super) leaves_control: bool,
}

/// The old one does not any more.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Left {
    pub(super) counts: Counts,
}

/// Why a handover came to nothing. Each is half a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassingError {
    /// It is gone.
    #[error("it hung up")]
    HungUp,
    /// It says nothing.
    #[error("it was silent for {} s", .0.as_secs())]
    Silent(Duration),
    /// It is another program, or a version that speaks otherwise.
    #[error("what it says makes no sense: {0}")]
    Strange(String),
    /// The system refused something.
    #[error("{0}")]
    Io(io::Error),
}

/// The way to the other process.
#[derive(Debug)]
pub(super) struct Line {
    stream: UnixStream,
    /// What was read before this was one.
    said: Vec<u8>,
}

impl Line {
    /// `said`: what was read of it already. No sockets may have come with that.
    pub(super) const fn new(stream: UnixStream, said: Vec<u8>) -> Self {
        Self { stream, said }
    }

    /// Says something.
    pub(super) async fn say(
        &mut self,
        word: &impl Serialize,
        patience: Duration,
    ) -> Result<(), PassingError> {
        let text = serde_json::to_vec(word).map_err(|e| PassingError::Strange(e.to_string()))?;
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        let saying = async {
            self.stream.write_all(&length).await?;
            self.stream.write_all(&text).await
        };
        Ok(timeout(patience, saying).await.map_err(|_| PassingError::Silent(patience))??)
    }

    /// Hears one word, and not a byte more: sockets may follow.
    pub(super) async fn hear<T: DeserializeOwned>(&mut self, patience: Duration) -> Result<T, PassingError> {
        timeout(patience, self.word()).await.map_err(|_| PassingError::Silent(patience))?
    }

    async fn word<T: DeserializeOwned>(&mut self) -> Result<T, PassingError> {
        let mut said = io::Cursor::new(std::mem::take(&mut self.said));
        let mut reader = AsyncReadExt::chain(&mut said, &mut self.stream);
        let length = reader.read_u32().await?;
        if length > LONGEST {
            return Err(PassingError::Strange(format!("a word of {length} bytes")));
        }
        let mut text = Vec::new();
        reader.take(length.into()).read_to_end(&mut text).await?;
        if text.len() < length as usize {
            return Err(PassingError::HungUp);
        }
        let read = usize::try_from(said.position()).unwrap_or(usize::MAX);
        self.said = said.into_inner().split_off(read);
        serde_json::from_slice(&text).map_err(|e| PassingError::Strange(e.to_string()))
    }

    /// Hands copies of sockets over.
    pub(super) async fn hand(
        &self,
        sockets: &[BorrowedFd<'_>],
        patience: Duration,
    ) -> Result<(), PassingError> {
        for some in sockets.chunks(AT_ONCE) {
            let handing = self.stream.async_io(Interest::WRITABLE, || hand(&self.stream, some));
            timeout(patience, handing).await.map_err(|_| PassingError::Silent(patience))??;
        }
        Ok(())
    }

    /// Takes so many.
    pub(super) async fn take(&self, count: usize, patience: Duration) -> Result<Vec<OwnedFd>, PassingError> {
        let mut taken = Vec::new();
        if count > MOST || !self.said.is_empty() {
            return Err(PassingError::Strange(format!("{count} sockets")));
        }
        while taken.len() < count {
            let taking = self.stream.async_io(Interest::READABLE, || take(&self.stream));
            let some = timeout(patience, taking).await.map_err(|_| PassingError::Silent(patience))??;
            if some.is_empty() {
                return Err(PassingError::Strange("a socket is missing".to_owned()));
            }
            taken.extend(some);
        }
        Ok(taken)
    }
}

fn hand(stream: &UnixStream, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut room = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
    let mut beside = SendAncillaryBuffer::new(&mut room);
    beside.push(SendAncillaryMessage::ScmRights(sockets));
    sendmsg(stream, &[IoSlice::new(b"+")], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn take(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut room = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
    let mut beside = RecvAncillaryBuffer::new(&mut room);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut beside, flags)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let sockets = beside.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    Ok(sockets.flatten().collect())
}

impl From<io::Error> for PassingError {
    fn from(e: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match e.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof => Self::HungUp,
            _ => Self::Io(e),
        }
    }
}
