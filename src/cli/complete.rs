//! Names of pools and members for a shell that completes a word: the running server's, or where none answers, the config's.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use clap_complete::CompletionCandidate;

use super::control::Control;
use super::words::{ConfigFlag, ControlFlags};
use crate::admin::status::Status;
use crate::daemon::load;

/// The longest that a server is waited for: a shell that completes a word takes no other, and the config's names are nearly
/// always the same.
const PATIENCE: Duration = Duration::from_secs(1);

/// A pool with the words for each of its members.
type Known = Vec<(String, Vec<String>)>;

/// Members that begin so.
pub(super) fn members(begun: &OsStr) -> Vec<CompletionCandidate> {
    candidates(begun, |pool, members| members.into_iter().map(|word| (word, pool.clone())).collect())
}

/// Pools and members that do.
pub(super) fn pools_and_members(begun: &OsStr) -> Vec<CompletionCandidate> {
    candidates(begun, |pool, members| {
        let own = (pool.clone(), "a pool".to_owned());
        let members = members.into_iter().map(|word| (word, pool.clone()));
        [own].into_iter().chain(members).collect()
    })
}

fn candidates(
    begun: &OsStr,
    words: impl Fn(String, Vec<String>) -> Vec<(String, String)>,
) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let flags = flags(std::env::args_os().map(|word| word.to_string_lossy().into_owned()));
    let known = running(&flags).unwrap_or_else(|| configured(&flags.config.path));
    let mut words: Vec<(String, String)> =
        known.into_iter().flat_map(|(pool, members)| words(pool, members)).collect();
    words.retain(|(word, _)| word.starts_with(&*begun));
    words.sort();
    words.dedup_by(|(a, _), (b, _)| a == b);
    words.into_iter().map(|(word, help)| CompletionCandidate::new(word).help(Some(help.into()))).collect()
}

/// The flags that are on the line already. bash breaks words at `=`.
fn flags(words: impl Iterator<Item = String>) -> ControlFlags {
    let words: Vec<String> = words.filter(|word| word != "=").collect();
    let value = |names: &[&str]| {
        let mut flags = words.iter().enumerate().flat_map(|(i, word)| {
            names.iter().filter_map(move |name| Some((i, name.starts_with("--"), word.strip_prefix(name)?)))
        });
        flags.find_map(|(i, is_long, rest)| match rest.strip_prefix('=') {
            Some(value) => Some(value.into()),
            None if rest.is_empty() => words.get(i + 1).map(Into::into),
            None => (!is_long).then(|| rest.into()),
        })
    };
    let config = value(&["-c", "--config"]).map_or_else(ConfigFlag::default, |path| ConfigFlag { path });
    ControlFlags { config, socket: value(&["--socket"]) }
}

fn running(flags: &ControlFlags) -> Option<Known> {
    let status: Status = Control::find(flags).ok()?.within(PATIENCE).get("/v1/status", &[]).ok()?;
    let pools = status.pools.into_iter().map(|pool| {
        let members = pool.members.into_iter().flat_map(|member| [member.label, member.record]);
        (pool.name, members.collect())
    });
    Some(pools.collect())
}

fn configured(path: &Path) -> Known {
    let Some(loaded) = load(path, |path| std::fs::read(path)).loaded else { return Known::new() };
    let pools = loaded.plan.pools.iter().map(|pool| {
        let words = pool.members.iter().flat_map(|member| [&member.label, &member.record_text]);
        (pool.name.to_string(), words.cloned().collect())
    });
    pools.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_on_the_line_count() {
        let flags = |line: &str| flags(line.split(' ').map(ToOwned::to_owned));
        let there = flags("onstage drain -c own.toml --socket s.sock pup");
        assert_eq!(there.config.path, Path::new("own.toml"));
        assert_eq!(there.socket.as_deref(), Some(Path::new("s.sock")));
        assert_eq!(flags("onstage drain pup").config.path, ConfigFlag::default().path);
        for line in [
            "--config=own.toml --socket=s.sock",
            "-cown.toml --socket = s.sock",
            "-c=own.toml --socket s.sock",
        ] {
            let there = flags(&format!("onstage drain {line} pup"));
            assert_eq!(there.config.path, Path::new("own.toml"), "{line}");
            assert_eq!(there.socket.as_deref(), Some(Path::new("s.sock")), "{line}");
        }
    }
}
