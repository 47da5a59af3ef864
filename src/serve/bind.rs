//! Binds the listening sockets, or says in one sentence why not.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Tls;

/// Room for a burst: a stall of some milliseconds at a few hundred thousand queries a second.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Room for queries and replies on a TCP connection. The kernel's own limits are some MiB each, so that a thousand clients
/// that ask and never read would hold all the memory that it has for TCP.
const STREAM_BUFFER: usize = 64 << 10;
const BACKLOG: i32 = 1024;
/// How often a free UDP port is looked for whose TCP twin is free as well.
const TRIES: usize = 32;

/// Bound sockets that nobody reads yet.
#[derive(Debug, Default)]
pub struct Sockets {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: Vec<TcpListener>,
    pub(super) dot: Vec<TcpListener>,
    /// TCP for HTTP/2, UDP for HTTP/3, on one port.
    pub(super) doh: Vec<(TcpListener, UdpSocket)>,
    pub(super) doq: Vec<UdpSocket>,
}

/// The addresses of one way to ask each, in the order they were asked for, with the ports they got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Plain DNS, over UDP and TCP.
    pub plain: Vec<SocketAddr>,
    /// DNS over TLS.
    pub dot: Vec<SocketAddr>,
    /// DNS over HTTPS, with HTTP/2 and HTTP/3.
    pub doh: Vec<SocketAddr>,
    /// DNS over QUIC.
    pub doq: Vec<SocketAddr>,
}

/// Why a socket could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} ({protocol}): {}", reason(*addr, source))]
pub struct BindError {
    /// The address.
    pub addr: SocketAddr,
    /// UDP or TCP.
    pub protocol: &'static str,
    /// What the system says.
    pub source: io::Error,
}

fn reason(addr: SocketAddr, e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::AddrInUse => "another program listens there".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied if addr.port() < 1024 => {
            "ports below 1024 need root, or the capability CAP_NET_BIND_SERVICE".to_owned()
        }
        _ if e.raw_os_error() == Some(libc::EAFNOSUPPORT) => "this machine has no IPv6".to_owned(),
        _ => e.to_string(),
    }
}

/// Binds each address of `listen` for UDP (`workers` sockets that share its port) and TCP, and those of `tls` for what
/// carries them. Port 0 takes any port that is free for both.
///
/// # Errors
/// The first address that cannot be had.
pub fn bind(listen: &[SocketAddr], tls: Option<&Tls>, workers: NonZeroUsize) -> Result<Sockets, BindError> {
    let mut sockets = Sockets::default();
    for &addr in listen {
        let (udp, tcp) = bind_both(addr, workers)?;
        sockets.udp.extend(udp);
        sockets.tcp.push(tcp);
    }
    let Some(tls) = tls else { return Ok(sockets) };
    for &addr in &tls.dot {
        let failed = |source| BindError { addr, protocol: "TCP", source };
        sockets.dot.push(listener(addr).map_err(failed)?);
    }
    for &addr in &tls.doh {
        let (udp, tcp) = bind_both(addr, NonZeroUsize::MIN)?;
        sockets.doh.extend(udp.into_iter().zip([tcp]).map(|(udp, tcp)| (tcp, udp)));
    }
    for &addr in &tls.doq {
        let failed = |source| BindError { addr, protocol: "UDP", source };
        sockets.doq.push(first_udp(addr).map_err(failed)?);
    }
    Ok(sockets)
}

impl Sockets {
    /// Where they are bound.
    pub fn local_addrs(&self) -> Addresses {
        let tcp = |listener: &TcpListener| listener.local_addr().ok();
        Addresses {
            plain: self.tcp.iter().filter_map(tcp).collect(),
            dot: self.dot.iter().filter_map(tcp).collect(),
            doh: self.doh.iter().filter_map(|(listener, _)| tcp(listener)).collect(),
            doq: self.doq.iter().filter_map(|socket| socket.local_addr().ok()).collect(),
        }
    }
}

/// Binds an address for UDP and TCP; port 0 is tried until one is free for both.
fn bind_both(addr: SocketAddr, workers: NonZeroUsize) -> Result<(Vec<UdpSocket>, TcpListener), BindError> {
    let mut bound = bind_one(addr, workers);
    for _ in 1..TRIES {
        match &bound {
            Err(e) if addr.port() == 0 && e.source.kind() == io::ErrorKind::AddrInUse => {
                bound = bind_one(addr, workers);
            }
            _ => break,
        }
    }
    bound
}

