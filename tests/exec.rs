//! Commands as checks: what each exit status means, and that nothing of a command outlives its probe.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onstage::daemon::{Loaded, load};
use onstage::health::{Reason, Verdict};
use onstage::probe::Finding;
use onstage::probe::schedule::{Ask, Schedule};
use onstage::report::Colour;
use onstage::units::ProbeId;
use tempfile::TempDir;
use tokio::sync::mpsc;

const PATIENT: &str = "20s";
/// Long enough for a shell to start, short enough to wait for its end.
const HASTY: &str = "1s";
const PATIENCE: Duration = Duration::from_secs(20);

/// A check in a folder of its own.
struct Site {
    folder: TempDir,
    loaded: Loaded,
}

impl Site {
    /// `command`: the words after `command = `, with `FOLDER` for the folder; `keys`: what follows them.
    fn new(timeout: &str, command: &str, keys: &str) -> Self {
        Self::load(timeout, command, keys, |_| {})
    }

    /// A shell's script.
    fn script(timeout: &str, script: &str, keys: &str) -> Self {
        Self::new(timeout, &format!("[\"/bin/sh\", \"-c\", '''{script}''']"), keys)
    }

    fn load(timeout: &str, command: &str, keys: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = command.replace("FOLDER", &folder.path().display().to_string());
        let config = format!(
            "[[zone]]\nfile = \"zone\"\n[[pool]]\nname = \"p.example\"\ncheck = \"plug\"\n[check.plug]\n\
             timeout = \"{timeout}\"\nexec = {{ command = {command}{keys} }}\n"
        );
        let zone =
            "$ORIGIN p.example.\n$TTL 5\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n@ A 192.0.2.1\n";
        fs::write(folder.path().join("onstage.toml"), config).unwrap();
        fs::write(folder.path().join("zone"), zone).unwrap();
        prepare(folder.path());
        let reading = load(&folder.path().join("onstage.toml"), |path| fs::read(path));
        let report = reading.report.render(&reading.sources, Colour::Never);
        Self { folder, loaded: reading.loaded.unwrap_or_else(|| panic!("{report}")) }
    }

    async fn probe(&self) -> Finding {
        self.loaded.network.ask(ProbeId(0)).await
    }

