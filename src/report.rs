//! Problems with what an operator wrote, each with file, line, column, caret and a stable code.
//!
//! Reading a config or a zone never stops at the first problem: it collects them in a [`Report`], and the
//! whole report is shown at once. A code never changes its meaning, so that it can be searched for.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

/// The files that a config consists of, each read once, through a function that the caller provides.
pub struct Sources<'r> {
    read: Box<ReadFile<'r>>,
    files: Vec<Source>,
    seen: HashMap<PathBuf, SourceId>,
}

type ReadFile<'r> = dyn Fn(&Path) -> io::Result<Vec<u8>> + 'r;

/// One file that was read.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it was read from.
    pub path: PathBuf,
    /// What it says; bytes that are no UTF-8 are replaced.
    pub text: Arc<str>,
    /// Where each line starts.
    lines: Vec<usize>,
}

/// A file among [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(u32);

/// A stretch of bytes in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// The file.
    pub source: SourceId,
    /// Byte offsets into its text.
    pub span: Range<usize>,
}

impl<'r> Sources<'r> {
    /// Files are read through `read`: the file system in the daemon, a map in tests.
    pub fn new(read: impl Fn(&Path) -> io::Result<Vec<u8>> + 'r) -> Self {
        Self { read: Box::new(read), files: Vec::new(), seen: HashMap::new() }
    }

    /// Reads a file, or finds it among those that were read before.
    ///
    /// # Errors
    /// Whatever the reading function says.
    pub fn open(&mut self, path: &Path) -> io::Result<SourceId> {
        if let Some(&id) = self.seen.get(path) {
            return Ok(id);
        }
        let text: Arc<str> = String::from_utf8_lossy(&(self.read)(path)?).into();
        let lines = [0].into_iter().chain(text.match_indices('\n').map(|(end, _)| end + 1)).collect();
        let id = SourceId(self.files.len() as u32);
        self.files.push(Source { path: path.to_owned(), text, lines });
        self.seen.insert(path.to_owned(), id);
        Ok(id)
    }

    /// A file that was read.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.files[id.0 as usize]
    }
}

