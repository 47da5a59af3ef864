//! The one table of commands and flags: help, completions and the man page all come from it.

use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

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
    /// Print the manual page, roff
    Man,
}

#[derive(Debug, Args)]
pub(super) struct ConfigFlag {
    /// The config file
    #[arg(short = 'c', long = "config", value_name = "FILE", default_value = "/etc/onstage/onstage.toml")]
    pub(super) path: PathBuf,
}

/// Writes the manual page: the command, then each of its words.
pub(super) fn man(to: &mut impl io::Write) -> io::Result<()> {
    let command = Words::command();
    let man = clap_mangen::Man::new(command.clone());
    man.render_title(to)?;
    man.render_name_section(to)?;
    man.render_synopsis_section(to)?;
    man.render_description_section(to)?;
    for word in command.get_subcommands() {
        let mut word = word.clone().bin_name(format!("onstage {}", word.get_name()));
        word.build();
        let heading = word.get_name().to_uppercase();
        writeln!(to, ".SH \"{heading}\"")?;
        writeln!(to, "{}", word.get_about().map(ToString::to_string).unwrap_or_default())?;
        let word = clap_mangen::Man::new(word);
        word.render_synopsis_section(to)?;
        word.render_options_section(to)?;
    }
    to.write_all(EXIT_STATUS.as_bytes())
}

const EXIT_STATUS: &str = r#".SH "EXIT STATUS"
.TP
0
Everything is fine.
.TP
1
The answer is no: a member did not pass, the server could not start.
.TP
64
The words on the command line make no sense.
.TP
78
The config or a zone file makes no sense.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        Words::command().debug_assert();
    }

    #[test]
    fn every_word_and_flag_is_in_the_manual() {
        let mut page = Vec::new();
        man(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap().replace(r"\-", "-");
        for word in Words::command().get_subcommands() {
            assert!(page.contains(&word.get_name().to_uppercase()), "{}", word.get_name());
            for flag in word.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(page.contains(&format!("--{flag}")), "{flag}");
            }
        }
    }
}
