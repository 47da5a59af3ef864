//! dnstap: queries and replies as they were, with who, when and how, for a collector on a Unix socket.
//!
//! | what | status |
//! |---|---|
//! | `AUTH_QUERY`, `AUTH_RESPONSE` | one of each for an exchange |
//! | addresses, ports, times, protocol | whole; our own address where the system tells it |
//! | identity, version | `nsid`, where there is one; name and version |
//! | query zone, policy | not told |
//! | Frame Streams | bidirectional, over a Unix socket |
//!
//! A collector that is not there, or goes, is looked for every few seconds; the log says so once.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Exchange, frames};
use crate::serve::tally::Transport;

/// From one attempt to reach the collector to the next.
const PAUSE: Duration = Duration::from_secs(2);
/// How long it may take to agree with the collector, and to take what it is sent.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to say that it has taken everything.
const FAREWELL: Duration = Duration::from_secs(1);
/// Messages are written together up to so many bytes.
const WRITE_TOGETHER: usize = 64 * 1024;

const VERSION: &str = concat!("onstage ", env!("CARGO_PKG_VERSION"));

/// Sends what comes in to the collector at `socket`, until nothing more can come.
pub(super) async fn run(
    socket: PathBuf,
    identity: String,
    mut exchanges: Receiver<Exchange>,
    stop: CancellationToken,
) {
    let mut is_known_to_be_gone = false;
    loop {
        let why = match connect(&socket).await {
            Ok(mut collector) => {
                info!(socket = %socket.display(), "dnstap: the collector is there");
                is_known_to_be_gone = false;
                match send_all(&mut collector, &identity, &mut exchanges).await {
                    Ok(()) => return drop(timeout(FAREWELL, frames::end(&mut collector)).await),
                    Err(e) => e,
                }
            }
            Err(e) => e,
        };
        if !is_known_to_be_gone {
            is_known_to_be_gone = true;
            warn!(socket = %socket.display(), %why, "dnstap: there is no collector");
        }
        if stop.run_until_cancelled(sleep(PAUSE)).await.is_none() {
            return;
        }
    }
}

async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let agree = async {
        let mut stream = UnixStream::connect(socket).await?;
        frames::begin(&mut stream).await?;
        Ok(stream)
    };
    timeout(PATIENCE, agree).await?
}

async fn send_all(
    collector: &mut UnixStream,
    identity: &str,
    exchanges: &mut Receiver<Exchange>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    while let Some(first) = exchanges.recv().await {
        bytes.clear();
        let mut next = Some(first);
        while let Some(exchange) = next {
            for side in [Side::Query, Side::Response] {
                frames::push(&mut bytes, &message(identity, side, &exchange).0);
            }
            next = if bytes.len() < WRITE_TOGETHER { exchanges.try_recv().ok() } else { None };
        }
        timeout(PATIENCE, collector.write_all(&bytes)).await??;
    }
    Ok(())
}

/// Which half of an exchange a message tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Query,
    Response,
}

/// `Dnstap` of dnstap.proto.
fn message(identity: &str, side: Side, exchange: &Exchange) -> Proto {
    let mut dnstap = Proto::default();
    if !identity.is_empty() {
        dnstap.bytes(1, identity.as_bytes());
    }
    dnstap.bytes(2, VERSION.as_bytes());
    dnstap.bytes(14, &inner(side, exchange).0);
    dnstap.number(15, 1); // MESSAGE
    dnstap
}

/// `Message` of dnstap.proto.
fn inner(side: Side, exchange: &Exchange) -> Proto {
    let Exchange { way, moments, query, reply } = exchange;
    let mut message = Proto::default();
    message.number(1, if side == Side::Query { 1 } else { 2 }); // AUTH_QUERY, AUTH_RESPONSE
    message.number(2, if way.from.ip().to_canonical().is_ipv4() { 1 } else { 2 }); // INET, INET6
    message.number(3, protocol(way.transport));
    message.address(4, way.from);
    if let Some(to) = way.to {
        message.address(5, to);
    }
    message.number(6, way.from.port().into());
    if let Some(to) = way.to {
        message.number(7, to.port().into());
    }
    message.number(8, moments.asked.as_secs());
    message.fixed(9, moments.asked.subsec_nanos());
    if side == Side::Query {
        message.bytes(10, query);
    } else {
        message.number(12, moments.answered.as_secs());
        message.fixed(13, moments.answered.subsec_nanos());
        message.bytes(14, reply);
    }
    if let Some(version) = http_version(way.transport) {
        message.number(16, version);
    }
    message
}

/// `SocketProtocol`.
const fn protocol(transport: Transport) -> u64 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
        Transport::Dot => 3,
        Transport::Doh | Transport::Doh3 => 4,
        Transport::Doq => 7,
    }
}

/// `HttpProtocol`.
const fn http_version(transport: Transport) -> Option<u64> {
    match transport {
        Transport::Doh => Some(2),
        Transport::Doh3 => Some(3),
        _ => None,
    }
}

/// A message of Protocol Buffers being written.
#[derive(Default)]
struct Proto(Vec<u8>);

impl Proto {
    const VARINT: u64 = 0;
    const BYTES: u64 = 2;
    const FIXED32: u64 = 5;

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3 | Self::VARINT);
        self.varint(value);
    }

    fn fixed(&mut self, field: u64, value: u32) {
        self.varint(field << 3 | Self::FIXED32);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | Self::BYTES);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn address(&mut self, field: u64, address: SocketAddr) {
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => self.bytes(field, &ip.octets()),
            IpAddr::V6(ip) => self.bytes(field, &ip.octets()),
        }
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

impl fmt::Debug for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proto({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Moments;
    use super::*;
    use crate::serve::way::Way;

    #[test]
    fn a_message_has_the_bytes_of_dnstap_proto() {
        let way = Way {
            transport: Transport::Doh3,
            from: "192.0.2.1:300".parse().unwrap(),
            to: Some("[2001:db8::1]:443".parse().unwrap()),
        };
        let moments = Moments { asked: Duration::new(300, 1), answered: Duration::new(301, 2) };
        let exchange =
            Exchange { way, moments, query: b"q".as_slice().into(), reply: b"rr".as_slice().into() };
        let common = [
            &[0x10, 1, 0x18, 4, 0x22, 4, 192, 0, 2, 1][..],
            &[0x2a, 16, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0x30, 0xac, 2, 0x38, 0xbb, 3],
            &[0x40, 0xac, 2, 0x4d, 1, 0, 0, 0],
        ]
        .concat();
        let query = [&[8, 1][..], &common, &[0x52, 1, b'q', 0x80, 1, 3]].concat();
        assert_eq!(inner(Side::Query, &exchange).0, query);
        let response = [0x60, 0xad, 2, 0x6d, 2, 0, 0, 0, 0x72, 2, b'r', b'r', 0x80, 1, 3];
        let response = [&[8, 2][..], &common, &response].concat();
        assert_eq!(inner(Side::Response, &exchange).0, response);
        let whole = message("ns1", Side::Query, &exchange).0;
        let version = VERSION.as_bytes();
        let expected = [
            &[0x0a, 3, b'n', b's', b'1', 0x12, version.len() as u8],
            version,
            &[0x72, query.len() as u8],
            &query,
            &[0x78, 1],
        ];
        assert_eq!(whole, expected.concat());
    }
}
