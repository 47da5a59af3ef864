//! Servers that speak PostgreSQL's protocol, or only seem to: each has its verdict, and none is read without end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use onstage::daemon::Loaded;
use onstage::health::{Reason, Verdict};
use onstage::probe::Finding;
use onstage::probe::schedule::Ask;
use onstage::units::ProbeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::harness::load_site;

/// Long enough for a login on a busy machine.
const PATIENT: &str = "20s";
const HASTY: &str = "300ms";

const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const READY: &[u8] = b"Z\0\0\0\x05I";

/// The check `db`, with these keys besides its port, of a member on loopback; `secret` is its password file.
pub fn site(addr: SocketAddr, timeout: &str, keys: &str) -> Loaded {
    site_with(addr, timeout, keys, &[])
}

/// The same, with more files that it names.
pub fn site_with(addr: SocketAddr, timeout: &str, keys: &str, files: &[(&str, &str)]) -> Loaded {
    let config = format!(
        "[[zone]]\nfile = \"zone\"\n[[pool]]\nname = \"db.example.org\"\ncheck = \"db\"\n[check.db]\n\
         timeout = \"{timeout}\"\npostgres = {{ port = {}{keys} }}\n",
        addr.port()
    );
    let zone = format!(
        "$ORIGIN db.example.org.\n$TTL 5\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n@ A {}\n",
        addr.ip()
    );
    let own = [("onstage.toml", config.as_str()), ("zone", &zone), ("secret", "hunter2\n")];
    load_site(&[&own[..], files].concat())
}

pub async fn probe(site: &Loaded) -> Finding {
    site.network.ask(ProbeId(0)).await
}

/// A message of the protocol.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

fn error(code: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0VFATAL\0C{code}\0Mthe server's own words\0\0").as_bytes())
}

/// A row with one column.
fn row(value: &str) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap();
    message(b'D', &[&[0, 1][..], &length.to_be_bytes(), value.as_bytes()].concat())
}

/// The reply to the query.
fn reply(row: &[u8]) -> Vec<u8> {
    let description = message(b'T', &[b"\0\x01name\0", &[0; 18][..]].concat());
    [&description, row, &message(b'C', b"SELECT 1\0"), READY].concat()
}

/// What a server does with its first client.
async fn serve<F>(act: impl FnOnce(TcpStream) -> F + Send + 'static) -> (SocketAddr, JoinHandle<F::Output>)
where
    F: Future + Send,
    F::Output: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        act(stream).await
    });
    (addr, task)
}

/// Reads the first message, which has no tag.
async fn read_startup(stream: &mut TcpStream) -> Vec<u8> {
    let length = stream.read_u32().await.unwrap() as usize;
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await.unwrap();
    body
}

/// Reads a message; `None` at the end.
async fn read_message(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let tag = stream.read_u8().await.ok()?;
    let length = stream.read_u32().await.ok()? as usize;
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await.ok()?;
    Some((tag, body))
}

/// Says each of `says` after one message, the first of which is the startup message; then closes where the last one is
/// empty, else listens to the end. The tags that were heard.
async fn recite(mut stream: TcpStream, says: Vec<Vec<u8>>) -> Vec<u8> {
    read_startup(&mut stream).await;
    let mut heard = Vec::new();
    for (i, said) in says.iter().enumerate() {
        if i > 0 {
            heard.extend(read_message(&mut stream).await.map(|(tag, _)| tag));
        }
        let _ = stream.write_all(said).await;
    }
    while says.last().is_some_and(|last| !last.is_empty()) {
        match read_message(&mut stream).await {
            Some((tag, _)) => heard.push(tag),
            None => break,
        }
    }
    heard
}

fn fail(reason: Reason) -> Verdict {
    Verdict::Fail(reason)
}

