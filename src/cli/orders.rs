//! `onstage drain`, `force`, `release`

use std::process::ExitCode;

use super::control::{Control, Trouble};
use super::words::{ControlFlags, OrderFlags};
use super::{NO, complain, say};
use crate::admin::status::Mode;
use crate::admin::{Effect, Kind, Left, OrderRequest, ReleaseRequest};
use crate::health::{Word, whole_seconds};
use crate::plan::Whom;
use crate::prose::some;

/// So many members of a pool are named.
const MOST_NAMED: usize = 8;

pub(super) fn order(flags: &OrderFlags, word: Word, yes: bool) -> ExitCode {
    let reason = match &flags.reason {
        Some(reason) if !flags.dry_run => reason,
        _ => return preview(&flags.control, &flags.member, Some(word), yes),
    };
    let request = OrderRequest {
        member: flags.member.to_string(),
        order: word,
        reason: reason.to_string(),
        seconds: flags.lasts.map(whole_seconds),
        yes,
    };
    let done = Control::find(&flags.control).and_then(|control| control.post("/v1/orders", &request));
    match done {
        Ok(effect) => tell(word.participle(), &effect),
        Err(trouble) => refuse(&trouble),
    }
}

pub(super) fn release(flags: &ControlFlags, member: &Whom, dry_run: bool) -> ExitCode {
    if dry_run {
        return preview(flags, member, None, false);
    }
    let request = ReleaseRequest { member: member.to_string() };
    match Control::find(flags).and_then(|control| control.post("/v1/release", &request)) {
        Ok(effect) => tell("released", &effect),
        Err(trouble) => trouble.tell(),
    }
}

/// What an order would do, or a release; the exit code is that of the order.
fn preview(flags: &ControlFlags, member: &Whom, word: Option<Word>, yes: bool) -> ExitCode {
    let member = member.to_string();
    let mut query = vec![("member", member.as_str())];
    query.extend(word.map(|word| ("order", word.as_str())));
    match Control::find(flags).and_then(|control| control.get::<Effect>("/v1/preview", &query)) {
        Ok(effect) => {
            let done = word.map_or("released", Word::participle);
            tell(&format!("would be {done}"), &effect);
            let is_refused = effect.pools.iter().any(|left| left.bares) && !yes;
            if is_refused {
                complain("onstage: too few would be live: that takes `--yes`");
            }
            if is_refused { ExitCode::from(NO) } else { ExitCode::SUCCESS }
        }
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
    let Left { pool, record_type, live, members, answered, .. } = left;
    format!("{pool} {record_type}: {live} of {members} live{mode}; answered: {}", some(answered, MOST_NAMED))
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
