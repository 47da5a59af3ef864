//! The program itself, as systemd and people start it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;

use crate::harness::{hear, hear_all, own_address};
use crate::reload::stage::{ask, client};

const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with a config, a zone and an address.
pub struct Site {
    pub folder: tempfile::TempDir,
    addr: SocketAddr,
    notify: UnixDatagram,
}

impl Site {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addr = SocketAddr::from((own_address(), 5300));
        let notify = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        let site = Self { folder, addr, notify };
        site.write("192.0.2.1", "");
        site
    }

    fn write(&self, member: &str, more: &str) {
        let config = format!(
            "[server]\nlisten = [\"{}\"]\nstate-dir = \"state\"\nworkers = 2\n[admin]\nsocket = \"control.sock\"\n\
             [[zone]]\nfile = \"zone\"\n{more}",
            self.addr
        );
        let zone = format!(
            "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n@ A {member}\n"
        );
        std::fs::write(self.folder.path().join("onstage.toml"), config).unwrap();
        std::fs::write(self.folder.path().join("zone"), zone).unwrap();
    }

    /// Changes a word of the config.
    pub fn change(&self, before: &str, after: &str) {
        let config = std::fs::read_to_string(self.config()).unwrap();
        assert!(config.contains(before), "{config}");
        std::fs::write(self.config(), config.replace(before, after)).unwrap();
    }

    fn config(&self) -> String {
        self.folder.path().join("onstage.toml").display().to_string()
    }

    pub fn start(&self, words: &[&str]) -> Child {
        self.command(Command::new(env!("CARGO_BIN_EXE_onstage")), words).spawn().unwrap()
    }

    pub fn command(&self, mut command: Command, words: &[&str]) -> Command {
        command.args(words).arg("-c").arg(self.config()).stderr(Stdio::piped());
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        command
    }

    /// What systemd hears next.
    pub fn told(&self) -> String {
        hear(&self.notify)
    }

    /// Who systemd hears is the main process now: from that one, and from the one before, whoever is heard first.
    pub fn told_of_successor(&self) -> u32 {
        let mut told = [self.told(), self.told()];
        told.sort();
        let [old, new] = told;
        assert_eq!(new, format!("{old}READY=1\n"));
        old.strip_prefix("MAINPID=").and_then(|pid| pid.trim_end().parse().ok()).expect(&old)
    }

    /// A client that asks all the time until it is told to stop; each query is answered.
    fn ask_on(&self) -> (Arc<AtomicBool>, std::thread::JoinHandle<usize>) {
        let (addr, stop) = (self.addr, Arc::<AtomicBool>::default());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (client, mut queries) = (client(addr), 0);
            while !stopped.load(Ordering::Relaxed) {
                queries += 1;
                ask(&client, RecordType::A, queries as u16);
            }
            queries
        });
        (stop, thread)
    }

    pub fn answered(&self) -> Vec<String> {
        let reply = ask(&client(self.addr), RecordType::A, 1);
        reply.answers.iter().map(|record| record.data.to_string()).collect()
    }
}

