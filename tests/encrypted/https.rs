//! DNS over HTTPS, request by request, with HTTP/2 and with HTTP/3.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use h3::error::ConnectionError;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use http_body_util::{BodyExt, Full};
use hyper::body::{Buf, Bytes};
use hyper::client::conn::http2;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use quinn::Connection;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

use super::quic::{self, code};
use super::{NAME, PATIENCE, Server, connect, padded};
use crate::harness::query;

pub const KIND: &str = "application/dns-message";

/// Why there is no response.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// The sending half of a connection.
#[derive(Clone)]
pub enum Sender {
    Http2(http2::SendRequest<Full<Bytes>>),
    Http3(h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>),
}

/// What can be asked on a connection, and what becomes of that.
pub async fn over_tls(stream: TlsStream<TcpStream>) -> Result<(Sender, JoinHandle<()>), Refusal> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    Ok((Sender::Http2(sender), tokio::spawn(async move { drop(connection.await) })))
}

pub async fn over_quic(connection: Connection) -> Result<(Sender, JoinHandle<ConnectionError>), Refusal> {
    let (mut driver, sender) = h3::client::new(h3_quinn::Connection::new(connection)).await?;
    Ok((Sender::Http3(sender), tokio::spawn(async move { driver.wait_idle().await })))
}

pub async fn http2(server: &Server) -> (Sender, JoinHandle<()>) {
    let stream = connect(server.daemon.all_addrs().doh[0], &server.client(&["h2"])).await.unwrap();
    over_tls(stream).await.unwrap()
}

pub async fn http3(server: &Server) -> (Sender, JoinHandle<ConnectionError>) {
    over_quic(quic3(server).await).await.unwrap()
}

async fn quic3(server: &Server) -> Connection {
    quic::connect(server.daemon.all_addrs().doh[0], server.client(&["h3"])).await.unwrap()
}

impl Sender {
    /// The status of a request, and what came with it.
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> (StatusCode, Bytes) {
        let uri = format!("https://{NAME}{path}");
        let request = Request::builder().method(method).uri(uri).header("content-type", kind);
        let response = self.send(request.body(()).unwrap(), body).await.unwrap();
        if response.status() == StatusCode::OK {
            assert_eq!(response.headers()["content-type"], KIND);
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
        (response.status(), response.into_body())
    }

    /// What is said to a request; an error where the connection is not for it any more.
    pub async fn send(&mut self, request: Request<()>, body: Vec<u8>) -> Result<Response<Bytes>, Refusal> {
        match self {
            Self::Http2(sender) => {
                let request = request.map(|()| Full::new(body.into()));
                let response = timeout(PATIENCE, sender.send_request(request)).await.unwrap()?;
                let (head, body) = response.into_parts();
                Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
            }
            Self::Http3(sender) => {
                let mut stream = sender.send_request(request).await?;
                let _ = stream.send_data(body.into()).await; // not all that is refused is read
                let _ = stream.finish().await;
                let response = timeout(PATIENCE, stream.recv_response()).await.unwrap()?;
                let mut body = Vec::new();
                while let Some(mut data) = stream.recv_data().await? {
                    body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
                }
                Ok(response.map(|()| body.into()))
            }
        }
    }
}

#[tokio::test]
async fn each_request_has_its_status() {
    let server = Server::start("").await;
    let asked = padded("p.example", RecordType::A);
    let get = format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(&asked));
    let response = [&asked[..2], &[0x80], &asked[3..]].concat();
    for mut sender in [http2(&server).await.0, http3(&server).await.0] {
        for (method, path, kind, body, expected) in [
            (Method::POST, "/dns-query", KIND, asked.clone(), 200),
            (Method::GET, &get, "", Vec::new(), 200),
            (Method::POST, "/dns-query", KIND, vec![0; 12], 200), // FORMERR is a reply
            (Method::POST, "/", KIND, asked.clone(), 404),
            (Method::POST, "/dns-query", "Application/DNS-Message", asked.clone(), 200), // RFC 9110 §8.3.1
            (Method::POST, "/dns-query", "text/plain", asked.clone(), 415),
            (Method::POST, "/dns-query", KIND, vec![0; 4097], 413),
            (Method::POST, "/dns-query", KIND, asked[..11].to_vec(), 400),
            (Method::POST, "/dns-query", KIND, response.clone(), 400),
            (Method::GET, "/dns-query", "", Vec::new(), 400),
            (Method::GET, "/dns-query?dns=%41", "", Vec::new(), 400),
            (Method::PUT, "/dns-query", KIND, asked.clone(), 405),
        ] {
            let length = body.len();
            let (status, reply) = sender.ask(method.clone(), path, kind, body).await;
            assert_eq!(status.as_u16(), expected, "{method} {path} {kind} {length}");
            assert_eq!(!reply.is_empty(), expected == 200, "{method} {path} {kind} {length}");
            if length == asked.len() && expected == 200 {
                assert_eq!(reply.len(), 468);
                assert_eq!(Message::from_vec(&reply).unwrap().answers.len(), 1);
            }
        }
    }
    server.daemon.stop().await;
}

