//! DNS over QUIC, stream by stream, and who is let in.

use std::collections::HashMap;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, ReadToEndError, TransportConfig};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::{NAME, PATIENCE, Server, certify, padded, receive, send};
use crate::harness::{query, with_options};

const LOOPBACK: &str = "127.0.0.1:0";
const NO_ERROR: u64 = 0;
const PROTOCOL_ERROR: u64 = 2;
const CANCELLED: u32 = 3;
const EXCESSIVE_LOAD: u64 = 4;
/// Handshakes at once whose client may be elsewhere.
const UNPROVEN: usize = 8;

fn config(client: Arc<rustls::ClientConfig>) -> ClientConfig {
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(client).unwrap()))
}

/// A connection from a port of its own.
pub async fn connect(
    addr: SocketAddr,
    client: Arc<rustls::ClientConfig>,
) -> Result<Connection, ConnectionError> {
    let endpoint = Endpoint::client(LOOPBACK.parse().unwrap()).unwrap();
    let connecting = endpoint.connect_with(config(client), addr, NAME).unwrap();
    timeout(PATIENCE, connecting).await.expect("an end of the handshake")
}

/// The code that the server closed the connection with.
pub fn code(end: &ConnectionError) -> Option<u64> {
    match end {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        _ => None,
    }
}

pub async fn doq(server: &Server) -> Connection {
    connect(server.daemon.all_addrs().doq[0], server.client(&["doq"])).await.unwrap()
}

/// How the server ends a connection.
async fn end(connection: &Connection) -> Option<u64> {
    code(&timeout(PATIENCE, connection.closed()).await.expect("it is closed"))
}

/// A query behind its length; its id is 0.
pub fn framed(mut query: Vec<u8>) -> Vec<u8> {
    query[..2].fill(0);
    [&(query.len() as u16).to_be_bytes(), &query[..]].concat()
}

/// What a stream brings back for what it says, all of it.
pub async fn exchange(connection: &Connection, said: &[u8]) -> Result<Vec<u8>, ReadToEndError> {
    let (mut stream, mut reply) = connection.open_bi().await.map_err(quinn::ReadError::from)?;
    let _ = stream.write_all(said).await;
    let _ = stream.finish();
    timeout(PATIENCE, reply.read_to_end(1 << 17)).await.expect("an end of the stream")
}

/// How many answers an ordinary question has.
pub async fn ask(connection: &Connection) -> Result<usize, ReadToEndError> {
    let reply = exchange(connection, &framed(query("p.example", RecordType::A))).await?;
    Ok(Message::from_vec(&reply[2..]).unwrap().answers.len())
}

#[tokio::test]
async fn replies_are_byte_for_byte_those_over_tls() {
    let server = Server::start("nsid = \"ns1\"").await;
    let connection = doq(&server).await;
    let mut tls = super::connect(server.dot(), &server.client(&["dot"])).await.unwrap();
    for query in [
        query("P.eXample", RecordType::A),
        query("wWw.p.example", RecordType::A),
        padded("mail.p.example", RecordType::MX),
        padded("No.p.example", RecordType::A),
        query("large.p.example", RecordType::TXT),
        with_options(query("other.example", RecordType::A), &[(3, b"")]),
    ] {
        let framed = framed(query);
        send(&mut tls, &framed[2..]).await.unwrap();
        let expected = receive(&mut tls).await.unwrap();
        let reply = exchange(&connection, &framed).await.unwrap();
        assert_eq!(
            (usize::from(reply[0]) << 8 | usize::from(reply[1]), &reply[2..]),
            (expected.len(), &expected[..])
        );
    }
    server.daemon.stop().await;
}

#[tokio::test]
async fn many_queries_at_once_are_all_answered() {
    let server = Server::start("").await;
    let connection = doq(&server).await;
    for (count, name, record_type, answers) in
        [(2000, "p.example", RecordType::A, 1), (200, "large.p.example", RecordType::TXT, 200)]
    {
        let asked: Vec<_> = (0..count)
            .map(|_| {
                let (connection, query) = (connection.clone(), framed(query(name, record_type)));
                tokio::spawn(async move { exchange(&connection, &query).await })
            })
            .collect();
        for asked in asked {
            let reply = timeout(PATIENCE, asked).await.unwrap().unwrap().unwrap();
            assert_eq!(Message::from_vec(&reply[2..]).unwrap().answers.len(), answers);
        }
    }
    server.daemon.stop().await;
}

