//! The old process hands over: sockets, and all that it knows. It goes on until the new one answers (`passing.rs`).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::day::{Outcome, STILLNESS, Told, Turn};
use super::marks::marks;
use super::passing::{
    Answer, Estate, Hello, Last, Left, Line, PROTOCOL, PassingError, Purpose, Ready, Serving,
};
use super::works::{Gone, Works};
use crate::admin::Entrance;
use crate::serve::{Bound, Maker, Place, Servers};

/// How long a word may take that needs no thinking.
const SHORTLY: Duration = Duration::from_secs(5);
/// How long the new process may take to get ready, at the most.
const LONGEST: Duration = Duration::from_secs(600);
/// With the process of this number everything in its container ends.
const FIRST: u32 = 1;

/// Whether this is the first process of its container, in whose place there can be no other.
pub fn is_first() -> bool {
    std::process::id() == FIRST
}

/// Why this process goes on.
#[derive(Debug, thiserror::Error)]
enum HandoverError {
    #[error("the other process cannot take over: {0}")]
    Passing(#[from] PassingError),
    #[error("the other process speaks protocol {0}, and this one {PROTOCOL}")]
    Protocol(u32),
    #[error("this is the first process of its container, which would end with it: start another container")]
    First,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the server is stopping")]
    Stopping,
}

impl Works {
    /// Hands the server over to the process at the other end, which has said `said` already. Returns when that serves and
    /// this one does not any more, or when nothing came of it.
    pub(super) async fn hand_over(&self, stream: UnixStream, said: Vec<u8>) {
        let mut line = Line::new(stream, said);
        if let Err(e) = self.hand(&mut line).await {
            warn!(%e, "no other process has taken over: this one goes on");
            let _ = line.say(&Answer::Refused(e.to_string()), SHORTLY).await;
        }
    }

    async fn hand(&self, line: &mut Line) -> Result<(), HandoverError> {
        let hello: Hello = line.hear(SHORTLY).await?;
        if hello.protocol != PROTOCOL {
            return Err(HandoverError::Protocol(hello.protocol));
        }
        if is_first() {
            return Err(HandoverError::First);
        }
        let mut running = self.running.lock().await; // nothing else changes meanwhile
        let servers = running.servers.as_ref().ok_or(HandoverError::Stopping)?;
        info!(pid = hello.pid, version = hello.version, "another process wants to take over");
        let things = self.things(servers)?;
        let (told, plan) = (self.told().await?, running.plan.clone());
        let estate = Estate {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            sockets: things.iter().map(Thing::purpose).collect(),
            control_by: self.control_by(),
            legacy: told.legacy,
            marks: spawn_blocking(move || marks(&plan)).await.map_err(io::Error::other)?,
        };
        line.say(&Answer::Granted(Box::new(estate)), SHORTLY).await?;
        line.hand(&things.iter().map(Thing::socket).collect::<Vec<_>>(), SHORTLY).await?;
        drop(things);
        let ready = line.hear(hello.patience.saturating_add(SHORTLY).min(LONGEST));
        let ready = self.stop.run_until_cancelled(ready).await.ok_or(HandoverError::Stopping)?;
        let Ready {} = ready?;
        servers.hold_back().await;
        let held = self.hold(line, servers).await.inspect_err(|_| servers.go_on());
        let (outcome, Serving { leaves_control }) = held?;
        let _ = outcome.send(Outcome::Taken);
        if !leaves_control {
            self.entrance.lock().iter().for_each(Entrance::leave);
        }
        self.close_doors().await;
        let servers = running.servers.take().ok_or(HandoverError::Stopping)?;
        let counts = servers.stop().await;
        let _ = line.say(&Left { counts }, SHORTLY).await; // it answers, whether it hears this or not
        tell_successor(hello.pid).await;
        info!(pid = hello.pid, "another process has taken over");
        self.succeeded.cancel();
        Ok(())
    }

    /// Lets the director hold still, until the new process serves. Dropped without an outcome, it goes on.
    async fn hold(
        &self,
        line: &mut Line,
        servers: &Servers,
    ) -> Result<(oneshot::Sender<Outcome>, Serving), HandoverError> {
        let (to, told) = oneshot::channel();
        let (outcome, heard) = oneshot::channel();
        self.turns.send(Turn::HandOver(to, heard)).await.map_err(|_| Gone)?;
        let Told { legacy, secret_left } = told.await.map_err(|_| Gone)?;
        let end = Instant::now() + STILLNESS * 3 / 4; // the director waits no longer, whatever word it is that takes so long
        line.say(&Last { legacy, secret_left, counts: servers.counter().read() }, SHORTLY).await?;
        let serving = line.hear(end.saturating_duration_since(Instant::now())).await?;
        Ok((outcome, serving))
    }

    fn control_by(&self) -> Maker {
        let entrance = self.entrance.lock();
        let control = entrance.as_ref().and_then(Entrance::control);
        control.map(|(_, maker, _)| maker).unwrap_or_default()
    }

    fn things(&self, servers: &Servers) -> io::Result<Vec<Thing>> {
        let mut things: Vec<Thing> =
            servers.sockets()?.apart().into_iter().map(|(place, socket)| Thing::Dns(place, socket)).collect();
        let entrance = self.entrance.lock();
        if let Some((path, _, listener)) = entrance.as_ref().and_then(Entrance::control) {
            things.push(Thing::Control(path.to_owned(), listener.try_clone()?));
        }
        if let Some((addr, listener)) = entrance.as_ref().and_then(Entrance::http) {
            things.push(Thing::Http(addr, listener.try_clone()?));
        }
        Ok(things)
    }
}

/// Tells systemd who its service is now. The new process does so itself, but this one may end sooner than that is heard, and
/// the service would end with it.
async fn tell_successor(pid: u32) {
    let _ = spawn_blocking(move || sd_notify::notify(&[NotifyState::MainPid(pid)])).await; // where there is one
}

/// A socket and what it is for.
enum Thing {
    Dns(Place, Bound),
    Control(PathBuf, UnixListener),
    Http(SocketAddr, TcpListener),
}

impl Thing {
    fn purpose(&self) -> Purpose {
        match self {
            Self::Dns(place, Bound::Udp(_)) => Purpose::Datagrams(*place),
            Self::Dns(place, Bound::Tcp(_)) => Purpose::Connections(*place),
            Self::Control(path, _) => Purpose::Control(path.clone()),
            Self::Http(addr, _) => Purpose::Http(*addr),
        }
    }

    fn socket(&self) -> BorrowedFd<'_> {
        match self {
            Self::Dns(_, Bound::Udp(socket)) => socket.as_fd(),
            Self::Dns(_, Bound::Tcp(socket)) | Self::Http(_, socket) => socket.as_fd(),
            Self::Control(_, socket) => socket.as_fd(),
        }
    }
}

impl From<Gone> for HandoverError {
    fn from(_: Gone) -> Self {
        Self::Stopping
    }
}
