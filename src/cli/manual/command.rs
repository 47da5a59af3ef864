//! onstage(1): each word with its flags, from the one table of them.

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{marked, terms, title};
use crate::cli::words::Words;

pub(super) fn page() -> String {
    let command = Words::command();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut page = Roff::new();
    title(&mut page, "onstage", "1", &about.replacen("An ", "an ", 1));
    let head = page.render();
    let mut body = rendered(|to| {
        let man = Man::new(command.clone());
        man.render_synopsis_section(to)?;
        man.render_description_section(to)
    });
    for word in command.get_subcommands().filter(|word| !word.is_hide_set()) {
        body.push_str(&about_word(word));
    }
    head + &body + &surroundings().to_roff()
}

/// A section for one word.
fn about_word(word: &clap::Command) -> String {
    let mut head = Roff::new();
    head.control("SH", [&*word.get_name().to_uppercase()]);
    head.text(marked(&word.get_about().map(ToString::to_string).unwrap_or_default()));
    let mut word = word.clone().bin_name(format!("onstage {}", word.get_name()));
    word.build();
    let man = Man::new(word);
    let usage = rendered(|to| man.render_synopsis_section(to)).replace(".SH SYNOPSIS\n", ".PP\n");
    let options = rendered(|to| man.render_options_section(to)).replace(".SH OPTIONS\n", "");
    head.to_roff() + &usage + &options
}

/// What it writes, without the line breaks that stand beside an empty line.
fn rendered(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut bytes = Vec::new();
    let _ = write(&mut bytes); // to memory, which takes all
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.starts_with(".ie") && !line.starts_with(".el")).collect();
    let is_empty = |i: usize| lines.get(i).is_some_and(|line| line.is_empty());
    let is_needless = |i: usize| lines[i] == ".br" && (is_empty(i + 1) || is_empty(i.wrapping_sub(1)));
    let kept = (0..lines.len()).filter(|&i| !is_needless(i)).map(|i| lines[i].trim_end());
    kept.map(|line| if line.is_empty() { ".sp" } else { line }.to_owned() + "\n").collect()
}

/// What is around the command.
fn surroundings() -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["EXIT STATUS"]);
    terms(&mut page, &EXITS);
    page.control("SH", ["SIGNALS"]);
    terms(&mut page, &SIGNALS);
    page.control("SH", ["ENVIRONMENT"]);
    terms(&mut page, &ENVIRONMENT);
    page.control("SH", ["FILES"]);
    terms(&mut page, &FILES);
    page.control("SH", ["EXAMPLES"]);
    for (about, line) in EXAMPLES {
        page.control("TP", []).text([roman(about)]).text([bold(line)]);
    }
    page.control("SH", ["SEE ALSO"]);
    page.text(marked("`onstage.toml`(5), `onstage-control`(7), `named.conf`(5), `dig`(1), `journalctl`(1)"));
    page
}

const EXITS: [(&str, &str); 4] = [
    ("0", "Everything is fine."),
    ("1", "The answer is no: a member did not pass, the server could not start."),
    ("64", "The words on the command line make no sense."),
    ("78", "The config or a zone file makes no sense."),
];

const SIGNALS: [(&str, &str); 3] = [
    ("SIGTERM, SIGINT", "`onstage serve` answers what has arrived, keeps its state, and ends."),
    (
        "SIGHUP",
        "As `onstage reload`: config, zones, certificates and keys anew, all or nothing. What comes of it is in the log.",
    ),
    (
        "SIGUSR2",
        "It starts the program that is on disk now, which takes over as with `--takeover`; if that fails, it goes on.",
    ),
];

const ENVIRONMENT: [(&str, &str); 3] = [
    (
        "ONSTAGE_LOG",
        "What is told in the log: a level (`error`, `warn`, `info`, `debug`), or several with the part of the program that each is \
         for, `warn,onstage::daemon=info`. Left out: `info`.",
    ),
    (
        "NOTIFY_SOCKET, WATCHDOG_USEC",
        "Set by systemd: who is told that the server is ready, and how often that it lives.",
    ),
    (
        "JOURNAL_STREAM",
        "Set by systemd: `--log auto` writes to the journal where standard error is this stream.",
    ),
];

const FILES: [(&str, &str); 4] = [
    ("/etc/onstage/onstage.toml", "The config, unless `--config` names another."),
    ("/etc/onstage/zones/", "Where zone files usually are. Paths in the config are relative to its folder."),
    (
        "/var/lib/onstage/state.json",
        "Serials, orders, and who was up when it was written: what the next run should know.",
    ),
    ("/run/onstage/onstage.sock", "The control socket; see `onstage-control`(7)."),
];

const EXAMPLES: [(&str, &str); 5] = [
    ("Look for mistakes before a restart:", "onstage check && systemctl restart onstage"),
    ("Have each master of one name asked now, step by step:", "onstage probe puppet.example.org"),
    ("Ask one that is in a new config alone:", "onstage probe --here --config new.toml puppet4"),
    ("What the log has said of one pool:", "journalctl -u onstage ONSTAGE_POOL=puppet.example.org"),
    ("Read a page of this manual that is not installed:", "onstage man onstage.toml | man -l -"),
];

#[cfg(test)]
mod tests {
    use super::super::{Page, tests::read};
    use super::*;

    #[test]
    fn every_word_and_flag_is_in_the_manual() {
        let page = read(Page::Onstage);
        for word in Words::command().get_subcommands() {
            assert!(
                page.contains(&format!("\n.SH {}\n", word.get_name().to_uppercase())),
                "{}",
                word.get_name()
            );
            for flag in word.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(page.contains(&format!("--{flag}")), "{flag}");
            }
        }
    }

    #[test]
    fn every_signal_that_the_server_hears_is_in_the_manual() {
        let page = read(Page::Onstage);
        let signals = page.split(".SH SIGNALS").nth(1).unwrap().split(".SH ").next().unwrap();
        for (signal, does) in
            [("SIGTERM", "ends"), ("SIGHUP", "config, zones, certificates"), ("SIGUSR2", "takes over")]
        {
            let told = signals.split(".TP").find(|told| told.contains(signal));
            assert!(told.is_some_and(|told| told.contains(does)), "{signal}: {signals}");
        }
    }
}
