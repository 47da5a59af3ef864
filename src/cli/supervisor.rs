//! What the service manager is told, wherever there is one (`sd_notify(3)`).
//!
//! | word | when |
//! |---|---|
//! | `STATUS=` | before the first round, then whenever pools change: the line of `systemctl status` |
//! | `EXTEND_TIMEOUT_USEC=` | before the first round, which may take longer than a unit is usually given |
//! | `READY=1` | it answers |
//! | `MAINPID=` | it answers in another process's place (and that one says so, too, before it ends: `daemon/handover.rs`) |
//! | `WATCHDOG=1` | the director has answered (`daemon/pulse.rs`) |
//! | `STOPPING=1` | it was told to end |

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::serve::Entrance;
use crate::admin::status::{Pool, Prober};
use crate::daemon::{Daemon, Steering};
use crate::prose::plural;
use crate::snapshot::Mode;

/// What a start may take beside the first round.
const SLACK: Duration = Duration::from_secs(30);
/// From one status to the next, at the least: to draw it costs something where there are thousands of members.
const PAUSE: Duration = Duration::from_secs(2);
/// And at the most: not everything that it tells changes with a pool.
const LONGEST: Duration = Duration::from_secs(30);
/// So many pools that fail open are named.
const MOST_NAMED: usize = 3;

/// Each member is asked once, which takes `first_round` at the most.
pub(super) fn tell_starting(first_round: Duration) {
    let enough = u32::try_from((first_round + SLACK).as_micros()).unwrap_or(u32::MAX);
    let _ = sd_notify::notify(&[
        NotifyState::Status("asking each member once, before anything is answered"),
        NotifyState::ExtendTimeoutUsec(enough),
    ]);
}

/// systemd knows the process that it has started; from one that takes over it hears who that is.
pub(super) fn tell_ready(entrance: Entrance) {
    let _ = match entrance {
        Entrance::First => sd_notify::notify(&[NotifyState::Ready]),
        Entrance::Takeover => {
            sd_notify::notify(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready])
        }
    };
}

/// It ends because somebody wants it to.
pub(super) fn tell_stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}

/// Tells that it lives, and how its pools are, for as long as it does.
pub(super) fn keep_telling(daemon: &Daemon) {
    if let Some(within) = watchdog() {
        tokio::spawn(daemon.pulse().feed(within, || tell(NotifyState::Watchdog)));
    }
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        tokio::spawn(tell_status(daemon.steering(), daemon.changes()));
    }
}

/// How often the service manager wants a sign of life. (Not by `sd_notify`, which looks at `WATCHDOG_PID`: a process that
/// took the service over is another one.)
fn watchdog() -> Option<Duration> {
    let within = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (within > 0).then(|| Duration::from_micros(within))
}

/// It may take its time to listen.
fn tell(state: NotifyState<'static>) {
    spawn_blocking(move || sd_notify::notify(&[state]));
}

async fn tell_status(steering: Steering, mut changes: watch::Receiver<u64>) {
    let mut told = String::new();
    while let Ok(view) = steering.view(None).await {
        let line = summary(&view.pools, &view.prober);
        if line != told {
            told.clone_from(&line);
            let _ = spawn_blocking(move || sd_notify::notify(&[NotifyState::Status(&line)])).await;
        }
        sleep(PAUSE).await;
        let _ = timeout(LONGEST, changes.changed()).await;
    }
}

/// How the pools are, in one line.
fn summary(pools: &[Pool], prober: &Prober) -> String {
    let is_live = |pool: &&Pool| pool.mode == Mode::Live;
    let members = || pools.iter().flat_map(|pool| &pool.members);
    let mut parts = vec![format!(
        "{} of {} live, {} of {} live",
        pools.iter().filter(is_live).count(),
        plural(pools.len(), "pool", "pools"),
        members().filter(|member| member.live).count(),
        plural(members().count(), "member", "members"),
    )];
    let mut failing = pools.iter().filter(|pool| !is_live(pool));
    let named = failing.by_ref().take(MOST_NAMED);
    parts.extend(named.map(|pool| format!("{} {} fails open", pool.name, pool.record_type)));
    if failing.next().is_some() {
        parts.push("so do others".to_owned());
    }
    if prober.frozen {
        parts.push("no member answers, and no guard: what is observed is frozen".to_owned());
    }
    if prober.stale > 0 {
        parts.push("the prober stalls".to_owned());
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::status::Status;

    #[test]
    fn a_line_tells_what_is_not_as_it_should_be() {
        let status = include_str!("../../tests/fixtures/status/status.json");
        let Status { pools, server, .. } = serde_json::from_str(status).unwrap();
        let failing = pools.iter().find(|pool| pool.mode == Mode::FailingOpen).unwrap();
        let mut prober = Prober { stale: 0, frozen: false, ..server.prober };
        let calm: Vec<Pool> = pools.iter().filter(|pool| pool.mode == Mode::Live).take(1).cloned().collect();
        let able = calm[0].members.iter().filter(|member| member.live).count();
        let size = calm[0].members.len();
        let line = format!("1 of 1 pool live, {able} of {size} members live");
        assert_eq!(summary(&calm, &prober), line);
        prober.frozen = true;
        assert!(summary(&calm, &prober).starts_with(&format!("{line}; no member answers")));
        prober = Prober { stale: 1, frozen: false, ..prober };
        assert_eq!(summary(&calm, &prober), format!("{line}; the prober stalls"));
        let told = summary(&vec![failing.clone(); MOST_NAMED + 1], &Prober { stale: 0, ..prober });
        assert!(told.starts_with("0 of 4 pools live, "), "{told}");
        assert_eq!(
            told.matches(&format!("{} {} fails open", failing.name, failing.record_type)).count(),
            MOST_NAMED
        );
        assert!(told.ends_with("; so do others"), "{told}");
    }
}