#[tokio::test]
async fn who_asks_nothing_is_closed() {
    let server = Server::start("tcp = { idle = \"300ms\" }").await;
    let ((_two, http2), (_three, http3)) = (http2(&server).await, http3(&server).await);
    timeout(PATIENCE, http2).await.expect("it is closed").unwrap();
    let end = timeout(PATIENCE, http3).await.expect("it is closed").unwrap();
    assert!(end.is_h3_no_error(), "{end}");
    server.daemon.stop().await;
}

#[tokio::test]
async fn at_the_end_clients_are_told_to_leave() {
    let server = Server::start("").await;
    let ((mut two, http2), (mut three, http3)) = (http2(&server).await, http3(&server).await);
    for sender in [&mut two, &mut three] {
        sender.ask(Method::POST, "/dns-query", KIND, query("p.example", RecordType::A)).await;
    }
    server.daemon.stop().await;
    timeout(PATIENCE, http2).await.expect("it is closed").unwrap();
    let end = timeout(PATIENCE, http3).await.expect("it is closed").unwrap();
    assert!(end.is_h3_no_error(), "{end}");
}

#[tokio::test]
async fn large_replies_to_many_requests_at_once_all_arrive() {
    let server = Server::start("").await;
    let ((two, _http2), (three, _http3)) = (http2(&server).await, http3(&server).await);
    for sender in [two, three] {
        let asked: Vec<_> = (0..200)
            .map(|_| {
                let mut sender = sender.clone();
                let query = query("large.p.example", RecordType::TXT);
                tokio::spawn(async move { sender.ask(Method::POST, "/dns-query", KIND, query).await })
            })
            .collect();
        for asked in asked {
            let (status, reply) = timeout(PATIENCE, asked).await.unwrap().unwrap();
            assert_eq!((status, Message::from_vec(&reply).unwrap().answers.len()), (StatusCode::OK, 200));
        }
    }
    server.daemon.stop().await;
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A hundred requests for large replies of somebody who takes as much of a stream as this, and takes nothing.
fn requests_without_an_ear(window: u32) -> Vec<u8> {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const WINDOW_UPDATE: u8 = 8;
    let query = query("large.p.example", RecordType::TXT);
    let named = |opening: &[u8], text: &str| [opening, &[text.len() as u8], text.as_bytes()].concat();
    let head = [
        vec![0x83, 0x87], // POST, https
        named(&[4], "/dns-query"),
        named(&[1], NAME),
        named(&[0x0f, 0x10], KIND), // content-type
    ];
    let mut said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    said.extend(frame(SETTINGS, 0, 0, &[&[0, 4][..], &window.to_be_bytes()].concat()));
    said.extend(frame(WINDOW_UPDATE, 0, 0, &(0x7fff_0000_u32).to_be_bytes()));
    for stream in (1..200).step_by(2) {
        said.extend(frame(HEADERS, 4, stream, &head.concat()));
        said.extend(frame(DATA, 1, stream, &query));
    }
    said
}

#[tokio::test]
async fn replies_that_nobody_takes_are_not_written() {
    for window in [0, 0x7fff_ffff] {
        let server = Server::start("tcp = { per-client = 1, idle = \"1s\" }").await;
        let client = server.client(&["h2"]);
        let mut stream = connect(server.daemon.all_addrs().doh[0], &client).await.unwrap();
        stream.write_all(&requests_without_an_ear(window)).await.unwrap();
        stream.flush().await.unwrap();
        let next = async {
            while connect(server.daemon.all_addrs().doh[0], &client).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, next).await.expect("it has to go, and another one may come");
        let written = server.daemon.counts().replies("NOERROR");
        assert!((1..30).contains(&written), "{written} of 42 KB each, with a window of {window}");
        server.daemon.stop().await;
    }
}

/// Frames of HTTP/3 (RFC 9114 §7.2).
#[tokio::test]
async fn who_sends_what_takes_too_much_room_has_to_go() {
    const HEADERS: u8 = 1;
    const UNKNOWN: u8 = 0x21;
    let server = Server::start("").await;
    for (what, opening, piece, pieces) in [
        ("headers without end", &[HEADERS, 0xc0, 0, 0, 0, 0x40, 0, 0, 0][..], 1000, 200),
        ("a frame of a kind that nobody knows", &[UNKNOWN, 0xc0, 0, 0, 0, 0x40, 0, 0, 0], 1000, 200),
        ("the same, byte by byte", &[UNKNOWN, 0xc0, 0, 0, 0, 0x40, 0, 0, 0], 1, 3000),
    ] {
        for is_control in [false, true] {
            let connection = quic3(&server).await;
            let (mut stream, _other) = if is_control {
                let mut stream = connection.open_uni().await.unwrap();
                stream.write_all(&[0, 4, 0]).await.unwrap(); // a control stream, with SETTINGS that set nothing
                (stream, None)
            } else {
                let (stream, other) = connection.open_bi().await.unwrap();
                (stream, Some(other))
            };
            if is_control && opening[0] == HEADERS {
                continue; // h3 waits for them as for any other
            }
            stream.write_all(opening).await.unwrap();
            let flood = async {
                for _ in 0..pieces {
                    if stream.write_all(&vec![0; piece]).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await; // in a packet of its own
                }
                connection.closed().await
            };
            let end = timeout(PATIENCE, flood).await.expect("it is closed");
            assert_eq!(code(&end), Some(0x107), "{what}, control stream: {is_control}: {end}");
        }
    }
    server.daemon.stop().await;
}
