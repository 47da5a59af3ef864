//! Asks a DNS server as a stub resolver would: one question over UDP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::net::UdpSocket;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(2);

/// The IPv4 addresses that `server` answers for `name`, in the order it gave them.
///
/// # Errors
/// No reply in time, or one that is no DNS message.
pub async fn addresses(server: SocketAddr, name: &str) -> io::Result<Vec<IpAddr>> {
    let socket = UdpSocket::bind((if server.is_ipv4() { "0.0.0.0" } else { "::" }, 0)).await?;
    socket.connect(server).await?;
    let mut query = Message::new(fastrand::u16(..), MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_ascii(name).map_err(io::Error::other)?, RecordType::A));
    socket.send(&query.to_vec().map_err(io::Error::other)?).await?;
    let mut reply = [0; 1232];
    let len = timeout(PATIENCE, socket.recv(&mut reply)).await??;
    let reply = Message::from_vec(&reply[..len]).map_err(io::Error::other)?;
    Ok(reply.answers.iter().filter_map(|record| record.data.ip_addr()).collect())
}
