//! Queries are counted by the way they come.

use hickory_proto::rr::RecordType;
use hyper::Method;
use onstage::serve::{Counted, Event, Kind, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::{Server, connect, https, padded, quic, receive, send};
use crate::harness::query;

#[tokio::test]
async fn each_transport_is_counted_by_itself() {
    let server = Server::start("").await;
    let (addr, asked) = (server.daemon.addrs()[0], query("p.example", RecordType::A));
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.send_to(&asked, addr).await.unwrap();
    udp.recv(&mut [0; 512]).await.unwrap();
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    let response = [&asked[..2], &[0x80], &asked[3..]].concat(); // never answered
    for said in [&response, &asked, &asked] {
        tcp.write_all(&[&(said.len() as u16).to_be_bytes(), &said[..]].concat()).await.unwrap();
    }
    let length = tcp.read_u16().await.unwrap();
    tcp.read_exact(&mut vec![0; length.into()]).await.unwrap();
    let length = tcp.read_u16().await.unwrap();
    tcp.read_exact(&mut vec![0; length.into()]).await.unwrap();
    let mut tls = connect(server.dot(), &server.client(&["dot"])).await.unwrap();
    for _ in 0..3 {
        send(&mut tls, &asked).await.unwrap();
        receive(&mut tls).await.unwrap();
    }
    for mut sender in [https::http2(&server).await.0, https::http3(&server).await.0] {
        let posted = padded("nosuch.p.example", RecordType::AAAA);
        let (status, _) = sender.ask(Method::POST, "/dns-query", https::KIND, posted).await;
        assert_eq!(status.as_u16(), 200);
    }
    let doq = quic::doq(&server).await;
    for _ in 0..4 {
        assert_eq!(quic::ask(&doq).await.unwrap(), 1);
    }
    let counts = server.daemon.counts();
    let find = |wanted: &Counted| counts.iter().find_map(|(what, count)| (what == wanted).then_some(count));
    for (transport, received, record_type, rcode, replies) in [
        (Transport::Udp, 1, "A", "NOERROR", 1),
        (Transport::Tcp, 3, "A", "NOERROR", 2),
        (Transport::Dot, 3, "A", "NOERROR", 3),
        (Transport::Doh, 1, "AAAA", "NXDOMAIN", 1),
        (Transport::Doh3, 1, "AAAA", "NXDOMAIN", 1),
        (Transport::Doq, 4, "A", "NOERROR", 4),
    ] {
        assert_eq!(find(&Counted::Event(transport, Event::Received)), Some(received), "{transport:?}");
        let kind = Kind { record_type: record_type.to_owned(), rcode: rcode.to_owned() };
        assert_eq!(find(&Counted::Reply(transport, kind)), Some(replies), "{transport:?}");
    }
    assert_eq!((counts.of(Event::Received), counts.of(Event::Dropped)), (13, 1));
    assert_eq!((counts.replies("NOERROR"), counts.replies("NXDOMAIN")), (10, 2));
    server.daemon.stop().await;
}
