//! Many datagrams with one system call: recvmmsg(2) and sendmmsg(2).
//!
//! A reply costs the kernel about 3 µs, and a third more if each one is a system call of its own. The wrappers in
//! well-kept crates either allocate for each call or cannot set a source address for each datagram, which a
//! server on a wildcard address must: resolvers drop replies from an address they did not ask (RFC 5452 §4.1).
//!
//! A reply goes back in the envelope that its query came in: the same peer, the same address of ours (the control
//! message). Nothing is allocated for a query, and no raw pointer is used twice: the headers that the kernel wants are
//! drawn up for each call.
#![allow(unsafe_code, reason = "the one module that talks to the kernel in its own structures")]

use std::io;
use std::mem::{self, offset_of};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{c_int, cmsghdr, in_pktinfo, in6_pktinfo, iovec, mmsghdr, sockaddr_in, sockaddr_in6};
use socket2::Socket;

/// Datagrams at once. More gains nothing, fewer than 16 costs (measured on loopback).
pub(super) const BATCH: usize = 64;
/// The fewest that the kernel is offered room for.
const FEW: usize = 8;
/// The longest query that is read, and the longest reply that is sent.
const DATAGRAM: usize = 4096;
/// Room for one control message with an address.
const CONTROL: usize = 64;
/// Where the payload of the first control message starts: `CMSG_DATA` of cmsg(3).
const PAYLOAD: usize = size_of::<cmsghdr>().next_multiple_of(size_of::<usize>());

/// Whether to wait until there is a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// For as long as the socket's read timeout says.
    ForOne,
    /// Take what is there.
    Not,
}

/// What became of the replies of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    /// Taken by the kernel.
    pub(super) sent: usize,
    /// Refused by it.
    pub(super) lost: usize,
}

/// Queries that came together, and the replies that leave together.
pub(super) struct Batch {
    envelopes: Box<[Envelope]>,
    /// Apart from the envelopes, so that pages of buffers that are never needed are never touched.
    queries: Box<[Letter]>,
    replies: Box<[Letter]>,
    /// What the kernel reads: drawn up for each call, kept so as not to be cleared for each.
    headers: Box<[mmsghdr]>,
    vectors: Box<[iovec]>,
    /// How many datagrams there is room for in the next call: twice as many as came with the last. A quiet server does
    /// not draw up what it will not need.
    offered: usize,
    received: usize,
}

/// A buffer. The odd length spreads the starts of many over the sets of a cache, which are a page apart.
#[derive(Clone, Copy)]
struct Letter([u8; DATAGRAM + 64]);

impl Letter {
    const EMPTY: Self = Self([0; DATAGRAM + 64]);
}

impl Batch {
    pub(super) fn new() -> Self {
        let letters = || vec![Letter::EMPTY; BATCH].into();
        Self {
            envelopes: vec![Envelope::EMPTY; BATCH].into(),
            queries: letters(),
            replies: letters(),
            headers: [blank_header(); BATCH].into(),
            vectors: [iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH].into(),
            offered: BATCH,
            received: 0,
        }
    }

    /// Takes the datagrams that are there; how many.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        self.received = 0;
        let headers = self.headers.iter_mut().zip(&mut self.vectors).take(self.offered);
        for ((header, vector), (envelope, letter)) in
            headers.zip(self.envelopes.iter_mut().zip(&mut self.queries))
        {
            envelope.expect();
            *vector = iovec { iov_base: letter.0.as_mut_ptr().cast(), iov_len: DATAGRAM };
            envelope.address(header, vector);
        }
        let flags = if wait == Wait::ForOne { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        let (first, count, none) = (self.headers.as_mut_ptr(), self.offered as u32, ptr::null_mut());
        // SAFETY: `first` points to at least `count` headers, each with an envelope, a vector and a letter of its own,
        // of the lengths it states, drawn up since anything else touched them; all outlive the call. No timeout is
        // allowed.
        let received = unsafe { libc::recvmmsg(socket.as_raw_fd(), first, count, flags, none) };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        self.offered = (2 * self.received).clamp(FEW, BATCH);
        for (envelope, header) in self.envelopes.iter_mut().zip(&self.headers[..self.received]) {
            envelope.note(header);
        }
        Ok(self.received)
    }

