//! One view of a running server, for people and programs: what the control socket's `GET /v1/status` returns.
//!
//! Moments are seconds of Unix time, stretches of time say their unit in their name. Words are those of the logs and of the
//! config. Fields are added, and never change their meaning: programs pass over what they do not know.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::health::Word;
use crate::serve::{Counted, Counts, Event};

pub use crate::snapshot::Mode;

/// A certificate that expires within so many seconds, two weeks, is worth a word.
const SOON: u32 = 14 * 24 * 60 * 60;

/// Whether what expires then is near its end at `now`, or past it; both in seconds of Unix time.
pub const fn is_soon(expires: u32, now: u32) -> bool {
    expires <= now.saturating_add(SOON)
}

/// A running server at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The process.
    pub server: Server,
    /// The zones, in the order of the config.
    pub zones: Vec<Zone>,
    /// The pools, in the order of the config; a name with A and AAAA records is two.
    pub pools: Vec<Pool>,
    /// Orders on members that are not in the zones any more. They may come back.
    pub strays: Vec<Stray>,
    /// What changed last, the newest last; at most 256. Left out by versions that do not remember.
    #[serde(default)]
    pub transitions: Vec<Transition>,
}

/// Something became something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: u32,
    /// Who: a pool and its type, or who is probed.
    pub who: String,
    /// With which check; `None`: it is a pool.
    pub check: Option<String>,
    /// What it was: `up`, `down`, `unknown`; a pool `live` or `failing-open`.
    pub from: String,
    /// What it became.
    pub to: String,
    /// Why.
    pub reason: Option<String>,
}

/// The process, and what it does as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// The version of the program.
    pub version: String,
    /// Which process it is.
    pub pid: u32,
    /// When this was drawn.
    pub now: u32,
    /// When the process started.
    pub started: u32,
    /// What it was told.
    pub config: Config,
    /// Where it answers.
    pub listen: Listen,
    /// How its probes are.
    pub prober: Prober,
    /// Why the state file cannot be written; `None`: the newest state is in it.
    pub state_trouble: Option<String>,
    /// What became of queries since the start.
    pub queries: Queries,
    /// The certificates that it shows, to clients or to members.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
}

/// A certificate that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its file.
    pub file: String,
    /// When it expires, or the first of those with it.
    pub expires: u32,
    /// Whether that is within two weeks, or past.
    #[serde(default)]
    pub expires_soon: bool,
}

/// The config that runs, and the one on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The file.
    pub path: String,
    /// Of everything that was read with it: the config, its zones, its certificates; 16 hexadecimal digits.
    pub hash: String,
    /// When it was read.
    pub loaded: u32,
    /// Whether these files still say the same.
    pub on_disk: OnDisk,
}

/// What the files on disk say beside what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDisk {
    /// The same.
    Same,
    /// Something else: `onstage reload` would change what runs, or tell what is wrong.
    Differs,
    /// They cannot be read.
    Unreadable,
}

/// The addresses of every way to ask.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Listen {
    /// Plain DNS, over UDP and TCP.
    pub plain: Vec<SocketAddr>,
    /// DNS over TLS.
    pub dot: Vec<SocketAddr>,
    /// DNS over HTTPS.
    pub doh: Vec<SocketAddr>,
    /// DNS over QUIC.
    pub doq: Vec<SocketAddr>,
}

/// Whether what probes find can be believed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prober {
    /// How many questions to how many addresses are asked again and again.
    pub probes: usize,
    /// Of how many nothing was heard for so long that their verdicts are stale.
    pub stale: usize,
    /// By how much the probe that is heard of latest is late, in milliseconds.
    pub lag_ms: u64,
    /// Whether what is observed is frozen: the members are silent, and the guards, too.
    pub frozen: bool,
}

/// Queries and replies since the start, over every transport.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Queries {
    /// What came in.
    pub received: u64,
    /// What was no query, or cut off.
    pub dropped: u64,
    /// Replies that were truncated.
    pub truncated: u64,
    /// Replies that the rate limit held back or cut.
    pub limited: u64,
    /// Replies that the kernel refused.
    pub lost: u64,
    /// Replies by their rcode's name: `NOERROR`, `NXDOMAIN`, ….
    pub rcodes: BTreeMap<String, u64>,
}

