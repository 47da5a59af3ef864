//! Tripwires: one idle connection to each address, whichever probes share it; its loss rings all of them.
//!
//! ```text
//!           a probe finds its member up, and the rest is over
//!  loose ───────────────────────────────────────────────────────▶ held
//!   ▲ ▲                                                           │  │
//!   │ └──── lost: ring, so that all of its probes ask now ────────┘  │
//!   └────── none of its probes finds its member up any more ─────────┘
//! ```
//!
//! A member that merely closes idle connections (Jetty: after 30 s) costs a probe each time. One that closes them sooner
//! than it would be probed anyhow has a rest before the next, longer each time, so that it is never asked more than
//! twice as often.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::bell::Bell;
use super::hold::Held;
use super::schedule::Ask;
use crate::config::Tripwire;
use crate::plan::Probe;
use crate::units::ProbeId;

/// Idle connections at once, where the process may have so many descriptors; never more than a part of them, so that
/// probes and clients find some.
const MOST: usize = 16_384;
/// The part of all descriptors that idle connections may take: one in so many.
const PART: u64 = 4;
/// From the loss to the ring. A kernel closes what a dead process had one by one, and the socket that listens, which was
/// there first, last: who dials too soon is still accepted.
const SETTLE: Duration = Duration::from_millis(25);
/// The longest rest after a connection that did not last, in intervals.
const LONGEST_REST: u32 = 8;

/// The connection to one address.
pub(super) struct Wire<A> {
    ask: Arc<A>,
    /// The first of the probes that share it: it says who is dialled.
    lead: ProbeId,
    /// How often the address is probed without it.
    interval: Duration,
    bells: Vec<Arc<Bell>>,
    state: Mutex<State>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What a probe has of it: its part in a connection, if its address gets one, and what rings it.
type Strung<A> = (Option<Arc<Wire<A>>>, Arc<Bell>);

struct State {
    /// The probes that found their member up.
    up: Vec<ProbeId>,
    holding: Option<AbortHandle>,
    /// Not connected again before this.
    not_before: Instant,
    /// The rest that leads to.
    rest: Duration,
}

/// The tripwire and the bell of each probe, by `ProbeId`. They end with `stop`.
pub(super) fn string<A: Ask>(
    probes: &[Probe],
    ask: &Arc<A>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Vec<Strung<A>> {
    let bells: Vec<Arc<Bell>> = probes.iter().map(|_| Arc::default()).collect();
    let (shared, without) = share(probes, most());
    if without > 0 {
        warn!(
            held = shared.len(),
            without,
            "no idle connection to these members, there are too many: they are probed at their interval alone"
        );
    }
    let wires: BTreeMap<SocketAddr, Arc<Wire<A>>> = shared
        .into_iter()
        .map(|(addr, sharing)| {
            let intervals = sharing.iter().map(|id| probes[id.index()].check.interval);
            let wire = Wire {
                ask: Arc::clone(ask),
                lead: sharing[0],
                interval: intervals.min().unwrap_or_default(),
                bells: sharing.iter().map(|id| Arc::clone(&bells[id.index()])).collect(),
                state: Mutex::new(State::new()),
                tasks: tasks.clone(),
                stop: stop.clone(),
            };
            (addr, Arc::new(wire))
        })
        .collect();
    let wire = |probe: &Probe| match probe.check.tripwire {
        Tripwire::On => wires.get(&probe.target).cloned(),
        Tripwire::Off => None,
    };
    probes.iter().map(wire).zip(bells).collect()
}

/// The probes of each address that gets a connection, and how many are left without.
fn share(probes: &[Probe], most: usize) -> (BTreeMap<SocketAddr, Vec<ProbeId>>, usize) {
    let mut shared: BTreeMap<SocketAddr, Vec<ProbeId>> = BTreeMap::new();
    let mut without = 0;
    for (i, probe) in probes.iter().enumerate().filter(|(_, probe)| probe.check.tripwire == Tripwire::On) {
        if shared.len() < most || shared.contains_key(&probe.target) {
            shared.entry(probe.target).or_default().push(ProbeId(i as u32));
        } else {
            without += 1;
        }
    }
    (shared, without)
}

fn most() -> usize {
    use nix::sys::resource::{Resource, getrlimit};
    let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(now, _)| now);
    usize::try_from(descriptors / PART).unwrap_or(MOST).min(MOST)
}

impl<A: Ask> Wire<A> {
    /// This probe finds its member up: the connection is held, unless it had better rest.
    pub(super) fn up(self: &Arc<Self>, probe: ProbeId) {
        let mut state = self.lock();
        if !state.up.contains(&probe) {
            state.up.push(probe);
        }
        let now = Instant::now();
        if state.holding.is_none() && now >= state.not_before {
            let held = Box::pin(Arc::clone(self).hold(now));
            let held = self.stop.clone().run_until_cancelled_owned(held);
            state.holding = Some(self.tasks.spawn(held).abort_handle());
        }
    }

    /// This probe finds its member down: nothing is held to a member that nobody finds up.
    pub(super) fn down(&self, probe: ProbeId) {
        let mut state = self.lock();
        state.up.retain(|other| *other != probe);
        if state.up.is_empty()
            && let Some(holding) = state.holding.take()
        {
            holding.abort();
        }
    }

    async fn hold(self: Arc<Self>, since: Instant) {
        let held = self.ask.hold(self.lead).await;
        if held == Held::Lost {
            sleep(SETTLE).await;
            self.bells.iter().for_each(|bell| bell.lose());
        }
        self.lock().loosen(since, self.interval);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn new() -> Self {
        Self { up: Vec::new(), holding: None, not_before: Instant::now(), rest: Duration::ZERO }
    }

    /// The connection that was held since then has ended.
    fn loosen(&mut self, since: Instant, interval: Duration) {
        let lasted = since.elapsed() >= interval;
        self.rest =
            if lasted { Duration::ZERO } else { (2 * self.rest).clamp(interval, LONGEST_REST * interval) };
        self.not_before = Instant::now() + self.rest;
        self.holding = None;
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::{Check, Kind, TcpCheck};

    fn probe(port: u16, tripwire: Tripwire) -> Probe {
        let (second, one) = (Duration::from_secs(1), NonZeroU32::MIN);
        let check = Check {
            name: "tcp".to_owned(),
            interval: second,
            timeout: second,
            recheck: second,
            fall: one,
            rise: one,
            tripwire,
            kind: Kind::Tcp(TcpCheck { port: std::num::NonZeroU16::MIN }),
        };
        Probe { target: ([127, 0, 0, 1], port).into(), server_name: String::new(), check: Arc::new(check) }
    }

    #[test]
    fn so_many_addresses_get_a_connection_and_each_gets_one() {
        let on = |port| probe(port, Tripwire::On);
        let probes = [on(1), probe(2, Tripwire::Off), on(3), on(1), on(4), on(3), on(5)];
        let (shared, without) = share(&probes, 2);
        let ids = |ids: &[u32]| ids.iter().map(|&id| ProbeId(id)).collect::<Vec<_>>();
        assert_eq!(shared.into_values().collect::<Vec<_>>(), [ids(&[0, 3]), ids(&[2, 5])]);
        assert_eq!(without, 2);
    }
}
