//! What becomes of the file of the control socket, from process to process and at the end.

use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::program::{Site, end, has_perl, signal};

/// Binds the control socket as systemd does, and becomes the program.
const ACTIVATE: &str = r#"
use Socket;
$^F = 10;
my ($path, @command) = @ARGV;
my $control;
socket($control, PF_UNIX, SOCK_STREAM, 0) && bind($control, sockaddr_un($path)) && listen($control, 9) || die $!;
die "another number" unless fileno($control) == 3;
@ENV{qw(LISTEN_PID LISTEN_FDS)} = ($$, 1);
exec @command;
"#;

/// systemd goes on listening there when the service has ended, to start it again.
#[test]
fn what_systemd_has_made_stays_however_many_processes_had_it() {
    if !has_perl() {
        return;
    }
    let site = Site::new();
    let control = site.folder.path().join("control.sock");
    let mut perl = Command::new("perl");
    perl.args(["-e", ACTIVATE]).arg(&control).arg(env!("CARGO_BIN_EXE_onstage"));
    let mut server = site.command(perl, &["serve"]).spawn().unwrap();
    assert_eq!(site.told(), "READY=1\n");
    for _ in 0..2 {
        let next = site.start(&["serve", "--takeover"]);
        assert_eq!(site.told_of_successor(), next.id());
        assert!(end(&mut server).0.success());
        assert!(control.exists());
        server = next;
    }
    signal(&server, Signal::SIGTERM);
    assert!(end(&mut server).0.success());
    assert!(control.exists(), "it is systemd's");
}

/// Whoever starts its successor tells it where it is found.
#[test]
fn the_file_of_a_socket_that_has_moved_goes_with_its_process() {
    let site = Site::new();
    let mut first = site.start(&["serve"]);
    assert_eq!(site.told(), "READY=1\n");
    site.change("control.sock", "moved.sock");
    signal(&first, Signal::SIGUSR2);
    let second = Pid::from_raw(site.told_of_successor().cast_signed());
    assert!(first.wait().unwrap().success());
    let is_there = |name| site.folder.path().join(name).exists();
    assert_eq!([is_there("control.sock"), is_there("moved.sock")], [false, true]);
    nix::sys::signal::kill(second, Signal::SIGTERM).unwrap();
    assert_eq!(site.told(), "STOPPING=1\n");
}
