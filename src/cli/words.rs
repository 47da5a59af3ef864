//! The one table of commands and flags: help, completions and onstage(1) all come from it.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::{ArgValueCompleter, Shell};

use super::complete;
use super::log::Log;
use super::manual::Page;
use crate::health::Remark;
use crate::plan::Whom;
use crate::report::Colour;

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
    /// Serve: probe the members, answer queries. Ready (`sd_notify`) once it answers; SIGHUP reads config, zones and
    /// certificates again; SIGUSR2 starts the program anew, which takes over; SIGTERM and SIGINT end it
    Serve {
        #[command(flatten)]
        config: ConfigFlag,
        /// Take the place of the server that runs already, which is found by its control socket: its sockets, and all that it
        /// knows. It answers until this one does; without one, this is as without the flag
        #[arg(long)]
        takeover: bool,
        /// Where the log goes, and in which form; `ONSTAGE_LOG` says what is told ("info", "warn", "debug")
        #[arg(long, value_name = "FORM", default_value = "auto")]
        log: Log,
    },
    /// Tell everything that is wrong with the config and its zones
    Check {
        #[command(flatten)]
        config: ConfigFlag,
        /// Probe each member once, too, and ask the zone above for the delegation
        #[arg(long, conflicts_with = "defaults")]
        live: bool,
        /// Print every key with its default instead
        #[arg(long)]
        defaults: bool,
    },
    /// Have the running server probe now, and tell each step: connect, TLS, reply, verdict, which counts as any other does.
    /// Where no server runs, this process probes, as with `--here`
    Probe {
        #[command(flatten)]
        control: ControlFlags,
        /// Probe from this process instead, whom the config on disk names: it counts for nothing, and asks no server
        #[arg(long, conflicts_with = "socket")]
        here: bool,
        /// The pool (its name) or the member (an address, a label, a target; `…@POOL` in one pool); all of them if left out
        #[arg(value_name = "POOL or MEMBER", add = ArgValueCompleter::new(complete::pools_and_members))]
        what: Option<Whom>,
    },
    /// Show the running server: pools, and how each member is
    Status {
        #[command(flatten)]
        control: ControlFlags,
        /// The member to show: an address, a label, a target; `…@POOL` in one pool; all of them if left out
        #[arg(value_name = "MEMBER", add = ArgValueCompleter::new(complete::members))]
        member: Option<Whom>,
        /// As JSON, on one line
        #[arg(long)]
        json: bool,
        /// Again and again, until Ctrl-C
        #[arg(long)]
        watch: bool,
        /// Whether to use colours: `auto` is on a terminal, unless `NO_COLOR` is set
        #[arg(long, value_name = "WHEN", default_value = "auto")]
        colour: When,
    },
    /// Tell why a member is answered or not, and what its last probes add up to
    Explain {
        #[command(flatten)]
        control: ControlFlags,
        /// The member: an address, a label, a target; `…@POOL` in one pool
        #[arg(value_name = "MEMBER", add = ArgValueCompleter::new(complete::members))]
        member: Whom,
    },
    /// Keep a member out of the answers, as long as there is anybody else
    Drain {
        #[command(flatten)]
        order: OrderFlags,
        /// Also where it leaves a pool too few who can serve
        #[arg(long)]
        yes: bool,
    },
    /// Answer a member whatever its probes say
    Force {
        #[command(flatten)]
        order: OrderFlags,
    },
    /// End the order on a member: what its probes say counts again
    Release {
        #[command(flatten)]
        control: ControlFlags,
        /// The member: an address, a label, a target; `…@POOL` in one pool
        #[arg(value_name = "MEMBER", add = ArgValueCompleter::new(complete::members))]
        member: Whom,
        /// Only tell what it would do
        #[arg(long)]
        dry_run: bool,
    },
    /// Have the running server read its config and zones anew: all of it, or nothing changes
    Reload {
        #[command(flatten)]
        control: ControlFlags,
    },
    /// Print what the zone above has to say to delegate each zone, or what a BIND needs to forward it
    Delegation {
        #[command(flatten)]
        config: ConfigFlag,
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
    #[arg(short = 'c', long = "config", value_name = "FILE", default_value = USUAL_CONFIG)]
    pub(super) path: PathBuf,
}

const USUAL_CONFIG: &str = "/etc/onstage/onstage.toml";

impl Default for ConfigFlag {
    fn default() -> Self {
        Self { path: USUAL_CONFIG.into() }
    }
}

/// How the running server is found.
#[derive(Debug, Args)]
pub(super) struct ControlFlags {
    #[command(flatten)]
    pub(super) config: ConfigFlag,
    /// The server's control socket; left out: the one that the config names
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

/// An order.
#[derive(Debug, Args)]
pub(super) struct OrderFlags {
    #[command(flatten)]
    pub(super) control: ControlFlags,
    /// The member: an address, a label, a target; `…@POOL` in one pool
    #[arg(value_name = "MEMBER", add = ArgValueCompleter::new(complete::members))]
    pub(super) member: Whom,
    /// How long it holds (2h, 30min); left out: until it is released
    #[arg(long = "for", value_name = "TIME", value_parser = lasts)]
    pub(super) lasts: Option<Duration>,
    /// What for; everybody who looks is shown it
    #[arg(long, value_name = "WHY", required_unless_present = "dry_run")]
    pub(super) reason: Option<Remark>,
    /// Only tell what it would do: who would be answered, and whether that takes `--yes`
    #[arg(long)]
    pub(super) dry_run: bool,
}

fn lasts(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("it would be over at once".to_owned()),
        Ok(lasts) => Ok(lasts),
        Err(e) => Err(format!("{e}; a time is a number with a unit: 90s, 30min, 2h, 7days")),
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum When {
    Auto,
    Always,
    Never,
}

impl When {
    /// What that means for standard output.
    pub(super) fn colour(self) -> Colour {
        let is_wanted = match self {
            Self::Auto => {
                io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
            }
            Self::Always => true,
            Self::Never => false,
        };
        if is_wanted { Colour::Always } else { Colour::Never }
    }
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
