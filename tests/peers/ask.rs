//! One question in one of its forms, and a client that asks it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::BinEncodable;

use super::told::Told;
use crate::harness::{receive, with_edns};

/// What a question may look like around its name and type.
pub const FORMS: [&str; 9] =
    ["plain", "RD", "512", "1232 DO", "4096", "unknown option", "version 1", "TCP", "TCP 4096 DO"];

/// One question, in one of its forms.
pub struct Question {
    pub name: Name,
    pub record_type: RecordType,
    pub told: String,
    /// How long a reply may be.
    pub limit: usize,
    pub wire: Vec<u8>,
    stream: bool,
}

impl Question {
    pub fn new(name: &Name, record_type: RecordType, form: &str) -> Self {
        let mut wire = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        wire.extend(name.to_bytes().unwrap());
        wire.extend(u16::from(record_type).to_be_bytes());
        wire.extend([0, 1]);
        let wire = match form {
            "RD" => [&[0x12, 0x34, 1], &wire[3..]].concat(),
            "512" => with_edns(wire, 512, 0, 0),
            "1232 DO" => with_edns(wire, 1232, 0, 0x8000),
            "4096" => with_edns(wire, 4096, 0, 0),
            "unknown option" => with_option(with_edns(wire, 1232, 0, 0)),
            "version 1" => with_edns(wire, 1232, 1, 0),
            "TCP 4096 DO" => with_edns(wire, 4096, 0, 0x8000),
            _ => wire,
        };
        let told = format!("{name} {record_type} {} ({form})", u16::from(record_type));
        let limit = match form {
            "plain" | "RD" | "512" => 512,
            "TCP" | "TCP 4096 DO" => 65_535,
            _ => 1232,
        };
        Self { name: name.clone(), record_type, told, limit, wire, stream: limit == 65_535 }
    }
}

/// An OPT record without options gets one for local use (RFC 6891 §9), of two bytes.
fn with_option(mut query: Vec<u8>) -> Vec<u8> {
    query.truncate(query.len() - 2);
    query.extend([0, 6, 0xff, 0xfe, 0, 2, 1, 2]);
    query
}

/// A client of one server.
pub struct Client {
    udp: UdpSocket,
    tcp: TcpStream,
}

impl Client {
    pub fn new(addr: SocketAddr) -> Self {
        let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpStream::connect(addr).unwrap());
        udp.connect(addr).unwrap();
        udp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        tcp.set_nodelay(true).unwrap();
        Self { udp, tcp }
    }

    pub fn ask(&mut self, question: &Question) -> Told {
        let reply = if question.stream { self.over_tcp(question) } else { self.over_udp(question) };
        let end = 12 + question.name.to_bytes().unwrap().len() + 4;
        assert_eq!(reply[12..end], question.wire[12..end], "the question comes back as it was spelled");
        Told::of(question, &Message::from_vec(&reply).unwrap())
    }

    fn over_udp(&self, question: &Question) -> Vec<u8> {
        self.udp.send(&question.wire).unwrap();
        let silent = |e| panic!("{} is silent about {}: {e}", self.udp.peer_addr().unwrap(), question.told);
        receive(&self.udp).unwrap_or_else(silent)
    }

    fn over_tcp(&mut self, question: &Question) -> Vec<u8> {
        let length = question.wire.len() as u16;
        self.tcp.write_all(&[&length.to_be_bytes(), &question.wire[..]].concat()).unwrap();
        let mut length = [0; 2];
        self.tcp.read_exact(&mut length).unwrap();
        let mut reply = vec![0; u16::from_be_bytes(length).into()];
        self.tcp.read_exact(&mut reply).unwrap();
        reply
    }
}
