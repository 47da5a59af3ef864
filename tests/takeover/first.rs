//! The first process of a container.

use std::io::{BufRead, BufReader};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::program::Site;

/// The children of a process, those that nobody has buried among them.
fn children(process: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let children = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap());
    children
        .flat_map(|some| some.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

#[test]
fn it_starts_no_successor_that_nobody_would_bury() {
    let is_able = Command::new("unshare").args(["--pid", "--fork", "true"]).output();
    if !is_able.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: a container, there is no unshare, or it may not");
        return;
    }
    let site = Site::new();
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", env!("CARGO_BIN_EXE_onstage")]);
    let mut container = site.command(unshare, &["serve"]).spawn().unwrap();
    assert_eq!(site.told(), "READY=1\n");
    let first = children(container.id())[0];
    let first_pid = Pid::from_raw(first.cast_signed());
    kill(first_pid, Signal::SIGUSR2).unwrap();
    let mut said = BufReader::new(container.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.by_ref().any(|line| line.contains("goes on")));
    assert_eq!(children(first), [0; 0]);
    assert_eq!(site.answered(), ["192.0.2.1"]);
    kill(first_pid, Signal::SIGTERM).unwrap();
    assert!(container.wait().unwrap().success());
}
