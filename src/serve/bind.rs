//! Binds the listening sockets, or says in one sentence why not.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;

use socket2::{Domain, SockRef, Socket, Type};
use tracing::warn;

use super::inherit::Inherited;
use super::place::{Door, Place, Protocol, Sockets};

/// Room for a burst: a stall of some milliseconds at a few hundred thousand queries a second.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Room for queries and replies on a TCP connection. The kernel's own limits are some MiB each, so that a thousand clients
/// that ask and never read would hold all the memory that it has for TCP.
const STREAM_BUFFER: usize = 64 << 10;
const BACKLOG: i32 = 1024;
/// How often a free UDP port is looked for whose TCP twin is free as well.
const TRIES: usize = 32;

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

/// Binds each of `places`, as far as its sockets are not among the `inherited`: UDP `workers` times, where it is plain DNS.
/// Port 0 takes any port that is free for both UDP and TCP.
///
/// # Errors
/// The first address that cannot be had. What was inherited for the others is closed then.
pub fn bind(
    places: &[Place],
    workers: NonZeroUsize,
    inherited: &mut Inherited,
) -> Result<Sockets, BindError> {
    places
        .iter()
        .map(|&place| bind_door(inherited.take(place), workers))
        .collect::<Result<_, _>>()
        .map(Sockets)
}

/// Binds what a door still lacks.
fn bind_door(mut door: Door, workers: NonZeroUsize) -> Result<Door, BindError> {
    let protocol = door.place.protocol;
    let count = if protocol == Protocol::Plain { workers } else { NonZeroUsize::MIN };
    let addr = door.addr().unwrap_or(door.place.addr);
    match (protocol.has_udp() && door.udp.is_empty(), protocol.has_tcp() && door.tcp.is_none()) {
        (true, true) => {
            let (udp, tcp) = bind_both(addr, count)?;
            (door.udp, door.tcp) = (udp, Some(tcp));
        }
        (true, false) => door.udp = bind_udp(addr, count)?,
        (false, is_missing) => {
            equip(&mut door, count).map_err(|source| BindError { addr, protocol: "UDP", source })?;
            if is_missing {
                door.tcp =
                    Some(listener(addr).map_err(|source| BindError { addr, protocol: "TCP", source })?);
            }
        }
    }
    if let Some(tcp) = &door.tcp {
        tcp.set_nonblocking(true).map_err(|source| BindError { addr, protocol: "TCP", source })?;
    }
    Ok(door)
}

/// Makes inherited sockets what ours are, and as many. There may be more: what waits in one of them would be lost if it were
/// closed. There may be fewer, where this process may not add one.
fn equip(door: &mut Door, count: NonZeroUsize) -> io::Result<()> {
    for socket in &door.udp {
        prepare(&SockRef::from(socket), socket.local_addr()?)?;
    }
    let Some(first) = door.udp.first() else { return Ok(()) };
    let addr = first.local_addr()?;
    SockRef::from(first).set_reuse_port(true)?;
    while door.udp.len() < count.get() {
        match next_udp(addr) {
            Ok(socket) => door.udp.push(socket),
            Err(e) => {
                warn!(%addr, %e, sockets = door.udp.len(), "no more UDP workers here: their sockets cannot be bound");
                break;
            }
        }
    }
    Ok(())
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
    let udp = bind_udp(addr, workers)?;
    let bound = udp.first().map_or(Ok(addr), UdpSocket::local_addr).map_err(failed("UDP"))?;
    let tcp = listener(bound).map_err(failed("TCP"))?;
    Ok((udp, tcp))
}

fn bind_udp(addr: SocketAddr, workers: NonZeroUsize) -> Result<Vec<UdpSocket>, BindError> {
    let bind_all = || {
        let mut udp = vec![first_udp(addr)?];
        let addr = udp[0].local_addr()?;
        for _ in 1..workers.get() {
            udp.push(next_udp(addr)?);
        }
        Ok(udp)
    };
    bind_all().map_err(|source| BindError { addr, protocol: "UDP", source })
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
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    prepare(&socket, addr)?;
    Ok(socket)
}

/// Sets what can be set before and after a socket is bound.
fn prepare(socket: &Socket, addr: SocketAddr) -> io::Result<()> {
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER); // as much as net.core.rmem_max allows
    super::batch::ignore_path_mtu(socket, addr.is_ipv6())?;
    if addr.ip().is_unspecified() {
        super::batch::ask_for_destinations(socket, addr.is_ipv6())?;
    }
    Ok(())
}

fn listener(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections have what their listener had before it listened.
    socket.set_send_buffer_size(STREAM_BUFFER)?;
    socket.set_recv_buffer_size(STREAM_BUFFER)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "127.5.3.1:0"; // where no other test is

    fn try_bind(addr: SocketAddr) -> Result<Sockets, BindError> {
        let place = Place { protocol: Protocol::Plain, addr };
        bind(&[place], NonZeroUsize::new(3).unwrap(), &mut Inherited::nothing())
    }

    #[test]
    fn port_0_is_one_port_for_all_sockets_of_an_address() {
        let sockets = try_bind(LOOPBACK.parse().unwrap()).unwrap();
        let ports: Vec<u16> =
            sockets.0[0].udp.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
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
    fn what_was_inherited_is_completed_and_never_closed() {
        let bound = || try_bind(LOOPBACK.parse().unwrap()).unwrap();
        let place = bound().0[0].place;
        let rebind = |sockets: Sockets, workers| {
            let inherited = &mut Inherited::from(sockets);
            bind(&[place], NonZeroUsize::new(workers).unwrap(), inherited).unwrap()
        };
        for (workers, sockets) in [(5, 5), (3, 3), (1, 3)] {
            let before = bound();
            let addrs = before.local_addrs();
            let after = rebind(before, workers);
            assert_eq!((after.0[0].udp.len(), after.local_addrs()), (sockets, addrs));
            let (own, _surplus) = after.for_workers(NonZeroUsize::new(workers).unwrap());
            assert_eq!(own.0[0].udp.len(), workers);
        }
    }

    #[test]
    fn a_connection_holds_little_of_the_kernels_memory() {
        let sockets = try_bind(LOOPBACK.parse().unwrap()).unwrap();
        let _client = std::net::TcpStream::connect(sockets.local_addrs().plain[0]).unwrap();
        let listener = sockets.0[0].tcp.as_ref().unwrap();
        listener.set_nonblocking(false).unwrap();
        let (connection, _) = listener.accept().unwrap();
        let connection = SockRef::from(&connection);
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
