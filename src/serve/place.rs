//! Where clients are served, and the sockets of it: each place of the config is a door, which opens and closes by itself.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use serde::{Deserialize, Serialize};

use crate::config::Tls;

/// What is spoken at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Plain DNS, over UDP and TCP.
    Plain,
    /// DNS over TLS.
    Dot,
    /// DNS over HTTPS: TCP for HTTP/2, UDP for HTTP/3, on one port.
    Doh,
    /// DNS over QUIC.
    Doq,
}

/// A protocol, and the address for it as the config has it: port 0 is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The protocol.
    pub protocol: Protocol,
    /// The address.
    pub addr: SocketAddr,
}

/// The sockets of a place.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) place: Place,
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: Option<TcpListener>,
}

/// Bound sockets that nobody reads yet.
#[derive(Debug, Default)]
pub struct Sockets(pub(super) Vec<Door>);

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

impl Protocol {
    /// The word for it, as the config has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "listen",
            Self::Dot => "dot",
            Self::Doh => "doh",
            Self::Doq => "doq",
        }
    }

    pub(super) const fn has_udp(self) -> bool {
        matches!(self, Self::Plain | Self::Doh | Self::Doq)
    }

    pub(super) const fn has_tcp(self) -> bool {
        matches!(self, Self::Plain | Self::Dot | Self::Doh)
    }

    /// Whether QUIC is spoken on its UDP socket, which is then set up for that and for nothing else.
    pub(super) const fn has_quic(self) -> bool {
        matches!(self, Self::Doh | Self::Doq)
    }
}

/// Every place of a config, in its order.
pub fn places(listen: &[SocketAddr], tls: Option<&Tls>) -> Vec<Place> {
    let of = |protocol| move |&addr: &SocketAddr| Place { protocol, addr };
    let encrypted = tls.into_iter().flat_map(|tls| {
        let dot = tls.dot.iter().map(of(Protocol::Dot));
        dot.chain(tls.doh.iter().map(of(Protocol::Doh))).chain(tls.doq.iter().map(of(Protocol::Doq)))
    });
    listen.iter().map(of(Protocol::Plain)).chain(encrypted).collect()
}

impl Door {
    /// Where it is bound.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        let tcp = self.tcp.as_ref().and_then(|tcp| tcp.local_addr().ok());
        tcp.or_else(|| self.udp.first()?.local_addr().ok())
    }

    /// The same sockets once more.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        let udp = self.udp.iter().map(UdpSocket::try_clone).collect::<io::Result<_>>()?;
        let tcp = self.tcp.as_ref().map(TcpListener::try_clone).transpose()?;
        Ok(Self { place: self.place, udp, tcp })
    }

    /// Whether these are copies of the same sockets.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.place, self.addr(), self.udp.len()) == (other.place, other.addr(), other.udp.len())
    }
}

impl Sockets {
    /// Where they are bound.
    pub fn local_addrs(&self) -> Addresses {
        Addresses::of(self.0.iter())
    }
}

impl Addresses {
    pub(super) fn of<'d>(doors: impl Iterator<Item = &'d Door>) -> Self {
        let doors: Vec<&Door> = doors.collect();
        let of = |protocol| {
            let doors = doors.iter().filter(|door| door.place.protocol == protocol);
            doors.filter_map(|door| door.addr()).collect()
        };
        Self {
            plain: of(Protocol::Plain),
            dot: of(Protocol::Dot),
            doh: of(Protocol::Doh),
            doq: of(Protocol::Doq),
        }
    }
}
