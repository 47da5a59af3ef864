//! Shells complete words, flags, pools and members, with the scripts that the program prints.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use super::{onstage, stdout};
use crate::peers::available;

const CONFIG: &str = "[[zone]]\nfile = \"zone\"\n[check.tcp]\ntcp = { port = 8140 }\n\
                      [[pool]]\nname = \"p.example\"\ncheck = \"tcp\"\n\
                      [pool.member.\"192.0.2.1\"]\nlabel = \"puppet1\"\n";
const ZONE: &str = "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n@ A 192.0.2.1\n@ AAAA 2001:db8::1\n";

/// As zsh itself calls it, from `$fpath`, and with what it would show printed instead.
const ZSH: &str = r"
compdef() { }
_describe() { local name; for name in other dirs; do [[ -n ${argv[(r)$name]} ]] && print -rl -- ${(P)name}; done }
fpath=(. $fpath)
autoload -Uz _onstage
words=(${(z)1}); [[ $1 == *' ' ]] && words+=('')
CURRENT=${#words}
_onstage
";

/// The words that a shell offers for a line; `None`: there is no such shell.
fn offered(shell: &str, folder: &Path, line: &str) -> Option<Vec<String>> {
    if !available(shell) {
        return None;
    }
    let mut command = Command::new(shell);
    match shell {
        "fish" => command.args(["--no-config", "-c", "source _fish; complete -C $argv[1]", line]),
        _ => command.args(["-f", "-c", ZSH, "zsh", line]),
    };
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = command.current_dir(folder).env("HOME", folder).env("PATH", path).output().unwrap();
    let said = stdout(&output).replace("\\:", "\u{0}");
    let word = |line: &str| line.split(['\t', ':']).next().unwrap().replace('\u{0}', ":");
    let fish = |line: &str| line.split('\t').next().unwrap().to_owned();
    Some(said.lines().map(|line| if shell == "fish" { fish(line) } else { word(line) }).collect())
}

/// It accepts, as the kernel does for a process that is stopped, and says nothing.
#[test]
fn a_server_that_does_not_answer_keeps_no_shell_waiting() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("onstage.toml"), CONFIG).unwrap();
    std::fs::write(folder.path().join("zone"), ZONE).unwrap();
    let _frozen = UnixListener::bind(folder.path().join("s.sock")).unwrap();
    let mut asking = Command::new("timeout"); // or it is waited for as `onstage status` does
    asking.args(["20", env!("CARGO_BIN_EXE_onstage"), "--"]).env("ONSTAGE_COMPLETE", "fish");
    asking.args("onstage drain -c onstage.toml --socket s.sock pup".split(' '));
    let output = asking.current_dir(folder.path()).output().unwrap();
    assert_eq!(stdout(&output), "puppet1\tp.example\n");
}

#[test]
fn they_offer_words_flags_pools_and_members() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("onstage.toml"), CONFIG).unwrap();
    std::fs::write(folder.path().join("zone"), ZONE).unwrap();
    symlink(env!("CARGO_BIN_EXE_onstage"), folder.path().join("onstage")).unwrap();
    for (shell, file) in [("zsh", "_onstage"), ("fish", "_fish")] {
        let script = stdout(&onstage(&["completions", shell]));
        std::fs::write(folder.path().join(file), script).unwrap();
        for (line, expected) in [
            ("onstage dr", &["drain"][..]),
            ("onstage completions f", &["fish"]),
            ("onstage drain --rea", &["--reason"]),
            ("onstage drain -c onstage.toml pup", &["puppet1"]),
            ("onstage drain -c onstage.toml 2001:", &["2001:db8::1"]),
            ("onstage probe -c onstage.toml p", &["p.example", "puppet1"]),
        ] {
            let Some(offered) = offered(shell, folder.path(), line) else { break };
            assert_eq!(offered, expected, "{shell}: {line}");
        }
    }
}
