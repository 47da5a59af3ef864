//! Many datagrams with one system call: recvmmsg(2) and sendmmsg(2).
//!
//! A reply costs the kernel about 3 µs, and a third more if each one is a system call of its own. The wrappers in
//! well-kept crates either allocate for each call or cannot set a source address for each datagram, which a
//! server on a wildcard address must: resolvers drop replies from an address they did not ask (RFC 5452 §4.1).
//!
//! A message is drawn up once: its header points to an envelope, a letter for the query and one for the reply, and
//! keeps them. A reply goes back in the envelope that its query came in: the same peer, the same address of ours (the
//! control message). For the kernel to take all replies at once they must stand in a row; a header without a reply
//! changes places with the next that has one.
#![allow(unsafe_code, reason = "the one module that talks to the kernel in its own structures")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::slice;

use libc::{c_int, iovec, mmsghdr, msghdr};
use socket2::Socket;

use super::envelope::{CONTROL, Envelope, NAME};

/// Datagrams at once. More gains nothing, fewer than 16 costs (measured on loopback).
pub(super) const BATCH: usize = 64;
/// The longest query that is read, and the longest reply that is sent.
const DATAGRAM: usize = 4096;

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
    /// Owned. It points into itself, so no reference to the whole of it is ever made.
    post: NonNull<Post>,
    received: usize,
    /// How many of the received have a reply; they stand first.
    answered: usize,
}

/// Everything that the kernel reads and writes. All zeroes is a value of it.
#[repr(C)]
struct Post {
    headers: [mmsghdr; BATCH],
    messages: [Message; BATCH],
    /// Apart from the messages, so that pages of buffers that are never needed are never touched.
    queries: [Letter; BATCH],
    replies: [Letter; BATCH],
}

/// What a header leads to.
#[repr(C)]
struct Message {
    /// First: a header's pointer to its vector is one to its message.
    vector: iovec,
    envelope: Envelope,
    query: *mut Letter,
    reply: *mut Letter,
}

/// A buffer. The odd length spreads the starts of many over the sets of a cache, which are a page apart.
type Letter = [u8; DATAGRAM + 64];

impl Batch {
    pub(super) fn new() -> Self {
        let layout = Layout::new::<Post>();
        // SAFETY: the layout is not of size zero.
        let post = unsafe { alloc_zeroed(layout) };
        let Some(post) = NonNull::new(post) else { handle_alloc_error(layout) };
        let batch = Self { post: post.cast(), received: 0, answered: 0 };
        for i in 0..BATCH {
            // SAFETY: `i` is within each array, and all zeroes is a value of each of their elements. Nobody else has
            // references to them.
            unsafe {
                let post = batch.post.as_ptr();
                let message = &raw mut (*post).messages[i];
                (*message).query = &raw mut (*post).queries[i];
                (*message).reply = &raw mut (*post).replies[i];
                let header = &mut (*post).headers[i].msg_hdr;
                header.msg_name = (&raw mut (*message).envelope.name).cast();
                header.msg_control = (&raw mut (*message).envelope.control).cast();
                header.msg_iov = message.cast();
                header.msg_iovlen = 1;
                batch.expect(i);
            }
        }
        batch
    }

    /// Makes the message at `place` ready for a query.
    ///
    /// # Safety
    /// `place` is below [`BATCH`], and there is no reference into its message.
    unsafe fn expect(&self, place: usize) {
        // SAFETY: as the caller says.
        unsafe {
            let header = &mut (*self.header(place)).msg_hdr;
            header.msg_namelen = NAME as u32;
            header.msg_controllen = CONTROL as _;
            let message = message(header);
            (*message).vector = iovec { iov_base: (*message).query.cast(), iov_len: DATAGRAM };
        }
    }

    /// The header at `place`.
    ///
    /// # Safety
    /// `place` is below [`BATCH`].
    unsafe fn header(&self, place: usize) -> *mut mmsghdr {
        // SAFETY: as the caller says.
        unsafe { (&raw mut (*self.post.as_ptr()).headers).cast::<mmsghdr>().add(place) }
    }

