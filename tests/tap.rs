//! Who listens in: a collector of dnstap in this process, one that Debian ships, and the query log.

use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use onstage::daemon::Daemon;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

use crate::harness::{load_site, query};
use crate::peers::available;

const ZONE: &str =
    "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n@ A 192.0.2.1\n";
const PATIENCE: Duration = Duration::from_secs(20);
const READY: u32 = 4;
const ACCEPT: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const FINISH: u32 = 5;

async fn start(socket: &Path, state: &Path) -> Daemon {
    let config = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"{}\"\nnsid = \"ns1\"\nworkers = 1\n\
         dnstap = {{ socket = \"{}\" }}\n[[zone]]\nfile = \"zone\"\n",
        state.display(),
        socket.display()
    );
    let loaded = load_site(&[("onstage.toml", &config), ("zone", ZONE)]);
    Daemon::start(&loaded.plan, &loaded.network).await.unwrap()
}

/// Asks over UDP and over TCP; from where.
async fn ask_both(daemon: &Daemon) -> [u16; 2] {
    let (addr, asked) = (daemon.addrs()[0], query("p.example", RecordType::A));
    let udp = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.send_to(&asked, addr).await.unwrap();
    timeout(PATIENCE, udp.recv(&mut [0; 512])).await.unwrap().unwrap();
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    tcp.write_all(&[&(asked.len() as u16).to_be_bytes(), &asked[..]].concat()).await.unwrap();
    let length = timeout(PATIENCE, tcp.read_u16()).await.unwrap().unwrap();
    tcp.read_exact(&mut vec![0; length.into()]).await.unwrap();
    [udp.local_addr().unwrap().port(), tcp.local_addr().unwrap().port()]
}

/// A frame: `Err` is a control frame's type.
async fn frame(stream: &mut UnixStream) -> io::Result<Result<Vec<u8>, u32>> {
    let mut length = timeout(PATIENCE, stream.read_u32()).await??;
    let is_control = length == 0;
    if is_control {
        length = stream.read_u32().await?;
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes).await?;
    Ok(if is_control { Err(u32::from_be_bytes(*bytes.first_chunk().unwrap())) } else { Ok(bytes) })
}

async fn control(stream: &mut UnixStream, kind: u32) {
    let field: &[u8] = if kind == ACCEPT { b"\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap" } else { b"" };
    let length = 4 + field.len() as u32;
    let bytes = [&[0; 4][..], &length.to_be_bytes(), &kind.to_be_bytes(), field].concat();
    stream.write_all(&bytes).await.unwrap();
}

/// The next writer, once it has said what it writes.
async fn welcome(listener: &UnixListener) -> UnixStream {
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    assert_eq!(frame(&mut stream).await.unwrap(), Err(READY));
    control(&mut stream, ACCEPT).await;
    assert_eq!(frame(&mut stream).await.unwrap(), Err(START));
    stream
}

