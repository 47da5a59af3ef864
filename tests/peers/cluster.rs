//! PostgreSQL as a child process: a primary, and replicas that stream from it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

use super::process::available;
use crate::harness::own_address;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// Debian has the programs beside each other in a folder that no PATH has.
const DEBIAN: &str = "/usr/lib/postgresql";
const CONFIG: &str = "unix_socket_directories = ''\nfsync = off\ndynamic_shared_memory_type = mmap\n\
                      shared_buffers = 1MB\nmax_connections = 20\nlogging_collector = off\n";

/// A server that runs until it is dropped.
pub struct Cluster {
    pub addr: SocketAddr,
    child: Child,
    folder: TempDir,
}

/// The folder of the programs; `None` where they are not installed, which was said.
pub fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = versions.map(|version| version.path().join("bin")).max();
    let folder = newest.unwrap_or_else(|| PathBuf::from("/usr/bin"));
    available(&folder.join("initdb").display().to_string()).then_some(folder)
}

/// What ends well, or the test does.
fn run(mut command: Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{}{said}", String::from_utf8_lossy(&output.stdout));
}

/// A program of PostgreSQL. It refuses to be root.
fn program(folder: &Path, name: &str) -> Command {
    let mut command = Command::new(folder.join(name));
    command.current_dir("/");
    if let Some(user) = unprivileged() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

fn unprivileged() -> Option<User> {
    if !geteuid().is_root() {
        return None;
    }
    let named = |name| User::from_name(name).ok().flatten();
    Some(named("postgres").or_else(|| named("nobody")).expect("a user that is not root"))
}

/// A folder that the server may write to.
fn own_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    give_away(folder.path());
    folder
}

fn give_away(path: &Path) {
    if let Some(user) = unprivileged() {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
}

impl Cluster {
    /// A primary with these rules of who may log in, and more settings and files.
    pub fn primary(programs: &Path, hba: &str, settings: &str, files: &[(&str, &str)]) -> Self {
        let folder = own_folder();
        let data = folder.path().join("data");
        let mut initdb = program(programs, "initdb");
        run({
            initdb.args(["-U", "postgres", "-A", "trust", "-N", "--no-instructions", "-D"]).arg(&data);
            initdb
        });
        let mut files = files.to_vec();
        let hba =
            format!("host replication all 127.0.0.0/8 trust\nhost all postgres 127.0.0.0/8 trust\n{hba}");
        files.push(("pg_hba.conf", &hba));
        for (name, text) in files {
            fs::write(data.join(name), text).unwrap();
            fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o600)).unwrap();
            give_away(&data.join(name));
        }
        Self::start(programs, folder, settings, 0)
    }

    /// A replica of this primary; with these settings `pg_isready` ends with `ready` once it is up.
    pub fn replica(&self, programs: &Path, settings: &str, ready: i32) -> Self {
        let folder = own_folder();
        let mut basebackup = program(programs, "pg_basebackup");
        run({
            basebackup.args(["-U", "postgres", "-c", "fast", "-N", "-R", "-h", &self.addr.ip().to_string()]);
            basebackup.arg("-p").arg(self.addr.port().to_string()).arg("-D").arg(folder.path().join("data"));
            basebackup
        });
        Self::start(programs, folder, settings, ready)
    }

    /// Runs SQL as its superuser.
    pub fn execute(&self, programs: &Path, sql: &str) {
        let mut psql = program(programs, "psql");
        run({
            psql.args([
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-h",
                &self.addr.ip().to_string(),
            ]);
            psql.args(["-p", &self.addr.port().to_string(), "-c", sql]);
            psql
        });
    }

    /// Makes a primary of a replica.
    pub fn promote(&self, programs: &Path) {
        let mut pg_ctl = program(programs, "pg_ctl");
        run({
            pg_ctl.args(["promote", "-s", "-w", "-D"]).arg(self.folder.path().join("data"));
            pg_ctl
        });
    }

    /// What it has to say so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Sends a signal to the process that accepts connections.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Shuts it down as an administrator would, and waits for its end.
    pub fn shut_down(&mut self) {
        self.signal(Signal::SIGINT);
        self.child.wait().unwrap();
    }

    fn start(programs: &Path, folder: TempDir, settings: &str, ready: i32) -> Self {
        let addr = SocketAddr::from((own_address(), 5432));
        let config = format!("{CONFIG}listen_addresses = '{}'\n{settings}", addr.ip());
        let path = folder.path().join("data/postgresql.conf");
        fs::write(&path, config).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut postgres = program(programs, "postgres");
        postgres.arg("-D").arg(folder.path().join("data")).stdin(Stdio::null());
        let child = postgres.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut cluster = Self { addr, child, folder };
        cluster.wait_until_it_is_up(programs, ready);
        cluster
    }

    fn wait_until_it_is_up(&mut self, programs: &Path, ready: i32) {
        let began = Instant::now();
        while began.elapsed() < PATIENCE && self.child.try_wait().unwrap().is_none() {
            let mut ask = program(programs, "pg_isready");
            ask.args(["-q", "-h", &self.addr.ip().to_string(), "-p", &self.addr.port().to_string()]);
            if ask.status().unwrap().code() == Some(ready) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("PostgreSQL is not up on {}:\n{}", self.addr, self.log());
    }
}

impl Drop for Cluster {
    /// At once; it takes its own children with it.
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill(pid, Signal::SIGCONT);
            let _ = kill(pid, Signal::SIGQUIT);
            let _ = self.child.wait();
        }
    }
}