impl Source {
    /// The whole lines that a stretch of bytes is in, and the number of the first. Excerpts are of them alone: to look for
    /// a place in the whole file would take as long as the file is, for each problem.
    fn lines(&self, span: &Range<usize>) -> (usize, Range<usize>) {
        let number = |place| self.lines.partition_point(|&start| start <= place);
        let (first, behind) = (number(span.start), number(span.end));
        (first, self.lines[first - 1]..self.lines.get(behind).copied().unwrap_or(self.text.len()))
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What kind of problem it is. The text form is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable text form.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

codes! {
    /// The config is not TOML.
    ConfigSyntax = "config-syntax",
    /// A key that no table of this kind has.
    ConfigUnknownKey = "config-unknown-key",
    /// A value of the wrong type, or out of its bounds, or not readable as what it should be.
    ConfigBadValue = "config-bad-value",
    /// A key that must be there and is not.
    ConfigMissingKey = "config-missing-key",
    /// Two tables with the same name.
    ConfigDuplicate = "config-duplicate",
    /// Keys that contradict one another.
    ConfigConflict = "config-conflict",
    /// A check, zone or member that is named but defined nowhere.
    ConfigUnknownName = "config-unknown-name",
    /// A file that the config names cannot be read.
    FileUnreadable = "file-unreadable",
    /// A file of certificates holds none, or one that cannot be read.
    BadCertificate = "bad-certificate",
    /// A file of a private key holds none, or that of another certificate.
    BadKey = "bad-key",
    /// A file of a password or of DNS cookie secrets holds none, or something else.
    BadSecret = "bad-secret",
    /// The zone file breaks the syntax of RFC 1035 §5.
    ZoneSyntax = "zone-syntax",
    /// The rdata does not fit its type.
    ZoneBadRdata = "zone-bad-rdata",
    /// A record with a class other than IN.
    ZoneBadClass = "zone-bad-class",
    /// A name that is none, or a relative one without an origin.
    ZoneBadName = "zone-bad-name",
    /// A TTL that is none, or no TTL where one is needed.
    ZoneBadTtl = "zone-bad-ttl",
    /// `$INCLUDE` of a file that is not there, or in a circle.
    ZoneBadInclude = "zone-bad-include",
    /// A record whose owner is outside the zone.
    ZoneOutside = "zone-outside",
    /// No SOA, more than one, or one that is not at the apex.
    ZoneSoa = "zone-soa",
    /// No NS record at the apex.
    ZoneNoNs = "zone-no-ns",
    /// CNAME beside other data, or two of them (RFC 1034 §3.6.2, RFC 2181 §10.1).
    ZoneCname = "zone-cname",
    /// DNAME with other DNAMEs, with CNAME, or with names below it (RFC 6672 §2.3, §2.4).
    ZoneDname = "zone-dname",
    /// Data below a delegation that is no glue (RFC 1034 §4.2.1).
    ZoneBelowCut = "zone-below-cut",
    /// NS, MX or SRV that points to a name of this zone which has no address.
    ZoneDanglingTarget = "zone-dangling-target",
    /// NS, MX or SRV that points to an alias (RFC 2181 §10.3, RFC 2782).
    ZoneTargetAlias = "zone-target-alias",
    /// The same record twice (RFC 2181 §5).
    ZoneDuplicateRecord = "zone-duplicate-record",
    /// Records of one RRset with different TTLs (RFC 2181 §5.2).
    ZoneTtlMismatch = "zone-ttl-mismatch",
    /// A check that needs itself.
    CheckCircle = "check-circle",
    /// A check that cannot be carried out as it is.
    CheckUnusable = "check-unusable",
    /// A check that does not look at certificates.
    CheckUnverified = "check-unverified",
    /// Two zones with the same name.
    DuplicateZone = "duplicate-zone",
    /// A pool whose name has no A, AAAA or SRV record in any zone.
    PoolEmpty = "pool-empty",
    /// A pool at or below a delegation, from where its zone only refers to other servers: a warning where its records are glue.
    PoolBelowCut = "pool-below-cut",
    /// Records of one name and type that no DNS message holds.
    AnswerTooLong = "answer-too-long",
    /// A member's address cannot be told: an SRV target outside the zones that are served.
    MemberNoAddress = "member-no-address",
    /// A table for a member that the pool does not have.
    MemberUnknown = "member-unknown",
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing may be served with it.
    Error,
    /// Worth a look; it is served all the same.
    Warning,
}

/// One problem: what it is, where it is, and what would help.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The sentence at the top, lower-case, without a full stop.
    pub message: String,
    /// Where it is; none where a whole file is missing.
    pub at: Option<Location>,
    /// What stands at the caret.
    pub label: String,
    /// Another place that has to do with it, and why.
    pub related: Option<(Location, String)>,
    /// What would help.
    pub help: Option<String>,
}

impl Problem {
    /// An error at a place.
    pub fn error(code: Code, at: Location, message: impl Into<String>) -> Self {
        Self { at: Some(at), ..Self::nowhere(code, message) }
    }

    /// A warning at a place.
    pub fn warning(code: Code, at: Location, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, at, message) }
    }

    /// An error that has no place in any file.
    pub fn nowhere(code: Code, message: impl Into<String>) -> Self {
        let (severity, message) = (Severity::Error, message.into());
        Self { code, severity, message, at: None, label: String::new(), related: None, help: None }
    }

    /// With words beside the caret.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// With a second place.
    #[must_use]
    pub fn related(self, at: Location, why: impl Into<String>) -> Self {
        Self { related: Some((at, why.into())), ..self }
    }

    /// With advice.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Everything that is wrong, in the order it was found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    problems: Vec<Problem>,
}

