//! DNS cookies (RFC 7873), made so that all servers of a site can check each other's (RFC 9018).
//!
//! A client that sends back what it got before has shown that it is where it says it is: it is not limited in how much
//! it asks. Nobody is refused for want of a cookie.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::units::CookieSecret;

/// How old a cookie may be (RFC 9018 §4.3), in seconds.
const LIFE: u32 = 3600;
/// How far into the future a clock may be off (§4.3), in seconds.
const AHEAD: u32 = 300;
/// A cookie older than this is replaced (§4.3), in seconds.
const FRESH: u32 = 1800;

/// Version 1 (§4.1), and three reserved bytes: zero in ours, hashed as they are in others' (§4.2).
const OURS: [u8; 4] = [1, 0, 0, 0];

/// A client's cookie and what was made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checked {
    /// Both halves, to be sent back.
    pub(super) cookie: [u8; 24],
    /// Whether the client's second half was ours.
    pub(super) is_valid: bool,
}

/// Checks what a client sent, and makes it a new cookie unless it has a fresh one. `now`: seconds of Unix time. `None`:
/// there is no secret, so no cookies.
pub(super) fn check(
    client: [u8; 8],
    server: &[u8],
    address: IpAddr,
    now: u32,
    secrets: &[CookieSecret],
) -> Option<Checked> {
    let newest = secrets.first()?;
    if let Some((kind, made)) = kind_and_time(server) {
        let age = now.wrapping_sub(made).cast_signed(); // RFC 1982 arithmetic, as §4.3 wants
        let is_timely = (-AHEAD.cast_signed()..=LIFE.cast_signed()).contains(&age);
        let makes_it = |secret: &CookieSecret| make(client, kind, made, address, *secret)[8..] == *server;
        if is_timely && secrets.iter().any(makes_it) {
            let keeps = age <= FRESH.cast_signed() && makes_it(newest);
            let (kind, made) = if keeps { (kind, made) } else { (OURS, now) };
            return Some(Checked { cookie: make(client, kind, made, address, *newest), is_valid: true });
        }
    }
    Some(Checked { cookie: make(client, OURS, now, address, *newest), is_valid: false })
}

/// The first bytes of a cookie of this version, and when it says that it was made.
fn kind_and_time(server: &[u8]) -> Option<([u8; 4], u32)> {
    let (kind, rest) = server.split_first_chunk::<4>()?;
    let (time, hash) = rest.split_first_chunk::<4>()?;
    (kind[0] == OURS[0] && hash.len() == 8).then(|| (*kind, u32::from_be_bytes(*time)))
}

/// Client cookie and server cookie (§4).
fn make(client: [u8; 8], kind: [u8; 4], time: u32, address: IpAddr, secret: CookieSecret) -> [u8; 24] {
    let mut cookie = [0; 24];
    cookie[..8].copy_from_slice(&client);
    cookie[8..12].copy_from_slice(&kind);
    cookie[12..16].copy_from_slice(&time.to_be_bytes());
    let mut hasher = SipHasher24::new_with_key(&secret.0);
    hasher.write(&cookie[..16]);
    match address.to_canonical() {
        IpAddr::V4(v4) => hasher.write(&v4.octets()),
        IpAddr::V6(v6) => hasher.write(&v6.octets()),
    }
    cookie[16..].copy_from_slice(&hasher.finish().to_le_bytes());
    cookie
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    fn secret(text: &str) -> CookieSecret {
        CookieSecret(hex(text))
    }

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    const CLIENT: &str = "2464c4abcf10c957";
    const MADE: u32 = 1_559_731_985;

    #[test]
    fn a_new_cookie_is_that_of_rfc_9018_a_1() {
        let address = "198.51.100.100".parse().unwrap();
        let made = check(hex(CLIENT), &[], address, MADE, &[secret(SECRET)]).unwrap();
        assert_eq!(made.cookie[8..], hex::<16>("010000005cf79f111f8130c3eee29480"));
        assert!(!made.is_valid);
    }

    #[test]
    fn an_old_cookie_is_replaced_as_in_rfc_9018_a_2_and_a_3() {
        let (client, address) = (hex(CLIENT), "198.51.100.100".parse().unwrap());
        let old: [u8; 16] = hex("010000005cf79f111f8130c3eee29480");
        let renewed = check(client, &old, address, 0x5cf7_a871, &[secret(SECRET)]).unwrap();
        assert!(renewed.is_valid);
        assert_eq!(renewed.cookie[8..], hex::<16>("010000005cf7a871d4a564a1442aca77"));
        let kept = check(client, &old, address, MADE + FRESH, &[secret(SECRET)]).unwrap();
        assert_eq!((kept.is_valid, &kept.cookie[8..]), (true, &old[..]));

        let (client, address) = (hex("fc93fc62807ddb86"), "203.0.113.203".parse().unwrap());
        let strange: [u8; 16] = hex("01abcdef5cf78f71a314227b6679ebf5");
        let renewed = check(client, &strange, address, 0x5cf7_a9ac, &[secret(SECRET)]).unwrap();
        assert!(!renewed.is_valid, "over an hour old");
        assert_eq!(renewed.cookie[8..], hex::<16>("010000005cf7a9acf73a7810aca2381e"));
        let kept = check(client, &strange, address, 0x5cf7_8f71, &[secret(SECRET)]).unwrap();
        assert_eq!(
            (kept.is_valid, &kept.cookie[8..]),
            (true, &strange[..]),
            "reserved bytes are hashed as they are"
        );
    }

    #[test]
    fn a_cookie_of_the_secret_before_is_valid_and_replaced_as_in_rfc_9018_a_4() {
        let address = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().unwrap();
        let secrets =
            [secret("445536bcd2513298075a5d379663c962"), secret("dd3bdf9344b678b185a6f5cb60fca715")];
        let client = hex("22681ab97d52c298");
        let server: [u8; 16] = hex("010000005cf7c57926556bd0934c72f8");
        let checked = check(client, &server, address, 1_559_741_961, &secrets).unwrap();
        assert!(checked.is_valid);
        assert_eq!(checked.cookie[8..], hex::<16>("010000005cf7c609a6bb79d16625507a"));
        assert!(!check(client, &server, address, 1_559_741_961, &secrets[..1]).unwrap().is_valid);
    }

    #[test]
    fn cookies_of_another_time_client_or_shape_are_not_valid() {
        let address: IpAddr = "198.51.100.100".parse().unwrap();
        let (client, secrets) = (hex(CLIENT), [secret(SECRET)]);
        let cookie = check(client, &[], address, MADE, &secrets).unwrap().cookie;
        let is_valid = |client: [u8; 8], server: &[u8], address: &str, now: u32| {
            check(client, server, address.parse().unwrap(), now, &secrets).unwrap().is_valid
        };
        let server = &cookie[8..];
        assert!(is_valid(client, server, "198.51.100.100", MADE + LIFE));
        assert!(is_valid(client, server, "198.51.100.100", MADE - AHEAD));
        assert!(!is_valid(client, server, "198.51.100.100", MADE + LIFE + 1));
        assert!(!is_valid(client, server, "198.51.100.100", MADE - AHEAD - 1));
        assert!(!is_valid(client, server, "198.51.100.101", MADE));
        assert!(!is_valid([0; 8], server, "198.51.100.100", MADE));
        assert!(!is_valid(client, &server[..15], "198.51.100.100", MADE));
        assert_eq!(check(client, server, address, MADE, &[]), None);
    }
}
