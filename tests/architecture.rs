//! The rules of ARCHITECTURE.md, read off the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module's level: it imports only from smaller ones.
const LEVELS: [(&str, u8); 17] = [
    ("units", 0),
    ("name", 0),
    ("prose", 0),
    ("report", 0),
    ("config", 1),
    ("zone", 1),
    ("health", 1),
    ("plan", 2),
    ("snapshot", 3),
    ("answer", 4),
    ("serve", 5),
    ("probe", 5),
    ("admin", 6),
    ("daemon", 7),
    ("demo", 8),
    ("cli", 9),
    ("main", 10),
];

const MOST_LINES: usize = 400;

/// A source file: its path below `src`, and its text.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn module(&self) -> String {
        let first = self.path.components().next().expect("a file").as_os_str().to_string_lossy();
        first.trim_end_matches(".rs").to_owned()
    }

    fn is_root(&self) -> bool {
        matches!(self.module().as_str(), "lib" | "main")
    }

    /// How many modules lead from the root to this one.
    fn depth(&self) -> usize {
        self.path.components().count() - usize::from(self.path.ends_with("mod.rs"))
    }

    /// Lines of code: comments and the tests at the end are not looked at.
    fn code(&self) -> impl Iterator<Item = &str> {
        let end = self.text.find("#[cfg(test)]\nmod tests").unwrap_or(self.text.len());
        let lines = self.text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.map(|line| line.split_once(" // ").map_or(line, |(code, _comment)| code))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let path = entry.strip_prefix(&root).expect("below src").to_owned();
                sources.push(Source { path, text: fs::read_to_string(entry).expect("text") });
            }
        }
    }
    assert!(sources.len() > 20, "the sources were found");
    sources
}

fn level(module: &str) -> Option<u8> {
    LEVELS.iter().find(|(name, _)| *name == module).map(|&(_, level)| level)
}

/// What each rule finds wrong with a source.
fn violations(source: &Source) -> Vec<String> {
    let rules = [imports, opening, length, edges, unsafety, wall_clock, printing, wire];
    rules
        .iter()
        .flat_map(|rule| rule(source))
        .map(|why| format!("{}: {why}", source.path.display()))
        .collect()
}

fn imports(source: &Source) -> Vec<String> {
    let module = source.module();
    if source.is_root() {
        return Vec::new();
    }
    let Some(own) = level(&module) else { return vec!["no level for this module".to_owned()] };
    let upward = |used: &String| level(used).filter(|&other| *used != module && other >= own);
    let wrong = imported(source).into_iter().filter_map(|used| Some((upward(&used)?, used)));
    wrong.map(|(other, used)| format!("level {own} uses `{used}` of level {other}")).collect()
}

/// The modules at the root that a source names: `crate::a`, `crate::{a, b}`, and `super::` as often as leads there.
fn imported(source: &Source) -> Vec<String> {
    let code = source.code().collect::<Vec<_>>().join("\n");
    let up = "super::".repeat(source.depth());
    let paths = ["crate::", &up].into_iter().flat_map(|root| code.split(root).skip(1));
    paths.flat_map(|path| heads(path).into_iter().map(ident)).collect()
}

/// What a path goes on with: one name, or those of a group.
fn heads(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else { return vec![path] };
    let nesting = |c| i32::from(c == '{') - i32::from(c == '}');
    let mut open = 1;
    let closed = |c| {
        open += nesting(c);
        open == 0
    };
    let group = &group[..group.find(closed).unwrap_or(group.len())];
    let mut open = 0;
    let parted = |c| {
        open += nesting(c);
        open == 0 && c == ','
    };
    group.split(parted).map(str::trim_start).collect()
}