#[tokio::test]
async fn a_server_that_tells_its_role_passes_and_is_left_politely() {
    for (value, keys, expected) in [
        ("f", "", Verdict::Pass),
        ("t", "", Verdict::Pass),
        ("f", ", role = \"primary\"", Verdict::Pass),
        ("t", ", role = \"primary\"", fail(Reason::WrongRole)),
        ("t", ", role = \"replica\"", Verdict::Pass),
        ("f", ", role = \"replica\"", fail(Reason::WrongRole)),
    ] {
        let version = message(b'S', b"server_version\x0015.18\0");
        let notice = message(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mby the way\0\0");
        let key = message(b'K', &[0; 8]);
        let first = [OK, &version, &notice, &key, READY].concat();
        let (addr, server) = serve(move |stream| recite(stream, vec![first, reply(&row(value))])).await;
        let finding = probe(&site(addr, PATIENT, keys)).await;
        assert_eq!(finding.verdict, expected, "{value}{keys}: {}", finding.detail);
        assert_eq!(server.await.unwrap(), b"QX", "a query, and the end of the session");
        let steps: Vec<&str> = finding.steps.iter().map(|step| step.name).collect();
        assert_eq!(steps, ["connect", "login", "reply"]);
        assert_eq!(finding.steps[1].seen, "PostgreSQL 15.18");
    }
}

#[tokio::test]
async fn each_first_word_has_its_verdict() {
    let leaving = Verdict::Leaving(Reason::ServiceState);
    let auth = |kind: u8, more: &[u8]| message(b'R', &[&[0, 0, 0, kind], more].concat());
    for (what, said, expected) in [
        ("starting", error("57P03"), leaving),
        ("stopping", error("57P01"), leaving),
        ("crashed", error("57P02"), leaving),
        ("wrong password", error("28P01"), fail(Reason::Login)),
        ("no entry in pg_hba.conf", error("28000"), fail(Reason::Login)),
        ("no such database", error("3D000"), fail(Reason::Login)),
        ("too many connections", error("53300"), fail(Reason::Overloaded)),
        ("out of memory", error("53200"), fail(Reason::Overloaded)),
        ("something else", error("XX000"), fail(Reason::DatabaseError)),
        ("an error without an end", message(b'E', b"SFATAL\0C57"), fail(Reason::BadReply)),
        ("Kerberos", auth(2, b""), fail(Reason::Login)),
        ("GSSAPI", auth(7, b""), fail(Reason::Login)),
        ("SSPI", auth(9, b""), fail(Reason::Login)),
        ("an unknown login", auth(99, b""), fail(Reason::BadReply)),
        ("a SASL mechanism of its own", auth(10, b"OAUTHBEARER\0\0"), fail(Reason::Login)),
        ("SASL without an end", auth(10, b"OAUTH"), fail(Reason::BadReply)),
        ("SASL's last word first", auth(12, b"v=AAAA"), fail(Reason::BadReply)),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), fail(Reason::BadReply)),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), fail(Reason::BadReply)),
        ("ready before the login", READY.to_vec(), fail(Reason::BadReply)),
        ("rows before the login", row("f"), fail(Reason::BadReply)),
        ("a message of no length", b"R\0\0\0\0".to_vec(), fail(Reason::BadReply)),
        ("a message of a gigabyte", b"R\x40\0\0\0\0\0\0\0".to_vec(), fail(Reason::BadReply)),
        ("a message of two gigabytes", b"S\x7f\xff\xff\xff".to_vec(), fail(Reason::BadReply)),
        ("the end", Vec::new(), fail(Reason::Closed)),
    ] {
        let (addr, _server) = serve(move |stream| recite(stream, vec![said])).await;
        let finding = probe(&site(addr, PATIENT, ", password-file = \"secret\"")).await;
        assert_eq!(finding.verdict, expected, "{what}: {}", finding.detail);
        assert!(!finding.detail.is_empty() && finding.detail.len() < 1000, "{what}");
    }
}

#[tokio::test]
async fn each_reply_has_its_verdict() {
    let null = message(b'D', b"\0\x01\xff\xff\xff\xff");
    let short = message(b'D', b"\0\x01\0\0\0\x09f");
    for (what, said, expected) in [
        ("no row", reply(b""), fail(Reason::BadReply)),
        ("nothing in it", reply(&null), fail(Reason::BadReply)),
        ("less in it than it says", reply(&short), fail(Reason::BadReply)),
        ("neither yes nor no", reply(&row("maybe")), fail(Reason::BadReply)),
        ("not allowed", error("42501"), fail(Reason::Login)),
        ("broken", error("XX001"), fail(Reason::DatabaseError)),
        ("shut down meanwhile", error("57P01"), Verdict::Leaving(Reason::ServiceState)),
        ("a copy", message(b'G', b"\0\0\0"), fail(Reason::BadReply)),
        ("the end", Vec::new(), fail(Reason::Closed)),
    ] {
        let (addr, _server) = serve(move |stream| recite(stream, vec![[OK, READY].concat(), said])).await;
        let finding = probe(&site(addr, PATIENT, "")).await;
        assert_eq!(finding.verdict, expected, "{what}: {}", finding.detail);
    }
}

