//! Sockets that somebody else has bound: this process for the config before, the process before this one, or systemd.
//!
//! They are told apart by what they are bound to, and, where one of ours has bound them, by the place that they were bound
//! for: a port that the kernel chose stays the port of its place.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::place::{Door, Place, Sockets};

/// Bound sockets, of which some may be of use.
#[derive(Debug, Default)]
pub struct Inherited {
    dns: Vec<Heirloom>,
    /// For administrators, by the paths that they were bound to, or for.
    control: Vec<(PathBuf, Maker, UnixListener)>,
    /// For the dashboard, by the addresses that they were bound for.
    http: Vec<(SocketAddr, TcpListener)>,
}

#[derive(Debug)]
struct Heirloom {
    /// What it was bound for; `None`: nobody knows.
    place: Option<Place>,
    bound: SocketAddr,
    socket: Bound,
}

/// Who has made the file of a control socket, and removes it in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maker {
    /// This process, or one that it has the socket from.
    #[default]
    Onstage,
    /// systemd, which goes on listening there.
    Systemd,
}

/// One of them.
#[derive(Debug)]
pub enum Bound {
    /// For datagrams.
    Udp(UdpSocket),
    /// For connections.
    Tcp(TcpListener),
}

impl Inherited {
    /// Nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// One more. `place`: what it was bound for, where that is known.
    ///
    /// # Errors
    /// It is not bound to an address.
    pub fn add(&mut self, place: Option<Place>, socket: Bound) -> io::Result<()> {
        let bound = match &socket {
            Bound::Udp(udp) => udp.local_addr()?,
            Bound::Tcp(tcp) => tcp.local_addr()?,
        };
        self.dns.push(Heirloom { place, bound, socket });
        Ok(())
    }

    /// One more control socket.
    pub fn add_control(&mut self, path: PathBuf, maker: Maker, listener: UnixListener) {
        self.control.push((path, maker, listener));
    }

    /// One more socket of a dashboard.
    pub fn add_http(&mut self, addr: SocketAddr, listener: TcpListener) {
        self.http.push((addr, listener));
    }

    /// The control socket with this path.
    pub fn take_control(&mut self, path: &Path) -> Option<(Maker, UnixListener)> {
        let own = self.control.iter().position(|(own, ..)| own == path)?;
        let (_, maker, listener) = self.control.remove(own);
        Some((maker, listener))
    }

    /// Whether there is a control socket that was not taken.
    pub const fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// The socket of a dashboard that is to be at this address.
    pub fn take_http(&mut self, addr: SocketAddr) -> Option<TcpListener> {
        if let Some(own) = self.http.iter().position(|(own, _)| *own == addr) {
            return Some(self.http.remove(own).1);
        }
        let is_free = |heirloom: &Heirloom| heirloom.place.is_none() && heirloom.bound == addr;
        let other =
            self.dns.iter().position(|other| is_free(other) && matches!(other.socket, Bound::Tcp(_)))?;
        match self.dns.remove(other).socket {
            Bound::Tcp(listener) => Some(listener),
            Bound::Udp(_) => None,
        }
    }

    /// What is left, for people: `udp 192.0.2.1:53`.
    pub fn left(&self) -> Vec<String> {
        let dns = self.dns.iter().map(|heirloom| format!("{} {}", heirloom.protocol(), heirloom.bound));
        let control = self.control.iter().map(|(path, ..)| format!("unix {}", path.display()));
        dns.chain(control).chain(self.http.iter().map(|(addr, _)| format!("tcp {addr}"))).collect()
    }

    /// The sockets for `place`, as far as there are any.
    pub(super) fn take(&mut self, place: Place) -> Door {
        let own = self.dns.iter().find(|heirloom| heirloom.place == Some(place));
        let other = || self.dns.iter().find(|heirloom| heirloom.is_for(place));
        let mut door = Door { place, udp: Vec::new(), tcp: None };
        let Some(bound) = own.or_else(other).map(|heirloom| heirloom.bound) else { return door };
        for i in (0..self.dns.len()).rev() {
            let heirloom = &self.dns[i];
            let fits = heirloom.place == Some(place) || heirloom.is_for(place);
            let is_wanted = match heirloom.socket {
                Bound::Udp(_) => {
                    place.protocol.has_udp() && (door.udp.is_empty() || !place.protocol.has_quic())
                }
                Bound::Tcp(_) => place.protocol.has_tcp() && door.tcp.is_none(),
            };
            if heirloom.bound == bound && fits && is_wanted {
                match self.dns.remove(i).socket {
                    Bound::Udp(udp) => door.udp.push(udp),
                    Bound::Tcp(tcp) => door.tcp = Some(tcp),
                }
            }
        }
        door.udp.reverse();
        door
    }
}