impl From<&Counts> for Queries {
    fn from(counts: &Counts) -> Self {
        let mut rcodes = BTreeMap::new();
        for (what, count) in counts.iter() {
            if let Counted::Reply(_, kind) = what {
                *rcodes.entry(kind.rcode.clone()).or_default() += count;
            }
        }
        Self {
            received: counts.of(Event::Received),
            dropped: counts.of(Event::Dropped),
            truncated: counts.of(Event::Truncated),
            limited: counts.of(Event::Limited),
            lost: counts.of(Event::Lost),
            rcodes,
        }
    }
}

/// A zone that is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// The serial it is answered with.
    pub serial: u32,
    /// How many records its file has.
    pub records: usize,
}

/// The records of one type at a pool's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// The owner name.
    pub name: String,
    /// `A`, `AAAA` or `SRV`.
    pub record_type: String,
    /// Who is answered in which order, as the config says it.
    pub policy: String,
    /// Whether enough members are live.
    pub mode: Mode,
    /// Whether no change is pending.
    pub settled: bool,
    /// Since when these members are answered.
    pub since: u32,
    /// Fewer live members than this: it fails open.
    pub min_live: usize,
    /// How many members it has, whether they are shown here or not.
    pub size: usize,
    /// How many of them are answered.
    pub answered: usize,
    /// The TTL that its records are answered with now, in seconds.
    pub ttl: u32,
    /// What is to be said of its members' code, where they do not agree.
    pub versions: Option<String>,
    /// Queries for it since the start.
    pub queries: u64,
    /// Its members, in the order of the zone file; of those that were asked for.
    pub members: Vec<Member>,
}

/// One record of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// What people call it.
    pub label: String,
    /// What the record says: an address, or a target and a port.
    pub record: String,
    /// Whether it may be answered while there are enough like it: observed and order taken together.
    pub live: bool,
    /// How much of its usual part it gets in answers, in percent; 0: it is not answered.
    pub answered: u8,
    /// What its probes add up to.
    pub observed: Observed,
    /// Why it is not up, or less than live, in a word of the closed list.
    pub reason: Option<String>,
    /// The same for people: what the last probe that failed saw; else how busy it is, or which code it serves.
    pub detail: Option<String>,
    /// Since when it is observed so.
    pub since: Option<u32>,
    /// When the certificate expires that it showed last, or the first of several; `None`: none was seen.
    #[serde(default)]
    pub certificate_expires: Option<u32>,
    /// Whether that is within two weeks, or past.
    #[serde(default)]
    pub certificate_expires_soon: bool,
    /// An operator's word.
    pub order: Option<Order>,
    /// What is asked of it, in the order of the config.
    pub probes: Vec<Probe>,
}

/// What verdicts add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observed {
    /// No verdict yet.
    Unknown,
    /// It can serve.
    Up,
    /// It cannot.
    Down,
}

impl Observed {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// An order on a member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Whether it is kept out, or in.
    pub word: Word,
    /// Who gave it.
    pub who: String,
    /// What for.
    pub why: String,
    /// When it was given.
    pub since: u32,
    /// When it is over; `None`: when it is released.
    pub until: Option<u32>,
}

/// An order on a member that no pool has now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stray {
    /// The member: pool, type and record.
    pub member: String,
    /// The order.
    pub order: Order,
}

/// One question to one address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Who is asked.
    pub target: SocketAddr,
    /// The check, as the config names it.
    pub check: String,
    /// What its verdicts add up to.
    #[serde(flatten)]
    pub so_far: SoFar,
    /// Since when it is observed so.
    pub since: Option<u32>,
    /// Whether nothing was heard of it for too long.
    pub stale: bool,
    /// The last verdicts, the newest last; at most 32.
    pub recent: Vec<Verdict>,
}

/// What the verdicts of one probe add up to so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoFar {
    /// What is observed by it alone.
    pub observed: Observed,
    /// How many verdicts in a row say otherwise.
    pub contradictions: u32,
    /// How many it takes to change what is observed.
    pub threshold: u32,
}

/// What one probe found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// When it was heard.
    pub at: u32,
    /// Why it was no pass; `None`: it was one.
    pub reason: Option<String>,
    /// Whether the member said itself that it is leaving.
    pub leaving: bool,
    /// How long the probe took, in milliseconds.
    pub latency_ms: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_weeks_are_soon_and_so_is_what_is_past() {
        let now = 1_000_000_000;
        for (expires, told) in [(0, true), (now, true), (now + SOON, true), (now + SOON + 1, false)] {
            assert_eq!(is_soon(expires, now), told, "{expires}");
        }
        assert!(is_soon(u32::MAX, u32::MAX));
    }
}
