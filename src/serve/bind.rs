//! Binds the listening sockets, or says in one sentence why not.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;

use socket2::{Domain, Protocol, Socket, Type};

/// Room for a burst: a stall of some milliseconds at a few hundred thousand queries a second.
const RECEIVE_BUFFER: usize = 4 << 20;
const BACKLOG: i32 = 1024;
/// How often a free UDP port is looked for whose TCP twin is free as well.
const TRIES: usize = 32;

/// Bound sockets that nobody reads yet.
#[derive(Debug)]
pub struct Sockets {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: Vec<TcpListener>,
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
        _ => e.to_string(),
    }
}

/// Binds each address for UDP (`workers` sockets that share its port) and TCP. Port 0 takes any port that is free
/// for both.
///
/// # Errors
/// The first address that cannot be had.
pub fn bind(listen: &[SocketAddr], workers: NonZeroUsize) -> Result<Sockets, BindError> {
    let mut sockets = Sockets { udp: Vec::new(), tcp: Vec::new() };
    for &addr in listen {
        let mut bound = bind_one(addr, workers);
        for _ in 1..TRIES {
            match &bound {
                Err(e) if addr.port() == 0 && e.source.kind() == io::ErrorKind::AddrInUse => {
                    bound = bind_one(addr, workers);
                }
                _ => break,
            }
        }
        let (udp, tcp) = bound?;
        sockets.udp.extend(udp);
        sockets.tcp.push(tcp);
    }
    Ok(sockets)
}

impl Sockets {
    /// The addresses, in the order they were asked for, with the ports they got.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }
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

/// The first socket is bound without `SO_REUSEPORT`, so that a second server on the same port is an error and not
/// a silent share; the option is set once the port is ours, which lets the other workers' sockets join.
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
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
