//! Entries to records: directives, and the parts of an entry that may be left out (RFC 1035 §5.1).

use std::path::{Path, PathBuf};
use std::str::FromStr;

use hickory_proto::rr::{DNSClass, Name as Spelled, RData, RecordType};
use hickory_proto::serialize::txt::parse_ttl;

use super::Record;
use super::rdata::{self, BadRdata};
use super::scan::{Entry, Scanner, Token};
use crate::name::{self, Name};
use crate::report::{Code, Location, Problem, Report, SourceId, Sources};
use crate::units::Ttl;

/// How deep `$INCLUDE` may go.
const MAX_DEPTH: usize = 16;

/// All records of a file and those it includes; what cannot be read is reported and left out.
pub(super) fn parse(
    path: &Path,
    zone: Option<&Name>,
    sources: &mut Sources<'_>,
    report: &mut Report,
) -> Vec<Record> {
    let origin = zone.and_then(|zone| name::spell(&zone.to_string(), Some(&Spelled::root())).ok());
    let mut parser =
        Parser { sources, report, records: Vec::new(), default_ttl: None, last_ttl: None, open: Vec::new() };
    match parser.sources.open(path) {
        Ok(source) => parser.file(source, path, origin),
        Err(e) => parser
            .report
            .push(Problem::nowhere(Code::FileUnreadable, format!("cannot read `{}`: {e}", path.display()))),
    }
    parser.records
}

struct Parser<'p, 'r> {
    sources: &'p mut Sources<'r>,
    report: &'p mut Report,
    records: Vec<Record>,
    /// `$TTL`.
    default_ttl: Option<Ttl>,
    /// Of the last record that had one.
    last_ttl: Option<Ttl>,
    /// The files that are being read, the outermost first.
    open: Vec<PathBuf>,
}

/// What one file is read with.
struct Scope<'s> {
    source: SourceId,
    path: &'s Path,
    origin: Option<Spelled>,
    owner: Option<Spelled>,
}

impl Parser<'_, '_> {
    fn file(&mut self, source: SourceId, path: &Path, origin: Option<Spelled>) {
        self.open.push(path.to_owned());
        let text = std::sync::Arc::clone(&self.sources.get(source).text);
        let mut scope = Scope { source, path, origin, owner: None };
        for entry in Scanner::new(&text) {
            match entry {
                Ok(entry) => self.entry(&entry, &mut scope),
                Err(broken) => self.report.push(Problem::error(
                    Code::ZoneSyntax,
                    Location { source, span: broken.span },
                    broken.why,
                )),
            }
        }
        self.open.pop();
    }

    fn entry(&mut self, entry: &Entry<'_>, scope: &mut Scope<'_>) {
        let first = &entry.tokens[0];
        let directive = first.text.starts_with('$') && !entry.indented && !first.quoted;
        let read = if directive { self.directive(entry, scope) } else { self.record(entry, scope) };
        if let Err(problem) = read {
            self.report.push(*problem);
        }
    }

