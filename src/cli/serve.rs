//! `onstage serve`

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use super::log::{self, Log};
use super::{NO, complain, loaded};
use crate::admin::{Refused, Reloaded};
use crate::daemon::{Daemon, Loaded, StartError, TakeoverError, activated, find_running};

/// The flag that makes a process take over.
const TAKEOVER: &str = "--takeover";

/// Whether a server that runs already is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    /// There is none.
    First,
    /// It hands over, if there is one.
    Takeover,
}

pub(super) fn run(path: &Path, entrance: Entrance, log: Log) -> ExitCode {
    let loaded = match loaded(path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    log::start(log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return refuse(&format!("cannot start: {e}")),
    };
    match runtime.block_on(serve(loaded, entrance)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => refuse(&e.to_string()),
    }
}

fn refuse(sentence: &str) -> ExitCode {
    complain(&format!("onstage: {sentence}"));
    ExitCode::from(NO)
}

/// From the first probe to the last reply.
async fn serve(loaded: Loaded, entrance: Entrance) -> Result<(), TakeoverError> {
    let signals = |kind| signal(kind).map_err(StartError::Io);
    let mut terminate = signals(SignalKind::terminate())?;
    let mut interrupt = signals(SignalKind::interrupt())?;
    let mut hangup = signals(SignalKind::hangup())?;
    let mut relieve = signals(SignalKind::user_defined2())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    tokio::pin!(stop);
    let daemon = tokio::select! {
        daemon = enter(&loaded, entrance) => Arc::new(daemon?),
        signal = &mut stop => {
            info!(signal, "stopped before the first round of probes had ended");
            return Ok(());
        }
    };
    tell_ready(entrance);
    if let Some(within) = watchdog() {
        tokio::spawn(daemon.pulse().feed(within, || tell(NotifyState::Watchdog)));
    }
    loop {
        tokio::select! {
            signal = &mut stop => {
                info!(signal, "stopping");
                let _ = sd_notify::notify(&[NotifyState::Stopping]);
                break;
            }
            () = daemon.succeeded() => break,
            _ = hangup.recv() => drop(tokio::spawn(reload(Arc::clone(&daemon)))),
            _ = relieve.recv() => drop(tokio::spawn(start_successor())),
        }
    }
    daemon.stop().await;
    Ok(())
}

async fn enter(loaded: &Loaded, entrance: Entrance) -> Result<Daemon, TakeoverError> {
    let Loaded { plan, network } = loaded;
    if entrance == Entrance::Takeover {
        let running = match &plan.admin.socket {
            Some(socket) => find_running(socket).await?,
            None => None,
        };
        if let Some(stream) = running {
            return Daemon::take_over(plan, network, stream).await;
        }
        info!("no server is running that could be taken over: this one starts");
    }
    Ok(Daemon::start_with(plan, network, &mut activated()).await?)
}

/// systemd knows the process that it has started; from one that takes over it hears who that is.
fn tell_ready(entrance: Entrance) {
    let _ = match entrance {
        Entrance::First => sd_notify::notify(&[NotifyState::Ready]),
        Entrance::Takeover => {
            sd_notify::notify(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready])
        }
    };
}

/// Starts the program as it is on disk now, with the words that this process was started with, so that it takes over. As a
/// child of this one it belongs to the same service.
async fn start_successor() {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let takeover = OsString::from(TAKEOVER);
    if !words.contains(&takeover) {
        words.push(takeover);
    }
    let Some((program, words)) = words.split_first() else { return };
    match tokio::process::Command::new(program).args(words).spawn() {
        Ok(mut successor) => {
            info!(pid = successor.id(), "a successor was started");
            if let Ok(status) = successor.wait().await {
                error!(%status, "the successor has ended: this process goes on");
            }
        }
        Err(e) => error!(program = %program.display(), %e, "cannot start a successor"),
    }
}

/// As `onstage reload`, and what comes of it goes to the log.
async fn reload(daemon: Arc<Daemon>) {
    daemon.renew().await;
    match daemon.reload_files().await {
        Ok(Reloaded { report, .. }) => complain(report.trim_end()),
        Err(Refused { report, .. }) => complain(report.unwrap_or_default().trim_end()),
    }
}

/// How often the service manager wants a sign of life. (Not by `sd_notify`, which looks at `WATCHDOG_PID`: a process that
/// took the service over is another one.)
fn watchdog() -> Option<Duration> {
    let within = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (within > 0).then(|| Duration::from_micros(within))
}

/// Tells the service manager something, wherever there is one; it may take its time to listen.
fn tell(state: NotifyState<'static>) {
    tokio::task::spawn_blocking(move || sd_notify::notify(&[state]));
}
