//! `onstage reload`

use std::process::ExitCode;

use super::control::Control;
use super::words::ControlFlags;
use super::{complain, say};
use crate::admin::Reloaded;

pub(super) fn run(flags: &ControlFlags) -> ExitCode {
    let reloaded = Control::find(flags).and_then(|control| control.post("/v1/reload", &()));
    match reloaded {
        Ok(Reloaded { changes, report }) => {
            complain(report.trim_end());
            say(&changes.join("\n"));
            ExitCode::SUCCESS
        }
        Err(trouble) => trouble.tell(),
    }
}
