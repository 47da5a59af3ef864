//! Any bytes as a query, to servers of several zones, policies, lineups and sizes, over each transport.
//!
//! The first bytes of an input say who is asked by whom (`Setup`), the rest is the query. Beside what is true of every
//! reply (see the library) this holds: a cookie that was given is known when it comes back, and an EDNS option that
//! means nothing changes nothing, though the reply is then made by a slower path.

#![no_main]

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use libfuzzer_sys::{Corpus, fuzz_target};
use onstage::answer::{Peer, Via};
use onstage::health::Standing;
use onstage::plan::Plan;
use onstage::snapshot::{Account, Line, Outlook, Snapshot};
use onstage::units::{CookieSecret, Presence};
use onstage_fuzz::{Asked, NOW, compiled, loaded};

/// Who is asked, and by whom. 16 bytes.
#[derive(Arbitrary)]
struct Setup {
    zone: u8,
    policy: u8,
    fail_open: u8,
    udp_size: u8,
    max_answers: u8,
    live: u8,
    via: u8,
    secrets: u8,
    addr: u32,
    room: u16,
    turn: u16,
}

const ZONES: [(&str, &str); 4] = [
    (include_str!("../../tests/replay/properties.zone"), "many.p.example"),
    (include_str!("../../tests/replay/rfc4592-2.zone"), "host1.example"),
    (include_str!("../../tests/replay/rfc1034-6.zone"), "SRI-NIC.ARPA"),
    (POOLS, "p.example"),
];

/// Pools of three types, an alias, a wildcard, names that are redirected, and answers that do not fit.
const POOLS: &str = r#"
$ORIGIN p.example.
$TTL 30
@ SOA ns1 hostmaster 7 3600 600 86400 30
@ NS ns1
ns1 A 172.16.1.53
@ A 172.16.1.10
@ A 172.16.4.26
@ A 172.16.7.7
@ AAAA 2001:db8::10
@ AAAA 2001:db8::11
@ SRV 0 5 8140 a
@ SRV 0 5 8141 b
@ SRV 1 5 8141 a-long-name-of-a-host-that-nobody-would-type-at-all.and-there-is-more-of-it-in-the-next-label
@ MX 10 @
a A 172.16.1.10
b A 172.16.4.26
b AAAA 2001:db8::11
a-long-name-of-a-host-that-nobody-would-type-at-all.and-there-is-more-of-it-in-the-next-label A 172.16.7.7
c CNAME @
*.w CNAME @
d DNAME w
e DNAME longer-than-what-it-replaces.and-longer-still-so-that-names-run-over.f
l DNAME l.l
t TXT "0123456789012345678901234567890123456789012345678901234567890123456789"
cut NS ns.cut
ns.cut A 172.16.1.54
"#;

const POLICIES: [&str; 4] = ["round-robin", "sticky", "weighted", "failover"];
const FAIL_OPEN: [&str; 3] = ["all", "last-live", "none"];
const UDP_SIZES: [u16; 4] = [512, 1232, 1400, 4096];
const MAX_ANSWERS: [u16; 4] = [1, 2, 8, 32];
/// How many percent of their part live members get, in turn.
const PERCENTS: [[u8; 3]; 4] = [[100, 100, 100], [100, 10, 50], [1, 1, 1], [90, 30, 60]];
const OUTLOOKS: [Outlook; 2] = [Outlook::Settled, Outlook::Unsettled];

impl Setup {
    /// One of its choices.
    fn pick<T: Copy>(choices: &[T], by: u8) -> T {
        choices[usize::from(by) % choices.len()]
    }

    fn udp_size(&self) -> u16 {
        Self::pick(&UDP_SIZES, self.udp_size)
    }

    /// How member `m` of pool `p` is.
    fn standing(&self, p: usize, m: usize) -> Standing {
        let percents = Self::pick(&PERCENTS, self.policy / POLICIES.len() as u8);
        if self.live >> ((p * 3 + m) % 8) & 1 == 0 {
            return Standing::Down;
        }
        Presence::percent(percents[m % percents.len()]).map_or(Standing::LIVE, Standing::Live)
    }

    fn outlook(&self) -> Outlook {
        Self::pick(&OUTLOOKS, self.fail_open / FAIL_OPEN.len() as u8)
    }

    fn plan(&self) -> Arc<Plan> {
        let (zone, pool) = Self::pick(&ZONES, self.zone);
        let policy = Self::pick(&POLICIES, self.policy);
        let fail_open = Self::pick(&FAIL_OPEN, self.fail_open);
        let max_answers = Self::pick(&MAX_ANSWERS, self.max_answers);
        let udp_size = self.udp_size();
        let config = format!(
            "[server]\nudp-size = {udp_size}\nnsid = \"a server\"\nchaos = [\"127.0.0.0/8\"]\n
            [[zone]]\nfile = \"zone\"\n[check.tcp]\ntcp = {{ port = 8140 }}\n
            [[pool]]\nname = \"{pool}\"\ncheck = \"tcp\"\npolicy = \"{policy}\"\nfail-open = \"{fail_open}\"
            max-answers = {max_answers}\nmin-live = 2\n"
        );
        let site = loaded(|path: &Path| match path.to_str()? {
            "onstage.toml" => Some(config.clone().into()),
            "zone" => Some(zone.into()),
            _ => None,
        });
        site.expect("a good site").plan
    }