    /// Takes the datagrams that are there; how many.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        for place in 0..self.received {
            // SAFETY: what was received is fewer than `BATCH`, and references into messages do not outlive `answer`.
            unsafe { self.expect(place) };
        }
        (self.received, self.answered) = (0, 0);
        let flags = if wait == Wait::ForOne { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: there are `BATCH` headers, each with a message of its own with an envelope and a letter, of the lengths it
        // states; all outlive the call, and nobody has references to them. No timeout is allowed.
        let received = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), self.header(0), BATCH as u32, flags, ptr::null_mut())
        };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// Shows each query that was received, and where its reply goes, to `answer`, which says how long that is, or that
    /// there is none. What is cut off, or came from an address that takes no reply, is not shown; how many are not.
    pub(super) fn answer(
        &mut self,
        mut answer: impl FnMut(IpAddr, &[u8], &mut [u8]) -> Option<usize>,
    ) -> usize {
        let mut hidden = 0;
        for place in 0..self.received {
            // SAFETY: what was received is fewer than `BATCH`. The references are to parts of one message that do not
            // overlap, and end before the next is looked at. The kernel wrote no more than the vector says; a reply is
            // no longer than its letter.
            unsafe {
                let header = self.header(place);
                let message = message(&(*header).msg_hdr);
                let Some(peer) = (*message).envelope.open(&(*header).msg_hdr) else {
                    hidden += 1;
                    continue;
                };
                let query = slice::from_raw_parts((*message).query.cast(), (*header).msg_len as usize);
                let reply = &mut (&mut (*(*message).reply))[..DATAGRAM];
                if let Some(length) = answer(peer, query, reply) {
                    let base = (*message).reply.cast();
                    (*message).vector = iovec { iov_base: base, iov_len: length.min(DATAGRAM) };
                    if place != self.answered {
                        ptr::swap(header, self.header(self.answered));
                    }
                    self.answered += 1;
                }
            }
        }
        hidden
    }

    /// Shows each query that has a reply, with that, who asked, and which address of ours, where the kernel tells it.
    pub(super) fn show(&self, mut to: impl FnMut(SocketAddr, Option<IpAddr>, &[u8], &[u8])) {
        for place in 0..self.answered {
            // SAFETY: those with a reply are fewer than `BATCH`. Each has a message of its own; the kernel wrote so much of the
            // query as its header says, and `answer` set the vector to what it wrote of the reply. Nobody else has references.
            unsafe {
                let header = self.header(place);
                let message = message(&(*header).msg_hdr);
                let query = slice::from_raw_parts((*message).query.cast(), (*header).msg_len as usize);
                let iovec { iov_base, iov_len } = (*message).vector;
                let reply = slice::from_raw_parts(iov_base.cast(), iov_len);
                let envelope = &(*message).envelope;
                if let Some(from) = envelope.sender() {
                    to(from, envelope.destination(&(*header).msg_hdr), query, reply);
                }
            }
        }
    }

    /// Sends all replies. One that cannot be sent is lost, the others are not.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> Sent {
        let (replies, mut done, mut sent) = (self.answered, 0, 0);
        while done < replies {
            // SAFETY: there are `replies` headers, each with a message of its own with an envelope and a letter, of the lengths
            // it states; all outlive the call, and nobody has references to them.
            let count =
                unsafe { libc::sendmmsg(socket.as_raw_fd(), self.header(done), (replies - done) as u32, 0) };
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

/// The message that a header leads to.
fn message(header: &msghdr) -> *mut Message {
    header.msg_iov.cast()
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and nothing in it needs to be dropped.
        unsafe { dealloc(self.post.as_ptr().cast(), Layout::new::<Post>()) };
    }
}

/// Asks the kernel to tell which address each datagram was sent to.
pub(super) fn ask_for_destinations(socket: &Socket, is_ipv6: bool) -> io::Result<()> {
    if is_ipv6 {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

/// Lets nobody make the kernel split replies by telling it of a narrow path (RFC 9715 §3.1): they are small enough, and
/// what a forger says of the path is not believed.
pub(super) fn ignore_path_mtu(socket: &Socket, is_ipv6: bool) -> io::Result<()> {
    if is_ipv6 {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)
    }
}

fn set(socket: &Socket, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    let (value, size) = (ptr::from_ref(&value).cast(), size_of::<c_int>() as u32);
    // SAFETY: the value is an int, its size is told, and it outlives the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use libc::sockaddr_in;

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
        batch.answer(|_, query, reply| {
            reply[..query.len()].copy_from_slice(query);
            Some(query.len())
        })
    }

    fn set_peer(batch: &mut Batch, i: usize, ip: [u8; 4], port: u16) {
        // SAFETY: nobody else refers to it.
        let name = unsafe { &mut (*batch.post.as_ptr()).messages[i].envelope.name };
        name[offset_of!(sockaddr_in, sin_addr)..][..4].copy_from_slice(&ip);
        name[offset_of!(sockaddr_in, sin_port)..][..2].copy_from_slice(&port.to_be_bytes());
    }

    #[test]
    fn options_are_what_they_were_set_to() {
        for (is_ipv6, level, option) in [
            (false, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
            (true, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
        ] {
            let domain = if is_ipv6 { socket2::Domain::IPV6 } else { socket2::Domain::IPV4 };
            let Ok(socket) = Socket::new(domain, socket2::Type::DGRAM, None) else { continue };
            ignore_path_mtu(&socket, is_ipv6).unwrap();
            let (mut value, mut size): (c_int, u32) = (0, size_of::<c_int>() as u32);
            // SAFETY: the value is an int of the size told; both outlive the call.
            let result = unsafe {
                libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut size)
            };
            assert_eq!((result, value), (0, libc::IP_PMTUDISC_OMIT));
        }
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
            assert_eq!(echo(&mut batch), 0);
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
        let mut lengths = Vec::new();
        batch.answer(|_, query, _| {
            lengths.push(query.len());
            None
        });
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
    fn those_without_a_reply_make_room_for_the_next_and_take_queries_again() {
        let (server, client) = sockets();
        let mut batch = Batch::new();
        for round in 0..3 {
            for id in 0..10 {
                client.send(&vec![id; usize::from(id + round)]).unwrap();
            }
            assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), 10);
            let hidden = batch.answer(|_, query, reply| {
                reply[..query.len()].copy_from_slice(query);
                query.first().is_some_and(|id| id % 3 == 1).then_some(query.len())
            });
            assert_eq!((hidden, batch.send(&server)), (0, Sent { sent: 3, lost: 0 }));
            for id in [1, 4, 7] {
                let mut reply = [0; 64];
                let length = client.recv(&mut reply).unwrap();
                assert_eq!(reply[..length], vec![id; usize::from(id + round)]);
            }
        }
    }
}
