//! Other programs as child processes: started on free ports, asked until they answer, ended by pid.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;
use tempfile::TempDir;

use crate::harness::query;

/// How long a server may take to answer its first query.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether a program is installed. A test that needs it says loudly that it skips where it is not, and fails instead
/// where `ONSTAGE_PEERS=required` is set.
pub fn available(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let found = found.is_ok_and(|output| output.status.success());
    let required = std::env::var("ONSTAGE_PEERS").is_ok_and(|value| value == "required");
    assert!(found || !required, "{program} is missing, and ONSTAGE_PEERS=required");
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

/// A server that runs until it is dropped.
pub struct Peer {
    pub name: &'static str,
    pub addr: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Peer {
    /// BIND with these zones, each `zone "…" {…};`. `options` go into its options.
    pub fn bind(options: &str, zones: &str, asked: &str) -> Self {
        let (folder, addr) = (tempfile::tempdir().unwrap(), free());
        let (dir, ip, port) = (folder.path().display(), addr.ip(), addr.port());
        let config = format!(
            "options {{ directory \"{dir}\"; pid-file none; listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }};\n\
             dnssec-validation no; notify no; minimal-responses yes; {options} }};\n\
             controls {{ }};\n{zones}"
        );
        fs::write(folder.path().join("named.conf"), config).unwrap();
        let mut command = Command::new("named");
        command.args(["-g", "-n", "1", "-c"]).arg(folder.path().join("named.conf"));
        Self::start("BIND", addr, command, folder, asked)
    }

    /// NSD with these zones, by name and file.
    pub fn nsd(zones: &[(String, PathBuf)]) -> Self {
        let (folder, addr) = (tempfile::tempdir().unwrap(), free());
        let (dir, ip, port) = (folder.path().display(), addr.ip(), addr.port());
        let listed =
            zones.iter().map(|(zone, file)| format!("zone:\n name: {zone}\n zonefile: {}\n", file.display()));
        let config = format!(
            "server:\n ip-address: {ip}@{port}\n server-count: 1\n username: \"\"\n chroot: \"\"\n zonesdir: \"{dir}\"\n\
             database: \"\"\n pidfile: \"{dir}/nsd.pid\"\n xfrdfile: \"{dir}/xfrd.state\"\n zonelistfile: \"{dir}/zone.list\"\n\
             xfrdir: \"{dir}\"\n minimal-responses: yes\n refuse-any: no\n rrl-ratelimit: 0\n ipv4-edns-size: 1232\n\
             remote-control:\n control-enable: no\n{}",
            listed.collect::<String>()
        );
        fs::write(folder.path().join("nsd.conf"), config).unwrap();
        let mut command = Command::new("nsd");
        command.args(["-d", "-c"]).arg(folder.path().join("nsd.conf"));
        Self::start("NSD", addr, command, folder, &zones[0].0)
    }

    /// Knot with these zones, by name and file.
    pub fn knot(zones: &[(String, PathBuf)]) -> Self {
        let (folder, addr) = (tempfile::tempdir().unwrap(), free());
        let (dir, ip, port) = (folder.path().display(), addr.ip(), addr.port());
        let listed =
            zones.iter().map(|(zone, file)| format!(" - domain: {zone}\n   file: {}\n", file.display()));
        let config = format!(
            "server:\n rundir: {dir}\n listen: {ip}@{port}\n udp-max-payload: 1232\n tcp-idle-timeout: 60\n \
             udp-workers: 1\n tcp-workers: 1\n background-workers: 1\n\
             log:\n - target: stderr\n   any: warning\ndatabase:\n storage: {dir}\n\
             template:\n - id: default\n   storage: {dir}\n   semantic-checks: off\n   journal-content: none\n\
             zone:\n{}",
            listed.collect::<String>()
        );
        fs::write(folder.path().join("knot.conf"), config).unwrap();
        let mut command = Command::new("knotd");
        command.arg("-c").arg(folder.path().join("knot.conf"));
        Self::start("Knot", addr, command, folder, &zones[0].0)
    }

    /// Unbound as the resolver of clients: it knows who has `zone`, and follows delegations from there.
    pub fn unbound(zone: &str, server: SocketAddr) -> Self {
        let (folder, addr) = (tempfile::tempdir().unwrap(), free());
        let (dir, port, ip, server_port) = (folder.path().display(), addr.port(), server.ip(), server.port());
        let config = format!(
            "server:\n interface: 127.0.0.1@{port}\n username: \"\"\n chroot: \"\"\n directory: \"{dir}\"\n pidfile: \"\"\n\
             use-syslog: no\n num-threads: 1\n do-not-query-localhost: no\n module-config: \"iterator\"\n\
             do-ip6: no\nremote-control:\n control-enable: no\n\
             stub-zone:\n name: {zone}\n stub-addr: {ip}@{server_port}\n"
        );
        fs::write(folder.path().join("unbound.conf"), config).unwrap();
        let mut command = Command::new("unbound");
        command.args(["-d", "-c"]).arg(folder.path().join("unbound.conf"));
        Self::start("Unbound", addr, command, folder, zone)
    }

    fn start(
        name: &'static str,
        addr: SocketAddr,
        mut command: Command,
        folder: TempDir,
        asked: &str,
    ) -> Self {
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut peer = Self { name, addr, child, folder };
        peer.wait_until_it_answers(asked);
        peer
    }

    fn wait_until_it_answers(&mut self, asked: &str) {
        let began = Instant::now();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut asking = query(asked, RecordType::SOA);
        asking[2] |= 1; // resolvers want to be asked for recursion
        while began.elapsed() < PATIENCE && self.child.try_wait().unwrap().is_none() {
            let _ = socket.send_to(&asking, self.addr);
            let mut reply = [0; 512];
            match socket.recv_from(&mut reply) {
                Ok(_) if reply[3] % 16 == 0 => return,
                // Refused by the kernel, or by a server that has not loaded its zones: it is asked again.
                Ok(_) | Err(_) => std::thread::yield_now(),
            }
        }
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("{} does not answer on {}:\n{log}", self.name, self.addr);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that is free for UDP and TCP, on a port that the kernel gives nobody by itself (BIND listens only on
/// addresses that an interface has, so that an address of its own is no way out).
fn free() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..100 {
        let port = 20_000 + (std::process::id() * 31 + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let found = SocketAddr::from(([127, 0, 0, 1], port as u16));
        if UdpSocket::bind(found).is_ok() && TcpListener::bind(found).is_ok() {
            return found;
        }
    }
    panic!("no port is free");
}
