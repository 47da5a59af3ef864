//! The network of a client: from its address, or from what its resolver tells of it (RFC 7871).
//!
//! A network is an IPv4 /24 or an IPv6 /56: fine enough to tell two sites apart, coarse enough that the agents of one
//! share their resolver's cache.

use std::net::IpAddr;

const IPV4: u16 = 1;
const IPV6: u16 = 2;

/// EDNS Client Subnet as a query brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subnet {
    family: u16,
    source: u8,
    address: [u8; 16],
}

impl Subnet {
    /// The longest option there is.
    pub(super) const MOST: usize = 4 + 16;

    /// Reads the option (§6). `None`: FORMERR (§7.1.2): not the bytes that the prefix needs, bits behind it, a scope.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let (head, prefix) = value.split_first_chunk::<4>()?;
        let (family, source, scope) = (u16::from_be_bytes([head[0], head[1]]), head[2], head[3]);
        let most = match family {
            IPV4 => 32,
            IPV6 => 128,
            0 => 0, // §7.1.2: a resolver may send family 0 to say that it tells nothing
            _ => return None,
        };
        let stray = match (prefix.last(), source % 8) {
            (Some(last), bits @ 1..) => last << bits,
            _ => 0,
        };
        if source > most || scope != 0 || prefix.len() != bytes(source) || stray != 0 {
            return None;
        }
        let mut address = [0; 16];
        address[..prefix.len()].copy_from_slice(prefix);
        Some(Self { family, source, address })
    }

    /// The network, where the prefix tells it; a resolver that tells none gets an answer for itself (§7.1.2).
    pub(super) fn network(&self) -> Option<u64> {
        if self.source == 0 {
            return None;
        }
        let [a, b, c, d, ..] = self.address;
        Some(match self.family {
            IPV4 => network([a, b, c, d].into()),
            _ => network(self.address.into()),
        })
    }

    /// The scope of an answer that was made for the network (§7.2.1).
    pub(super) fn scope(&self) -> u8 {
        match (self.source, self.family) {
            (0, _) => 0,
            (_, IPV4) => 24,
            _ => 56,
        }
    }

    /// The length of the option.
    pub(super) fn len(&self) -> usize {
        4 + bytes(self.source)
    }

    /// The option to send back: as it came, with a scope.
    pub(super) fn write(&self, scope: u8) -> ([u8; 4], &[u8]) {
        let [high, low] = self.family.to_be_bytes();
        ([high, low, self.source, scope], &self.address[..bytes(self.source)])
    }
}

/// The network that an address is in, as one number.
pub fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8) | 1 << 63,
        IpAddr::V6(v6) => ((v6.to_bits() >> 72) as u64) & !(1 << 63),
    }
}

const fn bytes(bits: u8) -> usize {
    (bits as usize).div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_number() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("172.16.1.10"), network("172.16.1.250"));
        assert_eq!(network("::ffff:172.16.1.10"), network("172.16.1.10"));
        assert_ne!(network("172.16.1.10"), network("172.16.2.10"));
        assert_eq!(network("fd00:1:2:300::1"), network("fd00:1:2:3ff::2"));
        assert_ne!(network("fd00:1:2:300::1"), network("fd00:1:2:400::1"));
    }

    #[test]
    fn options_that_are_not_as_the_rfc_wants_them_are_refused() {
        let whole: &[&[u8]] = &[
            &[0, 1, 24, 0, 172, 16, 1],
            &[0, 1, 20, 0, 172, 16, 0x10],
            &[0, 1, 0, 0],
            &[0, 0, 0, 0],
            &[0, 2, 56, 0, 0xfd, 0, 0, 1, 0, 2, 3],
        ];
        for value in whole {
            let subnet = Subnet::read(value).unwrap();
            let (head, address) = subnet.write(0);
            assert_eq!([&head, address].concat(), *value);
            assert_eq!(subnet.len(), value.len());
        }
        let broken: &[&[u8]] = &[
            &[],
            &[0, 1, 24],
            &[0, 1, 24, 24, 172, 16, 1],
            &[0, 1, 24, 0, 172, 16],
            &[0, 1, 24, 0, 172, 16, 1, 0],
            &[0, 1, 20, 0, 172, 16, 0x11],
            &[0, 1, 33, 0, 172, 16, 1, 0, 0],
            &[0, 3, 0, 0],
        ];
        for value in broken {
            assert_eq!(Subnet::read(value), None, "{value:?}");
        }
    }

    #[test]
    fn the_scope_is_that_of_the_network() {
        let scope = |value: &[u8]| Subnet::read(value).unwrap().scope();
        assert_eq!(scope(&[0, 1, 32, 0, 172, 16, 1, 10]), 24);
        assert_eq!(scope(&[0, 2, 8, 0, 0xfd]), 56);
        assert_eq!(scope(&[0, 1, 0, 0]), 0);
    }
}