#[tokio::test]
async fn what_is_no_dns_over_quic_ends_the_connection() {
    let server = Server::start("").await;
    let asked = framed(query("p.example", RecordType::A));
    let with = |place: usize, byte: u8| {
        let mut asked = asked.clone();
        asked[place] = byte;
        asked
    };
    for (what, said) in [
        ("an id", with(3, 1)),
        ("two queries", [&asked[..], &asked].concat()),
        ("half a query", asked[..asked.len() - 1].to_vec()),
        ("a length", asked[..2].to_vec()),
        ("half a length", asked[..1].to_vec()),
        ("nothing", Vec::new()),
        ("an empty message", vec![0, 0]),
        ("a response", with(4, 0x80)),
        ("no header", vec![0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("edns-tcp-keepalive", framed(with_options(query("p.example", RecordType::A), &[(11, b"")]))),
        ("more than a message", vec![0xff; 2 + 65_536]),
    ] {
        let connection = doq(&server).await;
        assert_eq!(ask(&connection).await.unwrap(), 1);
        assert!(exchange(&connection, &said).await.is_err(), "{what} is not answered");
        assert_eq!(end(&connection).await, Some(PROTOCOL_ERROR), "{what}");
    }
    let connection = doq(&server).await;
    tokio::select! {
        biased;
        opened = connection.open_uni() => panic!("a stream in one direction: {opened:?}"),
        () = ready(()) => {}
    }
    server.daemon.stop().await;
}

#[tokio::test]
async fn half_a_query_costs_the_others_nothing_until_its_time_is_over() {
    let server = Server::start("tcp = { idle = \"500ms\" }").await;
    let connection = doq(&server).await;
    let (mut half, mut reply) = connection.open_bi().await.unwrap();
    half.write_all(&[0]).await.unwrap();
    let begun = Instant::now();
    let mut answered = 0;
    while ask(&connection).await.is_ok() {
        answered += 1;
    }
    assert!(answered > 0 && begun.elapsed().as_millis() >= 450, "{answered} in {:?}", begun.elapsed());
    assert_eq!(end(&connection).await, Some(PROTOCOL_ERROR));
    assert!(reply.read(&mut [0]).await.is_err());
    server.daemon.stop().await;
}

#[tokio::test]
async fn who_takes_its_query_back_is_not_answered_and_may_ask_again() {
    let server = Server::start("").await;
    let connection = doq(&server).await;
    let (mut half, mut reply) = connection.open_bi().await.unwrap();
    half.write_all(&[0, 20]).await.unwrap();
    half.reset(CANCELLED.into()).unwrap();
    let said = timeout(PATIENCE, reply.read_to_end(100)).await.unwrap();
    assert!(
        matches!(said, Err(ReadToEndError::Read(quinn::ReadError::Reset(code))) if code == CANCELLED.into())
    );
    assert_eq!(ask(&connection).await.unwrap(), 1);
    server.daemon.stop().await;
}

#[tokio::test]
async fn who_begins_many_long_queries_at_once_has_to_go() {
    let server = Server::start("").await;
    let connection = doq(&server).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let (mut stream, reply) = connection.open_bi().await.unwrap();
        // All but the last byte of the longest message; whether the connection still stands is seen below.
        let _ = timeout(PATIENCE, stream.write_all(&vec![0xff; 65_536])).await.expect("it is read or closed");
        streams.push((stream, reply));
    }
    assert_eq!(end(&connection).await, Some(EXCESSIVE_LOAD));
    server.daemon.stop().await;
}

#[tokio::test]
async fn who_is_silent_is_closed_without_an_error() {
    let server = Server::start("tcp = { idle = \"300ms\" }").await;
    let (mut asked, silent) = (doq(&server).await, doq(&server).await);
    assert_eq!(ask(&asked).await.unwrap(), 1);
    assert_eq!(end(&silent).await, Some(NO_ERROR));
    assert_eq!(end(&asked).await, Some(NO_ERROR));
    asked = doq(&server).await;
    assert_eq!(ask(&asked).await.unwrap(), 1, "it may come again");
    server.daemon.stop().await;
}

#[tokio::test]
async fn a_client_has_so_many_seats_and_no_more() {
    let server = Server::start("tcp = { clients = 4, per-client = 2, idle = \"1m\" }").await;
    let seated = [doq(&server).await, doq(&server).await];
    let third = doq(&server).await;
    assert_eq!(end(&third).await, Some(EXCESSIVE_LOAD));
    for connection in &seated {
        assert_eq!(ask(connection).await.unwrap(), 1);
    }
    assert!(
        super::connect(server.dot(), &server.client(&["dot"])).await.is_err(),
        "they are those of TLS as well"
    );
    seated[0].close(0_u32.into(), b"");
    let again = async {
        loop {
            let connection = doq(&server).await;
            if ask(&connection).await.is_ok() {
                break;
            }
        }
    };
    timeout(PATIENCE, again).await.expect("a seat is given back");
    server.daemon.stop().await;
}

#[tokio::test]
async fn the_most_silent_leaves_for_a_new_client() {
    let server = Server::start("tcp = { clients = 2, per-client = 64, idle = \"1m\" }").await;
    let (first, second) = (doq(&server).await, doq(&server).await);
    for connection in [&second, &first] {
        assert_eq!(ask(connection).await.unwrap(), 1);
    }
    let third = doq(&server).await;
    assert_eq!(end(&second).await, Some(EXCESSIVE_LOAD));
    for connection in [&first, &third] {
        assert_eq!(ask(connection).await.unwrap(), 1);
    }
    server.daemon.stop().await;
}

#[tokio::test]
async fn a_connection_stays_where_it_was_made() {
    let server = Server::start("").await;
    let endpoint = Endpoint::client(LOOPBACK.parse().unwrap()).unwrap();
    let mut impatient = TransportConfig::default();
    impatient.max_idle_timeout(Some(Duration::from_millis(300).try_into().unwrap()));
    let mut config = config(server.client(&["doq"]));
    config.transport_config(Arc::new(impatient));
    let addr = server.daemon.all_addrs().doq[0];
    let connection = endpoint.connect_with(config, addr, NAME).unwrap().await.unwrap();
    assert_eq!(ask(&connection).await.unwrap(), 1);
    endpoint.rebind(std::net::UdpSocket::bind(LOOPBACK).unwrap()).unwrap();
    assert!(ask(&connection).await.is_err());
    server.daemon.stop().await;
}

/// First packets of clients whom nobody answers.
async fn initials(server: &Server, count: usize) -> Vec<Vec<u8>> {
    let nobody = UdpSocket::bind(LOOPBACK).await.unwrap();
    let addr = nobody.local_addr().unwrap();
    let endpoint = Endpoint::client(LOOPBACK.parse().unwrap()).unwrap();
    let config = config(server.client(&["doq"]));
    let (mut attempts, mut packets) = (Vec::new(), HashMap::new());
    let mut datagram = [0; 2000];
    while packets.len() < count {
        attempts.push(endpoint.connect_with(config.clone(), addr, NAME).unwrap()); // they say something else once they end
        let length = timeout(PATIENCE, nobody.recv(&mut datagram)).await.unwrap().unwrap();
        let server_id = datagram[6..][..datagram[5].into()].to_vec(); // RFC 9000 §17.2
        packets.entry(server_id).or_insert_with(|| datagram[..length].to_vec());
    }
    packets.into_values().collect()
}

/// RFC 9000 §17.2.5.
fn is_retry(datagram: &[u8]) -> bool {
    datagram[0] & 0xb0 == 0xb0
}

#[tokio::test]
async fn handshakes_that_never_end_keep_no_honest_client_waiting() {
    let server = Server::start("tcp = { clients = 4, per-client = 2, idle = \"1m\" }").await;
    let addr = server.daemon.all_addrs().doq[0];
    let waiting = [doq(&server).await, doq(&server).await];
    let replayed = initials(&server, 100).await;
    let attacker = UdpSocket::bind(LOOPBACK).await.unwrap();
    let mut retries = 0;
    let mut datagram = [0; 2000];
    for packet in &replayed {
        attacker.send_to(packet, addr).await.unwrap();
    }
    while retries < replayed.len() - UNPROVEN {
        let length = timeout(PATIENCE, attacker.recv(&mut datagram)).await.unwrap().unwrap();
        if is_retry(&datagram) {
            retries += 1;
            assert!(length < 200, "little is said to who may not be there");
        }
    }
    for connection in &waiting {
        assert_eq!(ask(connection).await.unwrap(), 1, "they have cost nobody a seat");
    }
    waiting[0].close(0_u32.into(), b"");
    let honest = async {
        // Until the seat is given back, a client whose address is proved is refused.
        loop {
            let connection = connect(addr, server.client(&["doq"])).await;
            if let Ok(connection) = connection {
                return ask(&connection).await.unwrap();
            }
        }
    };
    assert_eq!(timeout(PATIENCE, honest).await.expect("it is let in"), 1);
    timeout(PATIENCE, server.daemon.stop()).await.expect("the server does not wait for them");
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_forgotten() {
    let server = Server::start("tcp = { idle = \"300ms\" }").await;
    let addr = server.daemon.all_addrs().doq[0];
    let replayed = initials(&server, UNPROVEN + 1).await;
    let (last, stalled) = replayed.split_last().unwrap();
    let attackers = [UdpSocket::bind(LOOPBACK).await.unwrap(), UdpSocket::bind(LOOPBACK).await.unwrap()];
    for packet in stalled {
        attackers[0].send_to(packet, addr).await.unwrap();
    }
    let mut datagram = [0; 2000];
    let mut retries = 0;
    let answered = async {
        loop {
            attackers[1].send_to(last, addr).await.unwrap();
            attackers[1].recv(&mut datagram).await.unwrap();
            if !is_retry(&datagram) {
                break;
            }
            retries += 1;
        }
    };
    timeout(PATIENCE, answered).await.expect("the others' time is over");
    assert!(retries > 0, "not before");
    server.daemon.stop().await;
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_who_comes_next() {
    let server = Server::start("").await;
    let (addr, old) = (server.daemon.all_addrs().doq[0], server.client(&["doq"]));
    let before = doq(&server).await;
    certify(server.folder.path());
    server.daemon.renew().await;
    let after = doq(&server).await;
    assert_eq!((ask(&before).await.unwrap(), ask(&after).await.unwrap()), (1, 1), "no connection is dropped");
    connect(addr, old).await.expect_err("the old one is not shown any more");
    server.daemon.stop().await;
}

#[tokio::test]
async fn at_the_end_what_was_asked_is_answered() {
    let server = Server::start("").await;
    let connection = doq(&server).await;
    assert_eq!(ask(&connection).await.unwrap(), 1);
    let (mut half, _reply) = connection.open_bi().await.unwrap();
    half.write_all(&[0]).await.unwrap();
    let begun = Instant::now();
    server.daemon.stop().await;
    assert_eq!(end(&connection).await, Some(NO_ERROR));
    assert!(begun.elapsed() < PATIENCE, "half a query is not waited for");
}

#[tokio::test]
async fn who_speaks_another_protocol_is_refused() {
    let server = Server::start("").await;
    let addrs = server.daemon.all_addrs();
    for (addr, protocol) in [(addrs.doq[0], "h3"), (addrs.doh[0], "doq"), (addrs.doq[0], "dot")] {
        let refused = connect(addr, server.client(&[protocol])).await.unwrap_err();
        // RFC 8446 §6.2: no_application_protocol.
        assert!(refused.to_string().contains("error 120"), "{protocol}: {refused}");
    }
    server.daemon.stop().await;
}