    /// What was received, without what cannot be answered: cut off, or from an address that takes no reply.
    pub(super) fn exchanges(&mut self) -> impl Iterator<Item = Exchange<'_>> {
        let letters = self.queries.iter().zip(&mut self.replies);
        let received = self.envelopes.iter_mut().zip(letters).take(self.received);
        received.filter_map(|(envelope, (query, reply))| {
            let peer = envelope.peer().filter(|peer| peer.port() != 0)?;
            let query = &query.0[..envelope.length];
            let (length, reply) = (&mut envelope.reply, &mut reply.0[..DATAGRAM]);
            (!envelope.is_cut).then_some(Exchange { peer, query, reply, length })
        })
    }

    /// Sends all replies. One that cannot be sent is lost, the others are not.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> Sent {
        let mut replies = 0;
        let mut headers = self.headers.iter_mut().zip(&mut self.vectors);
        for (envelope, letter) in self.envelopes.iter_mut().zip(&mut self.replies).take(self.received) {
            let Some(length) = envelope.reply.take() else { continue };
            let Some((header, vector)) = headers.next() else { break };
            *vector = iovec { iov_base: letter.0[..length].as_mut_ptr().cast(), iov_len: length };
            envelope.address(header, vector);
            replies += 1;
        }
        let (mut done, mut sent) = (0, 0);
        while done < replies {
            let rest = &mut self.headers[done..replies];
            let (first, count) = (rest.as_mut_ptr(), rest.len() as u32);
            // SAFETY: `first` points to `count` headers, each with an envelope, a vector and a letter of its own, of
            // the lengths it states, drawn up since anything else touched them; all outlive the call.
            let count = unsafe { libc::sendmmsg(socket.as_raw_fd(), first, count, 0) };
            match usize::try_from(count).map_err(|_| io::Error::last_os_error().kind()) {
                Ok(count) => (done, sent) = (done + count, sent + count),
                Err(io::ErrorKind::Interrupted) => {}
                // The interface has been behind for the whole write timeout: waiting again for each of the rest
                // would leave the queries behind them unread.
                Err(io::ErrorKind::WouldBlock) => break,
                // An error is always that of the first: those before it would have been counted instead.
                Err(_) => done += 1,
            }
        }
        Sent { sent, lost: replies - sent }
    }
}

/// A query that can be answered, and where its reply goes.
pub(super) struct Exchange<'a> {
    /// Who asks.
    pub(super) peer: SocketAddr,
    /// What was sent.
    pub(super) query: &'a [u8],
    /// Room for the reply.
    pub(super) reply: &'a mut [u8],
    length: &'a mut Option<usize>,
}

impl Exchange<'_> {
    /// The first `length` bytes of the reply leave with [`Batch::send`].
    pub(super) fn post(self, length: usize) {
        *self.length = Some(length);
    }
}

/// The peer and our own address, as the kernel wrote them and wants them back.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Envelope {
    name: [u8; size_of::<sockaddr_in6>()],
    name_length: u32,
    control: [u8; CONTROL],
    control_length: usize,
    /// Whether the datagram, or the address that it was sent to, is cut off.
    is_cut: bool,
    /// The query's length.
    length: usize,
    /// The reply's length, once there is one.
    reply: Option<usize>,
}

/// A control message starts with a header, which must be aligned; the kernel copies all else byte by byte.
const _: () = assert!(offset_of!(Envelope, control) % align_of::<cmsghdr>() == 0);

impl Envelope {
    const EMPTY: Self = Self {
        name: [0; size_of::<sockaddr_in6>()],
        name_length: size_of::<sockaddr_in6>() as u32,
        control: [0; CONTROL],
        control_length: CONTROL,
        is_cut: false,
        length: 0,
        reply: None,
    };

    /// Room for the next query's addresses.
    fn expect(&mut self) {
        self.name_length = size_of::<sockaddr_in6>() as u32;
        self.control_length = CONTROL;
    }

    /// Makes `message` point to this envelope and to `vector`, for one call.
    fn address(&mut self, message: &mut mmsghdr, vector: *mut iovec) {
        let header = &mut message.msg_hdr;
        header.msg_name = self.name.as_mut_ptr().cast();
        header.msg_namelen = self.name_length;
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        header.msg_control = self.control.as_mut_ptr().cast();
        header.msg_controllen = self.control_length as _;
    }

    /// Notes what the kernel wrote into the header.
    fn note(&mut self, message: &mmsghdr) {
        self.name_length = message.msg_hdr.msg_namelen;
        #[allow(clippy::unnecessary_cast, reason = "musl has an u32 here")]
        let control_length = message.msg_hdr.msg_controllen as usize;
        self.control_length = control_length;
        self.is_cut = message.msg_hdr.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
        self.length = message.msg_len as usize;
        self.reply = None;
        if control_length > 0 {
            self.forget_interface();
        }
    }

    /// Turns the control message that came with a query into that of its reply: from the same address, by
    /// whatever interface routing finds. Only link-local addresses mean nothing without theirs.
    ///
    /// It is the only control message there is: [`ask_for_destinations`] asks for no other.
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

