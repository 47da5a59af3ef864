//! `onstage explain`: why a member is answered or not, and the probes that made it so.

use std::process::ExitCode;

use super::control::Control;
use super::say;
use super::table::{expiring, ordered};
use super::text::{latency, named, stretch, verdict, wrapped};
use super::words::ControlFlags;
use crate::admin::status::{Member, Mode, Observed, Pool, Probe, SoFar, Status, Verdict};
use crate::health::Word;
use crate::plan::Whom;
use crate::prose::plural;
use crate::units::Date;

pub(super) fn run(flags: &ControlFlags, member: &Whom) -> ExitCode {
    let asked = member.to_string();
    match Control::find(flags).and_then(|control| control.get("/v1/status", &[("member", &asked)])) {
        Ok(status) => {
            say(&render(&status));
            ExitCode::SUCCESS
        }
        Err(trouble) => trouble.tell(),
    }
}

/// Every member of a status in sentences, without a line break at its end.
fn render(status: &Status) -> String {
    let members = status.pools.iter().flat_map(|pool| pool.members.iter().map(move |member| (pool, member)));
    let told = members.map(|(pool, member)| told(pool, member, status.server.now).join("\n"));
    told.collect::<Vec<String>>().join("\n\n")
}

fn told(pool: &Pool, member: &Member, now: u32) -> Vec<String> {
    let mut lines = vec![format!("{} in {} {}", named(member), pool.name, pool.record_type)];
    let mut tell = |sentence: &str| lines.extend(wrapped(sentence, 2));
    tell(&format!("{}: {}.", place(member), because(pool, member)));
    if let (Some(since), observed) = (member.since, member.observed) {
        let (word, ago) = (observed.as_str(), stretch(now.saturating_sub(since)));
        tell(&format!("It is {word} since {}, {ago} ago.", Date(since)));
    }
    if let Some(detail) = &member.detail {
        tell(&format!("What was seen: {detail}"));
    }
    if let Some(expires) = member.certificate_expires {
        let is_soon = member.certificate_expires_soon;
        let soon = if is_soon { format!(": it {}", expiring(expires, now)) } else { String::new() };
        tell(&format!("Its certificate is valid until {}{soon}.", Date(expires)));
    }
    if let Some(order) = &member.order {
        tell(&format!("It is {}. Its probes go on underneath.", ordered(order, now)));
    }
    if !pool.settled {
        tell("The pool is unsettled: a change of one of its members is near.");
    }
    lines.extend(member.probes.iter().flat_map(asked));
    lines
}

fn place(member: &Member) -> String {
    match member.answered {
        0 => "It is not answered".to_owned(),
        100.. => "It is answered".to_owned(),
        part => format!("It gets {part} % of its part of the answers"),
    }
}

fn because(pool: &Pool, member: &Member) -> String {
    let order = member.order.as_ref().map(|order| order.word);
    let reason = member.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let state = format!("{}{reason}", member.observed.as_str());
    let (is_answered, fails_open) = (member.answered > 0, pool.mode == Mode::FailingOpen);
    let opened = format!("too few of the pool are live (it wants {}), and it fails open", pool.min_live);
    match (order, is_answered, member.live) {
        (Some(Word::Drain), true, _) => format!("it is drained, but {opened}"),
        (Some(Word::Drain), false, _) => "it is drained".to_owned(),
        (Some(_), true, _) => format!("it is forced, whatever its probes say, which is {state}"),
        (Some(_), false, _) => format!("it is forced, but with `{}` others go before it", pool.policy),
        (_, true, true) if member.answered < 100 => {
            "it is busy, or has come back a short time ago".to_owned()
        }
        (_, true, true) => "it is up".to_owned(),
        (_, true, false) => format!("it is {state}, but {opened}"),
        (_, false, true) => format!("it is up, but with `{}` others go before it", pool.policy),
        (_, false, false) if fails_open => format!("it is {state}, and others are better, though {opened}"),
        (_, false, false) => format!("it is {state}"),
    }
}

/// What one check found, the oldest first, and what that adds up to.
fn asked(probe: &Probe) -> Vec<String> {
    let mut lines = vec![String::new(), format!("  check {} asks {}", probe.check, probe.target)];
    for run in probe.recent.chunk_by(|a, b| (&a.reason, a.leaving) == (&b.reason, b.leaving)) {
        lines.extend(in_a_row(run));
    }
    let mut sum = added_up(&probe.so_far);
    if probe.stale {
        sum.push_str(" Nothing was heard of it for too long: it is stale.");
    }
    lines.extend(wrapped(&sum, 4));
    lines
}

/// Verdicts that say the same, on one line.
fn in_a_row(run: &[Verdict]) -> Option<String> {
    let first = run.first()?;
    let verdict = verdict(first.reason.as_deref(), first.leaving, None);
    let took = run.iter().map(|verdict| verdict.latency_ms);
    let (least, most) = (took.clone().fold(f32::MAX, f32::min), took.fold(0.0, f32::max));
    let (least, most) = (latency(least), latency(most));
    let took = if least == most { most } else { format!("{least} to {most}") };
    Some(format!("    {}  {:>2} x {verdict}, {took}", Date(first.at), run.len()))
}

/// What verdicts add up to, in sentences.
pub(super) fn added_up(SoFar { observed, contradictions, threshold }: &SoFar) -> String {
    let so_far = if *contradictions == 0 { "none".to_owned() } else { contradictions.to_string() };
    match observed {
        Observed::Unknown => "No verdict has counted yet: the first one decides.".to_owned(),
        Observed::Up => {
            let fails = plural(*threshold, "fail", "fails");
            format!("It is up. It takes {fails} in a row to take it down; {so_far} so far.")
        }
        Observed::Down => {
            let passes = plural(*threshold, "pass", "passes");
            format!("It is down. It takes {passes} in a row to bring it up; {so_far} so far.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::status::Order;

    #[test]
    fn each_member_is_explained_in_sentences() {
        let status = serde_json::from_str(include_str!("../../tests/fixtures/status/status.json")).unwrap();
        let told = render(&status);
        assert_eq!(told, include_str!("../../tests/fixtures/status/explain.txt").trim_end(), "\n{told}");
    }

    /// `failover` has others before it, and its probes find it dead.
    #[test]
    fn a_forced_member_that_others_go_before_is_not_called_up() {
        let mut status: Status =
            serde_json::from_str(include_str!("../../tests/fixtures/status/status.json")).unwrap();
        let pool = &mut status.pools[0];
        let order = Order {
            word: Word::Force,
            who: "root".to_owned(),
            why: "test".to_owned(),
            since: 1,
            until: None,
        };
        pool.policy = "failover".to_owned();
        let member = &mut pool.members[0];
        (member.order, member.answered, member.observed) = (Some(order), 0, Observed::Down);
        let why = because(&status.pools[0], &status.pools[0].members[0]);
        assert_eq!(why, "it is forced, but with `failover` others go before it");
    }
}
