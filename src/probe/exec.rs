//! A command that tells by its exit status whether a member can serve.
//!
//! | Monitoring Plugins Development Guidelines | verdict |
//! |---|---|
//! | 0 OK | pass |
//! | 1 WARNING | as `warning` says |
//! | 2 CRITICAL, 3 UNKNOWN, anything else, a signal | exec-status |
//!
//! The command leads a process group of its own. When it has ended, when its time is over, and when nobody waits for it any
//! more, whatever is left of the group is killed. What it prints stays in its pipes until then: the kernel holds so much,
//! 64 KiB as a rule, and who prints more waits for a reader that does not come, until the deadline.

use std::ffi::OsString;
use std::io::{self, PipeReader, Read, pipe};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf, absolute};
use std::process::{ExitStatus, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::{Failure, Target, glimpse};
use crate::config::{ExecCheck, Warning};
use crate::health::Reason;

/// How much of what was printed is looked at, for the first line.
const LOOKED_AT: u64 = 4096;

/// A command, ready to be run for any member.
#[derive(Debug)]
pub(super) struct Plugin {
    check: String,
    program: PathBuf,
    arguments: Vec<String>,
    warning: Warning,
    path: OsString,
}

/// A command that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    status: ExitStatus,
    /// Its first line.
    said: String,
}

/// A command that is running, with all that it has started.
struct Running {
    child: Child,
    group: Pid,
    /// Standard output and standard error.
    prints: [PipeReader; 2],
}

impl Plugin {
    /// # Errors
    /// What cannot be run, and why.
    pub(super) fn new(name: &str, check: &ExecCheck) -> Result<Self, String> {
        let program = &check.program.value;
        is_executable(program).map_err(|why| format!("`{}`: {why}", program.display()))?;
        let program = absolute(program).map_err(|e| e.to_string())?; // a bare name is not looked for in PATH
        match check.arguments.iter().find(|argument| argument.contains('\0')) {
            Some(argument) => Err(format!("the argument {argument:?} has a zero byte in it")),
            None => Ok(Self {
                check: name.to_owned(),
                program,
                arguments: check.arguments.clone(),
                warning: check.warning,
                path: std::env::var_os("PATH").unwrap_or_default(),
            }),
        }
    }

    /// Runs it until it ends, or is ended at the deadline.
    pub(super) async fn run(&self, target: &Target, deadline: Instant) -> Result<Ended, Failure> {
        let unable = |e: &dyn std::fmt::Display| Failure::new(Reason::Prober, format!("not started: {e}"));
        let command = self.command(target);
        // Its file may lie on a file system that hangs: no probe but this one waits for it.
        let started = timeout_at(deadline, spawn_blocking(|| Running::start(command))).await;
        let started = started.map_err(|_| unable(&"the system takes too long"))?.map_err(|e| unable(&e))?;
        let mut running = started.map_err(|e| unable(&e))?;
        let Ok(status) = timeout_at(deadline, running.child.wait()).await else {
            let said = running.said();
            let detail = if said.is_empty() { said } else { format!("; it says {said}") };
            return Err(Failure::new(Reason::ReplyTimeout, format!("the command did not end{detail}")));
        };
        let status = status.map_err(|e| unable(&e))?;
        Ok(Ended { status, said: running.said() })
    }

    fn command(&self, target: &Target) -> Command {
        let (address, port) = (target.addr.ip().to_string(), target.addr.port().to_string());
        let name = target.server_name.as_str();
        let filled = self.arguments.iter().map(|argument| {
            argument.replace("{address}", &address).replace("{port}", &port).replace("{name}", name)
        });
        let mut command = Command::new(&self.program);
        command.args(filled).env_clear().env("PATH", &self.path).process_group(0);
        command.env("ONSTAGE_CHECK", &self.check).env("ONSTAGE_NAME", name).env("ONSTAGE_ADDRESS", &address);
        if target.addr.port() != 0 {
            command.env("ONSTAGE_PORT", &port);
        }
        command
    }

    /// Whether the member passes.
    pub(super) fn judge(&self, ended: &Ended) -> Result<(), Failure> {
        match (ended.status.code(), self.warning) {
            (Some(0), _) | (Some(1), Warning::Pass) => Ok(()),
            _ => Err(Failure::new(Reason::ExecStatus, ended.describe())),
        }
    }
}

fn is_executable(program: &Path) -> Result<(), String> {
    let metadata = program.metadata().map_err(|e| e.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err("nobody may execute it".to_owned());
    }
    Ok(())
}

impl Ended {
    pub(super) fn describe(&self) -> String {
        let word = match (self.status.code(), self.status.signal()) {
            (Some(0), _) => "OK".to_owned(),
            (Some(1), _) => "WARNING".to_owned(),
            (Some(2), _) => "CRITICAL".to_owned(),
            (Some(3), _) => "UNKNOWN".to_owned(),
            (Some(code), _) => format!("exit status {code}"),
            (None, signal) => format!("ended by signal {}", signal.unwrap_or_default()),
        };
        if self.said.is_empty() { word } else { format!("{word}: {}", self.said) }
    }
}

impl Running {
    /// Blocks until the program has been loaded.
    fn start(mut command: Command) -> io::Result<Self> {
        let ((stdout, to_stdout), (stderr, to_stderr)) = (pipe()?, pipe()?);
        for reader in [stdout.as_fd(), stderr.as_fd()] {
            fcntl(reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        command.stdin(Stdio::null()).stdout(to_stdout).stderr(to_stderr);
        let child = command.spawn()?;
        let group = child.id().and_then(|id| id.try_into().ok()).map(Pid::from_raw);
        let group = group.ok_or_else(|| io::Error::other("it has no process id"))?;
        Ok(Self { child, group, prints: [stdout, stderr] })
    }

    /// The first line that it has printed, on standard output if there is any; without what only machines read.
    fn said(&mut self) -> String {
        let lines = self.prints.iter_mut().map(|print| {
            let mut printed = Vec::new();
            let _ = print.take(LOOKED_AT).read_to_end(&mut printed); // to the end, or until it would block
            let text = printed.split(|&byte| byte == b'|').next().unwrap_or_default();
            let mut lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
            lines.find(|line| !line.is_empty()).map(glimpse)
        });
        lines.flatten().next().unwrap_or_default()
    }
}

/// The child itself is reaped by tokio, also when it is dropped unreaped.
impl Drop for Running {
    fn drop(&mut self) {
        // The kernel gives a number away again only once nobody of the group is left, and then after all others.
        let _ = killpg(self.group, Signal::SIGKILL);
    }
}
