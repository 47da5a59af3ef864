//! Words to calls, results to exit codes.

mod check;
mod control;
mod orders;
mod probe;
mod serve;
mod status;
mod table;
mod text;
mod words;

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::daemon::{Loaded, Reading, load};
use crate::demo;
use crate::health::Word;
use crate::report::Colour;
use serve::Entrance;
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
        Command::Serve { config, takeover } => {
            let entrance = if takeover { Entrance::Takeover } else { Entrance::First };
            serve::run(&config.path, entrance)
        }
        Command::Check { config, defaults } => check::run(&config.path, defaults),
        Command::Probe { config, what } => probe::run(&config.path, what.as_deref()),
        Command::Status { control, member, json, watch, colour } => {
            status::run(&control, member.as_deref(), json, watch, colour.colour())
        }
        Command::Drain { order, yes } => orders::order(&order, Word::Drain, yes),
        Command::Force { order } => orders::order(&order, Word::Force, false),
        Command::Release { control, member } => orders::release(&control, &member),
        Command::Demo { once } => demo::run(once),
        Command::Completions { shell } => completions(shell),
        Command::Man => man(),
    }
}

fn completions(shell: clap_complete::Shell) -> ExitCode {
    clap_complete::generate(shell, &mut Words::command(), "onstage", &mut std::io::stdout());
    ExitCode::SUCCESS
}

fn man() -> ExitCode {
    match words::man(&mut std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(NO),
    }
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
