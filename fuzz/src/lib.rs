//! What the fuzz targets share: a file system of texts, and what is true of every reply.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType};
use onstage::answer::{MIN_MESSAGE, Outcome, Peer, Reply, Rotation, Via, answer};
use onstage::daemon::{Loaded, load};
use onstage::health::Standing;
use onstage::plan::Plan;
use onstage::report::Colour;
use onstage::snapshot::{Compiler, Lineup, Outlook, Snapshot};

/// The moment that all queries come at, in seconds of Unix time.
pub const NOW: u32 = 1_800_000_000;

/// Loads `onstage.toml` and what it names through `read`. Whatever is wrong with it must have a report.
pub fn loaded(read: impl Fn(&Path) -> Option<Vec<u8>>) -> Option<Loaded> {
    let reading = load(Path::new("onstage.toml"), |path| read(path).ok_or(io::ErrorKind::NotFound.into()));
    for colour in [Colour::Never, Colour::Always] {
        let text = reading.report.render(&reading.sources, colour);
        assert_eq!(text.is_empty(), reading.report.problems().is_empty());
    }
    assert_eq!(reading.loaded.is_none(), reading.report.has_errors());
    reading.loaded
}

/// What is answered of a plan, when member `m` of pool `p` is as `standing(p, m)` says.
pub fn compiled(plan: &Arc<Plan>, outlook: Outlook, standing: impl Fn(usize, usize) -> Standing) -> Snapshot {
    let lineups: Vec<Lineup> = plan
        .pools
        .iter()
        .enumerate()
        .map(|(p, pool)| {
            let standings: Vec<Standing> = (0..pool.members.len()).map(|m| standing(p, m)).collect();
            Lineup::of(pool, &standings, outlook, None)
        })
        .collect();
    let serials: Vec<_> = plan.zones.iter().map(|zone| zone.serial).collect();
    Compiler::new(Arc::clone(plan)).compile(&lineups, &serials)
}

/// Asks for the first records that the zones have, and a name below each: what loads can be answered.
pub fn ask_for_records(plan: &Arc<Plan>) {
    let standing = |p, m| if (p + m) % 2 == 0 { Standing::LIVE } else { Standing::Down };
    let snapshot = compiled(plan, Outlook::Settled, standing);
    let addr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for record in plan.zones.iter().flat_map(|zone| &zone.records).take(16) {
        let below = [b"\x01x", record.owner.as_wire()].concat();
        for (name, via) in [(record.owner.as_wire(), Via::Stream), (&below, Via::Datagram)] {
            if name.len() <= 255 {
                let peer = Peer { addr, via, now: NOW };
                let asked = Asked { snapshot: &snapshot, peer, udp_size: plan.server.udp_size, turn: 0 };
                assert!(asked.reply(&question(name, record.record_type().into()), 2048).is_some());
            }
        }
    }
}

/// A query without EDNS for a wire name.
pub fn question(name: &[u8], record_type: u16) -> Vec<u8> {
    let header = [0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], name, &record_type.to_be_bytes(), &1_u16.to_be_bytes()].concat()
}

/// Who asks what server when.
#[derive(Clone, Copy)]
pub struct Asked<'s> {
    /// What is answered.
    pub snapshot: &'s Snapshot,
    /// Who asks.
    pub peer: Peer,
    /// The server's `udp-size`.
    pub udp_size: u16,
    /// Where the rotation starts.
    pub turn: u32,
}

impl Asked<'_> {
    /// The reply to any bytes, into a buffer of `room` bytes, once it is seen to be one: it is long enough and not too
    /// long, its header belongs to the query, another library can read it, and each of its bytes was written.
    pub fn reply(&self, query: &[u8], room: usize) -> Option<(Vec<u8>, Reply)> {
        let into = |filling: u8| {
            let mut buffer = vec![filling; room.max(MIN_MESSAGE)];
            match answer(self.snapshot, &self.peer, query, &mut Rotation::new(self.turn), &mut buffer) {
                Outcome::Reply(reply) => {
                    buffer.truncate(reply.len.into());
                    Some((buffer, reply))
                }
                Outcome::Drop => None,
            }
        };
        let (bytes, reply) = into(0x55)?;
        assert!(
            into(0xaa).is_some_and(|(again, _)| again == bytes),
            "bytes of the reply were left as they were"
        );
        let limit = limit(query, self.peer.via, self.udp_size).min(room.max(MIN_MESSAGE));
        assert!((12..=limit).contains(&bytes.len()), "{} bytes where {limit} are allowed", bytes.len());
        assert_eq!(bytes[..2], query[..2], "the id");
        let message = Message::from_vec(&bytes).expect("a reply can be read");
        assert_eq!(message.metadata.message_type, MessageType::Response);
        assert_eq!(message.metadata.truncation, reply.is_truncated);
        assert_eq!(bytes[3] & 15, reply.cell.rcode() as u8 & 15);
        Some((bytes, reply))
    }
}

/// The longest reply that a query allows (RFC 1035 §4.2.1, RFC 6891 §6.2.3), seen by another library's eyes.
fn limit(query: &[u8], via: Via, udp_size: u16) -> usize {
    if via != Via::Datagram {
        return 65_535;
    }
    let edns = Message::from_vec(query).ok().and_then(|message| message.edns);
    usize::from(edns.map_or(512, |edns| edns.max_payload().min(udp_size)).max(512))
}