fn bind_one(addr: SocketAddr, workers: NonZeroUsize) -> Result<(Vec<UdpSocket>, TcpListener), BindError> {
    let failed = |protocol| move |source| BindError { addr, protocol, source };
    let first = first_udp(addr).map_err(failed("UDP"))?;
    let addr = first.local_addr().map_err(failed("UDP"))?;
    let mut udp = vec![first];
    for _ in 1..workers.get() {
        udp.push(next_udp(addr).map_err(failed("UDP"))?);
    }
    let tcp = listener(addr).map_err(failed("TCP"))?;
    Ok((udp, tcp))
}

/// The first socket is bound without `SO_REUSEPORT`, so that a second server on the port is an error and not a
/// silent share. There is no gap: a socket without the option never joins a port that is bound, shared or not, and
/// this very socket is kept, not bound to look and bound again. Of two servers that start at once, the one whose first
/// socket comes second fails, at whatever stage the other is.
///
/// Once the port is ours, the option lets the other workers' sockets join. From then on another program of the same
/// user could join as well if it asked for that; it would still find the port taken for TCP.
fn first_udp(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = udp(addr)?;
    socket.bind(&addr.into())?;
    socket.set_reuse_port(true)?;
    Ok(socket.into())
}

fn next_udp(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = udp(addr)?;
    socket.set_reuse_port(true)?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

fn udp(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER); // as much as net.core.rmem_max allows
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    super::batch::ignore_path_mtu(&socket, addr.is_ipv6())?;
    if addr.ip().is_unspecified() {
        super::batch::ask_for_destinations(&socket, addr.is_ipv6())?;
    }
    Ok(socket)
}

fn listener(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections have what their listener had before it listened.
    socket.set_send_buffer_size(STREAM_BUFFER)?;
    socket.set_recv_buffer_size(STREAM_BUFFER)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "127.5.3.1:0"; // where no other test is

    fn try_bind(addr: SocketAddr) -> Result<Sockets, BindError> {
        bind(&[addr], None, NonZeroUsize::new(3).unwrap())
    }

    #[test]
    fn port_0_is_one_port_for_all_sockets_of_an_address() {
        let sockets = try_bind(LOOPBACK.parse().unwrap()).unwrap();
        let ports: Vec<u16> = sockets.udp.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        assert_eq!(ports, [sockets.local_addrs().plain[0].port(); 3]);
        assert_ne!(ports[0], 0);
    }

    #[test]
    fn a_port_that_others_would_share_is_still_theirs() {
        let theirs = next_udp(LOOPBACK.parse().unwrap()).unwrap();
        let addr = theirs.local_addr().unwrap();
        let everywhere = SocketAddr::new([0, 0, 0, 0].into(), addr.port());
        for addr in [addr, everywhere] {
            let refused = try_bind(addr).unwrap_err();
            assert_eq!((refused.protocol, refused.source.kind()), ("UDP", io::ErrorKind::AddrInUse));
        }
    }

    #[test]
    fn a_port_that_is_taken_for_tcp_only_is_taken() {
        let theirs = TcpListener::bind(LOOPBACK).unwrap();
        let refused = try_bind(theirs.local_addr().unwrap()).unwrap_err();
        assert_eq!((refused.protocol, refused.source.kind()), ("TCP", io::ErrorKind::AddrInUse));
    }

    #[test]
    fn a_connection_holds_little_of_the_kernels_memory() {
        let sockets = try_bind(LOOPBACK.parse().unwrap()).unwrap();
        let _client = std::net::TcpStream::connect(sockets.local_addrs().plain[0]).unwrap();
        let listener = &sockets.tcp[0];
        listener.set_nonblocking(false).unwrap();
        let (connection, _) = listener.accept().unwrap();
        let connection = socket2::SockRef::from(&connection);
        let most = 2 * STREAM_BUFFER; // socket(7): the kernel doubles it
        assert!(connection.send_buffer_size().unwrap() <= most);
        assert!(connection.recv_buffer_size().unwrap() <= most);
    }

    #[test]
    fn each_refusal_is_a_sentence() {
        for (addr, code, sentence) in [
            ("192.0.2.1:53", libc::EADDRINUSE, "another program listens there"),
            ("192.0.2.1:53", libc::EADDRNOTAVAIL, "this machine has no such address"),
            (
                "192.0.2.1:53",
                libc::EACCES,
                "ports below 1024 need root, or the capability CAP_NET_BIND_SERVICE",
            ),
            ("[2001:db8::1]:53", libc::EAFNOSUPPORT, "this machine has no IPv6"),
        ] {
            let source = io::Error::from_raw_os_error(code);
            let error = BindError { addr: addr.parse().unwrap(), protocol: "UDP", source };
            assert_eq!(error.to_string(), format!("cannot listen on {addr} (UDP): {sentence}"));
        }
    }
}
