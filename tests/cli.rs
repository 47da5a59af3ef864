//! The real binary, as a shell sees it: words, exit codes, signals, readiness.

mod completions;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use crate::harness::{hear, own_address, query, receive};

const ZONE: &str =
    "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n@ A 192.0.2.1\n";
const PATIENCE: Duration = Duration::from_secs(20);

fn onstage(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_onstage")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with a config and a zone, and an address of its own.
struct Site {
    folder: tempfile::TempDir,
    addr: SocketAddr,
}

impl Site {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addr = SocketAddr::from((own_address(), 5300));
        let config = format!(
            "[server]\nlisten = [\"{addr}\"]\nstate-dir = \"state\"\n{more}\n[[zone]]\nfile = \"p.zone\"\n"
        );
        std::fs::write(folder.path().join("onstage.toml"), config).unwrap();
        std::fs::write(folder.path().join("p.zone"), ZONE).unwrap();
        Self { folder, addr }
    }

    fn config(&self) -> String {
        self.folder.path().join("onstage.toml").display().to_string()
    }

    /// `onstage serve`, once it has said that it is ready.
    fn serve(&self, wrapper: &str) -> Serving {
        self.serve_as(wrapper, "")
    }

    fn serve_as(&self, wrapper: &str, flags: &str) -> Serving {
        let notify = self.folder.path().join("notify");
        let _ = std::fs::remove_file(&notify);
        let socket = UnixDatagram::bind(&notify).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let words =
            format!("{wrapper} exec {} serve -c {} {flags}", env!("CARGO_BIN_EXE_onstage"), self.config());
        let mut command = Command::new("sh");
        command
            .args(["-c", &words])
            .env("NOTIFY_SOCKET", &notify)
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        assert_eq!(hear(&socket), "READY=1\n");
        Serving { child: Some(child), socket }
    }
}

struct Serving {
    child: Option<Child>,
    socket: UnixDatagram,
}

