//! An idle connection to a member. When the process behind it dies, its kernel closes the connection at once, long before
//! the next probe is due.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{Prober, Target};

/// How an idle connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The member's side closed it, or nobody listens there any more.
    Lost,
    /// It could not be had, or the member talks on it without end: this says nothing about the member.
    Unfit,
}

/// What is read at once, and thrown away.
const PIECE: usize = 512;
/// The most that a member may say on a connection on which nothing is asked.
const MOST_SAID: usize = 64 * 1024;

/// After so long the kernel asks whether the other side still knows the connection.
const QUIET: Duration = Duration::from_secs(30);

/// Connects, and waits for the end.
pub async fn hold(prober: &Prober, target: &Target) -> Held {
    let connected = Box::pin(timeout(prober.timeout(), connect(target.addr))); // needed but for a moment
    match connected.await {
        Ok(Ok(stream)) => wait(&stream).await,
        Ok(Err(e)) if is_lost(&e) => Held::Lost,
        Ok(Err(_)) | Err(_) => Held::Unfit,
    }
}

/// Keepalives find out about hosts that were gone for a moment and forgot the connection, and keep firewalls from doing so.
async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let keepalive = TcpKeepalive::new().with_time(QUIET).with_interval(QUIET / 3).with_retries(3);
    SockRef::from(&socket).set_tcp_keepalive(&keepalive)?;
    socket.connect(addr).await
}

fn is_lost(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}

async fn wait(stream: &TcpStream) -> Held {
    let mut said = 0;
    while said <= MOST_SAID {
        if stream.readable().await.is_err() {
            return Held::Unfit;
        }
        match throw_away(stream) {
            Ok(0) => return Held::Lost,
            Ok(length) => said += length,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_reset) => return Held::Lost,
        }
    }
    Held::Unfit
}

/// Reads a piece into a buffer that nobody has to keep while nothing is said.
fn throw_away(stream: &TcpStream) -> io::Result<usize> {
    stream.try_read(&mut [0; PIECE])
}
