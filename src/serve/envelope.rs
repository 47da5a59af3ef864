//! The envelope of a datagram: who sent it, and which of our addresses it was sent to.
//!
//! The kernel writes both, and takes them back for the reply, as the structures of its interface; here they are read and
//! changed as bytes at the offsets that the C library states.

use std::mem::offset_of;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use libc::{c_int, cmsghdr, in_pktinfo, in6_pktinfo, msghdr, sockaddr_in, sockaddr_in6};

/// Room for the peer's address.
pub(super) const NAME: usize = size_of::<sockaddr_in6>();
/// Room for one control message with an address.
pub(super) const CONTROL: usize = 64;
/// Where the payload of the first control message starts: `CMSG_DATA` of cmsg(3).
const PAYLOAD: usize = size_of::<cmsghdr>().next_multiple_of(size_of::<usize>());

/// The peer and our own address, as the kernel wrote them and wants them back.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Envelope {
    /// First, because a control message starts with a header, which must be aligned; the kernel copies all else byte by
    /// byte.
    pub(super) control: [u8; CONTROL],
    pub(super) name: [u8; NAME],
}

impl Envelope {
    /// Makes the envelope of a query that of its reply; who asks. `None`: the datagram, or the address that it was sent
    /// to, is cut off, or nobody can be answered there.
    pub(super) fn open(&mut self, header: &msghdr) -> Option<IpAddr> {
        if header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
            return None;
        }
        if header.msg_controllen > 0 {
            self.forget_interface();
        }
        self.peer()
    }

    /// Turns the control message that came with a query into that of its reply: from the same address, by
    /// whatever interface routing finds. Only link-local addresses mean nothing without theirs.
    ///
    /// It is the only control message there is: [`super::batch::ask_for_destinations`] asks for no other.
    fn forget_interface(&mut self) {
        let info = &mut self.control[PAYLOAD..];
        match family(&self.name) {
            libc::AF_INET => info[offset_of!(in_pktinfo, ipi_ifindex)..][..4].fill(0),
            libc::AF_INET6 => {
                let ours = Ipv6Addr::from(field::<16>(info, offset_of!(in6_pktinfo, ipi6_addr)));
                if !ours.is_unicast_link_local() {
                    info[offset_of!(in6_pktinfo, ipi6_ifindex)..][..4].fill(0);
                }
            }
            _ => {}
        }
    }

    /// Who sent it, and from which port.
    pub(super) fn sender(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.peer()?, self.port()))
    }

    /// Which of our addresses it was sent to, where the kernel tells it.
    pub(super) fn destination(&self, header: &msghdr) -> Option<IpAddr> {
        if header.msg_controllen == 0 {
            return None;
        }
        let info = &self.control[PAYLOAD..];
        match family(&self.name) {
            libc::AF_INET => Some(field::<4>(info, offset_of!(in_pktinfo, ipi_spec_dst)).into()),
            libc::AF_INET6 => Some(field::<16>(info, offset_of!(in6_pktinfo, ipi6_addr)).into()),
            _ => None,
        }
    }

    fn port(&self) -> u16 {
        const { assert!(offset_of!(sockaddr_in, sin_port) == offset_of!(sockaddr_in6, sin6_port)) };
        u16::from_be_bytes(field(&self.name, offset_of!(sockaddr_in, sin_port)))
    }

    #[inline]
    fn peer(&self) -> Option<IpAddr> {
        let name = &self.name;
        if self.port() == 0 {
            return None;
        }
        match family(name) {
            libc::AF_INET => {
                let ip: [u8; 4] = field(name, offset_of!(sockaddr_in, sin_addr));
                Some(ip.into())
            }
            libc::AF_INET6 => {
                let ip: [u8; 16] = field(name, offset_of!(sockaddr_in6, sin6_addr));
                Some(ip.into())
            }
            _ => None,
        }
    }
}

/// Which kind of socket address `name` is.
fn family(name: &[u8]) -> c_int {
    u16::from_ne_bytes(field(name, offset_of!(sockaddr_in, sin_family))).into()
}

/// The bytes of a field of a C structure.
fn field<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[offset + i])
}