impl Serving {
    /// Sends a signal and waits for the end.
    fn end(mut self, signal: &str) -> Output {
        let child = self.child.take().unwrap();
        let killed =
            Command::new("sh").args(["-c", &format!("kill -s {signal} {}", child.id())]).status().unwrap();
        assert!(killed.success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(hear(&self.socket), "STOPPING=1\n");
        output
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn answers(addr: SocketAddr) -> usize {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&query("p.example", RecordType::A), addr).unwrap();
    Message::from_vec(&receive(&socket).unwrap()).unwrap().answers.len()
}

#[test]
fn words_that_make_no_sense_are_64() {
    for words in [&["srve"][..], &["serve", "--what"], &[]] {
        let output = onstage(words);
        assert_eq!(output.status.code(), Some(64), "{words:?}");
        assert!(stderr(&output).contains("Usage"), "{words:?}");
    }
    assert_eq!(onstage(&["--help"]).status.code(), Some(0));
    assert_eq!(stdout(&onstage(&["--version"])), concat!("onstage ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_good_config_is_0_and_is_told_back() {
    let site = Site::new("");
    let output = onstage(&["check", "-c", &site.config()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stdout(&output).contains("nothing wrong\nzone p.example: 4 records, serial 1\n"),
        "{}",
        stdout(&output)
    );
    assert_eq!(stderr(&output), "");
}

#[test]
fn what_is_worth_a_look_is_counted() {
    let site = Site::new("");
    std::fs::write(site.folder.path().join("p.zone"), format!("{ZONE}@ A 192.0.2.1\n")).unwrap();
    let output = onstage(&["check", "-c", &site.config()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("warning"), "{}", stderr(&output));
    assert!(stdout(&output).contains(": 1 warning, and nothing wrong besides\n"), "{}", stdout(&output));
}

#[test]
fn a_delegation_is_ready_to_be_pasted() {
    let site = Site::new("");
    let output = onstage(&["delegation", "-c", &site.config()]);
    let wanted = format!(
        "; for the zone above p.example:\np.example. IN NS ns.p.example.\nns.p.example. IN A 127.0.0.1\n\n\
         // or for named.conf of a BIND that resolves for its own clients:\nzone \"p.example\" {{\n    type forward;\n    \
         forward only;\n    forwarders {{ {} port 5300; }};\n}};\n",
        site.addr.ip()
    );
    assert_eq!((stdout(&output), output.status.code()), (wanted, Some(0)));
}

/// Members are named as in orders, and so are those that do not exist.
#[test]
fn a_member_is_probed_by_any_of_its_names() {
    let site = Site::new("");
    let config = std::fs::read_to_string(site.config()).unwrap();
    let more = "[check.tcp]\ntcp = { port = 1 }\n[[pool]]\nname = \"p.example\"\ncheck = \"tcp\"\n\
                [pool.member.\"127.0.0.1\"]\nlabel = \"Own\"\n";
    std::fs::write(site.config(), config + more).unwrap();
    std::fs::write(site.folder.path().join("p.zone"), ZONE.replace("192.0.2.1", "127.0.0.1")).unwrap();
    for name in ["p.example", "own", "127.0.0.1", "127.0.0.1:1", "Own@p.example"] {
        let output = onstage(&["probe", "--here", "-c", &site.config(), name]);
        assert!(stdout(&output).contains("Own: 127.0.0.1:1, check tcp"), "{name}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(1), "{name}: nobody listens");
    }
    let output = onstage(&["probe", "--here", "-c", &site.config(), "owm"]);
    assert_eq!(stderr(&output), "onstage: there is no pool and no member `owm`; is it `Own`?\n");
    assert_eq!(output.status.code(), Some(64));
    let output = onstage(&["probe", "-c", &site.config(), "own"]);
    let told = stderr(&output);
    assert!(told.contains("no server answers") && told.contains("this process asks instead"), "{told}");
    assert!(stdout(&output).contains("fail: refused"), "{}", stdout(&output));
    let output = onstage(&["check", "--live", "-c", &site.config()]);
    assert!(stdout(&output).contains("probe tcp 127.0.0.1:1: fail: refused"), "{}", stdout(&output));
    assert_eq!(output.status.code(), Some(1));
}

/// Who asks for a reload that closes the door it came by has its reply all the same.
#[test]
fn the_control_socket_moves_with_a_reload() {
    let site = Site::new("");
    let serving = site.serve("");
    let [before, after] = ["state/onstage.sock", "other.sock"].map(|name| site.folder.path().join(name));
    let config = std::fs::read_to_string(site.config()).unwrap();
    let moved = format!("{config}[admin]\nsocket = \"{}\"\n", after.display());
    std::fs::write(site.config(), moved).unwrap();
    let before = before.display().to_string();
    let output = onstage(&["reload", "--socket", &before]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told = stdout(&output);
    assert!(told.contains(&format!("new address {} (socket)\n", after.display())), "{told}");
    assert!(told.contains("gone address ") && !Path::new(&before).exists(), "{told}");
    let output = onstage(&["status", "-c", &site.config()]);
    assert!(stdout(&output).contains("zone p.example"), "{}", stderr(&output));
    assert!(serving.end("TERM").status.success());
}

#[test]
fn a_bad_config_is_78_and_is_told_with_a_caret() {
    let site = Site::new("lisen = []");
    for word in ["check", "serve", "probe"] {
        let output = onstage(&[word, "-c", &site.config()]);
        assert_eq!(output.status.code(), Some(78), "{word}");
        let told = stderr(&output);
        assert!(
            told.contains("unknown key `lisen`") && told.contains("^^^^^") && told.contains("`listen`"),
            "{told}"
        );
    }
    let output = onstage(&["check", "-c", "/no/such/file"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("cannot read `/no/such/file`"));
}

#[test]
fn the_example_config_is_good_but_for_the_bundle_of_another_machine() {
    let root = env!("CARGO_MANIFEST_DIR");
    let told = stderr(&onstage(&["check", "-c", &format!("{root}/zones/onstage.toml")]));
    let errors = told.lines().filter(|line| line.starts_with("error"));
    let elsewhere = Path::new("/etc/puppetlabs/puppet/ssl/certs/ca.pem").exists();
    assert_eq!(errors.count(), usize::from(!elsewhere), "{told}");
}

#[test]
fn completions_and_the_manual_are_printed() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(stdout(&onstage(&["completions", shell])).contains("ONSTAGE_COMPLETE"), "{shell}");
    }
    assert!(stdout(&onstage(&["man"])).starts_with(".ie"));
    assert!(stdout(&onstage(&["check", "--defaults"])).contains("udp-size = 1232"));
}

#[test]
fn it_says_when_it_is_ready_and_ends_well() {
    for signal in ["TERM", "INT"] {
        let site = Site::new("");
        let serving = site.serve("");
        assert_eq!(answers(site.addr), 1, "ready means that it answers");
        let output = serving.end(signal);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains(&format!("stopping signal=\"SIG{signal}\"")), "{}", stderr(&output));
    }
}

#[test]
fn it_gives_signs_of_life_as_often_as_is_wanted() {
    let site = Site::new("");
    let serving = site.serve("WATCHDOG_USEC=200000 WATCHDOG_PID=1");
    for _ in 0..5 {
        assert_eq!(hear(&serving.socket), "WATCHDOG=1\n");
    }
}

#[test]
fn each_line_of_the_log_is_an_object_where_that_is_wanted() {
    let site = Site::new("");
    let output = site.serve_as("", "--log json").end("TERM");
    let lines: Vec<serde_json::Value> =
        stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(said, ["answering", "stopping"]);
    assert_eq!((&lines[0]["zones"], &lines[1]["signal"]), (&1.into(), &"SIGTERM".into()));
    assert!(lines.iter().all(|line| line["level"] == "INFO" && line["timestamp"].is_string()), "{lines:?}");
}

#[test]
fn the_log_goes_to_standard_error_where_no_journal_is() {
    if Path::new("/run/systemd/journal/socket").exists() {
        eprintln!("SKIPPED: there is a journal here");
        return;
    }
    let site = Site::new("");
    let told = stderr(&site.serve_as("", "--log journal").end("TERM"));
    assert!(told.contains("cannot reach journald") && told.contains("answering"), "{told}");
    let told = stderr(&site.serve_as("ONSTAGE_LOG=warn", "").end("TERM"));
    assert_eq!(told, "", "nothing is worth a warning");
}

#[test]
fn a_port_in_use_is_one_sentence_and_1() {
    let site = Site::new("");
    let serving = site.serve("");
    let output = onstage(&["serve", "-c", &site.config()]);
    assert_eq!(output.status.code(), Some(1));
    let sentence = format!("onstage: cannot listen on {} (UDP): another program listens there\n", site.addr);
    assert_eq!(stderr(&output), sentence);
    serving.end("TERM");
}

#[test]
fn serials_rise_across_restarts() {
    let site = Site::new("");
    let mut serials = Vec::new();
    for signal in ["TERM", "KILL", "TERM"] {
        let serving = site.serve("");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(&query("p.example", RecordType::SOA), site.addr).unwrap();
        let soa = Message::from_vec(&receive(&socket).unwrap()).unwrap().answers[0].data.to_string();
        serials.push(soa.split(' ').nth(2).unwrap().parse::<u32>().unwrap());
        if signal == "KILL" { drop(serving) } else { drop(serving.end(signal)) }
    }
    assert!(serials.is_sorted_by(|a, b| a < b), "{serials:?}");
}

/// With hardly any descriptors, a flood of silent connections neither keeps others out nor stops UDP.
#[test]
fn descriptors_that_run_out_are_no_end() {
    let site = Site::new("tcp = { clients = 10000, per-client = 10000, idle = \"1h\" }");
    let serving = site.serve("ulimit -n 40;");
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect_timeout(&site.addr, PATIENCE).unwrap());
        assert_eq!(answers(site.addr), 1);
    }
    let mut stream = TcpStream::connect(site.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let asked = query("p.example", RecordType::A);
    stream.write_all(&[&(asked.len() as u16).to_be_bytes(), &asked[..]].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("it is let in, and a silent one is closed");
    let output = serving.end("TERM");
    let complaints = stderr(&output).lines().filter(|line| line.contains("cannot accept")).count();
    assert_eq!(complaints, 1, "told once, not once a connection: {}", stderr(&output));
}

/// A state directory on a disk without room for one byte more.
#[test]
fn a_full_disk_is_one_line_and_no_end() {
    let site = Site::new("");
    let state = site.folder.path().join("state");
    let there = r#"{"serials": {"p.example": 41}, "up": {}, "orders": {"q.example A 192.0.2.1":
        {"word": "drain", "who": "root", "why": "kernel update", "since": 1800000000}}}"#;
    std::fs::create_dir(&state).unwrap();
    std::fs::write(site.folder.path().join("there"), there).unwrap();
    let (state, folder) = (state.display(), site.folder.path().display());
    let fill = format!(
        "mount -t tmpfs -o size=64k none {state} && cp {folder}/there {state}/state.json && \
         {{ cat /dev/zero > {state}/filler 2>/dev/null; true; }}"
    );
    let mounts = Command::new("unshare").args(["-m", "sh", "-c", &fill]).output();
    if !mounts.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: a full disk, since nothing can be mounted here: {mounts:?}");
        return;
    }
    let serving = site.serve(&format!("exec unshare -m sh -c '{fill}; shift; exec \"$@\"' sh"));
    assert_eq!(answers(site.addr), 1);
    let inside = format!("/proc/{}/root{state}", serving.child.as_ref().unwrap().id());
    assert_eq!(std::fs::read_to_string(format!("{inside}/state.json")).unwrap(), there, "as it was");
    std::fs::remove_file(format!("{inside}/filler")).unwrap();
    let told = stderr(&serving.end("TERM"));
    for (line, times) in [("cannot keep state", 1), ("state is kept again", 1), ("its order is kept", 1)] {
        assert_eq!(told.matches(line).count(), times, "{line}: {told}");
    }
}

#[test]
fn a_demo_that_is_ended_leaves_nothing_behind() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let left = || std::fs::read_dir(folder.path()).unwrap().count();
        let mut demo = Command::new(env!("CARGO_BIN_EXE_onstage"));
        let mut demo = demo.arg("demo").env("TMPDIR", folder.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(demo.stdout.take().unwrap());
        told.read_line(&mut String::new()).unwrap(); // the play begins
        assert_eq!(left(), 1);
        let kill = format!("kill -s {signal} {}", demo.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert!(demo.wait().unwrap().success(), "{signal}");
        assert_eq!(left(), 0, "{signal}");
    }
}

/// `onstage demo | head -1`
#[test]
fn a_demo_that_nobody_watches_ends_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_onstage"));
    demo.arg("demo").env("TMPDIR", folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut demo = demo.spawn().unwrap();
    drop(demo.stdout.take());
    let output = demo.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), said.contains("panicked")), (Some(1), false), "{said}");
    assert!(folder.path().read_dir().unwrap().next().is_none(), "the folder is gone");
}
