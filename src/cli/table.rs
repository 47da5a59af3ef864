//! A status as a table for people, 80 columns wide where names let it be.
//!
//! ```text
//! onstage 0.1.0, up 3 d, process 4242, /etc/onstage/onstage.toml
//!
//! puppet.example.org A: 2 of 3 answered, settled, TTL 30 s
//! * puppet1 (172.16.1.10)  up          3 d     1.2 ms
//!   puppet2 (172.16.4.26)  down      2 min     2.00 s  tls-timeout
//!     the connection was accepted, and nobody spoke
//! ```
//!
//! `*` is who is answered.

use super::text::{Ink, WIDTH, columns, latency, listed, named, paint, stretch, wrapped};
use crate::admin::status::{
    Certificate, Member, Mode, Observed, OnDisk, Order, Pool, Server, SoFar, Status, Zone,
};
use crate::prose::plural;
use crate::report::Colour;
use crate::units::Date;

/// The widest that names of members are in a row with the rest.
const WIDEST: usize = 39;
/// How far what is said below a row is indented.
const INDENT: usize = 4;

/// The table, without a line break at its end.
pub(super) fn render(status: &Status, colour: Colour) -> String {
    let now = status.server.now;
    let mut lines = head(&status.server, colour);
    for pool in &status.pools {
        lines.push(String::new());
        lines.extend(table(pool, now, colour));
    }
    lines.push(String::new());
    for Zone { name, serial, records } in &status.zones {
        lines.push(format!("zone {name}: {}, serial {serial}", plural(*records, "record", "records")));
    }
    for stray in &status.strays {
        lines.push(String::new());
        let text = format!("{}: there is no such member now; {}", stray.member, ordered(&stray.order, now));
        lines.extend(wrapped(&text, 0));
    }
    lines.join("\n")
}

fn head(server: &Server, colour: Colour) -> Vec<String> {
    let up = stretch(server.now.saturating_sub(server.started));
    let head = format!("onstage {}, up {up}, process {}, {}", server.version, server.pid, server.config.path);
    let warnings = warnings(server).into_iter().flat_map(|warning| wrapped(&warning, 0));
    let warnings = warnings.map(|line| paint(&line, Ink::Bad, colour));
    wrapped(&head, 0).into_iter().chain(warnings).collect()
}

/// What is not as it should be with the server as a whole.
fn warnings(server: &Server) -> Vec<String> {
    let mut warnings = Vec::new();
    match server.config.on_disk {
        OnDisk::Same => {}
        OnDisk::Differs => {
            warnings.push("Config or zones on disk are others than those that run.".to_owned());
        }
        OnDisk::Unreadable => warnings.push("Config or zones on disk cannot be read.".to_owned()),
    }
    let prober = &server.prober;
    if prober.frozen {
        warnings.push("No member answers, and no guard: what is observed is frozen.".to_owned());
    }
    if prober.stale > 0 {
        let all = plural(prober.probes, "probe", "probes");
        warnings.push(format!("The prober stalls: nothing new of {} of {all}.", prober.stale));
    }
    for Certificate { file, expires, .. } in server.certificates.iter().filter(|shown| shown.expires_soon) {
        warnings.push(format!("The certificate `{file}` {}.", expiring(*expires, server.now)));
    }
    if let Some(trouble) = &server.state_trouble {
        warnings.push(format!("A restart would not know of the newest orders and health: {trouble}"));
    }
    warnings
}

fn table(pool: &Pool, now: u32, colour: Colour) -> Vec<String> {
    let names: Vec<String> = pool.members.iter().map(short).collect();
    let fitting = names.iter().map(|name| columns(name)).filter(|&width| width <= WIDEST);
    let width = fitting.max().unwrap_or_default();
    let rows =
        pool.members.iter().zip(&names).flat_map(|(member, name)| row(member, name, width, now, colour));
    title(pool, colour).into_iter().chain(rows).collect()
}

fn title(pool: &Pool, colour: Colour) -> Vec<String> {
    let count = format!("{} of {} answered", pool.answered, pool.size);
    let (ink, mode) = match pool.mode {
        Mode::Live => (Ink::Head, count),
        Mode::FailingOpen => (Ink::Bad, format!("FAILS OPEN, {count}, too few live")),
    };
    let settled = if pool.settled { "settled" } else { "unsettled" };
    let versions = pool.versions.as_ref().map(|versions| format!(", {versions}")).unwrap_or_default();
    let queries = if pool.queries == 0 {
        String::new()
    } else {
        format!(", {}", plural(pool.queries, "query", "queries"))
    };
    let Pool { name, record_type, ttl, .. } = pool;
    let text = format!("{name} {record_type}: {mode}, {settled}, TTL {ttl} s{queries}{versions}");
    listed(&text).iter().map(|line| paint(line, ink, colour)).collect()
}

