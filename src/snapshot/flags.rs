//! The words of a header behind its id: flags and rcodes (RFC 1035 §4.1.1).

/// A response.
pub(crate) const QR: u16 = 0x8000;
/// The kind of query; 0 is the ordinary one.
pub(crate) const OPCODE: u16 = 0x7800;
/// The answer is authoritative.
pub(crate) const AA: u16 = 0x0400;
/// Something is missing: the client asks again over TCP.
pub(crate) const TC: u16 = 0x0200;
/// The client wanted recursion.
pub(crate) const RD: u16 = 0x0100;
/// The bits of the rcode.
pub(crate) const RCODE: u16 = 0x000f;

/// The name does not exist.
pub(crate) const NXDOMAIN: u16 = 3;
/// A DNAME makes a name too long (RFC 6672 §3.2).
pub(crate) const YXDOMAIN: u16 = 6;
