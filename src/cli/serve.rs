//! `onstage serve`

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use tracing_subscriber::EnvFilter;

use super::{NO, complain, loaded};
use crate::daemon::{Daemon, Loaded, StartError};

pub(super) fn run(path: &Path) -> ExitCode {
    let loaded = match loaded(path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    log_to_stderr();
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

fn log_to_stderr() {
    // They write a line for whatever a client does wrong.
    let usual = || EnvFilter::new("info,h2=error,h3=error,quinn=error");
    let filter = EnvFilter::try_from_env("ONSTAGE_LOG").unwrap_or_else(|_| usual());
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    logs.with_ansi(std::io::stderr().is_terminal()).init();
}
