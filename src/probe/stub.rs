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
/// See [`exchange`].
pub async fn addresses(server: SocketAddr, name: &str) -> io::Result<Vec<IpAddr>> {
    let reply = exchange(server, name, RecordType::A, false).await?;
    Ok(reply.answers.iter().filter_map(|record| record.data.ip_addr()).collect())
}

/// What `server` replies; `recurse`: after it has asked others.
///
/// # Errors
/// No reply in time, or one that is no DNS message, or to no such question.
pub async fn exchange(
    server: SocketAddr,
    name: &str,
    record_type: RecordType,
    recurse: bool,
) -> io::Result<Message> {
    let socket = UdpSocket::bind((if server.is_ipv4() { "0.0.0.0" } else { "::" }, 0)).await?;
    socket.connect(server).await?;
    let mut query = Message::new(fastrand::u16(..), MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = recurse;
    let mut name = Name::from_ascii(name).map_err(io::Error::other)?;
    name.set_fqdn(true);
    query.add_query(Query::query(name, record_type));
    socket.send(&query.to_vec().map_err(io::Error::other)?).await?;
    let mut reply = [0; 4096];
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no reply");
    let len = timeout(PATIENCE, socket.recv(&mut reply)).await.map_err(late)??;
    let reply = Message::from_vec(&reply[..len]).map_err(io::Error::other)?;
    if (reply.metadata.id, &reply.queries) != (query.metadata.id, &query.queries) {
        return Err(io::Error::other("a reply to another question"));
    }
    Ok(reply)
}
