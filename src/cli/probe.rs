//! `onstage probe`: the running server asks, and what it finds counts; where there is none, or `--here` is said, this process
//! asks, as the config has it, and it counts for nothing. Why: `docs/design/probe-now.md`.

use std::collections::HashSet;
use std::process::ExitCode;

use super::control::{Control, Trouble};
use super::explain::added_up;
use super::text::{latency, verdict};
use super::words::ControlFlags;
use super::{CONFIG, NO, USAGE, complain, loaded, runtime, say};
use crate::admin::probed::{Found, Judged, Probed, Question, Step, judged, questions};
use crate::admin::{Kind, ProbeRequest};
use crate::health::Verdict;
use crate::plan::{Plan, Whom};
use crate::probe::schedule::Ask;

pub(super) fn run(flags: &ControlFlags, here: bool, whom: Option<&Whom>) -> ExitCode {
    if here {
        return ask_here(flags, whom);
    }
    match ask_there(flags, whom) {
        Ok(probed) => tell(&probed),
        Err(trouble @ (Trouble::NoServer(_) | Trouble::NoSocket(_))) if flags.socket.is_none() => {
            complain(&format!("onstage: {trouble}"));
            complain("onstage: this process asks instead, and what it finds counts for nothing");
            ask_here(flags, whom)
        }
        Err(trouble) => {
            let code = trouble.tell();
            if is_for_here(&trouble) {
                complain("onstage: `--here` asks whom the config on disk names, from this process");
            }
            code
        }
    }
}

/// Whether this process could ask all the same.
fn is_for_here(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Refused(refused) => refused.kind == Kind::NoSuchMember,
        trouble => matches!(trouble, Trouble::Forbidden(_)),
    }
}

/// The running server asks.
fn ask_there(flags: &ControlFlags, whom: Option<&Whom>) -> Result<Probed, Trouble> {
    let request = ProbeRequest { member: whom.map(ToString::to_string) };
    Control::find(flags)?.post("/v1/probes", &request)
}

/// Tells what the server was told.
fn tell(Probed { findings, late, members }: &Probed) -> ExitCode {
    for found in findings {
        tell_found(found);
    }
    for question in late {
        say(&asked(question));
        say("  no answer in time; it counts when it comes");
    }
    tell_judged(members, findings.len() + late.len())
}

/// This process asks, one after another, and tells each at once.
fn ask_here(flags: &ControlFlags, whom: Option<&Whom>) -> ExitCode {
    let loaded = match loaded(&flags.config.path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let wanted = loaded.plan.wanted(whom);
    if wanted.is_empty() {
        return nobody(&loaded.plan, whom);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let (mut asked, mut passing) = (0, HashSet::new());
    for (id, question) in questions(&loaded.plan, &wanted) {
        asked += 1;
        let finding = runtime.block_on(loaded.network.ask(id));
        tell_found(&Found::new(question, &finding, None));
        if finding.verdict == Verdict::Pass {
            passing.insert(id);
        }
    }
    let judged = wanted.iter().map(|wanted| judged(&loaded.plan, wanted, &|id| passing.contains(&id)));
    tell_judged(&judged.collect::<Vec<_>>(), asked)
}

/// Why nobody is asked.
fn nobody(plan: &Plan, whom: Option<&Whom>) -> ExitCode {
    let Some(whom) = whom else {
        complain("onstage: the config has no pool: nobody is probed");
        return ExitCode::from(CONFIG);
    };
    complain(&format!("onstage: there is no pool and no member `{whom}`{}", plan.near(whom)));
    ExitCode::from(USAGE)
}

fn asked(Question { label, target, server_name, check }: &Question) -> String {
    let alias = if server_name.is_empty() { String::new() } else { format!(" as {server_name}") };
    format!("{label}: {target}{alias}, check {check}")
}

fn tell_found(found: &Found) {
    say(&asked(&found.question));
    for Step { name, seen, took_ms } in &found.steps {
        say(&format!("  {name:<8} {:>10}  {seen}", latency(*took_ms)));
    }
    let verdict = verdict(found.reason.as_deref(), found.leaving, found.detail.as_deref());
    let so_far = found.so_far.as_ref().map(added_up);
    let more = [
        ("load", &found.load),
        ("version", &found.version),
        ("verdict", &Some(verdict)),
        ("so far", &so_far),
    ];
    for (name, text) in more {
        if let Some(text) = text {
            say(&format!("  {name:<8} {text}"));
        }
    }
}

/// A line for each, where more is asked than they are; whether all pass.
fn tell_judged(members: &[Judged], asked: usize) -> ExitCode {
    let adding_up = if asked > members.len() { members } else { &[] };
    for Judged { label, passes, .. } in adding_up {
        say(&format!("{label}: {}, all in all", if *passes { "pass" } else { "fail" }));
    }
    if members.iter().all(|judged| judged.passes) { ExitCode::SUCCESS } else { ExitCode::from(NO) }
}