impl Report {
    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds the problems of another report, in the order of their places.
    pub fn extend_in_order(&mut self, mut other: Self) {
        other.problems.sort_by_key(|problem| problem.at.as_ref().map(|at| (at.source, at.span.start)));
        self.problems.append(&mut other.problems);
    }

    /// Whether anything forbids serving.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
    }

    /// The problems.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The whole report as text, a blank line between problems. `colour`: for a terminal.
    pub fn render(&self, sources: &Sources<'_>, colour: Colour) -> String {
        let renderer = match colour {
            Colour::Never => Renderer::plain(),
            Colour::Always => Renderer::styled(),
        };
        let mut text = String::new();
        for problem in &self.problems {
            text.push_str(&render(problem, sources, &renderer));
            text.push_str("\n\n");
        }
        text
    }
}

/// Whether rendered text may hold terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// For a terminal.
    Always,
}

fn render(problem: &Problem, sources: &Sources<'_>, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let primary = problem.at.as_ref().map(|at| (at, AnnotationKind::Primary, problem.label.as_str()));
    let related = problem.related.as_ref().map(|(at, why)| (at, AnnotationKind::Context, why.as_str()));
    let title = level.primary_title(problem.message.as_str()).id(problem.code.as_str());
    let mut group = Group::with_title(title);
    // Places in one file are shown in one excerpt.
    let beside = related.filter(|(there, ..)| primary.is_some_and(|(here, ..)| here.source == there.source));
    for place in [primary, related.filter(|_| beside.is_none())].into_iter().flatten() {
        let beside = beside.filter(|(there, ..)| there.source == place.0.source);
        group = group.element(excerpt(place, beside, sources));
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// A place in a file, and what stands there.
type Place<'p> = (&'p Location, AnnotationKind, &'p str);

fn excerpt<'a>(
    place: Place<'a>,
    beside: Option<Place<'a>>,
    sources: &'a Sources<'_>,
) -> Snippet<'a, Annotation<'a>> {
    let source = sources.get(place.0.source);
    let places = || [place].into_iter().chain(beside);
    let within = |at: &Location| {
        let end = at.span.end.min(source.text.len());
        at.span.start.min(end)..end
    };
    let start = places().map(|(at, ..)| within(at).start).min().unwrap_or_default();
    let end = places().map(|(at, ..)| within(at).end).max().unwrap_or_default();
    let (number, lines) = source.lines(&(start..end));
    let annotate = |(at, kind, label): Place<'a>| {
        let Range { start, end } = within(at);
        let annotation = kind.span(start - lines.start..end - lines.start);
        if label.is_empty() { annotation } else { annotation.label(label) }
    };
    let snippet = Snippet::source(&source.text[lines.clone()]).line_start(number);
    snippet.path(source.path.to_string_lossy()).annotations(places().map(annotate))
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_of_bytes_is_in_whole_lines() {
        for (text, span, number, lines) in [
            ("", 0..0, 1, ""),
            ("a", 1..1, 1, "a"),
            ("a\nbc\n\nd", 0..1, 1, "a\n"),
            ("a\nbc\n\nd", 1..1, 1, "a\n"),
            ("a\nbc\n\nd", 3..4, 2, "bc\n"),
            ("a\nbc\n\nd", 0..3, 1, "a\nbc\n"),
            ("a\nbc\n\nd", 5..5, 3, "\n"),
            ("a\nbc\n\nd", 6..7, 4, "d"),
            ("a\n", 2..2, 2, ""),
        ] {
            let mut sources = Sources::new(|_| Ok(text.as_bytes().to_vec()));
            let id = sources.open(Path::new("x")).unwrap();
            let (first, found) = sources.get(id).lines(&span);
            assert_eq!((first, &text[found]), (number, lines), "{span:?} of {text:?}");
        }
    }
}