/// What people call it, and its record where that is something else and there is room.
fn short(member: &Member) -> String {
    let whole = named(member);
    if columns(&whole) > WIDEST { member.label.clone() } else { whole }
}

fn row(member: &Member, name: &str, width: usize, now: u32, colour: Colour) -> Vec<String> {
    let mark = if member.answered > 0 { "*" } else { " " };
    let state = member.observed.as_str();
    let ink = match member.observed {
        Observed::Up => Ink::Good,
        Observed::Down => Ink::Bad,
        Observed::Unknown => Ink::Odd,
    };
    let since = member.since.map(|since| stretch(now.saturating_sub(since))).unwrap_or_default();
    let facts = format!("{state:<7}  {since:>6}  {:>9}", took(member));
    let notes = notes(member).join(", ");
    let is_long = 2 + width + 2 + columns(&facts) + 2 + columns(&notes) > WIDTH;
    let (beside, own_line) = if is_long { (String::new(), notes) } else { (notes, String::new()) };
    let facts = format!("{facts}  {beside}").trim_end().replacen(state, &paint(state, ink, colour), 1);
    let mut lines = if columns(name) <= width {
        vec![format!("{mark} {name:<width$}  {facts}")]
    } else {
        vec![format!("{mark} {name}"), format!("  {:<width$}  {facts}", "")]
    };
    if !own_line.is_empty() {
        lines.extend(wrapped(&own_line, INDENT));
    }
    lines.extend(below(member, now).iter().flat_map(|text| wrapped(text, INDENT)));
    lines
}

/// How long the last probe took; of several, the one that took longest.
fn took(member: &Member) -> String {
    let last = member.probes.iter().filter_map(|probe| probe.recent.last());
    let longest = last.map(|verdict| verdict.latency_ms).reduce(f32::max);
    longest.map(latency).unwrap_or_default()
}

/// What is to be known besides, in a word or two.
fn notes(member: &Member) -> Vec<String> {
    let mut notes: Vec<String> = member.reason.iter().cloned().collect();
    notes.extend(member.order.iter().map(|order| order.word.participle().to_owned()));
    if (1..100).contains(&member.answered) {
        notes.push(format!("{} %", member.answered));
    }
    if member.probes.iter().any(|probe| probe.stale) {
        notes.push("stale".to_owned());
    }
    let mut sums = member.probes.iter().map(|probe| probe.so_far);
    if let Some(SoFar { observed, contradictions, threshold }) = sums.find(|sum| sum.contradictions > 0) {
        let what = if observed == Observed::Up { "fails" } else { "passes" };
        notes.push(format!("{contradictions} of {threshold} {what}"));
    }
    notes
}

/// What needs sentences.
fn below(member: &Member, now: u32) -> Vec<String> {
    let detail = member.detail.iter().cloned();
    let expires = member.certificate_expires.filter(|_| member.certificate_expires_soon);
    let detail = detail.chain(expires.map(|expires| format!("its certificate {}", expiring(expires, now))));
    detail.chain(member.order.iter().map(|order| ordered(order, now))).collect()
}

/// When a certificate expires.
pub(super) fn expiring(expires: u32, now: u32) -> String {
    match expires.checked_sub(now) {
        Some(left) => format!("expires in {}", stretch(left)),
        None => format!("expired {} ago", stretch(now - expires)),
    }
}

/// An order, in a sentence.
pub(super) fn ordered(order: &Order, now: u32) -> String {
    let word = order.word.participle();
    let ago = stretch(now.saturating_sub(order.since));
    let until = order
        .until
        .map(|until| format!("; until {}, in {}", Date(until), stretch(until.saturating_sub(now))));
    format!("{word} by {} {ago} ago: {}{}", order.who, order.why, until.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        serde_json::from_str(include_str!("../../tests/fixtures/status/status.json")).unwrap()
    }

    #[test]
    fn everything_that_may_be_is_shown() {
        let told = render(&status(), Colour::Never);
        assert_eq!(told, include_str!("../../tests/fixtures/status/table.txt").trim_end(), "\n{told}");
        let wide: Vec<&str> = told.lines().filter(|line| columns(line) > 80).collect();
        assert!(wide.is_empty(), "{wide:?}");
    }

    /// Colours are for terminals, and move nothing.
    #[test]
    fn colours_change_no_text() {
        let (plain, painted) = (render(&status(), Colour::Never), render(&status(), Colour::Always));
        let mut bare = painted.clone();
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
            bare = bare.replace(code, "");
        }
        assert_eq!(bare, plain);
        assert!(painted.contains("\x1b[31mdown\x1b[0m") && !plain.contains('\x1b'));
    }
}
