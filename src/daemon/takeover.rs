//! The new process takes over: it gets the sockets and all that the old one knows, and answers only when it is ready
//! (`passing.rs`). If anything goes wrong, it ends, and the old one goes on.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::info;

use super::clock::Clock;
use super::director::{Director, Heir};
use super::keeper::Keeper;
use super::passing::{
    Answer, Estate, Hello, Last, Left, Line, PROTOCOL, PassingError, Purpose, Ready, Serving,
};
use super::reload::prepare;
use super::start::{self, Begun, Settled};
use super::{Daemon, StartError, WAITING_VERDICTS};
use crate::admin::{Entrance, Refused, TAKEOVER};
use crate::plan::Plan;
use crate::probe::guard::Vouch;
use crate::probe::schedule::{Ask, Schedule};
use crate::serve::{Bound, Inherited, Maker};

/// How long a word may take that needs no thinking.
const SHORTLY: Duration = Duration::from_secs(10);
/// How long the old process may still answer what has arrived.
const FAREWELL: Duration = Duration::from_secs(60);
/// The longest that the head of an HTTP reply is, and a refusal.
const LONGEST_HEAD: usize = 16 << 10;

/// Why nothing was taken over. Each is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The socket cannot be used.
    #[error("cannot use the control socket `{}`: {why}", path.display())]
    NoWay {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// It is no onstage, or one that cannot do that.
    #[error("the server on the control socket does not hand over: {0}")]
    Refused(String),
    /// The talk broke off.
    #[error("the running server did not hand over: {0}")]
    Broken(String),
    /// This process could not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Asks whoever has this control socket to hand over. `None`: nobody has it.
///
/// # Errors
/// See [`TakeoverError`].
pub async fn find_running(path: &Path) -> Result<Option<UnixStream>, TakeoverError> {
    match UnixStream::connect(path).await {
        Ok(stream) => {
            let asked = timeout(SHORTLY, ask(stream)).await;
            asked.map_err(|_| TakeoverError::Refused("it does not answer".to_owned()))?.map(Some)
        }
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(why) => Err(TakeoverError::NoWay { path: path.to_owned(), why }),
    }
}

/// From HTTP to the line. Reads byte by byte, lest anything be read that comes after.
async fn ask(mut stream: UnixStream) -> Result<UnixStream, TakeoverError> {
    let request = format!(
        "POST /v1/takeover HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: {TAKEOVER}\r\nContent-Length: 0\r\n\r\n"
    );
    let refused = |e: io::Error| TakeoverError::Refused(PassingError::from(e).to_string());
    stream.write_all(request.as_bytes()).await.map_err(refused)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        head.push(stream.read_u8().await.map_err(refused)?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if head.starts_with("HTTP/1.1 101 ") {
        return Ok(stream);
    }
    let _ = stream.shutdown().await;
    let mut body = Vec::new();
    let _ = timeout(Duration::from_secs(1), stream.take(LONGEST_HEAD as u64).read_to_end(&mut body)).await;
    let said: Option<Refused> = serde_json::from_slice(&body).ok();
    let first_line = || head.lines().next().unwrap_or("it is silent").to_owned();
    Err(TakeoverError::Refused(said.map_or_else(first_line, |refused| refused.error)))
}

impl Daemon {
    /// Takes over from the process at the other end, and answers. Until this returns, that one does, too; if it fails, that
    /// one goes on.
    ///
    /// # Errors
    /// See [`TakeoverError`].
    pub async fn take_over(
        plan: &Arc<Plan>,
        ask: &Arc<impl Ask + Vouch>,
        stream: UnixStream,
    ) -> Result<Self, TakeoverError> {
        let mut line = Line::new(stream, Vec::new());
        let hello = Hello {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            patience: plan.server.first_round + SHORTLY,
        };
        line.say(&hello, SHORTLY).await?;
        let Estate { version, pid, started, sockets, control_by, legacy, marks } =
            match line.hear(SHORTLY).await? {
                Answer::Granted(estate) => *estate,
                Answer::Refused(why) => return Err(TakeoverError::Refused(why)),
            };
        info!(pid, version, "taking over");
        let taken = line.take(sockets.len(), SHORTLY).await?;
        let mut inherited = inherit(sockets, control_by, taken).map_err(StartError::Io)?;
        let settled = start::settle(plan, &mut inherited)?;
        let leaves_control = inherited.has_control();
        drop(inherited); // what is not wanted any more goes with the old process
        let prepared = prepare(plan, (marks, Arc::default()), ask, &legacy).await.map_err(StartError::Io)?;
        line.say(&Ready {}, SHORTLY).await?;
        let last: Last = line.hear(SHORTLY).await?;
        let daemon = serve(plan, ask, settled, prepared.heir, &last, started)?;
        daemon.works.remember(last.counts.clone()).await;
        line.say(&Serving { leaves_control }, SHORTLY).await?;
        daemon.works.entrance.lock().iter().for_each(Entrance::claim);
        info!(pid, "taken over");
        let works = Arc::clone(&daemon.works);
        tokio::spawn(async move {
            if let Ok(Left { counts }) = line.hear(FAREWELL).await {
                works.remember(counts.since(&last.counts)).await;
            }
            works.dismiss_surplus().await; // not before: the old process may have had to go on with all of them
        });
        Ok(daemon)
    }
}

/// Goes on from the last that the old process knew.
fn serve(
    plan: &Arc<Plan>,
    ask: &Arc<impl Ask + Vouch>,
    Settled { sockets, doors, file }: Settled,
    heir: Heir,
    last: &Last,
    started: u32,
) -> Result<Daemon, StartError> {
    let clock = Clock::resume(last.legacy.steady);
    let director = Director::inherit(heir, &last.legacy, clock.now());
    let mut keeper = Keeper::new(file);
    keeper.keep_now(&director.state());
    let (sender, events) = mpsc::channel(WAITING_VERDICTS);
    let known = director.views().borrow().clone();
    let schedule = Schedule::resume(&plan.probes, &known, ask, &sender);
    let reader = director.reader().ok_or_else(|| StartError::Io(io::ErrorKind::Other.into()))?;
    let secret_left = last.secret_left;
    Begun { director, reader, clock, events, schedule, keeper, secret_left, started }
        .go_on(plan, ask, sockets, doors)
}

fn inherit(purposes: Vec<Purpose>, control_by: Maker, sockets: Vec<OwnedFd>) -> io::Result<Inherited> {
    let mut inherited = Inherited::nothing();
    for (purpose, socket) in purposes.into_iter().zip(sockets) {
        match purpose {
            Purpose::Datagrams(place) => inherited.add(Some(place), Bound::Udp(UdpSocket::from(socket)))?,
            Purpose::Connections(place) => {
                inherited.add(Some(place), Bound::Tcp(TcpListener::from(socket)))?;
            }
            Purpose::Control(path) => inherited.add_control(path, control_by, UnixListener::from(socket)),
            Purpose::Http(addr) => inherited.add_http(addr, TcpListener::from(socket)),
        }
    }
    Ok(inherited)
}

impl From<PassingError> for TakeoverError {
    fn from(e: PassingError) -> Self {
        Self::Broken(e.to_string())
    }
}
