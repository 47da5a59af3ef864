//! The one table of commands and flags: help, completions and onstage(1) all come from it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::log::Log;
use super::manual::Page;

/// An authoritative DNS server that answers only with servers that can serve.
///
/// The parent zone delegates a name to it, say puppet.example.org. It probes each server behind that name as a
/// client would meet it, and leaves out of the answer whoever cannot serve, until it can.
#[derive(Debug, Parser)]
#[command(name = "onstage", version, arg_required_else_help = true)]
pub(super) struct Words {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve: probe the members, answer queries. Ready (`sd_notify`) once it answers; SIGHUP reads the certificate
    /// again, SIGTERM and SIGINT end it
    Serve {
        #[command(flatten)]
        config: ConfigFlag,
        /// Where the log goes, and in which form; `ONSTAGE_LOG` says what is told ("info", "warn", "debug")
        #[arg(long, value_name = "FORM", default_value = "auto")]
        log: Log,
    },
    /// Tell everything that is wrong with the config and its zones
    Check {
        #[command(flatten)]
        config: ConfigFlag,
        /// Print every key with its default instead
        #[arg(long)]
        defaults: bool,
    },
    /// Probe once and tell each step: connect, TLS, reply, verdict
    Probe {
        #[command(flatten)]
        config: ConfigFlag,
        /// The pool (its name) or the member (its address, target or label) to probe; all of them if left out
        #[arg(value_name = "POOL or MEMBER")]
        what: Option<String>,
    },
    /// See it work: masters and a DNS server on loopback, a crash, a freeze, a wrong certificate; no setup
    Demo {
        /// Play once and exit: 0 if everything went as told
        #[arg(long)]
        once: bool,
    },
    /// Print a script that completes these words in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a page of the manual, roff: `onstage man onstage.toml | man -l -`
    Man {
        /// The page
        #[arg(default_value = "onstage")]
        page: Page,
    },
}

#[derive(Debug, Args)]
pub(super) struct ConfigFlag {
    /// The config file
    #[arg(short = 'c', long = "config", value_name = "FILE", default_value = "/etc/onstage/onstage.toml")]
    pub(super) path: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_table_is_sound() {
        Words::command().debug_assert();
    }
}
