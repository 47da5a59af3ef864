//! `onstage serve`

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use super::{NO, complain, loaded};
use crate::admin::{Refused, Reloaded};
use crate::daemon::{Daemon, Loaded, StartError, TakeoverError, activated, find_running};

/// Whether a server that runs already is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    /// There is none.
    First,
    /// It hands over, if there is one.
    Takeover,
}

pub(super) fn run(path: &Path, entrance: Entrance) -> ExitCode {
    let loaded = match loaded(path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    log_to_stderr();
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
    loop {
        tokio::select! {
            signal = &mut stop => {
                info!(signal, "stopping");
                let _ = sd_notify::notify(&[NotifyState::Stopping]);
                break;
            }
            () = daemon.succeeded() => break,
            _ = hangup.recv() => drop(tokio::spawn(reload(Arc::clone(&daemon)))),
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

/// As `onstage reload`, and what comes of it goes to the log.
async fn reload(daemon: Arc<Daemon>) {
    daemon.renew().await;
    match daemon.reload_files().await {
        Ok(Reloaded { report, .. }) if report.trim().is_empty() => {}
        Ok(Reloaded { report, .. }) => complain(report.trim_end()),
        Err(Refused { error, report, .. }) => {
            error!("{error}");
            complain(report.unwrap_or_default().trim_end());
        }
    }
}

fn log_to_stderr() {
    // They write a line for whatever a client does wrong.
    let usual = || EnvFilter::new("info,h2=error,h3=error,quinn=error");
    let filter = EnvFilter::try_from_env("ONSTAGE_LOG").unwrap_or_else(|_| usual());
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    logs.with_ansi(std::io::stderr().is_terminal()).init();
}