impl Heirloom {
    /// Whether it can be used for a place that it was not bound for.
    fn is_for(&self, place: Place) -> bool {
        let is_set_up_alike = match (&self.socket, self.place) {
            (Bound::Tcp(_), _) => place.protocol.has_tcp(),
            (Bound::Udp(_), None) => place.protocol.has_udp(),
            (Bound::Udp(_), Some(before)) => {
                place.protocol.has_udp() && before.protocol.has_quic() == place.protocol.has_quic()
            }
        };
        self.bound == place.addr && is_set_up_alike
    }

    const fn protocol(&self) -> &'static str {
        match self.socket {
            Bound::Udp(_) => "udp",
            Bound::Tcp(_) => "tcp",
        }
    }
}

impl From<Sockets> for Inherited {
    fn from(sockets: Sockets) -> Self {
        let mut inherited = Self::default();
        for (place, socket) in sockets.apart() {
            let _ = inherited.add(Some(place), socket); // one that lost its address is of no use
        }
        inherited
    }
}

impl Sockets {
    /// Each socket, with the place that it is bound for.
    pub fn apart(self) -> Vec<(Place, Bound)> {
        let each = |Door { place, udp, tcp }| {
            let udp = udp.into_iter().map(Bound::Udp);
            udp.chain(tcp.map(Bound::Tcp)).map(move |socket| (place, socket))
        };
        self.0.into_iter().flat_map(each).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::place::Protocol;

    const ANY: &str = "127.5.3.2:0"; // where no other test is

    fn place(protocol: Protocol, addr: SocketAddr) -> Place {
        Place { protocol, addr }
    }

    fn udp() -> (Bound, SocketAddr) {
        let socket = UdpSocket::bind(ANY).unwrap();
        let addr = socket.local_addr().unwrap();
        (Bound::Udp(socket), addr)
    }

    #[test]
    fn a_port_that_the_kernel_chose_stays_with_its_place() {
        let any = place(Protocol::Plain, ANY.parse().unwrap());
        let mut inherited = Inherited::nothing();
        let addrs = [(); 2].map(|()| {
            let (socket, addr) = udp();
            inherited.add(Some(any), socket).unwrap();
            addr
        });
        for addr in addrs {
            let door = inherited.take(any);
            assert_eq!(
                (door.udp.len(), door.addr()),
                (1, Some(addr)),
                "two places that are spelled alike are two"
            );
        }
        assert!(inherited.take(any).udp.is_empty());
    }

    #[test]
    fn what_nobody_knows_is_taken_by_its_address_and_what_it_carries() {
        let (socket, addr) = udp();
        let tcp = TcpListener::bind(addr).unwrap();
        let mut inherited = Inherited::nothing();
        inherited.add(None, socket).unwrap();
        inherited.add(None, Bound::Tcp(tcp)).unwrap();
        let dot = inherited.take(place(Protocol::Dot, addr));
        assert_eq!((dot.udp.len(), dot.tcp.is_some()), (0, true));
        assert!(
            inherited.take(place(Protocol::Plain, ANY.parse().unwrap())).udp.is_empty(),
            "port 0 is none of ours"
        );
        assert_eq!(inherited.left(), [format!("udp {addr}")]);
        assert_eq!(inherited.take(place(Protocol::Doq, addr)).udp.len(), 1);
        assert!(inherited.left().is_empty());
    }

    #[test]
    fn a_socket_of_quic_is_never_one_of_plain_dns() {
        let (socket, addr) = udp();
        let mut inherited = Inherited::nothing();
        inherited.add(Some(place(Protocol::Doq, addr)), socket).unwrap();
        assert!(inherited.take(place(Protocol::Plain, addr)).udp.is_empty());
        assert_eq!(inherited.take(place(Protocol::Doh, addr)).udp.len(), 1);
    }
}
