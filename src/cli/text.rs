//! Text for a terminal of 80 columns: lines that are broken between words, colours, stretches of time.

use crate::admin::status::Member;
use crate::report::Colour;

/// How wide a line may be.
pub(super) const WIDTH: usize = 80;

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Good,
    Bad,
    Odd,
    Head,
}

/// `text` in its colour.
pub(super) fn paint(text: &str, ink: Ink, colour: Colour) -> String {
    let code = match ink {
        _ if colour == Colour::Never => return text.to_owned(),
        Ink::Good => "32",
        Ink::Bad => "31",
        Ink::Odd => "33",
        Ink::Head => "1",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// `text` on lines of at most [`WIDTH`], where its words let them be; each begins with `indent` spaces.
pub(super) fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let lines = filled(text.split_whitespace(), WIDTH - indent).into_iter();
    lines.map(|line| format!("{:indent$}{line}", "")).collect()
}

/// The same for a list: it is broken after commas alone.
pub(super) fn listed(text: &str) -> Vec<String> {
    filled(text.split_inclusive(", ").map(str::trim_end), WIDTH)
}

/// Lines of pieces that stay whole, a space between two of them.
fn filled<'t>(pieces: impl Iterator<Item = &'t str>, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for piece in pieces {
        if !line.is_empty() && columns(&line) + 1 + columns(piece) > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(piece);
    }
    lines.push(line);
    lines
}

/// How many columns it takes, where each character takes one.
pub(super) fn columns(text: &str) -> usize {
    text.chars().count()
}

/// A stretch of time in its largest unit: `3 d`, `14 min`.
pub(super) fn stretch(seconds: u32) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// What people call a member, and its record where that is something else.
pub(super) fn named(member: &Member) -> String {
    if member.label == member.record {
        member.label.clone()
    } else {
        format!("{} ({})", member.label, member.record)
    }
}

/// A verdict, and what was seen, if that is known.
pub(super) fn verdict(reason: Option<&str>, leaving: bool, seen: Option<&str>) -> String {
    let seen = seen.map(|seen| format!(": {seen}")).unwrap_or_default();
    match (reason, leaving) {
        (None, _) => "pass".to_owned(),
        (Some(reason), true) => format!("leaving: {reason}{seen}"),
        (Some(reason), false) => format!("fail: {reason}{seen}"),
    }
}

/// How long a probe took: `1.2 ms`, `2.00 s`.
pub(super) fn latency(ms: f32) -> String {
    if ms < 1000.0 { format!("{ms:.1} ms") } else { format!("{:.2} s", ms / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        let text = "word ".repeat(30);
        let lines = wrapped(&text, 4);
        assert!(
            lines.len() == 2 && lines.iter().all(|line| line.len() <= WIDTH && line.starts_with("    word"))
        );
        assert_eq!(wrapped(&"x".repeat(100), 2)[0].len(), 102, "a word stays whole");
        let list = format!("{}, TTL 5 s, settled", "x".repeat(WIDTH - 4));
        assert_eq!(listed(&list)[1], "TTL 5 s, settled", "and so does what stands between commas");
    }

    #[test]
    fn times_are_short() {
        for (seconds, told) in [(0, "0 s"), (59, "59 s"), (61, "1 min"), (7199, "1 h"), (900_000, "10 d")] {
            assert_eq!(stretch(seconds), told);
        }
        assert_eq!(
            (latency(0.04), latency(999.9), latency(2004.0)),
            ("0.0 ms".into(), "999.9 ms".into(), "2.00 s".into())
        );
    }
}
