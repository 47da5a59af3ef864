//! `onstage status`

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use super::control::{Control, Trouble};
use super::words::ControlFlags;
use super::{say, table};
use crate::admin::status::Status;
use crate::plan::Whom;
use crate::report::Colour;

/// From one look to the next with `--watch`.
const LOOK: Duration = Duration::from_secs(1);
/// Moves to the upper left corner, and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

pub(super) fn run(
    control: &ControlFlags,
    member: Option<&Whom>,
    json: bool,
    watch: bool,
    colour: Colour,
) -> ExitCode {
    let member = member.map(ToString::to_string);
    let member = member.as_deref();
    let shown = Control::find(control).and_then(|control| {
        loop {
            let text = text(&control, member, json, colour)?;
            say(&if watch && !json { format!("{CLEAR}{text}") } else { text });
            if !watch {
                return Ok(());
            }
            sleep(LOOK);
        }
    });
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.tell(),
    }
}

fn text(control: &Control, member: Option<&str>, json: bool, colour: Colour) -> Result<String, Trouble> {
    let query: Vec<(&str, &str)> = member.map(|member| ("member", member)).into_iter().collect();
    if json {
        return Ok(String::from_utf8_lossy(&control.read("/v1/status", &query)?).trim_end().to_owned());
    }
    let status: Status = control.get("/v1/status", &query)?;
    Ok(table::render(&status, colour))
}
