//! Who listens in: queries and their replies for a collector of dnstap, or for the log.
//!
//! ```text
//!  who answers ──tell──▶ drawn by lot? ──▶ room in the line? ──yes──▶ outlet: dnstap.rs, log.rs
//!                             │no                 │no
//!                             ▼                   ▼
//!                          nothing          Event::Untold
//! ```
//!
//! Nobody waits for an outlet: what it has no room for is counted, and lost. Where there is none, answering costs one look
//! at that for each batch of datagrams.

mod dnstap;
mod frames;
mod log;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::way::Way;
use crate::config::Server;

/// Exchanges that may wait for one outlet.
const WAITING: usize = 512;
/// The longest query and the longest reply that are told of: with [`WAITING`], what an outlet that stands still costs.
const LONGEST_QUERY: usize = 4096;
const LONGEST_REPLY: usize = 16 * 1024;

/// The way to all who listen.
#[derive(Debug, Clone)]
pub(super) struct Tap(Arc<[Outlet]>);

/// One who listens.
#[derive(Debug)]
struct Outlet {
    /// One of so many is told.
    one_of: NonZeroU32,
    line: mpsc::Sender<Exchange>,
}

/// A query and its reply.
#[derive(Debug)]
struct Exchange {
    way: Way,
    moments: Moments,
    query: Box<[u8]>,
    reply: Box<[u8]>,
}

/// When a query came, and when its reply was ready: Unix time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    pub(super) asked: Duration,
    pub(super) answered: Duration,
}

impl Tap {
    /// To whom the config names; `None`: to nobody. The outlets run among `tasks`: until the last clone of the tap is gone,
    /// or where nobody takes what they have, until `stop`.
    pub(super) fn open(server: &Server, tasks: &TaskTracker, stop: &CancellationToken) -> Option<Self> {
        let mut outlets = Vec::new();
        if let Some(dnstap) = &server.dnstap {
            let (line, exchanges) = mpsc::channel(WAITING);
            tasks.spawn(dnstap::run(dnstap.socket.clone(), server.nsid.clone(), exchanges, stop.clone()));
            outlets.push(Outlet { one_of: dnstap.one_of, line });
        }
        if let Some(one_of) = server.query_log {
            let (line, exchanges) = mpsc::channel(WAITING);
            tasks.spawn(log::run(exchanges));
            outlets.push(Outlet { one_of, line });
        }
        (!outlets.is_empty()).then(|| Self(outlets.into()))
    }

    /// Tells of an exchange; how many should have been told of it and were not.
    pub(super) fn tell(&self, way: &Way, moments: Moments, query: &[u8], reply: &[u8]) -> usize {
        let drawn = self.0.iter().filter(|outlet| fastrand::u32(..outlet.one_of.get()) == 0);
        drawn.filter(|outlet| !outlet.tell(way, moments, query, reply)).count()
    }
}

impl Outlet {
    /// Whether there was room for it.
    fn tell(&self, way: &Way, moments: Moments, query: &[u8], reply: &[u8]) -> bool {
        if query.len() > LONGEST_QUERY || reply.len() > LONGEST_REPLY {
            return false;
        }
        let Ok(place) = self.line.try_reserve() else { return false };
        place.send(Exchange { way: *way, moments, query: query.into(), reply: reply.into() });
        true
    }
}

#[cfg(test)]
impl Moments {
    const AT_ONCE: Self = Self { asked: Duration::ZERO, answered: Duration::ZERO };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tap(one_of: u32) -> (Tap, mpsc::Receiver<Exchange>) {
        let (line, exchanges) = mpsc::channel(WAITING);
        let one_of = NonZeroU32::new(one_of).unwrap();
        (Tap(vec![Outlet { one_of, line }].into()), exchanges)
    }

    #[test]
    fn an_outlet_that_stands_still_costs_so_much_and_nobody_waits() {
        let (tap, mut exchanges) = tap(1);
        let way = Way::for_tests();
        let tell = |query: &[u8], reply: &[u8]| tap.tell(&way, Moments::AT_ONCE, query, reply);
        assert_eq!(
            tell(&[0; LONGEST_QUERY + 1], &[]) + tell(&[], &vec![0; LONGEST_REPLY + 1]),
            2,
            "too long"
        );
        let untold: usize = (0..WAITING + 7).map(|_| tell(b"query", b"reply")).sum();
        assert_eq!(untold, 7);
        let first = exchanges.try_recv().unwrap();
        assert_eq!((&*first.query, &*first.reply), (&b"query"[..], &b"reply"[..]));
        assert_eq!(tell(b"query", b"reply"), 0, "there is room again");
    }

    #[test]
    fn about_one_of_so_many_is_told() {
        let (tap, mut exchanges) = tap(10);
        for _ in 0..2000 {
            assert_eq!(tap.tell(&Way::for_tests(), Moments::AT_ONCE, b"", b""), 0);
        }
        let told = std::iter::from_fn(|| exchanges.try_recv().ok()).count();
        assert!((100..=300).contains(&told), "{told}"); // 200, and seven standard deviations
    }
}
