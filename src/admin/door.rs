//! Where administrators come in: the control socket, and an address for reading.
//!
//! ```text
//!  the socket's file: missing ─────────────────────▶ bind beside it, then move there: nobody meets half a socket
//!                     nobody listens (a dead one) ──▶ the same, over it
//!                     somebody answers ─────────────▶ refused: a second server
//!                     no socket ────────────────────▶ refused: it is somebody else's
//! ```
//!
//! Who may steer the server is who may open the file: its owner and its group.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::unistd::{Gid, Uid, User};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept::accept;
use super::events::Feed;
use super::gate::Gate;
use super::router::{Desk, public, whole};
use super::running::Running;
use crate::config::{Admin, Token};
use crate::serve::{BindError, Inherited};

const SOCKET_MODE: u32 = 0o660;
const FOLDER_MODE: u32 = 0o755;

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

/// Bound doors that nobody opens yet. Who comes waits.
#[derive(Debug)]
pub struct Doors {
    control: Option<(UnixListener, Arc<File>)>,
    /// With the address that it was asked for.
    http: Option<(SocketAddr, TcpListener, Gate)>,
}

/// Copies of what the doors are opened with, for a process that takes over.
#[derive(Debug, Default)]
pub struct Keys {
    /// The control socket, and its path.
    pub control: Option<(PathBuf, UnixListener)>,
    /// The address for reading as the config has it, and its socket.
    pub http: Option<(SocketAddr, TcpListener)>,
    file: Option<Arc<File>>,
}

/// The file of the control socket, which goes when its server does.
#[derive(Debug)]
struct File {
    path: PathBuf,
    /// Which file it is: another server may have put its own there.
    inode: (u64, u64),
    /// Another process has it from now on.
    is_left: AtomicBool,
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
        let user = user.and_then(|name| User::from_name(name).ok()?);
        let owner = user.map(|user| (user.uid, user.gid));
        let control = admin.socket.as_deref().map(|path| match inherited.take_control(path) {
            Some(listener) => inherit(path, listener),
            None => control(path, owner),
        });
        let gate = Gate { names: admin.names.clone().into(), token: token.cloned() };
        let http = admin.http.map(|addr| match inherited.take_http(addr) {
            Some(listener) => Ok((addr, listener, gate)),
            None => http(addr).map(|listener| (addr, listener, gate)),
        });
        Ok(Self { control: control.transpose()?, http: http.transpose()? })
    }

    /// Copies, for a process that takes over.
    ///
    /// # Errors
    /// There are no descriptors.
    pub fn keys(&self) -> io::Result<Keys> {
        let mut keys = Keys::default();
        if let Some((listener, file)) = &self.control {
            keys.control = Some((file.path.clone(), listener.try_clone()?));
            keys.file = Some(Arc::clone(file));
        }
        if let Some((addr, listener, _)) = &self.http {
            keys.http = Some((*addr, listener.try_clone()?));
        }
        Ok(keys)
    }

    /// Lets people in until `stop`; whoever watches the doors is among `tasks`.
    ///
    /// # Errors
    /// A socket cannot be handed to the runtime.
    pub fn open(
        self,
        running: &Arc<impl Running>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> io::Result<()> {
        let desk = Desk { running: Arc::clone(running), feed: Feed::new() };
        let feed = desk.feed.clone().run(Arc::clone(running));
        tokio::spawn(stop.clone().run_until_cancelled_owned(feed));
        if let Some((_, listener, gate)) = self.http {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tasks.spawn(accept(listener, public(desk.clone(), gate), stop.clone()));
        }
        if let Some((listener, file)) = self.control {
            let listener = tokio::net::UnixListener::from_std(listener)?;
            let accepting = accept(listener, whole(desk), stop.clone());
            tasks.spawn(async move {
                accepting.await;
                drop(file);
            });
        }
        Ok(())
    }
}

impl Keys {
    /// Where it can be read, with the port that it got.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.as_ref()?.1.local_addr().ok()
    }

    /// Another process has them from now on: what is on disk stays when this one ends.
    pub fn leave(&self) {
        if let Some(file) = &self.file {
            file.is_left.store(true, Ordering::Relaxed);
        }
    }
}