/// What never ends: one kind of message after another, notices, and one message a byte at a time.
#[tokio::test]
async fn nobody_is_read_without_end() {
    let status = message(b'S', b"a\0b\0");
    let notice = message(b'N', &[&b"M"[..], &[b'x'; 1000], b"\0\0"].concat());
    for endless in [status, notice, row("f"), OK.to_vec()] {
        let (addr, server) = serve(async move |mut stream: TcpStream| {
            read_startup(&mut stream).await;
            let mut said = OK.len();
            let _ = stream.write_all(OK).await;
            while stream.write_all(&endless).await.is_ok() {
                said += endless.len();
            }
            said
        })
        .await;
        assert_eq!(probe(&site(addr, PATIENT, "")).await.verdict, fail(Reason::BadReply));
        assert!(server.await.unwrap() < 16 << 20, "no more than what the kernel's buffers take");
    }
    let (addr, _server) = serve(async |mut stream: TcpStream| {
        read_startup(&mut stream).await;
        let _ = stream.set_nodelay(true);
        let _ = stream.write_all(b"S\0\0\x80\0").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(probe(&site(addr, HASTY, "")).await.verdict, fail(Reason::ReplyTimeout));
}

#[tokio::test]
async fn who_says_nothing_is_left_at_the_deadline() {
    let silent = async |stream: TcpStream| {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    };
    for (keys, expected) in [
        ("", fail(Reason::ReplyTimeout)),
        (", tls = \"require\", ca-file = \"ca.pem\"", fail(Reason::TlsTimeout)),
    ] {
        let (addr, _server) = serve(silent).await;
        let ca = onstage::demo::SiteCa::new("CA").unwrap().pem();
        let finding = probe(&site_with(addr, HASTY, keys, &[("ca.pem", &ca)])).await;
        assert_eq!(finding.verdict, expected, "{}", finding.detail);
    }
}

#[tokio::test]
async fn each_answer_to_the_wish_for_tls_has_its_verdict() {
    for (said, expected) in [
        (&b"N"[..], fail(Reason::TlsHandshake)),
        (b"E", fail(Reason::BadReply)),
        (b"Sno TLS at all", fail(Reason::TlsHandshake)),
        (b"", fail(Reason::Closed)),
    ] {
        let (addr, server) = serve(async move |mut stream: TcpStream| {
            let request = read_startup(&mut stream).await;
            let _ = stream.write_all(said).await;
            request
        })
        .await;
        let ca = onstage::demo::SiteCa::new("CA").unwrap().pem();
        let keys = ", tls = \"require\", ca-file = \"ca.pem\", password-file = \"secret\"";
        let finding = probe(&site_with(addr, PATIENT, keys, &[("ca.pem", &ca)])).await;
        assert_eq!(finding.verdict, expected, "{said:?}: {}", finding.detail);
        assert_eq!(server.await.unwrap(), 80_877_103_u32.to_be_bytes(), "nothing is said but the wish");
    }
}

/// The password is not told to whoever asks for it.
#[tokio::test]
async fn the_password_is_not_given_away() {
    for (keys, said) in [
        (", password-file = \"secret\"", message(b'R', &[0, 0, 0, 3])),
        ("", message(b'R', &[0, 0, 0, 3])),
        ("", message(b'R', &[0, 0, 0, 5, 1, 2, 3, 4])),
        ("", message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0")),
    ] {
        let (addr, server) = serve(move |stream| recite(stream, vec![said])).await;
        let finding = probe(&site(addr, PATIENT, keys)).await;
        assert_eq!(finding.verdict, fail(Reason::Login), "{}", finding.detail);
        assert_eq!(server.await.unwrap(), b"", "nothing is said");
    }
}

/// A server that says what is wrong at one step of SCRAM (RFC 5802), with the nonce of the client.
#[tokio::test]
async fn a_server_that_cheats_at_scram_is_not_logged_in_to() {
    for (what, first, last) in [
        ("a nonce of its own", "r=nonsense,s=QSXCR+Q6sek8bf92,i=4096", None),
        ("hashing for ever", "r=NONCEmore,s=QSXCR+Q6sek8bf92,i=4294967295", None),
        ("no salt", "r=NONCEmore,s=?,i=4096", None),
        ("it does not know the password", "r=NONCEmore,s=QSXCR+Q6sek8bf92,i=4096", Some("v=AAAA")),
        ("it takes any password", "r=NONCEmore,s=QSXCR+Q6sek8bf92,i=4096", Some("")),
    ] {
        let (addr, server) = serve(async move |mut stream: TcpStream| {
            read_startup(&mut stream).await;
            stream.write_all(&message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0")).await.unwrap();
            let (_, initial) = read_message(&mut stream).await.unwrap();
            let initial = String::from_utf8(initial).unwrap();
            let nonce = initial.split("r=").nth(1).unwrap();
            let first = first.replace("NONCE", nonce);
            stream.write_all(&message(b'R', &[b"\0\0\0\x0b", first.as_bytes()].concat())).await.unwrap();
            let proof = read_message(&mut stream).await;
            match last {
                Some("") => stream.write_all(&[OK, READY].concat()).await.unwrap(),
                Some(last) => {
                    let last = message(b'R', &[b"\0\0\0\x0c", last.as_bytes()].concat());
                    stream.write_all(&last).await.unwrap();
                }
                None => assert_eq!(proof, None, "nothing is proved to it"),
            }
            read_message(&mut stream).await
        })
        .await;
        let began = Instant::now();
        let finding = probe(&site(addr, PATIENT, ", password-file = \"secret\"")).await;
        let expected = if last == Some("") { Reason::BadReply } else { Reason::Login };
        assert_eq!(finding.verdict, fail(expected), "{what}: {}", finding.detail);
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        assert_eq!(server.await.unwrap(), None, "{what}: it is asked nothing");
    }
}