    fn peer(&self) -> Option<SocketAddr> {
        let name = &self.name;
        match family(name) {
            libc::AF_INET => {
                let ip: [u8; 4] = field(name, offset_of!(sockaddr_in, sin_addr));
                let port = u16::from_be_bytes(field(name, offset_of!(sockaddr_in, sin_port)));
                Some((ip, port).into())
            }
            libc::AF_INET6 => {
                let ip: [u8; 16] = field(name, offset_of!(sockaddr_in6, sin6_addr));
                let port = u16::from_be_bytes(field(name, offset_of!(sockaddr_in6, sin6_port)));
                let flow = u32::from_ne_bytes(field(name, offset_of!(sockaddr_in6, sin6_flowinfo)));
                let scope = u32::from_ne_bytes(field(name, offset_of!(sockaddr_in6, sin6_scope_id)));
                Some(SocketAddrV6::new(ip.into(), port, flow, scope).into())
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

fn blank_header() -> mmsghdr {
    // SAFETY: a plain structure of numbers and pointers, for which all zeroes is a value. It cannot be written
    // out field by field: some C libraries have padding in it.
    unsafe { mem::zeroed() }
}

/// Asks the kernel to tell which address each datagram was sent to.
pub(super) fn ask_for_destinations(socket: &Socket, is_ipv6: bool) -> io::Result<()> {
    let (level, option) = if is_ipv6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    } else {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    };
    let on: c_int = 1;
    let (value, size) = (ptr::from_ref(&on).cast(), size_of::<c_int>() as u32);
    // SAFETY: the value is an int, its size is told, and it outlives the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server's socket, and a client's that is connected to it.
    fn sockets() -> (UdpSocket, UdpSocket) {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        client.set_nonblocking(true).unwrap(); // on loopback a reply has arrived once it is sent
        (server, client)
    }

    fn echo(batch: &mut Batch) -> usize {
        let mut count = 0;
        for exchange in batch.exchanges() {
            let length = exchange.query.len();
            exchange.reply[..length].copy_from_slice(exchange.query);
            exchange.post(length);
            count += 1;
        }
        count
    }

    fn set_peer(batch: &mut Batch, i: usize, ip: [u8; 4], port: u16) {
        let name = &mut batch.envelopes[i].name;
        name[offset_of!(sockaddr_in, sin_addr)..][..4].copy_from_slice(&ip);
        name[offset_of!(sockaddr_in, sin_port)..][..2].copy_from_slice(&port.to_be_bytes());
    }

    #[test]
    fn all_that_waits_is_taken_and_sent_at_once() {
        let (server, client) = sockets();
        let mut batch = Batch::new();
        let many = u8::try_from(BATCH).unwrap() + 1;
        for id in 0..many {
            client.send(&vec![id; usize::from(id)]).unwrap();
        }
        for expected in [BATCH, 1] {
            assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), expected);
            assert_eq!(echo(&mut batch), expected);
            assert_eq!(batch.send(&server), Sent { sent: expected, lost: 0 });
        }
        let nothing = batch.receive(&server, Wait::Not).unwrap_err();
        assert_eq!((nothing.kind(), echo(&mut batch)), (io::ErrorKind::WouldBlock, 0));
        for id in 0..many {
            let mut reply = [0; 128];
            let length = client.recv(&mut reply).unwrap();
            assert_eq!(reply[..length], vec![id; usize::from(id)]);
        }
    }

    #[test]
    fn what_is_cut_off_or_cannot_be_answered_is_no_query() {
        let (server, client) = sockets();
        let mut batch = Batch::new();
        for length in [DATAGRAM, DATAGRAM + 1, 12] {
            client.send(&vec![0; length]).unwrap();
        }
        assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), 3);
        set_peer(&mut batch, 2, [127, 0, 0, 1], 0);
        let lengths: Vec<usize> = batch.exchanges().map(|exchange| exchange.query.len()).collect();
        assert_eq!(lengths, [DATAGRAM]);
    }

    #[test]
    fn a_reply_that_cannot_be_sent_takes_no_other_with_it() {
        let (server, client) = sockets();
        let mut batch = Batch::new();
        for id in 0..4 {
            client.send(&[id]).unwrap();
        }
        assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), 4);
        for i in [0, 2] {
            set_peer(&mut batch, i, [255; 4], 53); // broadcasts need a permission that the socket does not have
        }
        echo(&mut batch);
        assert_eq!(batch.send(&server), Sent { sent: 2, lost: 2 });
        let mut reply = [0; 1];
        for id in [1, 3] {
            client.recv(&mut reply).unwrap();
            assert_eq!(reply, [id]);
        }
    }

    #[test]
    fn room_is_offered_for_twice_as_many_as_came() {
        let (server, client) = sockets();
        let mut batch = Batch::new();
        for (waiting, taken) in [(1, 1), (20, FEW), (20, 2 * FEW), (20, 4 * FEW), (BATCH, BATCH)] {
            for _ in 0..waiting {
                client.send(&[0]).unwrap();
            }
            assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), taken);
        }
    }
}
