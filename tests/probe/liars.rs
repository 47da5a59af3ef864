//! Members that lie: each ends in its verdict, in time, and takes no more of what they say than anybody needs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use onstage::config::{Body, Kind, TlsCheck};
use onstage::health::{Reason, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Duration, sleep};

use super::{HASTY, PATIENT, Site, fail, http, local, probe, prober, trust};

/// The buffers of the kernel on both sides, which fill whether anybody reads or not.
const BUFFERED: usize = 16 << 20;

/// How a liar goes on after its first words.
#[derive(Debug, Clone, Copy)]
enum Then {
    Close,
    Wait,
    /// Says this again and again, as fast as it can.
    Repeat(&'static [u8]),
    /// One byte of this at a time, again and again.
    Trickle(&'static [u8]),
}

/// A member that says the same to everybody.
struct Liar {
    addr: SocketAddr,
    said: Arc<AtomicUsize>,
}

impl Liar {
    async fn new(first: impl Into<Vec<u8>>, then: Then) -> Self {
        let listener = TcpListener::bind(local(0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (said, first) = (Arc::new(AtomicUsize::new(0)), first.into());
        let count = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = lie(stream, &first, then, &count).await;
            }
        });
        Self { addr, said }
    }
}

async fn lie(mut stream: TcpStream, first: &[u8], then: Then, said: &AtomicUsize) -> std::io::Result<()> {
    let mut asked = [0; 4096];
    let _ = stream.read(&mut asked).await?;
    stream.write_all(first).await?;
    match then {
        Then::Close => return stream.shutdown().await,
        Then::Wait => while stream.read(&mut asked).await? > 0 {},
        Then::Repeat(words) => loop {
            stream.write_all(words).await?;
            said.fetch_add(words.len(), Ordering::Relaxed);
        },
        Then::Trickle(words) => {
            for byte in words.iter().cycle() {
                stream.write_all(&[*byte]).await?;
                sleep(Duration::from_millis(10)).await;
            }
        }
    }
    Ok(())
}

const OK: &str = "HTTP/1.1 200 OK\r\n";
const EARLY: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";

#[tokio::test]
async fn each_lie_has_its_verdict() {
    let any = |body: Option<Body>| prober(http(None, body), PATIENT, None);
    let (page, running) = (any(None), any(Some(Body::Is("running".to_owned()))));
    let compressed =
        [OK.as_bytes(), b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"].concat();
    let early = [EARLY.repeat(50), format!("{OK}Content-Length: 7\r\n\r\nrunning").into()].concat();
    let huge = format!("{OK}Content-Length: 9223372036854775807\r\n\r\n");
    for (what, prober, first, expected) in [
        ("an older protocol", &page, b"running".to_vec(), fail(Reason::BadReply)),
        ("a newer protocol", &page, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), fail(Reason::BadReply)),
        ("a greeting", &page, b"220 mail.example.org ESMTP\r\n\r\n".to_vec(), fail(Reason::BadReply)),
        ("TLS on a plain port", &page, b"\x15\x03\x03\x00\x02\x02\x0a".to_vec(), fail(Reason::BadReply)),
        (
            "a length below zero",
            &page,
            format!("{OK}Content-Length: -1\r\n\r\n").into(),
            fail(Reason::BadReply),
        ),
        (
            "two lengths",
            &page,
            format!("{OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx").into(),
            fail(Reason::BadReply),
        ),
        (
            "no length of a chunk",
            &page,
            format!("{OK}Transfer-Encoding: chunked\r\n\r\nzz\r\n").into(),
            fail(Reason::BadReply),
        ),
        ("a length of all there is", &page, huge.into(), fail(Reason::Closed)),
        (
            "less than it says",
            &page,
            format!("{OK}Content-Length: 9\r\n\r\nrunning").into(),
            fail(Reason::Closed),
        ),
        (
            "a switch",
            &page,
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec(),
            fail(Reason::HttpStatus),
        ),
        ("something compressed", &running, compressed, fail(Reason::HttpBody)),
        (
            "another type",
            &running,
            format!("{OK}Content-Type: image/png\r\n\r\nrunning").into(),
            Verdict::Pass,
        ),
        ("hints before the reply", &running, early, Verdict::Pass),
        ("hints and no reply", &running, EARLY.repeat(50), fail(Reason::Closed)),
    ] {
        let liar = Liar::new(first, Then::Close).await;
        let finding = probe(prober, liar.addr).await;
        assert_eq!(finding.verdict, expected, "{what}: {}", finding.detail);
    }
}

#[tokio::test]
async fn what_has_no_end_is_left_when_it_is_enough() {
    let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
    let page = prober(http(None, Some(Body::Is("running".to_owned()))), PATIENT, None);
    for (what, first, words, expected) in [
        ("a body", format!("{OK}\r\n"), &[b'x'; 4096][..], fail(Reason::HttpBody)),
        ("a body in chunks", chunked.clone(), b"4\r\nabcd\r\n", fail(Reason::HttpBody)),
        ("a chunk's extension", format!("{chunked}1"), b";extension=x", fail(Reason::BadReply)),
        ("trailers", format!("{chunked}0\r\n"), b"X-More: and more\r\n", fail(Reason::BadReply)),
        ("headers", OK.to_owned(), b"X-More: and more\r\n", fail(Reason::BadReply)),
        ("one header", format!("{OK}X-More: "), b"and more ", fail(Reason::BadReply)),
        ("a status line", "HTTP/1.1 200 ".to_owned(), b"Fine ", fail(Reason::BadReply)),
        ("interim replies", String::new(), EARLY, fail(Reason::BadReply)),
        ("lines before the reply", String::new(), b"\r\n", fail(Reason::BadReply)),
    ] {
        let liar = Liar::new(first, Then::Repeat(words)).await;
        let finding = probe(&page, liar.addr).await;
        assert_eq!(finding.verdict, expected, "{what}: {}", finding.detail);
        let said = liar.said.load(Ordering::Relaxed);
        assert!(said < BUFFERED, "{what}: {said} bytes were taken");
        assert!(finding.detail.len() < 400, "{what}: {}", finding.detail);
    }
}

#[tokio::test]
async fn what_is_slow_has_until_the_deadline() {
    let page = prober(http(None, Some(Body::Is("running".to_owned()))), HASTY, None);
    for (what, first, then) in [
        ("a body", format!("{OK}\r\n"), Then::Trickle(b"x")),
        ("headers", OK.to_owned(), Then::Trickle(b"X: y\r\n")),
        ("interim replies", String::new(), Then::Trickle(EARLY)),
        ("chunks", format!("{OK}Transfer-Encoding: chunked\r\n\r\n"), Then::Trickle(b"1\r\nx\r\n")),
        ("a reply that stops", format!("{OK}Content-Length: 7\r\n\r\nrun"), Then::Wait),
        ("nothing", String::new(), Then::Wait),
    ] {
        let liar = Liar::new(first, then).await;
        let finding = probe(&page, liar.addr).await;
        assert_eq!(finding.verdict, fail(Reason::ReplyTimeout), "{what}: {}", finding.detail);
        assert!(finding.latency >= HASTY && finding.latency < HASTY * 3, "{what}: {:?}", finding.latency);
    }
}

/// Before anybody has proved who it is.
#[tokio::test]
async fn tls_that_stops_or_does_not_end_has_its_verdict() {
    /// The head of a record with a part of a handshake, 16 KiB long.
    const RECORD: &[u8] = b"\x16\x03\x03\x40\x00";
    /// That of a message of 16 MiB within it, as of a certificate.
    const CERTIFICATE: &[u8] = b"\x0b\xff\xff\xff";
    let site = Site::new();
    let kind = || Kind::Tls(TlsCheck { port: 1.try_into().unwrap(), trust: trust() });
    let shake = |timeout| prober(kind(), timeout, Some(&site.ca.pem()));
    let record = [RECORD, &[b'x'; 16 << 10]].concat();
    for (what, first, then, expected) in [
        ("a head alone", RECORD.to_vec(), Then::Wait, fail(Reason::TlsTimeout)),
        ("a head, and the end", RECORD.to_vec(), Then::Close, fail(Reason::TlsHandshake)),
        (
            "a message that is too long",
            [RECORD, CERTIFICATE].concat(),
            Then::Repeat(&[0; 4096]),
            fail(Reason::TlsHandshake),
        ),
        ("a byte at a time", RECORD.to_vec(), Then::Trickle(b"x"), fail(Reason::TlsTimeout)),
        ("nonsense in a record", record, Then::Wait, fail(Reason::TlsHandshake)),
        (
            "changes of cipher",
            Vec::new(),
            Then::Repeat(b"\x14\x03\x03\x00\x01\x01"),
            fail(Reason::TlsHandshake),
        ),
        ("empty records", Vec::new(), Then::Repeat(b"\x16\x03\x03\x00\x00"), fail(Reason::TlsHandshake)),
        ("an alert", b"\x15\x03\x03\x00\x02\x02\x28".to_vec(), Then::Close, fail(Reason::TlsAlert)),
        ("warnings", Vec::new(), Then::Repeat(b"\x15\x03\x03\x00\x02\x01\x5a"), fail(Reason::TlsHandshake)),
    ] {
        let liar = Liar::new(first, then).await;
        let timeout = if expected == fail(Reason::TlsTimeout) { HASTY } else { PATIENT };
        let finding = probe(&shake(timeout), liar.addr).await;
        assert_eq!(finding.verdict, expected, "{what}: {}", finding.detail);
        assert!(liar.said.load(Ordering::Relaxed) < BUFFERED, "{what}");
    }
}

/// Nothing is asked for that a member could make more of than it sends.
#[tokio::test]
async fn no_encoding_is_asked_for_and_nothing_is_kept_open() {
    let listener = TcpListener::bind(local(0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let hear = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        let mut asked = vec![0; 4096];
        let length = stream.read(&mut asked).await.unwrap();
        stream.write_all(format!("{OK}Content-Length: 0\r\n\r\n").as_bytes()).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "it closes, whatever we do");
        String::from_utf8(asked[..length].to_vec()).unwrap().to_lowercase()
    });
    assert_eq!(probe(&prober(http(None, None), PATIENT, None), addr).await.verdict, Verdict::Pass);
    let asked = hear.await.unwrap();
    assert!(!asked.contains("encoding") && asked.contains("connection: close"), "{asked}");
}
