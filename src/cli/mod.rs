//! Words to calls, results to exit codes.

mod check;
mod complete;
mod control;
mod delegation;
mod explain;
mod live;
mod log;
mod manual;
mod orders;
mod parent;
mod probe;
mod reload;
mod serve;
mod status;
mod successor;
mod supervisor;
mod table;
mod text;
mod words;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use clap_complete::env::Shells;
use tokio::runtime::{Builder, Runtime};

use crate::daemon::{Loaded, Reading, load};
use crate::demo;
use crate::health::Word;
use crate::report::{Colour, Report, Severity, Sources};
use serve::Start;
use words::{Command, Words};

/// The answer is no.
const NO: u8 = 1;
/// The words make no sense (sysexits.h: `EX_USAGE`).
const USAGE: u8 = 64;
/// The config makes no sense (sysexits.h: `EX_CONFIG`).
const CONFIG: u8 = 78;

/// Set by the scripts of `onstage completions`: a shell asks how a line may go on.
const COMPLETE: &str = "ONSTAGE_COMPLETE";

/// From `$fpath`, as packages install it, zsh takes the script for the body of `_onstage`, which is to complete something the
/// first time, too.
const ZSH_FIRST_TIME: &str =
    "if [[ ${funcstack[1]-} == _onstage ]]; then _clap_dynamic_completer_onstage \"$@\"; fi";

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    CompleteEnv::with_factory(Words::command).var(COMPLETE).bin("onstage").complete();
    let words = match Words::try_parse() {
        Ok(words) => words,
        Err(e) => {
            let code = if e.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
            let _ = e.print();
            return code;
        }
    };
    match words.command {
        Command::Serve { config, takeover, log } => {
            let start = if takeover { Start::Takeover } else { Start::First };
            serve::run(&config.path, start, log)
        }
        Command::Check { config, live, defaults } => check::run(&config.path, live, defaults),
        Command::Probe { control, here, what } => probe::run(&control, here, what.as_ref()),
        Command::Status { control, member, json, watch, colour } => {
            status::run(&control, member.as_ref(), json, watch, colour.colour())
        }
        Command::Explain { control, member } => explain::run(&control, &member),
        Command::Drain { order, yes } => orders::order(&order, Word::Drain, yes),
        Command::Force { order } => orders::order(&order, Word::Force, false),
        Command::Release { control, member, dry_run } => orders::release(&control, &member, dry_run),
        Command::Reload { control } => reload::run(&control),
        Command::Delegation { config } => delegation::run(&config.path),
        Command::Demo { once } => demo::run(once),
        Command::Completions { shell } => completions(shell),
        Command::Man { page } => manual::run(page),
    }
}

fn completions(shell: clap_complete::Shell) -> ExitCode {
    let scripts = Shells::builtins();
    let script = scripts.completer(&shell.to_string());
    let written = script.map(|script| {
        script.write_registration(COMPLETE, "onstage", "onstage", "onstage", &mut std::io::stdout())
    });
    if !matches!(written, Some(Ok(()))) {
        return ExitCode::from(NO);
    }
    if shell == clap_complete::Shell::Zsh {
        say(ZSH_FIRST_TIME);
    }
    ExitCode::SUCCESS
}

/// Loads a config; what is wrong or worth a look goes to standard error.
fn loaded(path: &Path) -> Result<Loaded, ExitCode> {
    examined(path).map(|(loaded, _warnings)| loaded)
}

/// The same, with how much is worth a look.
fn examined(path: &Path) -> Result<(Loaded, usize), ExitCode> {
    let Reading { sources, report, loaded } = load(path, |path| std::fs::read(path));
    complain_of(&report, &sources);
    let warnings = report.problems().iter().filter(|problem| problem.severity == Severity::Warning);
    loaded.map(|loaded| (loaded, warnings.count())).ok_or(ExitCode::from(CONFIG))
}

/// Only what is wrong goes to standard error: whoever reads the config next says what is worth a look.
fn approved(path: &Path) -> Result<(), ExitCode> {
    let Reading { sources, report, loaded } = load(path, |path| std::fs::read(path));
    loaded.map(drop).ok_or_else(|| {
        complain_of(&report, &sources);
        ExitCode::from(CONFIG)
    })
}

fn complain_of(report: &Report, sources: &Sources) {
    let colour =
        if std::io::IsTerminal::is_terminal(&std::io::stderr()) { Colour::Always } else { Colour::Never };
    complain(report.render(sources, colour).trim_end());
}

/// What probes run on where no server does.
fn runtime() -> Result<Runtime, ExitCode> {
    Builder::new_current_thread().enable_all().build().map_err(|_| {
        complain("onstage: cannot start");
        ExitCode::from(NO)
    })
}

/// A sentence for standard error; nothing for an empty one.
#[expect(clippy::print_stderr, reason = "this is where the command line complains")]
fn complain(sentence: &str) {
    if !sentence.is_empty() {
        eprintln!("{sentence}");
    }
}

/// A line for standard output. Where nobody reads any more, there is nothing left to do.
fn say(line: &str) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(NO.into());
    }
}
