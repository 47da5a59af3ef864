//! The program as it is on disk now, started by the running one so that it takes over.
//!
//! ```text
//!  running one ──starts──▶ go-between ──starts──▶ successor ──takes over──▶ MAINPID=
//!      │                     │ reads the config, and ends: well, or with what is wrong
//!      ├───── goes on ◀──────┘                       │ ends
//!      └───── goes on ◀──────────────────────────────┘
//! ```
//!
//! Both have the end of a pipe as standard input, which the kernel closes with the last of them. Nothing is said there.
//!
//! The successor is in the same service, whoever started it. But systemd lets a main process end in its own time only if that is
//! its own child when it is told of; any other it kills at once when the service is stopped (seen with version 252). A process
//! whose parent has ended is systemd's child, hence the go-between.

use std::env;
use std::ffi::OsString;
use std::io::{self, PipeReader, pipe};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tracing::{error, info};

use crate::daemon::is_first;

/// The flag that makes a process take over.
const TAKEOVER: &str = "--takeover";
/// In the environment of a go-between.
const GO_BETWEEN: &str = "ONSTAGE_GO_BETWEEN";
/// In the environment of both: the control socket of the running one, which the config may not name any more.
const CONTROL: &str = "ONSTAGE_CONTROL";

/// Starts the program with the words that this process was started with; what becomes of it is in the log. `control`: where
/// this process is asked to hand over.
pub(super) async fn start(control: Option<PathBuf>) {
    if is_first() {
        // A successor would be refused, and nobody would bury it: whose parent has ended is a child of this process.
        error!(
            "a container ends with its first process, which this is: start another container; this process goes on"
        );
        return;
    }
    match send_go_between(control.as_deref()).await {
        Ok((status, ear)) if status.success() => {
            info!("a successor was started");
            if await_end(ear).await.is_ok() {
                error!("the successor has ended: this process goes on"); // else this one would have
            }
        }
        Ok((status, _)) => error!(%status, "the successor cannot start: this process goes on"),
        Err(e) => error!(%e, "cannot start a successor: this process goes on"),
    }
}

async fn send_go_between(control: Option<&Path>) -> io::Result<(ExitStatus, PipeReader)> {
    let (ear, mouth) = pipe()?;
    let mut command = successor()?;
    command.env(GO_BETWEEN, "1").env_remove(CONTROL).envs(control.map(|path| (CONTROL, path)));
    command.stdin(mouth);
    Ok((tokio::process::Command::from(command).status().await?, ear))
}

/// Returns when nobody has the other end any more.
async fn await_end(ear: PipeReader) -> io::Result<()> {
    let mut ear = Receiver::from_owned_fd(OwnedFd::from(ear))?;
    while ear.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}

/// The control socket of the process that has started this one to take over.
pub(super) fn predecessor() -> Option<PathBuf> {
    env::var_os(CONTROL).map(PathBuf::from)
}

/// Whether this process is to start the successor, and no more.
pub(super) fn is_go_between() -> bool {
    env::var_os(GO_BETWEEN).is_some()
}

/// Starts the successor, which outlives this process.
///
/// # Errors
/// The program cannot be started.
pub(super) fn start_as_go_between() -> io::Result<()> {
    successor()?.env_remove(GO_BETWEEN).spawn().map(drop)
}

fn successor() -> io::Result<Command> {
    let mut words: Vec<OsString> = env::args_os().collect();
    let takeover = OsString::from(TAKEOVER);
    if !words.contains(&takeover) {
        words.push(takeover);
    }
    let (program, words) = words.split_first().ok_or(io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command.args(words);
    Ok(command)
}
