//! Master files as their author meets them: what is wrong with them, all at once, and what a good one says.

use std::io;
use std::path::Path;
use std::process::Command;

use onstage::name::Name;
use onstage::report::{Code, Colour, Report, Sources};
use onstage::zone::{self, Zone};
use proptest::prelude::*;

use crate::{fixtures, peers};

pub const CODES: [Code; 17] = [
    Code::ZoneSyntax,
    Code::ZoneBadRdata,
    Code::ZoneBadClass,
    Code::ZoneBadName,
    Code::ZoneBadTtl,
    Code::ZoneBadInclude,
    Code::ZoneOutside,
    Code::ZoneSoa,
    Code::ZoneNoNs,
    Code::ZoneCname,
    Code::ZoneDname,
    Code::ZoneBelowCut,
    Code::ZoneDanglingTarget,
    Code::ZoneTargetAlias,
    Code::ZoneDuplicateRecord,
    Code::ZoneTtlMismatch,
    Code::FileUnreadable,
];

fn origin() -> Name {
    Name::parse("example.org").unwrap()
}

#[test]
fn each_code_has_its_text() {
    fixtures::check("zone", "zone", &CODES, |path| {
        let mut sources = Sources::new(|path: &Path| {
            if path.ends_with("file-unreadable.zone") {
                Err(io::ErrorKind::PermissionDenied.into())
            } else {
                std::fs::read(path)
            }
        });
        let mut report = Report::default();
        zone::read(path, Some(&origin()), &mut sources, &mut report);
        report.render(&sources, Colour::Never)
    });
}

fn read(path: &str, name: &str) -> Zone {
    let mut sources = Sources::new(|path| std::fs::read(path));
    let mut report = Report::default();
    let zone = zone::read(Path::new(path), Some(&Name::parse(name).unwrap()), &mut sources, &mut report);
    assert_eq!(report.render(&sources, Colour::Never), "", "nothing to complain about");
    zone.unwrap()
}

/// The records as `owner ttl type data`, sorted.
fn told(zone: &Zone) -> Vec<String> {
    let line = |r: &zone::Record| {
        format!("{} {} {} {:?}", r.owner, r.ttl.seconds(), r.record_type(), r.rdata).to_ascii_lowercase()
    };
    let mut lines: Vec<String> = zone.records.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn what_cannot_be_written_is_not_read() {
    let text = "@ 30 SOA ns h 1 2 3 4 5\n@ 30 NS ns\nns 30 A 192.0.2.1\nweb 30 HTTPS 1 . alpn=\n";
    let mut sources = Sources::new(move |_: &Path| Ok(text.into()));
    let mut report = Report::default();
    assert!(zone::read("zone".as_ref(), Some(&origin()), &mut sources, &mut report).is_none());
    assert_eq!(report.problems()[0].code, Code::ZoneBadRdata);
}

/// The codes of what is wrong with the files of a zone, `zone` being the first.
fn codes(name: &str, files: &[(&str, &str)]) -> Vec<Code> {
    let read = |path: &Path| {
        let file = files.iter().find(|(name, _)| Path::new(name) == path);
        file.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    let (mut sources, mut report) = (Sources::new(read), Report::default());
    zone::read("zone".as_ref(), Some(&Name::parse(name).unwrap()), &mut sources, &mut report);
    report.problems().iter().map(|problem| problem.code).collect()
}

const HEAD: &str = "@ 30 SOA ns h 1 2 3 4 5\n@ 30 NS ns\nns 30 A 192.0.2.1\n";

#[test]
fn what_is_wrong_is_found_wherever_it_stands() {
    for (records, code) in [
        (r"d 30 DNAME \# 2 0161", Code::ZoneBadRdata), // a name without an end
        (r"d 30 DNAME \# 4 01610001", Code::ZoneBadRdata), // more behind it
        (r"d 30 DNAME \# 4 0161c000", Code::ZoneBadRdata), // a pointer
        (r"d 30 DS \# 4 00010d02", Code::ZoneBadRdata), // no digest
        (r"o 30 TYPE0 \# 0", Code::ZoneSyntax),        // not of zones (RFC 6895 §3.1)
        (r"o 30 TYPE41 \# 0", Code::ZoneSyntax),
        (r"o 30 TYPE255 \# 0", Code::ZoneSyntax),
        ("m 30 MX 1 x.b\nt.b 30 TXT t\n* 30 A 192.0.2.2", Code::ZoneDanglingTarget), // no wildcard reaches below b
        ("m 30 MX 1 b\nt.b 30 TXT t\n* 30 A 192.0.2.2", Code::ZoneDanglingTarget),   // nor b itself
        ("$INCLUDE one\n$INCLUDE two", Code::ZoneCname), // two of them at the same place of their files
    ] {
        let files = [
            ("zone", &*format!("{HEAD}{records}\n")),
            ("one", "c 30 CNAME ns\n"),
            ("two", "c 30 CNAME nt\n"),
        ];
        assert_eq!(codes("example.org", &files), [code], "{records}");
    }
    assert_eq!(codes(".", &[("zone", HEAD)]), []);
}

#[test]
fn the_example_zones_are_good() {
    assert_eq!(read("zones/puppet.example.org.zone", "puppet.example.org").records.len(), 14);
    read("zones/example.org.zone", "example.org");
}

#[test]
fn every_construct_is_read_as_bind_reads_it() {
    let path = "tests/fixtures/every-construct.zone";
    let ours = read(path, "example.org");
    assert_eq!(ours.records.len(), 40);
    if !peers::available("named-compilezone") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let compiled = folder.path().join("compiled.zone");
    let mut command = Command::new("named-compilezone");
    command.args(["-i", "none", "-k", "ignore", "-s", "full", "-o"]).arg(&compiled);
    // BIND looks for included files from where it runs.
    command.args(["example.org", "every-construct.zone"]).current_dir("tests/fixtures");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(told(&ours), told(&read(compiled.to_str().unwrap(), "example.org")));
}

fn read_text(text: &str) {
    let mut sources = Sources::new(|_: &Path| Ok(text.as_bytes().to_vec()));
    let mut report = Report::default();
    zone::read(Path::new("zone"), Some(&origin()), &mut sources, &mut report);
    report.render(&sources, Colour::Never);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\n\t]{0,300}") {
        read_text(&text);
    }

    #[test]
    fn any_characters_are_read_or_refused(text in any::<String>()) {
        read_text(&text);
    }

    #[test]
    fn a_good_zone_with_some_of_it_changed_is_read_or_refused(
        at in any::<prop::sample::Index>(),
        put in "[ -~\n]{0,12}",
    ) {
        let mut text = include_str!("fixtures/every-construct.zone").to_owned();
        let at = at.index(text.len() - 3);
        text.replace_range(at..at + 3, &put);
        read_text(&text);
    }
}
