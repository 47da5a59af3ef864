//! Many datagrams with one system call: recvmmsg(2) and sendmmsg(2).
//!
//! A reply costs the kernel about 3 µs, and a third more if each one is a system call of its own. The wrappers in
//! well-kept crates either allocate for each call or cannot set a source address for each datagram, which a
//! server on a wildcard address must (RFC 1035 says nothing, but resolvers drop replies from another address).
//!
//! All memory is allocated once. The headers point into boxed slices that are never moved or resized, and that
//! live as long as the headers.
#![allow(unsafe_code, reason = "the one module that talks to the kernel in its own structures")]

use std::io;
use std::mem::{self};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{c_int, c_void, in_pktinfo, in6_pktinfo, iovec, mmsghdr, sockaddr_storage};
use socket2::Socket;

/// Datagrams at once. More gains nothing, fewer than 16 costs (measured on loopback).
pub(super) const BATCH: usize = 64;
/// The longest query that is read, and the longest reply that is sent.
const DATAGRAM: usize = 4096;
/// Room for one control message with an address.
const CONTROL: usize = 64;

/// A control message's buffer, aligned as its header must be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// Queries that came together, and the replies that will leave together.
pub(super) struct Batch {
    queries: Box<[[u8; DATAGRAM]]>,
    replies: Box<[[u8; DATAGRAM]]>,
    peers: Box<[sockaddr_storage]>,
    controls: Box<[Control]>,
    /// Point to `queries` and `replies`, in this order.
    vectors: Box<[[iovec; 2]]>,
    incoming: Box<[mmsghdr]>,
    outgoing: Box<[mmsghdr]>,
    /// How many of `outgoing` are filled.
    filled: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        let empty = iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        // SAFETY: both are plain structures of numbers and pointers, for which all zeroes is a value.
        let (peer, header): (sockaddr_storage, mmsghdr) = unsafe { (mem::zeroed(), mem::zeroed()) };
        let mut batch = Self {
            queries: vec![[0; DATAGRAM]; BATCH].into(),
            replies: vec![[0; DATAGRAM]; BATCH].into(),
            peers: vec![peer; BATCH].into(),
            controls: vec![Control([0; CONTROL]); BATCH].into(),
            vectors: vec![[empty; 2]; BATCH].into(),
            incoming: vec![header; BATCH].into(),
            outgoing: vec![header; BATCH].into(),
            filled: 0,
        };
        for i in 0..BATCH {
            batch.vectors[i] = [
                iovec { iov_base: batch.queries[i].as_mut_ptr().cast(), iov_len: DATAGRAM },
                iovec { iov_base: batch.replies[i].as_mut_ptr().cast(), iov_len: 0 },
            ];
            let header = &mut batch.incoming[i].msg_hdr;
            header.msg_name = ptr::from_mut(&mut batch.peers[i]).cast();
            header.msg_iov = ptr::from_mut(&mut batch.vectors[i][0]);
            header.msg_iovlen = 1;
            header.msg_control = batch.controls[i].0.as_mut_ptr().cast();
        }
        batch
    }

    /// Waits for one datagram at least, for as long as the socket's timeout says, and takes all that are there.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for message in &mut self.incoming {
            message.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as u32;
            message.msg_hdr.msg_controllen = CONTROL as _;
        }
        self.filled = 0;
        // SAFETY: the headers are `BATCH` many and point to buffers of the lengths they state, which this
        // structure owns and lends to nobody during the call. The timeout pointer may be null.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.incoming.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_WAITFORONE,
                ptr::null_mut(),
            )
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// A received datagram and its sender. `None`: cut off, or from an address that cannot be answered.
    pub(super) fn query(&self, i: usize) -> Option<(&[u8], SocketAddr)> {
        let message = &self.incoming[i];
        if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let peer = address(&self.peers[i]).filter(|peer| peer.port() != 0)?;
        Some((&self.queries[i][..message.msg_len as usize], peer))
    }

    /// Adds a reply to query `i`, to leave from the address that was asked. One that is too long is left out.
    pub(super) fn reply(&mut self, i: usize, reply: &[u8]) {
        let Some(buffer) = self.replies[i].get_mut(..reply.len()) else { return };
        buffer.copy_from_slice(reply);
        self.vectors[i][1].iov_len = reply.len();
        let incoming = self.incoming[i].msg_hdr;
        let header = &mut self.outgoing[self.filled].msg_hdr;
        *header = incoming;
        header.msg_iov = ptr::from_mut(&mut self.vectors[i][1]);
        header.msg_flags = 0;
        if incoming.msg_controllen > 0 {
            // SAFETY: the kernel has just written this header's control message.
            unsafe { forget_interface(&mut *header) };
        }
        self.filled += 1;
    }

    /// Sends all replies; how many could not be sent.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> usize {
        let (mut sent, mut lost) = (0, 0);
        while sent < self.filled {
            let rest = &mut self.outgoing[sent..self.filled];
            // SAFETY: the headers are as many as stated and point to buffers that this structure owns.
            let count =
                unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0) };
            match usize::try_from(count) {
                Ok(count) if count > 0 => sent += count,
                // The first of the rest cannot be sent, whatever the reason: it is lost, the others are not.
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => (sent, lost) = (sent + 1, lost + 1),
            }
        }
        lost
    }
}

/// Asks the kernel to tell which address each datagram was sent to.
pub(super) fn ask_for_destinations(socket: &Socket, is_ipv6: bool) -> io::Result<()> {
    let (level, option) = if is_ipv6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    } else {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    };
    let on: c_int = 1;
    // SAFETY: the value is an int and its size is told.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(&on).cast::<c_void>(),
            size_of::<c_int>() as u32,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Turns the control message that came with a query into that of the reply: from the same address, by whatever
/// interface routing finds (link-local addresses excepted, which mean nothing without theirs).
///
/// # Safety
/// The header's control buffer holds what the kernel wrote, and is as long as the header says.
unsafe fn forget_interface(header: &mut libc::msghdr) {
    // SAFETY: the macros of cmsg(3) stay within `msg_controllen`, which the kernel set. Payloads are read and
    // written unaligned, since nothing promises their alignment.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while !control.is_null() {
            let data = libc::CMSG_DATA(control);
            match ((*control).cmsg_level, (*control).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let mut info: in_pktinfo = ptr::read_unaligned(data.cast());
                    info.ipi_ifindex = 0;
                    ptr::write_unaligned(data.cast(), info);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let mut info: in6_pktinfo = ptr::read_unaligned(data.cast());
                    if !Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local() {
                        info.ipi6_ifindex = 0;
                    }
                    ptr::write_unaligned(data.cast(), info);
                }
                _ => {}
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
}

/// The address that the kernel wrote.
fn address(storage: &sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a `sockaddr_in`, and a storage is larger and as aligned.
            let v4 = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a `sockaddr_in6`, and a storage is larger and as aligned.
            let v6 = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}
