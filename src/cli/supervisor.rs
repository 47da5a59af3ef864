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

use super::serve::Start;
use crate::daemon::{Brief, Daemon, Steering};
use crate::prose::{plural, some};

/// What a start may take beside the first round.
const SLACK: Duration = Duration::from_secs(30);
/// From one status to the next, at the least: a line that people read changes no faster.
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
pub(super) fn tell_ready(start: Start) {
    let _ = match start {
        Start::First => sd_notify::notify(&[NotifyState::Ready]),
        Start::Takeover => sd_notify::notify(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready]),
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
    while let Ok(brief) = steering.brief().await {
        let line = summary(&brief);
        if line != told {
            told.clone_from(&line);
            let _ = spawn_blocking(move || sd_notify::notify(&[NotifyState::Status(&line)])).await;
        }
        sleep(PAUSE).await;
        let _ = timeout(LONGEST, changes.changed()).await;
    }
}

/// How the pools are, in one line.
fn summary(brief: &Brief) -> String {
    let Brief { pools, failing, members, live, stale, frozen } = brief;
    let mut parts = vec![format!(
        "{} of {} live, {live} of {} live",
        pools - failing.len(),
        plural(*pools, "pool", "pools"),
        plural(*members, "member", "members"),
    )];
    if !failing.is_empty() {
        parts.push(format!("failing open: {}", some(failing, MOST_NAMED)));
    }
    if *frozen {
        parts.push("no member answers, and no guard: what is observed is frozen".to_owned());
    }
    if *stale > 0 {
        parts.push("the prober stalls".to_owned());
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_is_not_as_it_should_be() {
        let calm = Brief { pools: 1, failing: Vec::new(), members: 3, live: 2, stale: 0, frozen: false };
        let line = "1 of 1 pool live, 2 of 3 members live";
        assert_eq!(summary(&calm), line);
        let frozen = Brief { frozen: true, ..calm.clone() };
        assert!(summary(&frozen).starts_with(&format!("{line}; no member answers")));
        let stale = Brief { stale: 1, ..calm.clone() };
        assert_eq!(summary(&stale), format!("{line}; the prober stalls"));
        let failing = ["a A", "a AAAA", "b A", "c A"].map(ToOwned::to_owned).to_vec();
        let failing = Brief { pools: 5, failing, ..calm };
        let told = "1 of 5 pools live, 2 of 3 members live; failing open: a A, a AAAA, b A and 1 other";
        assert_eq!(summary(&failing), told);
    }
}