pub fn end(child: &mut Child) -> (ExitStatus, String) {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            return (status, said);
        }
        assert!(began.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn signal(child: &Child, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

#[test]
fn a_new_process_takes_over_and_the_old_one_ends_well() {
    let site = Site::new();
    let mut first = site.start(&["serve", "--takeover"]);
    assert_eq!(site.told(), format!("MAINPID={}\nREADY=1\n", first.id()), "there was nobody to take over");
    let (stop, asking) = site.ask_on();
    site.write("192.0.2.2", "");
    let mut second = site.start(&["serve", "--takeover"]);
    assert_eq!(site.told_of_successor(), second.id());
    let (status, said) = end(&mut first);
    assert!(status.success() && said.contains("another process has taken over"), "{said}");
    assert_eq!(site.answered(), ["192.0.2.2"]);
    site.write("192.0.2.3", "[[pool]]\nnam = \"p.example\"\n");
    let (status, _) = end(&mut site.start(&["serve", "--takeover"]));
    assert_eq!((status.code(), site.answered()), (Some(78), vec!["192.0.2.2".to_owned()]));
    stop.store(true, Ordering::Relaxed);
    assert!(asking.join().expect("every query was answered") > 0);
    signal(&second, nix::sys::signal::Signal::SIGTERM);
    let (status, said) = end(&mut second);
    assert!(status.success() && said.contains("taken over pid="), "{said}");
    assert!(!site.folder.path().join("control.sock").exists());
}

/// As after an upgrade of the package: the service stays the same, and its main process is another one.
#[test]
fn a_signal_starts_a_successor() {
    let site = Site::new();
    let mut first = site.start(&["serve"]);
    assert_eq!(site.told(), "READY=1\n");
    let (stop, asking) = site.ask_on();
    signal(&first, nix::sys::signal::Signal::SIGUSR2);
    let second = site.told_of_successor();
    assert_ne!(second, first.id());
    assert!(first.wait().unwrap().success());
    assert_eq!(site.answered(), ["192.0.2.1"]);
    stop.store(true, Ordering::Relaxed);
    assert!(asking.join().expect("every query was answered") > 0);
    let second = nix::unistd::Pid::from_raw(second.cast_signed());
    nix::sys::signal::kill(second, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(site.told(), "STOPPING=1\n");
}

/// The go-between reads the config as well, and leaves warnings to the successor.
#[test]
fn a_successor_says_once_what_is_worth_a_look() {
    let site = Site::new();
    let mut first = site.start(&["serve"]);
    assert_eq!(site.told(), "READY=1\n");
    site.write("192.0.2.2\n@ A 192.0.2.2", "");
    signal(&first, nix::sys::signal::Signal::SIGUSR2);
    let second = nix::unistd::Pid::from_raw(site.told_of_successor().cast_signed());
    nix::sys::signal::kill(second, nix::sys::signal::Signal::SIGTERM).unwrap();
    let (_, said) = end(&mut first); // all of them have the same standard error
    assert_eq!(said.matches("the same record twice").count(), 1, "{said}");
}

/// Whatever it is that keeps the successor from taking over; the package waits for this line.
#[test]
fn a_successor_that_ends_is_told_of() {
    let site = Site::new();
    let mut server = site.start(&["serve"]);
    assert_eq!(site.told(), "READY=1\n");
    let mut said = BufReader::new(server.stderr.take().unwrap()).lines().map(Result::unwrap);
    for (before, after, why) in [
        ("state-dir = \"state\"", "state-dir = \"/dev/null/state\"", "onstage: cannot keep state in"),
        ("workers", "walkers", "unknown key `walkers`"),
    ] {
        site.change(before, after);
        signal(&server, nix::sys::signal::Signal::SIGUSR2);
        assert!(said.by_ref().any(|line| line.contains(why)), "{why}");
        assert!(said.by_ref().any(|line| line.contains("this process goes on")), "{why}");
        assert_eq!(site.answered(), ["192.0.2.1"]);
        site.change(after, before);
    }
    signal(&server, nix::sys::signal::Signal::SIGTERM);
    assert!(server.wait().unwrap().success());
}

#[test]
fn systemd_is_told_how_pools_are() {
    let site = Site::new();
    let pool = "[check.port]\ntcp = { port = 1 }\n[[pool]]\nname = \"p.example\"\ncheck = \"port\"\n";
    site.write("127.0.0.1", pool);
    let mut server = site.start(&["serve"]);
    let told = hear_all(&site.notify);
    assert_eq!(
        told,
        "STATUS=asking each member once, before anything is answered\nEXTEND_TIMEOUT_USEC=33000000\n"
    );
    assert_eq!(hear_all(&site.notify), "READY=1\n");
    let told = hear_all(&site.notify);
    assert_eq!(told, "STATUS=0 of 1 pool live, 0 of 1 member live; failing open: p.example A\n");
    signal(&server, nix::sys::signal::Signal::SIGTERM);
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_signal_reloads_all_or_nothing() {
    let site = Site::new();
    let mut server = site.start(&["serve"]);
    assert_eq!(site.told(), "READY=1\n");
    site.write("192.0.2.9", "[[pool]]\nnam = \"p.example\"\n");
    let mut reload = Command::new(env!("CARGO_BIN_EXE_onstage"));
    reload.arg("check").arg("-c").arg(site.config());
    assert_eq!(reload.output().unwrap().status.code(), Some(78));
    signal(&server, nix::sys::signal::Signal::SIGHUP);
    let mut said = BufReader::new(server.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.by_ref().any(|line| line.contains("nothing has changed")));
    assert!(said.by_ref().any(|line| line.contains("unknown key `nam`")));
    assert_eq!(site.answered(), ["192.0.2.1"]);
    site.write("192.0.2.2", "");
    signal(&server, nix::sys::signal::Signal::SIGHUP);
    assert!(said.by_ref().any(|line| line.contains("reloaded new=0 changed=1 gone=0")));
    assert_eq!(site.answered(), ["192.0.2.2"]);
    signal(&server, nix::sys::signal::Signal::SIGTERM);
    assert!(server.wait().unwrap().success());
}

pub fn has_perl() -> bool {
    let has_perl = Command::new("perl").arg("-v").output().is_ok();
    if !has_perl {
        assert!(std::env::var("ONSTAGE_PEERS").is_err(), "perl is required");
        eprintln!("SKIPPED: socket activation, there is no perl to play systemd");
    }
    has_perl
}

/// Binds as systemd does, and becomes the program.
const ACTIVATE: &str = r#"
use Socket;
$^F = 10;
my ($addr, @command) = @ARGV;
my ($ip, $port) = split /:/, $addr;
my ($udp, $tcp, $odd);
socket($udp, PF_INET, SOCK_DGRAM, 0) && bind($udp, sockaddr_in($port, inet_aton($ip))) || die $!;
socket($tcp, PF_INET, SOCK_STREAM, 0) && bind($tcp, sockaddr_in($port, inet_aton($ip))) && listen($tcp, 9) || die $!;
socket($odd, PF_INET, SOCK_DGRAM, 0) && bind($odd, sockaddr_in(0, inet_aton($ip))) || die $!;
die "other numbers" unless fileno($udp) == 3 && fileno($odd) == 5;
@ENV{qw(LISTEN_PID LISTEN_FDS)} = ($$, 3);
exec @command;
"#;

#[test]
fn sockets_that_systemd_has_bound_are_served() {
    if !has_perl() {
        return;
    }
    let site = Site::new();
    let addr = site.addr.to_string();
    let mut perl = Command::new("perl");
    perl.args(["-e", ACTIVATE, &addr, env!("CARGO_BIN_EXE_onstage")]);
    let mut server = site.command(perl, &["serve"]).spawn().unwrap();
    assert_eq!(site.told(), "READY=1\n");
    assert_eq!(site.answered(), ["192.0.2.1"]);
    assert!(std::net::TcpStream::connect(site.addr).is_ok());
    signal(&server, nix::sys::signal::Signal::SIGTERM);
    let (status, said) = end(&mut server);
    assert!(status.success(), "{said}");
    let told = said.lines().filter(|line| line.contains("nothing in the config is served on this socket"));
    assert_eq!(told.count(), 1, "{said}");
}
