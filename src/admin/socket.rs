//! The control socket, and its file.
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
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::unistd::{Gid, Uid, User};
use socket2::{Domain, SockAddr, Socket, Type};

use super::DoorError;
use crate::serve::Maker;

const SOCKET_MODE: u32 = 0o660;
const FOLDER_MODE: u32 = 0o755;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// The file of the control socket, which goes when its door closes, if nobody else has it or has made it.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    maker: Maker,
    /// Which file it is: another server may have put its own there.
    inode: (u64, u64),
    /// Another process has it.
    is_left: AtomicBool,
}

/// A socket that is there already, be it bound by systemd or by the process before this one. Its file is not to be removed
/// before it is claimed: the process before goes on listening there, should the takeover fail. systemd always does.
pub(super) fn inherit(
    path: &Path,
    maker: Maker,
    listener: UnixListener,
) -> Result<(UnixListener, File), DoorError> {
    let failed = |why| DoorError::Socket { path: path.to_owned(), why };
    listener.set_nonblocking(true).map_err(failed)?;
    let file = fs::symlink_metadata(path).map_err(failed)?;
    let file = File::new(path, maker, &file);
    file.leave();
    Ok((listener, file))
}

/// A new one. `user`: who the server is, or will be, and who the socket belongs to.
pub(super) fn bind(path: &Path, user: Option<&str>) -> Result<(UnixListener, File), DoorError> {
    let owner = user.and_then(|name| User::from_name(name).ok()?).map(|user| (user.uid, user.gid));
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
    bind_beside(path, owner).map_err(failed)
}

fn bind_beside(path: &Path, owner: Option<(Uid, Gid)>) -> io::Result<(UnixListener, File)> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let socket = bind_deaf(&beside, owner)?;
    socket.listen(BACKLOG)?;
    let file = fs::symlink_metadata(&beside)?;
    fs::rename(&beside, path)?;
    Ok((socket.into(), File::new(path, Maker::Onstage, &file)))
}

/// Nobody is let in before its file says who may come: whatever the umask, a connection that waits was made by one of them.
fn bind_deaf(path: &Path, owner: Option<(Uid, Gid)>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    give(path, owner)?;
    Ok(socket)
}

fn give(path: &Path, owner: Option<(Uid, Gid)>) -> io::Result<()> {
    owner.map_or(Ok(()), |(uid, gid)| chown(path, Some(uid.as_raw()), Some(gid.as_raw())))
}

/// Whether somebody accepts connections there. One whose hands are full is alive, too.
fn is_live(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(false),
        Err(e) => Err(e),
    }
}

impl File {
    /// Who has made it.
    pub(super) const fn maker(&self) -> Maker {
        self.maker
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is still what is found there.
    pub(super) fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == self.inode)
    }

    /// Another process has it from now on: it stays when this one ends.
    pub(super) fn leave(&self) {
        self.is_left.store(true, Ordering::Relaxed);
    }

    /// The process that had it does not need it any more: it goes when this one ends, unless it is systemd's.
    pub(super) fn claim(&self) {
        self.is_left.store(false, Ordering::Relaxed);
    }

    fn new(path: &Path, maker: Maker, file: &Metadata) -> Self {
        let inode = (file.dev(), file.ino());
        Self { path: path.to_owned(), maker, inode, is_left: AtomicBool::new(false) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if self.maker == Maker::Onstage && !*self.is_left.get_mut() && self.is_there() {
            let _ = fs::remove_file(&self.path); // a dead one is taken over anyway
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_its_owners_and_its_groups() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/onstage.sock");
        let doors = bind(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, SOCKET_MODE);
        drop(doors);
        assert!(!path.exists(), "it goes with its server");
    }

    #[test]
    fn nobody_is_let_in_before_the_file_says_who_may_come() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("onstage.sock");
        let socket = bind_deaf(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, SOCKET_MODE);
        let refused = std::os::unix::net::UnixStream::connect(&path).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        socket.listen(BACKLOG).unwrap();
        assert!(is_live(&path).unwrap());
    }

    #[test]
    fn one_that_was_there_before_goes_when_it_is_claimed_and_is_not_systemds() {
        for (maker, is_claimed, stays) in [
            (Maker::Onstage, false, true),
            (Maker::Onstage, true, false),
            (Maker::Systemd, false, true),
            (Maker::Systemd, true, true),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("onstage.sock");
            let (_listener, file) = inherit(&path, maker, UnixListener::bind(&path).unwrap()).unwrap();
            if is_claimed {
                file.claim();
            }
            drop(file);
            assert_eq!(path.exists(), stays, "{maker:?}, claimed: {is_claimed}");
        }
    }

    #[test]
    fn a_dead_one_is_taken_over_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("onstage.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "left by a process that was killed");
        let doors = bind(&path, None).unwrap();
        let refused = bind(&path, None).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("another onstage is running: it answers on the control socket `{}`", path.display())
        );
        fs::remove_file(&path).unwrap();
        let next = bind(&path, None).unwrap();
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
            let refused = bind(&path, None).unwrap_err().to_string();
            assert!(refused.contains(sentence) && refused.contains(&*path.to_string_lossy()), "{refused}");
        }
        assert_eq!(fs::read_to_string(file).unwrap(), "precious");
    }
}