fn ident(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn opening(source: &Source) -> Vec<String> {
    if source.text.starts_with("//! ") {
        Vec::new()
    } else {
        vec!["does not open with why it exists".to_owned()]
    }
}

fn length(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines <= MOST_LINES { Vec::new() } else { vec![format!("{lines} lines: it has two subjects")] }
}

/// Below level 5 there is no IO, no task, no log, no clock.
fn edges(source: &Source) -> Vec<String> {
    const EDGES: [&str; 12] = [
        "std::fs",
        "std::thread",
        "tokio",
        "tracing",
        "socket2",
        "libc",
        "UdpSocket",
        "TcpStream",
        "TcpListener",
        "UnixStream",
        "Instant",
        "SystemTime",
    ];
    if source.is_root() || level(&source.module()).is_none_or(|level| level >= 5) {
        return Vec::new();
    }
    found(source, &EDGES)
}

fn unsafety(source: &Source) -> Vec<String> {
    if source.path == Path::new("serve/batch.rs") { Vec::new() } else { found(source, &["unsafe"]) }
}

fn wall_clock(source: &Source) -> Vec<String> {
    if source.module() == "daemon" { Vec::new() } else { found(source, &["SystemTime::now"]) }
}

fn printing(source: &Source) -> Vec<String> {
    if matches!(source.module().as_str(), "cli" | "demo") {
        Vec::new()
    } else {
        found(source, &["println!", "eprintln!"])
    }
}

/// Records are written by `snapshot/wire.rs` alone.
fn wire(source: &Source) -> Vec<String> {
    if source.path == Path::new("snapshot/wire.rs") { Vec::new() } else { found(source, &["BinEncoder"]) }
}

fn found(source: &Source, words: &[&str]) -> Vec<String> {
    let lines = source.code().flat_map(|line| words.iter().filter(move |word| line.contains(**word)));
    lines.map(|word| format!("`{word}` does not belong here")).collect()
}

#[test]
fn the_sources_keep_the_rules() {
    let wrong: Vec<String> = sources().iter().flat_map(violations).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_module_of_the_library_has_a_level() {
    let library =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    for module in library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        assert!(level(module).is_some(), "{module}");
    }
}

#[test]
fn each_rule_can_be_broken() {
    for (path, text, broken) in [
        ("zone/x.rs", "//! Why.\nuse crate::config::Config;", true),
        ("zone/x.rs", "//! Why.\nfn f() { crate::plan::g() }", true),
        ("zone/x.rs", "//! Why.\nuse crate::name::Name;", false),
        ("zone/x.rs", "//! Why.\n// crate::plan\nuse crate::zone::Zone;", false),
        ("zone/x.rs", "//! Why.\nuse crate::{name::{self, Name}, plan::Plan};", true),
        ("zone/x.rs", "//! Why.\nuse crate::{name::{plan, Name}, units};", false),
        ("zone/x.rs", "//! Why.\nuse super::super::plan::Plan;", true),
        ("zone/x.rs", "//! Why.\nuse super::plan::Own;", false),
        ("zone/mod.rs", "//! Why.\nuse super::health::Verdict;", true),
        ("zone/x.rs", "//! Why.\nfn f() {} // as crate::plan does", false),
        ("other/x.rs", "//! Why.", true),
        ("zone/x.rs", "fn f() {}", true),
        ("zone/x.rs", "//! Why.\nuse std::fs::File;", true),
        ("probe/x.rs", "//! Why.\nuse tokio::net::TcpStream;", false),
        ("answer/x.rs", "//! Why.\nuse tracing::info;", true),
        ("probe/x.rs", "//! Why.\nunsafe { f() }", true),
        ("serve/batch.rs", "//! Why.\nunsafe { f() }", false),
        ("probe/x.rs", "//! Why.\nSystemTime::now()", true),
        ("daemon/x.rs", "//! Why.\nSystemTime::now()", false),
        ("daemon/x.rs", "//! Why.\nprintln!()", true),
        ("answer/x.rs", "//! Why.\nBinEncoder::new()", true),
        ("zone/x.rs", "//! Why.\n#[cfg(test)]\nmod tests {\nuse std::fs;\n}", false),
    ] {
        let source = Source { path: path.into(), text: text.to_owned() };
        assert_eq!(!violations(&source).is_empty(), broken, "{path}: {text}");
    }
    let long = Source { path: "zone/x.rs".into(), text: format!("//! Why.\n{}", "\n".repeat(MOST_LINES)) };
    assert!(!violations(&long).is_empty());
}