/// A socket that is there already, be it bound by systemd or by the process before this one.
fn inherit(path: &Path, listener: UnixListener) -> Result<(UnixListener, Arc<File>), DoorError> {
    let failed = |why| DoorError::Socket { path: path.to_owned(), why };
    listener.set_nonblocking(true).map_err(failed)?;
    let file = fs::symlink_metadata(path).map_err(failed)?;
    Ok((listener, Arc::new(File::new(path, &file))))
}

fn control(path: &Path, owner: Option<(Uid, Gid)>) -> Result<(UnixListener, Arc<File>), DoorError> {
    let failed = |why| DoorError::Socket { path: path.to_owned(), why };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(failed)?;
        give(folder, owner).map_err(failed)?;
    }
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => return Err(DoorError::Strange(path.to_owned())),
        Ok(_) if is_live(path).map_err(failed)? => return Err(DoorError::Taken(path.to_owned())),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed(e)),
    }
    bind(path, owner).map_err(failed)
}

fn bind(path: &Path, owner: Option<(Uid, Gid)>) -> io::Result<(UnixListener, Arc<File>)> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&beside)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(&beside, Permissions::from_mode(SOCKET_MODE))?;
    give(&beside, owner)?;
    let file = fs::symlink_metadata(&beside)?;
    fs::rename(&beside, path)?;
    Ok((listener, Arc::new(File::new(path, &file))))
}

fn give(path: &Path, owner: Option<(Uid, Gid)>) -> io::Result<()> {
    owner.map_or(Ok(()), |(uid, gid)| chown(path, Some(uid.as_raw()), Some(gid.as_raw())))
}

/// Whether somebody accepts connections there. One whose hands are full is alive, too.
fn is_live(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(false),
        Err(e) => Err(e),
    }
}

fn http(addr: SocketAddr) -> Result<TcpListener, BindError> {
    let bound = TcpListener::bind(addr).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| BindError { addr, protocol: "HTTP", source })
}

impl File {
    fn new(path: &Path, file: &Metadata) -> Self {
        Self { path: path.to_owned(), inode: (file.dev(), file.ino()), is_left: AtomicBool::new(false) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let is_ours =
            fs::symlink_metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == self.inode);
        if is_ours && !*self.is_left.get_mut() {
            let _ = fs::remove_file(&self.path); // a dead one is taken over anyway
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admin(path: &Path) -> Admin {
        Admin { socket: Some(path.to_owned()), ..Admin::default() }
    }

    #[test]
    fn the_socket_is_its_owners_and_its_groups() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/onstage.sock");
        let doors = Doors::bind(&admin(&path), None, None, &mut Inherited::nothing()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, SOCKET_MODE);
        drop(doors);
        assert!(!path.exists(), "it goes with its server");
    }

    #[test]
    fn a_dead_one_is_taken_over_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("onstage.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "left by a process that was killed");
        let doors = Doors::bind(&admin(&path), None, None, &mut Inherited::nothing()).unwrap();
        let refused = Doors::bind(&admin(&path), None, None, &mut Inherited::nothing()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("another onstage is running: it answers on the control socket `{}`", path.display())
        );
        fs::remove_file(&path).unwrap();
        let next = Doors::bind(&admin(&path), None, None, &mut Inherited::nothing()).unwrap();
        drop(doors);
        assert!(path.exists(), "the file of the next one stays");
        drop(next);
    }

    #[test]
    fn what_cannot_be_is_one_clear_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "precious").unwrap();
        for (path, sentence) in [
            (file.clone(), "something else has that name, which is no socket"),
            (file.join("onstage.sock"), "Not a directory"),
            (dir.path().join("long".repeat(50)), "path must be shorter than SUN_LEN"),
        ] {
            let refused =
                Doors::bind(&admin(&path), None, None, &mut Inherited::nothing()).unwrap_err().to_string();
            assert!(refused.contains(sentence) && refused.contains(&*path.to_string_lossy()), "{refused}");
        }
        assert_eq!(fs::read_to_string(file).unwrap(), "precious");
    }
}