    fn snapshot(&self) -> Snapshot {
        let plan = self.plan();
        let line = |text: String| Line { text, since: Some(NOW - 100) };
        let accounts = plan.pools.iter().map(|pool| {
            let members = pool.members.iter().map(|member| line(format!("{} up", member.label)));
            Arc::new(Account { lines: members.collect() })
        });
        compiled(&plan, self.outlook(), |p, m| self.standing(p, m)).with_accounts(accounts.collect())
    }

    /// The snapshot, made when it is asked for the first time.
    fn known_snapshot(&self) -> Snapshot {
        type Key = [usize; 6];
        let (policies, fail_opens) = (POLICIES.len() * PERCENTS.len(), FAIL_OPEN.len() * OUTLOOKS.len());
        thread_local!(static KNOWN: RefCell<HashMap<Key, Snapshot>> = RefCell::default());
        let place = |by: u8, choices: usize| usize::from(by) % choices;
        let key = [
            place(self.zone, ZONES.len()),
            place(self.policy, policies),
            place(self.fail_open, fail_opens),
            place(self.udp_size, UDP_SIZES.len()),
            place(self.max_answers, MAX_ANSWERS.len()),
            usize::from(self.live),
        ];
        KNOWN.with_borrow_mut(|known| {
            if known.len() > 2000 {
                known.clear();
            }
            known.entry(key).or_insert_with(|| self.snapshot()).clone()
        })
    }

    fn peer(&self) -> Peer {
        let addr = match self.addr {
            0..=0xff => IpAddr::V4(0x7f00_0001.into()),
            v6 if v6 % 2 == 0 => IpAddr::V6(Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(v6) << 60)),
            v4 => IpAddr::V4(v4.into()),
        };
        Peer { addr, via: Self::pick(&[Via::Datagram, Via::Stream, Via::Encrypted], self.via), now: NOW }
    }
}

/// The cookie of a reply.
fn cookie(reply: &[u8]) -> Option<Vec<u8>> {
    let edns = Message::from_vec(reply).ok()?.edns?;
    match edns.option(EdnsCode::Cookie)? {
        EdnsOption::Unknown(_, cookie) => Some(cookie.clone()),
        _ => None,
    }
}

/// A query that asks for nothing and shows a cookie (RFC 7873 §5.4).
fn showing(cookie: &[u8]) -> Vec<u8> {
    let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4 + cookie.len() as u8, 0, 10, 0, cookie.len() as u8];
    [&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], &opt[..], cookie].concat()
}

/// A query with one question and a bare OPT record, with an option added that nobody knows.
fn with_an_option(query: &[u8]) -> Option<Vec<u8>> {
    let body = query.get(12..).filter(|_| query[4..12] == [0, 1, 0, 0, 0, 0, 0, 1])?;
    let mut at = 0;
    while *body.get(at)? != 0 {
        at += 1 + usize::from(body[at]);
    }
    let opt = body.get(at + 5..)?;
    let is_bare = opt.len() == 11 && opt[..3] == [0, 0, 41] && opt[9..] == [0, 0];
    is_bare.then(|| [&query[..query.len() - 1], &[4, 0xfd, 0xe9, 0, 0]].concat())
}

fn check(setup: &Setup, query: &[u8]) {
    let secrets = (0..setup.secrets % 3).map(|i| CookieSecret([setup.secrets ^ i; 16]));
    let snapshot = setup.known_snapshot().with_secrets(secrets.collect());
    let asked = Asked {
        snapshot: &snapshot,
        peer: setup.peer(),
        udp_size: setup.udp_size(),
        turn: u32::from(setup.turn) << 16,
    };
    let Some((bytes, _)) = asked.reply(query, setup.room.into()) else { return };
    if let Some(cookie) = cookie(&bytes) {
        let (_, reply) = asked.reply(&showing(&cookie), 512).expect("a reply");
        assert!(reply.is_known, "a cookie that was just given is not known");
    }
    if let Some(slower) = with_an_option(query) {
        let (same, _) = asked.reply(&slower, setup.room.into()).expect("a reply");
        assert_eq!(bytes, same, "an option that nobody knows makes a difference");
    }
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let mut input = Unstructured::new(input);
    if input.len() < 16 {
        return Corpus::Reject;
    }
    let Ok(setup) = Setup::arbitrary(&mut input) else { return Corpus::Reject };
    check(&setup, input.take_rest());
    Corpus::Keep
});