/// The fields of a message of Protocol Buffers: numbers, and bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let number = if tag.is_multiple_of(8) { varint(&mut bytes) } else { 0 };
        let length = match tag % 8 {
            2 => varint(&mut bytes) as usize,
            5 => 4,
            _ => 0,
        };
        let (value, rest) = bytes.split_at(length);
        fields.push((tag >> 3, number, value.to_vec()));
        bytes = rest;
    }
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_hears_of_queries_and_replies_and_again_once_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("dnstap.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let daemon = start(&socket, folder.path()).await;
    let mut stream = welcome(&listener).await;
    let ports = ask_both(&daemon).await;
    let port = daemon.addrs()[0].port();
    for (kind, protocol, from) in [(1, 1, ports[0]), (2, 1, ports[0]), (1, 2, ports[1]), (2, 2, ports[1])] {
        let dnstap = fields(&frame(&mut stream).await.unwrap().expect("data"));
        let bytes = |fields: &[(u64, u64, Vec<u8>)], wanted: u64| {
            fields.iter().find(|(field, ..)| *field == wanted).map(|(.., value)| value.clone())
        };
        assert_eq!(bytes(&dnstap, 1).unwrap(), b"ns1");
        let message = fields(&bytes(&dnstap, 14).unwrap());
        let number = |wanted| message.iter().find(|(field, ..)| *field == wanted).unwrap().1;
        assert_eq!([1, 2, 3, 6, 7].map(number), [kind, 1, protocol, from.into(), port.into()]);
        assert_eq!(
            (bytes(&message, 4).unwrap(), bytes(&message, 5).unwrap()),
            (vec![127, 0, 0, 1], vec![127, 0, 0, 1])
        );
        let said = bytes(&message, if kind == 1 { 10 } else { 14 }).unwrap();
        let said = Message::from_vec(&said).unwrap();
        assert_eq!((said.queries.len(), said.answers.len()), (1, usize::from(kind == 2)));
        assert!(number(8) > 1_700_000_000 && (kind == 1 || number(12) >= number(8)));
    }
    drop(stream);
    let mut stream = loop {
        ask_both(&daemon).await; // what is sent to who has gone is lost
        if let Ok(stream) = timeout(Duration::from_millis(100), welcome(&listener)).await {
            break stream;
        }
    };
    ask_both(&daemon).await;
    assert!(frame(&mut stream).await.unwrap().is_ok(), "data again");
    let stopped = tokio::spawn(async move { daemon.stop().await });
    while frame(&mut stream).await.unwrap() != Err(STOP) {}
    control(&mut stream, FINISH).await;
    stopped.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_queries_are_answered_and_the_server_stops() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(&folder.path().join("nobody"), folder.path()).await;
    let addr = daemon.addrs()[0];
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    tokio::task::spawn_blocking(move || {
        for _ in 0..600 {
            socket.send_to(&query("p.example", RecordType::A), addr).unwrap();
            crate::harness::receive(&socket).unwrap();
        }
    })
    .await
    .unwrap();
    let untold = daemon.counts().of(onstage::serve::Event::Untold);
    assert_eq!(untold, 600 - 512, "as many as wait for a collector are kept");
    let began = Instant::now();
    daemon.stop().await;
    assert!(began.elapsed() < PATIENCE);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_of_dnstap_read_what_is_sent() {
    if !available("fstrm_capture") || !available("dnstap-read") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (socket, file) = (folder.path().join("dnstap.sock"), folder.path().join("captured"));
    let mut capture = Command::new("fstrm_capture")
        .args(["-t", "protobuf:dnstap.Dnstap", "-u"])
        .arg(&socket)
        .arg("-w")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !socket.exists() {
        assert!(began.elapsed() < PATIENCE && capture.try_wait().unwrap().is_none(), "it listens");
        tokio::task::yield_now().await;
    }
    let daemon = start(&socket, folder.path()).await;
    ask_both(&daemon).await;
    daemon.stop().await; // which waits until the collector has taken everything
    let pid = nix::unistd::Pid::from_raw(i32::try_from(capture.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    capture.wait().unwrap();
    let read = Command::new("dnstap-read").arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&read.stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}{}", String::from_utf8_lossy(&read.stderr));
    for (line, (kind, protocol)) in
        lines.iter().zip([("AQ", "UDP"), ("AR", "UDP"), ("AQ", "TCP"), ("AR", "TCP")])
    {
        for word in [kind, protocol, "127.0.0.1:", "p.example/IN/A"] {
            assert!(line.contains(word), "{word}: {line}");
        }
    }
}

/// The log is written by the program: another process, whose lines are read.
#[test]
fn one_of_so_many_queries_is_logged_where_that_is_wanted() {
    use std::io::BufRead;
    let folder = tempfile::tempdir().unwrap();
    let addr = std::net::SocketAddr::from((crate::harness::own_address(), 5300));
    let config = format!(
        "[server]\nlisten = [\"{addr}\"]\nstate-dir = \".\"\nquery-log = {{}}\n[[zone]]\nfile = \"zone\"\n"
    );
    std::fs::write(folder.path().join("onstage.toml"), config).unwrap();
    std::fs::write(folder.path().join("zone"), ZONE).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_onstage"))
        .args(["serve", "--config"])
        .arg(folder.path().join("onstage.toml"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = io::BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("answering")));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let client = format!("client={}", socket.local_addr().unwrap());
    for (record_type, question) in [
        (RecordType::AAAA, "nosuch.p.example. IN AAAA"),
        (RecordType::from(65_280), "nosuch.p.example. IN TYPE65280"),
    ] {
        socket.send_to(&query("nosuch.p.example", record_type), addr).unwrap();
        let line = lines.find(|line| line.contains("query")).expect("a line");
        for word in [client.as_str(), "udp", question, "rcode=3"] {
            assert!(line.contains(word), "{word}: {line}");
        }
    }
    server.kill().unwrap();
    server.wait().unwrap();
}
