//! DNS over HTTPS, request by request, with HTTP/2 and with HTTP/3; and DNS over QUIC.

use data_encoding::BASE64URL_NOPAD;
use hickory_proto::op::{DnsRequest, DnsRequestOptions, Message};
use hickory_proto::rr::RecordType;
use hickory_server::net::NetError;
use hickory_server::net::h3::H3ClientStream;
use hickory_server::net::quic::QuicClientStream;
use hickory_server::net::xfer::{DnsRequestSender, FirstAnswer};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{NAME, PATIENCE, Server, connect, padded};
use crate::harness::query;

/// A connection, and what becomes of it.
async fn http2(server: &Server) -> (SendRequest<Full<Bytes>>, JoinHandle<()>) {
    let stream = connect(server.daemon.all_addrs().doh[0], &server.client(&["h2"])).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(async move { drop(connection.await) }))
}

/// The status of a request, and what came with it.
async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    method: Method,
    path: &str,
    kind: &str,
    body: Vec<u8>,
) -> (StatusCode, Bytes) {
    let uri = format!("https://{NAME}{path}");
    let request = Request::builder().method(method).uri(uri).header("content-type", kind);
    let response = sender.send_request(request.body(Full::new(body.into())).unwrap());
    let response = timeout(PATIENCE, response).await.unwrap().unwrap();
    let status = response.status();
    if status == StatusCode::OK {
        assert_eq!(response.headers()["content-type"], "application/dns-message");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    (status, response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn each_request_has_its_status() {
    const KIND: &str = "application/dns-message";
    let server = Server::start("").await;
    let (mut sender, _connection) = http2(&server).await;
    let asked = padded("p.example", RecordType::A);
    let get = format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(&asked));
    let response = [&asked[..2], &[0x80], &asked[3..]].concat();
    for (method, path, kind, body, expected) in [
        (Method::POST, "/dns-query", KIND, asked.clone(), 200),
        (Method::GET, &get, "", Vec::new(), 200),
        (Method::POST, "/dns-query", KIND, vec![0; 12], 200), // FORMERR is a reply
        (Method::POST, "/", KIND, asked.clone(), 404),
        (Method::POST, "/dns-query", "text/plain", asked.clone(), 415),
        (Method::POST, "/dns-query", KIND, vec![0; 65_536], 413),
        (Method::POST, "/dns-query", KIND, asked[..11].to_vec(), 400),
        (Method::POST, "/dns-query", KIND, response, 400),
        (Method::GET, "/dns-query", "", Vec::new(), 400),
        (Method::GET, "/dns-query?dns=%41", "", Vec::new(), 400),
        (Method::PUT, "/dns-query", KIND, asked.clone(), 405),
    ] {
        let length = body.len();
        let (status, reply) = ask(&mut sender, method.clone(), path, kind, body).await;
        assert_eq!(status.as_u16(), expected, "{method} {path} {kind} {length}");
        assert_eq!(!reply.is_empty(), expected == 200, "{method} {path} {kind} {length}");
        if length == asked.len() && expected == 200 {
            assert_eq!(reply.len(), 468);
            assert_eq!(Message::from_vec(&reply).unwrap().answers.len(), 1);
        }
    }
    server.daemon.stop().await;
}

#[tokio::test]
async fn who_asks_nothing_is_closed() {
    let server = Server::start("tcp = { idle = \"300ms\" }").await;
    let (_sender, connection) = http2(&server).await;
    timeout(PATIENCE, connection).await.expect("it is closed").unwrap();
    server.daemon.stop().await;
}

#[tokio::test]
async fn at_the_end_clients_are_told_to_leave() {
    let server = Server::start("").await;
    let (mut sender, connection) = http2(&server).await;
    let query = query("p.example", RecordType::A);
    ask(&mut sender, Method::POST, "/dns-query", "application/dns-message", query).await;
    server.daemon.stop().await;
    timeout(PATIENCE, connection).await.expect("it is closed").unwrap();
}

/// How many answers there are to four questions, one after the other.
async fn answers(client: &mut impl DnsRequestSender) -> Result<Vec<usize>, NetError> {
    let mut answers = Vec::new();
    for (name, record_type) in [
        ("p.example", RecordType::A),
        ("www.p.example", RecordType::A),
        ("mail.p.example", RecordType::MX),
        ("no.p.example", RecordType::A),
    ] {
        let mut message = Message::from_vec(&padded(name, record_type)).unwrap();
        message.metadata.id = 0;
        let request = DnsRequest::new(message, DnsRequestOptions::default());
        let reply = timeout(PATIENCE, client.send_message(request).first_answer()).await.unwrap()?;
        assert_eq!(reply.as_buffer().len() % 468, 0, "{name}: padded");
        answers.push(reply.answers.len());
    }
    Ok(answers)
}

#[tokio::test]
async fn http3_and_quic_are_served() {
    let server = Server::start("").await;
    let addrs = server.daemon.all_addrs();
    let client = |protocol: &str| (*server.client(&[protocol])).clone();
    let mut h3 = H3ClientStream::builder()
        .crypto_config(client("h3"))
        .build(addrs.doh[0], NAME.into(), "/dns-query".into())
        .await
        .unwrap();
    assert_eq!(answers(&mut h3).await.unwrap(), [1, 2, 2, 0]);
    let quic = QuicClientStream::builder().crypto_config(client("doq"));
    let mut quic = quic.build(addrs.doq[0], NAME.into()).await.unwrap();
    assert_eq!(answers(&mut quic).await.unwrap(), [1, 2, 2, 0]);
    server.daemon.stop().await;
}