    fn directive(&mut self, entry: &Entry<'_>, scope: &mut Scope<'_>) -> Result<(), Box<Problem>> {
        let first = &entry.tokens[0];
        let argument = |what: &str| {
            let missing = || scope.problem(Code::ZoneSyntax, first, format!("`{}` needs {what}", first.text));
            entry.tokens.get(1).ok_or_else(missing)
        };
        match first.text.to_ascii_uppercase().as_str() {
            "$ORIGIN" => {
                let origin = scope.name(argument("a name")?)?;
                scope.origin = Some(origin);
            }
            "$TTL" => self.default_ttl = Some(scope.ttl(argument("a TTL")?)?),
            "$INCLUDE" => {
                let file = argument("a file")?;
                let origin = entry.tokens.get(2).map(|token| scope.name(token)).transpose()?;
                self.include(file, origin, scope)?;
            }
            _ => {
                return Err(scope.problem(
                    Code::ZoneSyntax,
                    first,
                    format!("`{}` is no directive", first.text),
                ));
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        file: &Token<'_>,
        origin: Option<Spelled>,
        scope: &Scope<'_>,
    ) -> Result<(), Box<Problem>> {
        let bad = |why: String| scope.problem(Code::ZoneBadInclude, file, why);
        let path = scope.path.parent().unwrap_or(Path::new("")).join(file.text);
        if self.open.contains(&path) {
            return Err(bad(format!("`{}` includes itself", path.display())));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(bad(format!("more than {MAX_DEPTH} files deep")));
        }
        let source =
            self.sources.open(&path).map_err(|e| bad(format!("cannot read `{}`: {e}", path.display())))?;
        self.file(source, &path, origin.or_else(|| scope.origin.clone()));
        Ok(())
    }

    fn record(&mut self, entry: &Entry<'_>, scope: &mut Scope<'_>) -> Result<(), Box<Problem>> {
        let mut tokens = entry.tokens.as_slice();
        if !entry.indented {
            scope.owner = None; // should it be bad, the lines that share it are not another's
            scope.owner = Some(scope.name(&tokens[0])?);
            tokens = &tokens[1..];
        }
        let head = Head::read(tokens, &entry.tokens[0], scope)?;
        let Some(owner) = scope.owner.clone() else {
            return Err(scope.problem(
                Code::ZoneSyntax,
                &entry.tokens[0],
                "a record without an owner before it",
            ));
        };
        let data = rdata::parse(head.record_type, head.rdata, scope.origin.as_ref());
        let data = data.map_err(|e| scope.bad_rdata(&e, &head))?;
        let ttl = self.ttl_of(&head, &data, scope)?;
        let whole = entry.tokens[0].span.start..entry.tokens.last().map_or(0, |token| token.span.end);
        let at = Location { source: scope.source, span: whole };
        self.records.push(Record { owner: Name::from(&owner), spelled: owner, ttl, rdata: data, at });
        Ok(())
    }

    /// A record's own TTL, else `$TTL`, else the last one, else the SOA's minimum (RFC 1035 §5.1, RFC 2308 §4).
    fn ttl_of(&mut self, head: &Head<'_>, rdata: &RData, scope: &Scope<'_>) -> Result<Ttl, Box<Problem>> {
        let minimum = match rdata {
            RData::SOA(soa) => Ttl::new(soa.minimum),
            _ => None,
        };
        let ttl = head.ttl.or(self.default_ttl).or(self.last_ttl).or(minimum);
        self.last_ttl = head.ttl.or(self.last_ttl).or(minimum);
        ttl.ok_or_else(|| {
            let mut problem = scope.problem(Code::ZoneBadTtl, head.type_token, "a record without a TTL");
            problem.help = Some("put a line `$TTL 30` at the top of the file".to_owned());
            problem
        })
    }
}

/// What stands between the owner and the data.
struct Head<'e> {
    ttl: Option<Ttl>,
    record_type: RecordType,
    type_token: &'e Token<'e>,
    rdata: &'e [Token<'e>],
}

impl<'e> Head<'e> {
    /// TTL and class in either order, either or both of them left out; then the type.
    fn read(mut tokens: &'e [Token<'e>], owner: &Token<'_>, scope: &Scope<'_>) -> Result<Self, Box<Problem>> {
        let (mut ttl, mut class) = (None, None);
        while let Some((token, rest)) = tokens.split_first() {
            if let Some(record_type) = rdata::record_type(token.text) {
                return Ok(Self { ttl, record_type, type_token: token, rdata: rest });
            }
            if ttl.is_none() && token.text.starts_with(|c: char| c.is_ascii_digit()) {
                ttl = Some(scope.ttl(token)?);
            } else if let (None, Some(found)) = (class, class_of(token.text)) {
                class = Some(scope.check_class(token, found)?);
            } else {
                let message = format!("`{}` is no record type", token.text);
                return Err(scope.problem(Code::ZoneSyntax, token, message));
            }
            tokens = rest;
        }
        Err(scope.problem(Code::ZoneSyntax, owner, "a record without a type"))
    }
}

fn class_of(text: &str) -> Option<DNSClass> {
    DNSClass::from_str(&text.to_ascii_uppercase()).ok()
}

impl Scope<'_> {
    fn problem(&self, code: Code, token: &Token<'_>, message: impl Into<String>) -> Box<Problem> {
        let at = Location { source: self.source, span: token.span.clone() };
        Box::new(Problem::error(code, at, message))
    }

    fn name(&self, token: &Token<'_>) -> Result<Spelled, Box<Problem>> {
        name::spell(token.text, self.origin.as_ref())
            .map_err(|e| self.problem(Code::ZoneBadName, token, e.to_string()))
    }

    fn ttl(&self, token: &Token<'_>) -> Result<Ttl, Box<Problem>> {
        let ttl = parse_ttl(token.text).ok().and_then(Ttl::new);
        ttl.ok_or_else(|| self.problem(Code::ZoneBadTtl, token, format!("`{}` is no TTL", token.text)))
    }

    fn check_class(&self, token: &Token<'_>, class: DNSClass) -> Result<DNSClass, Box<Problem>> {
        if class == DNSClass::IN {
            return Ok(class);
        }
        Err(self.problem(Code::ZoneBadClass, token, format!("the class {class} is not served, only IN")))
    }

    fn bad_rdata(&self, e: &BadRdata, head: &Head<'_>) -> Box<Problem> {
        let token = e.word.and_then(|word| head.rdata.get(word)).unwrap_or(head.type_token);
        self.problem(
            Code::ZoneBadRdata,
            token,
            format!("{}: {}", head.type_token.text.to_ascii_uppercase(), e.why),
        )
    }
}
