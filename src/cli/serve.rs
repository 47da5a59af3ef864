//! `onstage serve`

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::log::{self, Log};
use super::{NO, complain, loaded};
use crate::daemon::{Daemon, Loaded, StartError};

pub(super) fn run(path: &Path, log: Log) -> ExitCode {
    let loaded = match loaded(path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    log::start(log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return refuse(&format!("cannot start: {e}")),
    };
    match runtime.block_on(serve(loaded)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => refuse(&e.to_string()),
    }
}

fn refuse(sentence: &str) -> ExitCode {
    complain(&format!("onstage: {sentence}"));
    ExitCode::from(NO)
}

/// From the first probe to the last reply.
async fn serve(loaded: Loaded) -> Result<(), StartError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    tokio::pin!(stop);
    let daemon = tokio::select! {
        daemon = Daemon::start(&loaded.plan, &loaded.network) => daemon?,
        signal = &mut stop => {
            info!(signal, "stopped before the first round of probes had ended");
            return Ok(());
        }
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    if let Some(within) = watchdog() {
        tokio::spawn(daemon.pulse().feed(within, || tell(sd_notify::NotifyState::Watchdog)));
    }
    let signal = loop {
        tokio::select! {
            signal = &mut stop => break signal,
            _ = hangup.recv() => daemon.renew().await,
        }
    };
    info!(signal, "stopping");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    daemon.stop().await;
    Ok(())
}

/// How often the service manager wants a sign of life. (Not by `sd_notify`, which looks at `WATCHDOG_PID`: a process that
/// took the service over is another one.)
fn watchdog() -> Option<Duration> {
    let within = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (within > 0).then(|| Duration::from_micros(within))
}

/// Tells the service manager something, wherever there is one; it may take its time to listen.
fn tell(state: sd_notify::NotifyState<'static>) {
    tokio::task::spawn_blocking(move || sd_notify::notify(&[state]));
}
