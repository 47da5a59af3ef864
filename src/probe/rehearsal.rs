//! Who is new is asked once before anybody is answered with it, beside all that goes on meanwhile.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Finding;
use super::schedule::Ask;
use super::turns::{Lone, alone};
use crate::plan::Probe;
use crate::units::ProbeId;

/// Questions at once.
const IN_FLIGHT: usize = 256;

/// Asks each of `ids` once. Who has not answered by `end` is left out, and so is who is never asked without its turn.
pub async fn rehearse(
    probes: &[Probe],
    ids: Vec<ProbeId>,
    ask: &Arc<impl Ask>,
    end: Instant,
) -> Vec<(ProbeId, Finding)> {
    let may_be_asked = |id: &ProbeId| !probes[id.index()].check.kind.asks_one_at_a_time();
    let mut asked = ask_each(probes, ids.into_iter().filter(may_be_asked), ask, IN_FLIGHT);
    let mut found = Vec::new();
    while let Ok(Some(answer)) = timeout_at(end, asked.join_next()).await {
        found.extend(answer.ok());
    }
    found
}

/// Asks each of `ids` once, so many `at_once`, but of a check that asks one member at a time only one.
pub fn ask_each(
    probes: &[Probe],
    ids: impl Iterator<Item = ProbeId>,
    ask: &Arc<impl Ask>,
    at_once: usize,
) -> JoinSet<(ProbeId, Finding)> {
    let (turns, mut lone) = (Arc::new(Semaphore::new(at_once)), Lone::default());
    let one = |id: ProbeId| {
        let (ask, turns) = (Arc::clone(ask), Arc::clone(&turns));
        let lone = lone.of(&probes[id.index()].check);
        async move {
            let _lone = alone(lone.as_deref()).await;
            let _turn = turns.acquire().await; // it is never closed
            (id, ask.ask(id).await)
        }
    };
    ids.map(one).collect()
}
