//! `onstage drain`, `force`, `release`

use std::process::ExitCode;

use super::control::{Control, Trouble};
use super::words::{ControlFlags, OrderFlags};
use super::{complain, say};
use crate::admin::status::Mode;
use crate::admin::{Effect, Kind, Left, OrderRequest, ReleaseRequest};
use crate::health::{Word, whole_seconds};
use crate::plan::Whom;

pub(super) fn order(flags: &OrderFlags, word: Word, yes: bool) -> ExitCode {
    let request = OrderRequest {
        member: flags.member.to_string(),
        order: word,
        reason: flags.reason.to_string(),
        seconds: flags.lasts.map(whole_seconds),
        yes,
    };
    let done = Control::find(&flags.control).and_then(|control| control.post("/v1/orders", &request));
    match done {
        Ok(effect) => tell(word.participle(), &effect),
        Err(trouble) => refuse(&trouble),
    }
}

pub(super) fn release(flags: &ControlFlags, member: &Whom) -> ExitCode {
    let request = ReleaseRequest { member: member.to_string() };
    match Control::find(flags).and_then(|control| control.post("/v1/release", &request)) {
        Ok(effect) => tell("released", &effect),
        Err(trouble) => trouble.tell(),
    }
}

fn tell(done: &str, effect: &Effect) -> ExitCode {
    for member in &effect.members {
        say(&format!("{done}: {member}"));
    }
    for left in &effect.pools {
        say(&left_of(left));
    }
    if let Some(warning) = &effect.warning {
        complain(&format!("onstage: it holds, but {warning}"));
    }
    ExitCode::SUCCESS
}

fn left_of(left: &Left) -> String {
    let mode = match left.mode {
        Mode::Live => "",
        Mode::FailingOpen => ", which is too few: it fails open",
    };
    format!("{} {}: {} of {} live{mode}", left.pool, left.record_type, left.live, left.members)
}

fn refuse(trouble: &Trouble) -> ExitCode {
    let code = trouble.tell();
    if let Trouble::Refused(refused) = trouble
        && refused.kind == Kind::Bares
    {
        complain("onstage: nothing has changed; `--yes` drains it all the same");
    }
    code
}
