//! What is told about a pool, in words.

use super::news::News;
use super::sighting::{Sighting, sight};
use crate::health::{Order, Word};
use crate::plan::{Member, Pool};
use crate::snapshot::{Account, Line, Lineup, Mode};
use crate::units::{Date, Presence};

/// The account of a pool: who is answered since `since`, and how each member is; `order` is by its place.
pub(super) fn account<'o>(
    pool: &Pool,
    lineup: &Lineup,
    since: u32,
    sightings: &[Sighting],
    order: impl Fn(usize) -> Option<&'o Order>,
) -> Account {
    let mode = match lineup.mode {
        Mode::Live => "",
        Mode::FailingOpen => ", failing open",
    };
    let text = format!("{} {}/{} answered{mode}", pool.record_type, lineup.count(), pool.members.len());
    let head = Line { text, since: Some(since) };
    let members = pool.members.iter().zip(&lineup.answered).enumerate();
    let members = members.map(|(place, (member, presence))| {
        let seen = sight(&member.condition, sightings);
        let mut ids = member.condition.probes().into_iter();
        let is_stale = ids.any(|id| sightings[id.index()].news == News::Stale);
        let mut line = line(member, seen, order(place), *presence);
        if is_stale {
            line.text.push_str(", stale");
        }
        line
    });
    Account { lines: [head].into_iter().chain(members).collect() }
}

/// The same while what is observed is frozen.
pub(super) fn frozen(mut account: Account) -> Account {
    if let Some(head) = account.lines.first_mut() {
        head.text += ", frozen: nobody answers, and no guard";
    }
    account
}

/// Since when is said of the last thing in the line: of the order, where there is one.
fn line(member: &Member, seen: Sighting, order: Option<&Order>, presence: Presence) -> Line {
    let Sighting { observed, since, .. } = seen;
    let reason = observed.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let expected = order.map_or(observed.is_up(), |order| order.word == Word::Force);
    let place = match (presence, expected) {
        (Presence::NONE, true) => ", not answered".to_owned(),
        (Presence::FULL, true) | (Presence::NONE, false) => String::new(),
        (Presence::FULL, false) => ", answered".to_owned(),
        (part, _) => format!(", {} % answered", part.as_percent()),
    };
    let ordered = order.map(ordered).unwrap_or_default();
    let text = format!("{} {}{reason}{place}{ordered}", member.label, observed.as_str());
    Line { text, since: order.map_or(since, |order| Some(order.since)) }
}

fn ordered(order: &Order) -> String {
    let until = order.until.map(|until| format!(", until {}", Date(until))).unwrap_or_default();
    format!(", {} by {}: {}{until}", order.word.participle(), order.who, order.why)
}
