//! Where administrators come in: the control socket, and an address for reading. Doors come and go with the config; whoever is
//! in meanwhile may finish.
//!
//! ```text
//!  bind ──▶ bound: who comes waits ──▶ change ──▶ open ──▶ change: another one, or none ──▶ closing: what was asked is answered
//!             └ something else fails: nothing has changed   └ change: the same one: it stays, with all who are in
//! ```

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::accept::{Listener, accept};
use super::events::Feed;
use super::gate::Gate;
use super::router::{Desk, public, whole};
use super::running::Running;
use super::socket::{self, File};
use crate::config::{Admin, Token};
use crate::serve::{BindError, Inherited, Maker};

/// Why nobody can come in. Each is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The control socket cannot be made.
    #[error("cannot have the control socket `{}`: {why}; `[admin] socket` names another one", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// Its path is taken by something else.
    #[error("cannot have the control socket `{}`: something else has that name, which is no socket", .0.display())]
    Strange(PathBuf),
    /// Another server has it.
    #[error("another onstage is running: it answers on the control socket `{}`", .0.display())]
    Taken(PathBuf),
    /// The address for reading cannot be bound.
    #[error(transparent)]
    Http(#[from] BindError),
}

/// Doors as they are to be. What is new is bound, and nobody opens it yet: who comes waits.
#[derive(Debug)]
pub struct Doors {
    control: Option<Next<Control, tokio::net::UnixListener>>,
    http: Option<Next<Http, tokio::net::TcpListener>>,
    gate: Gate,
}

#[derive(Debug)]
enum Next<D, L> {
    /// The one that is open.
    Stays,
    /// Another one, and what accepts there.
    Opens(D, L),
}

/// The control socket.
#[derive(Debug)]
struct Control {
    file: File,
    /// A copy, for a process that takes over.
    listener: UnixListener,
}

/// The address for reading.
#[derive(Debug)]
struct Http {
    /// As the config has it: port 0 is any.
    addr: SocketAddr,
    /// A copy, for a process that takes over.
    listener: TcpListener,
}

/// The doors that are open, and all that is behind them.
#[derive(Debug)]
pub struct Entrance<R> {
    desk: Desk<R>,
    gate: watch::Sender<Gate>,
    control: Option<Open<Control>>,
    http: Option<Open<Http>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// An open door. It closes when this is dropped.
#[derive(Debug)]
struct Open<D> {
    door: D,
    _closing: DropGuard,
}

impl Doors {
    /// Binds what the config names. `user`: who the server will be, and who the socket belongs to.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub fn bind(
        admin: &Admin,
        token: Option<&Arc<Token>>,
        user: Option<&str>,
        inherited: &mut Inherited,
    ) -> Result<Self, DoorError> {
        let control = admin.socket.as_deref().map(|path| match inherited.take_control(path) {
            Some((maker, listener)) => control(path, socket::inherit(path, maker, listener)?),
            None => control(path, socket::bind(path, user)?),
        });
        let http = admin.http.map(|addr| http(addr, inherited.take_http(addr)));
        Ok(Self { control: control.transpose()?, http: http.transpose()?, gate: Gate::of(admin, token) })
    }
}

impl<R: Running> Entrance<R> {
    /// Without a door. All who are in have to go with `stop`.
    pub fn new(running: Arc<R>, stop: &CancellationToken) -> Self {
        let desk = Desk { running: Arc::clone(&running), feed: Feed::new() };
        tokio::spawn(stop.clone().run_until_cancelled_owned(desk.feed.clone().run(running)));
        let (gate, stop) = (watch::Sender::new(Gate::default()), stop.clone());
        Self { desk, gate, control: None, http: None, tasks: TaskTracker::new(), stop }
    }

    /// Binds what another config names, but for what is open already. Nothing changes before [`Self::change`].
    ///
    /// # Errors
    /// See [`DoorError`].
    pub fn bind(
        &self,
        admin: &Admin,
        token: Option<&Arc<Token>>,
        user: Option<&str>,
    ) -> Result<Doors, DoorError> {
        let own = |path: &Path| {
            let mut file = self.control.iter().map(|open| &open.door.file);
            file.any(|file| file.path() == path && file.is_there())
        };
        let new = |path: &Path| control(path, socket::bind(path, user)?);
        let control = admin.socket.as_deref().map(|path| if own(path) { Ok(Next::Stays) } else { new(path) });
        let own = |addr| self.http.iter().any(|open| open.door.addr == addr);
        let http = admin.http.map(|addr| if own(addr) { Ok(Next::Stays) } else { http(addr, None) });
        Ok(Doors { control: control.transpose()?, http: http.transpose()?, gate: Gate::of(admin, token) })
    }

    /// From now on these are open, and no others. Who is let in, they ask from now on as well.
    pub fn change(&mut self, Doors { control, http, gate }: Doors) {
        self.gate.send_replace(gate);
        self.control = match control {
            Some(Next::Stays) => self.control.take(),
            Some(Next::Opens(door, listener)) => Some(self.open(door, listener, whole(self.desk.clone()))),
            None => None,
        };
        self.http = match http {
            Some(Next::Stays) => self.http.take(),
            Some(Next::Opens(door, listener)) => {
                let router = public(self.desk.clone(), &self.gate.subscribe());
                Some(self.open(door, listener, router))
            }
            None => None,
        };
    }

    fn open<D>(&self, door: D, listener: impl Listener, router: axum::Router) -> Open<D> {
        let closing = self.stop.child_token();
        self.tasks.spawn(accept(listener, router, closing.clone(), self.stop.clone()));
        Open { door, _closing: closing.drop_guard() }
    }

    /// Sends everybody away, and closes: the next process may have the same doors.
    pub async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The control socket, its path, and who has made its file.
    pub fn control(&self) -> Option<(&Path, Maker, &UnixListener)> {
        let Open { door: Control { file, listener }, .. } = self.control.as_ref()?;
        Some((file.path(), file.maker(), listener))
    }

    /// The address for reading as the config has it, and its socket.
    pub fn http(&self) -> Option<(SocketAddr, &TcpListener)> {
        self.http.as_ref().map(|Open { door, .. }| (door.addr, &door.listener))
    }

    /// The process that had the doors before has left them: what is on disk goes when this one ends.
    pub fn claim(&self) {
        if let Some(open) = &self.control {
            open.door.file.claim();
        }
    }

    /// Another process has the doors from now on: what is on disk stays when this one ends.
    pub fn leave(&self) {
        if let Some(open) = &self.control {
            open.door.file.leave();
        }
    }
}

fn control(
    path: &Path,
    (listener, file): (UnixListener, File),
) -> Result<Next<Control, tokio::net::UnixListener>, DoorError> {
    let failed = |why| DoorError::Socket { path: path.to_owned(), why };
    let copy = listener.try_clone().map_err(failed)?;
    let accepting = tokio::net::UnixListener::from_std(listener).map_err(failed)?;
    Ok(Next::Opens(Control { file, listener: copy }, accepting))
}

/// `bound`: the socket, where there is one already.
fn http(
    addr: SocketAddr,
    bound: Option<TcpListener>,
) -> Result<Next<Http, tokio::net::TcpListener>, DoorError> {
    let open = || {
        let listener = bound.map_or_else(|| TcpListener::bind(addr), Ok)?;
        listener.set_nonblocking(true)?;
        let copy = listener.try_clone()?;
        Ok(Next::Opens(Http { addr, listener: copy }, tokio::net::TcpListener::from_std(listener)?))
    };
    open().map_err(|source| BindError { addr, protocol: "HTTP", source }.into())
}
