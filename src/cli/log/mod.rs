//! Where the log goes: to people, to the journal, or to a program.
//!
//! | `--log` | one transition is | where |
//! |---|---|---|
//! | `text` | a line: time, level, message, fields | standard error |
//! | `json` | an object on a line of its own | standard error |
//! | `journal` | an entry: a message for people, and each field by itself | journald's socket |
//! | `auto` | `journal` where standard error is the journal, else `text` | |
//!
//! `ONSTAGE_LOG` says what is told: `info`, `debug`, `warn,onstage::daemon=info`, … (`docs/design/log.md` has why these are
//! no keys of the config.)

mod journal;

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing::warn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use journal::Journal;

/// What is told where nobody says otherwise. These three write a line for whatever a client does wrong.
const USUAL: &str = "info,h2=error,h3=error,quinn=error";

/// `--log`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Log {
    /// To the journal where standard error is the journal's (`JOURNAL_STREAM`), else as text
    Auto,
    /// Lines for people, to standard error
    Text,
    /// To journald: a message, and each field by itself (`journalctl ONSTAGE_POOL=puppet.example.org`)
    Journal,
    /// One object a line, to standard error
    Json,
}

/// Starts the log of this process.
pub(super) fn start(log: Log) {
    let (way, trouble) = match log {
        Log::Json => (json().boxed(), None),
        Log::Text => (text().boxed(), None),
        Log::Auto if !journal::is_standard_error() => (text().boxed(), None),
        Log::Auto | Log::Journal => match Journal::open() {
            Ok(journal) => (journal.boxed(), None),
            Err(e) => (text().boxed(), Some(e)),
        },
    };
    let filter = EnvFilter::try_from_env("ONSTAGE_LOG").unwrap_or_else(|_| EnvFilter::new(USUAL));
    tracing_subscriber::registry().with(way.with_filter(filter)).init();
    if let Some(e) = trouble {
        warn!(%e, "cannot reach journald: the log goes to standard error");
    }
}

fn text() -> impl Layer<Registry> {
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    layer.with_ansi(io::stderr().is_terminal())
}

fn json() -> impl Layer<Registry> {
    let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_target(false);
    layer.with_current_span(false).with_span_list(false).with_writer(io::stderr)
}