    /// What the command has written into the file `told`, once it is `lines` lines.
    async fn told(&self, lines: usize) -> Vec<String> {
        let began = Instant::now();
        loop {
            let told = fs::read_to_string(self.folder.path().join("told")).unwrap_or_default();
            if told.matches('\n').count() >= lines {
                return told.lines().map(str::to_owned).collect();
            }
            assert!(began.elapsed() < PATIENCE, "the command says nothing");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn fail(reason: Reason) -> Verdict {
    Verdict::Fail(reason)
}

#[tokio::test]
async fn each_exit_status_has_its_verdict() {
    let status = fail(Reason::ExecStatus);
    for (script, keys, expected, detail) in [
        ("echo fine", "", Verdict::Pass, ""),
        ("", "", Verdict::Pass, ""),
        ("exit 1", "", Verdict::Pass, ""),
        ("exit 1", ", warning = \"pass\"", Verdict::Pass, ""),
        ("echo slow; exit 1", ", warning = \"fail\"", status, "WARNING: slow"),
        ("echo gone; exit 2", "", status, "CRITICAL: gone"),
        ("exit 2", ", warning = \"fail\"", status, "CRITICAL"),
        ("printf unsure; exit 3", "", status, "UNKNOWN: unsure"),
        ("exit 4", "", status, "exit status 4"),
        ("no-such-program; exit 127", "", status, "exit status 127: /bin/sh: 1: no-such-program: not found"),
        ("echo ouch; kill -9 $$", "", status, "ended by signal 9: ouch"),
    ] {
        let finding = Site::script(PATIENT, script, keys).probe().await;
        assert_eq!((finding.verdict, finding.detail.as_str()), (expected, detail), "{script}");
    }
}

#[tokio::test]
async fn the_first_line_is_told() {
    for (script, seen) in [
        ("echo; echo \"  first  \"; echo second", "OK: first"),
        ("printf \"no line end\"", "OK: no line end"),
        ("echo \"text|rta=1ms;2;3\"", "OK: text"),
        ("echo \"|rta=1ms\"", "OK"),
        ("echo err >&2; echo out", "OK: out"),
        ("echo err >&2", "OK: err"),
        ("printf \"a\\033[31mb\\377\\000c\\n\"", "OK: a\\u{1b}[31mb\u{fffd}\\0c"),
    ] {
        let finding = Site::script(PATIENT, script, "").probe().await;
        assert_eq!(finding.steps.len(), 1);
        assert_eq!((finding.steps[0].name, finding.steps[0].seen.as_str()), ("exec", seen), "{script}");
    }
    let long = Site::script(PATIENT, "head -c 10000 /dev/zero | tr \"\\0\" x; exit 2", "").probe().await;
    assert!(long.detail.len() < 200 && long.detail.ends_with("xxx…"), "{}", long.detail);
}

#[tokio::test]
async fn a_command_is_told_who_is_meant_and_nothing_else() {
    let site = Site::script(PATIENT, "env >FOLDER/told", ", port = 8140");
    assert_eq!(site.probe().await.verdict, Verdict::Pass);
    let mut told = site.told(1).await;
    told.retain(|line| !line.starts_with("PWD=")); // the shell's own
    told.sort();
    let path = format!("PATH={}", std::env::var("PATH").unwrap());
    let member =
        ["ONSTAGE_ADDRESS=192.0.2.1", "ONSTAGE_CHECK=plug", "ONSTAGE_NAME=p.example", "ONSTAGE_PORT=8140"];
    assert_eq!(told, [&member[..], &[&path]].concat());

    let arguments = "[\"/bin/sh\", \"-c\", \"echo $# $*\", \"sh\", \"{address}\", \"http://{address}:{port}/{name}\", \"{other}\"]";
    let finding = Site::new(PATIENT, arguments, ", port = 80").probe().await;
    assert_eq!(finding.steps[0].seen, "OK: 3 192.0.2.1 http://192.0.2.1:80/p.example {other}");

    let portless = Site::script(PATIENT, "echo ${ONSTAGE_PORT-none}; cat", "").probe().await;
    assert_eq!(portless.steps[0].seen, "OK: none", "and standard input is at its end");
}

#[tokio::test]
async fn a_program_is_found_beside_the_config() {
    let site = Site::load(PATIENT, "[\"true\"]", "", |folder| {
        std::os::unix::fs::symlink("/bin/true", folder.join("true")).unwrap();
    });
    assert_eq!(site.probe().await.verdict, Verdict::Pass);
    fs::remove_file(site.folder.path().join("true")).unwrap();
    let finding = site.probe().await;
    assert_eq!(
        finding.verdict,
        fail(Reason::Prober),
        "PATH has one, but it is not asked: {}",
        finding.detail
    );
}

/// Waits until a process is gone; one that is nobody's child any more may stay as a zombie where nobody reaps it.
async fn is_gone(pid: &str, reaped: bool) {
    let began = Instant::now();
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || !reaped && stat.contains(") Z ") {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{stat}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Its own process, and one that it started, which holds its pipes.
const FAMILY: &str = "sleep 1000 & echo $$ >>FOLDER/told; echo $! >>FOLDER/told; echo words; ";

#[tokio::test]
async fn a_command_that_hangs_is_ended_with_all_it_has_started() {
    let site = Site::script(HASTY, &format!("{FAMILY} wait"), "");
    let finding = site.probe().await;
    assert_eq!(finding.verdict, fail(Reason::ReplyTimeout));
    assert_eq!(finding.detail, "the command did not end; it says words");
    let told = site.told(2).await;
    is_gone(&told[0], true).await;
    is_gone(&told[1], false).await;
}

#[tokio::test]
async fn a_command_that_ends_is_not_waited_for_longer() {
    let site = Site::script(PATIENT, FAMILY, "");
    let finding = site.probe().await;
    assert_eq!((finding.verdict, finding.steps[0].seen.as_str()), (Verdict::Pass, "OK: words"));
    assert!(finding.latency < PATIENCE / 2, "{:?}", finding.latency);
    let told = site.told(2).await;
    is_gone(&told[0], true).await;
    is_gone(&told[1], false).await;
    // One that has left the group lives on, and is not waited for either.
    let site = Site::script(PATIENT, "setsid sleep 30 & echo $! >FOLDER/told; echo words", "");
    let finding = site.probe().await;
    assert_eq!((finding.verdict, finding.steps[0].seen.as_str()), (Verdict::Pass, "OK: words"));
    assert!(finding.latency < PATIENCE / 2, "{:?}", finding.latency);
    let pid = site.told(1).await[0].parse().unwrap();
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
}

#[tokio::test]
async fn who_prints_without_end_is_not_listened_to() {
    for script in ["yes", "yes >&2", "cat /dev/zero", "while :; do echo; done"] {
        let finding = Site::script(HASTY, script, "").probe().await;
        assert_eq!(finding.verdict, fail(Reason::ReplyTimeout), "{script}");
        assert!(finding.detail.len() < 1000, "{script}");
    }
    let much = Site::script(PATIENT, "head -c 8000 /dev/zero; head -c 8000 /dev/zero >&2", "");
    assert_eq!(much.probe().await.verdict, Verdict::Pass, "much is no harm");
}

#[tokio::test]
async fn who_is_not_waited_for_any_more_is_ended() {
    let site = Site::script(PATIENT, &format!("{FAMILY} wait"), "");
    let (sender, _events) = mpsc::channel(1);
    let schedule = Schedule::start(&site.loaded.plan.probes, &Arc::clone(&site.loaded.network), &sender);
    site.told(2).await;
    schedule.stop().await;
    let told = site.told(2).await;
    is_gone(&told[0], true).await;
    for pid in &told {
        is_gone(pid, false).await; // those that it started, and those of the probe beside it, if there was one
    }
}
