//! Words to calls, results to exit codes.

mod check;
mod log;
mod manual;
mod probe;
mod serve;
mod words;

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::daemon::{Loaded, Reading, load};
use crate::demo;
use crate::report::Colour;
use words::{Command, Words};

/// The answer is no.
const NO: u8 = 1;
/// The words make no sense (sysexits.h: `EX_USAGE`).
const USAGE: u8 = 64;
/// The config makes no sense (sysexits.h: `EX_CONFIG`).
const CONFIG: u8 = 78;

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let words = match Words::try_parse() {
        Ok(words) => words,
        Err(e) => {
            let code = if e.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
            let _ = e.print();
            return code;
        }
    };
    match words.command {
        Command::Serve { config, log } => serve::run(&config.path, log),
        Command::Check { config, defaults } => check::run(&config.path, defaults),
        Command::Probe { config, what } => probe::run(&config.path, what.as_deref()),
        Command::Demo { once } => demo::run(once),
        Command::Completions { shell } => completions(shell),
        Command::Man { page } => manual::run(page),
    }
}

fn completions(shell: clap_complete::Shell) -> ExitCode {
    clap_complete::generate(shell, &mut Words::command(), "onstage", &mut std::io::stdout());
    ExitCode::SUCCESS
}

/// Loads a config; what is wrong or worth a look goes to standard error.
fn loaded(path: &Path) -> Result<Loaded, ExitCode> {
    let Reading { sources, report, loaded } = load(path, |path| std::fs::read(path));
    let colour =
        if std::io::IsTerminal::is_terminal(&std::io::stderr()) { Colour::Always } else { Colour::Never };
    complain(report.render(&sources, colour).trim_end());
    loaded.ok_or(ExitCode::from(CONFIG))
}

/// A sentence for standard error; nothing for an empty one.
#[expect(clippy::print_stderr, reason = "this is where the command line complains")]
fn complain(sentence: &str) {
    if !sentence.is_empty() {
        eprintln!("{sentence}");
    }
}

/// A line for standard output.
#[expect(clippy::print_stdout, reason = "this is where the command line answers")]
fn say(line: &str) {
    println!("{line}");
}
