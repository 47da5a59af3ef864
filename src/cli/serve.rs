//! `onstage serve`

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::log::{self, Log};
use super::{NO, approved, complain, loaded, successor, supervisor};
use crate::admin::{Refused, Reloaded};
use crate::daemon::{Daemon, Loaded, StartError, TakeoverError, activated, find_running};

/// Whether a server that runs already is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// There is none.
    First,
    /// It hands over, if there is one.
    Takeover,
}

pub(super) fn run(path: &Path, start: Start, log: Log) -> ExitCode {
    if successor::is_go_between() {
        return go_between(path);
    }
    let loaded = match loaded(path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    log::start(log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return refuse(&format!("cannot start: {e}")),
    };
    match runtime.block_on(serve(loaded, start)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => refuse(&e.to_string()),
    }
}

/// Starts the successor, if the config makes sense.
fn go_between(path: &Path) -> ExitCode {
    match approved(path).map(|()| successor::start_as_go_between()) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(e)) => refuse(&format!("cannot start a successor: {e}")),
        Err(code) => code,
    }
}

fn refuse(sentence: &str) -> ExitCode {
    complain(&format!("onstage: {sentence}"));
    ExitCode::from(NO)
}

/// From the first probe to the last reply.
async fn serve(loaded: Loaded, start: Start) -> Result<(), TakeoverError> {
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
        daemon = begin(&loaded, start) => Arc::new(daemon?),
        signal = &mut stop => {
            info!(signal, "stopped before the first round of probes had ended");
            return Ok(());
        }
    };
    supervisor::tell_ready(start);
    supervisor::keep_telling(&daemon);
    loop {
        tokio::select! {
            signal = &mut stop => {
                info!(signal, "stopping");
                supervisor::tell_stopping();
                break;
            }
            () = daemon.succeeded() => break,
            _ = hangup.recv() => drop(tokio::spawn(reload(Arc::clone(&daemon)))),
            _ = relieve.recv() => drop(tokio::spawn(successor::start(daemon.control()))),
        }
    }
    daemon.stop().await;
    Ok(())
}

async fn begin(loaded: &Loaded, start: Start) -> Result<Daemon, TakeoverError> {
    let Loaded { plan, network } = loaded;
    if start == Start::Takeover {
        let running = match successor::predecessor().or_else(|| plan.admin.socket.clone()) {
            Some(socket) => find_running(&socket).await?,
            None => None,
        };
        if let Some(stream) = running {
            return Daemon::take_over(plan, network, stream).await;
        }
        info!("no server is running that could be taken over: this one starts");
    }
    supervisor::tell_starting(plan.server.first_round);
    Ok(Daemon::start_with(plan, network, &mut activated()).await?)
}

/// As `onstage reload`, and what comes of it goes to the log.
async fn reload(daemon: Arc<Daemon>) {
    daemon.renew().await;
    match daemon.reload_files().await {
        Ok(Reloaded { report, .. }) => complain(report.trim_end()),
        Err(Refused { report, .. }) => complain(report.unwrap_or_default().trim_end()),
    }
}
