//! The command beside a running server: words, sentences, exit codes.

use std::process::Output;

use tokio::process::Command;

use super::{me, socket, status_once};
use crate::harness::Pair;

async fn onstage(pair: &Pair, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onstage"));
    command.args(words).arg("--socket").arg(socket(pair)).output().await.unwrap()
}

/// What is printed and complained of, and the exit code.
async fn said(pair: &Pair, words: &[&str]) -> (String, String, i32) {
    let output = onstage(pair, words).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

#[tokio::test]
async fn an_operators_morning() {
    let mut pair = Pair::new();
    let daemon = pair.start().await;
    let [first, second] = pair.members.map(|member| member.to_string());
    let (first, second) = (first.as_str(), second.as_str());
    let (table, _, code) = said(&pair, &["status"]).await;
    assert!(code == 0 && table.contains("p.example A: 2 of 2 answered"), "{table}");
    let (json, _, _) = said(&pair, &["status", "--json", second]).await;
    assert!(json.starts_with("{\"server\"") && json.lines().count() == 1, "{json}");

    let drain = ["drain", second, "--for", "2h", "--reason", "kernel update"];
    let left = format!("p.example A: 1 of 2 live; answered: {first}\n");
    let would = format!("would be drained: p.example A {second}\n{left}");
    for dry in [&["drain", second, "--dry-run"][..], &[&drain[..], &["--dry-run"]].concat()] {
        assert_eq!(said(&pair, dry).await, (would.clone(), String::new(), 0));
    }
    let done = format!("drained: p.example A {second}\n{left}");
    assert_eq!(said(&pair, &drain).await, (done, String::new(), 0));
    let (told, _, _) = said(&pair, &["explain", second]).await;
    for sentence in [
        "It is not answered: it is drained.",
        &format!("drained by {}", me()),
        "It is up. It takes 2 fails in a row to take it down",
    ] {
        assert!(told.contains(sentence), "{sentence}: {told}");
    }
    let (_, refused, code) = said(&pair, &["drain", first, "--reason", "too"]).await;
    assert!(code == 1 && refused.contains("would be live") && refused.contains("--yes"), "{refused}");
    let (told, refused, code) = said(&pair, &["drain", first, "--dry-run"]).await;
    assert!(code == 1 && told.contains("0 of 2 live, which is too few: it fails open"), "{told}");
    assert!(refused.contains("--yes"), "{refused}");
    assert_eq!(said(&pair, &["drain", first, "--dry-run", "--yes"]).await, (told, String::new(), 0));
    let all = format!("p.example A {second}\np.example A: 2 of 2 live; answered: {first}, {second}\n");
    let released = format!("released: {all}");
    let would = (format!("would be {released}"), String::new(), 0);
    assert_eq!(said(&pair, &["release", second, "--dry-run"]).await, would);
    assert_eq!(said(&pair, &["release", second]).await, (released, String::new(), 0));
    let (_, none, code) = said(&pair, &["release", second]).await;
    assert_eq!((none, code), (format!("onstage: there is no order on `{second}`\n"), 1));

    pair.kill(1);
    status_once(&pair, |status| status.pools[0].answered == 1).await;
    let (told, _, _) = said(&pair, &["explain", second]).await;
    for sentence in [
        "It is not answered: it is down (refused).",
        "x pass",
        "leaving: refused",
        "It takes 2 passes in a row to bring it up; none so far",
    ] {
        assert!(told.contains(sentence), "{sentence}: {told}");
    }
    daemon.stop().await;
    let nobody = format!(
        "onstage: no server answers on the control socket `{}`: is it running?\n",
        socket(&pair).display()
    );
    assert_eq!(said(&pair, &["status"]).await, (String::new(), nobody, 1));
}

#[tokio::test]
async fn words_that_make_no_sense_are_64_and_a_sentence() {
    let pair = Pair::new();
    let daemon = pair.start().await;
    let first = pair.members[0].to_string();
    for (words, sentence) in [
        (&["drain", &first, "--reason", "r", "--for", "soon"][..], "a time is a number with a unit"),
        (&["drain", &first, "--reason", "r", "--for", "0s"], "it would be over at once"),
        (&["drain", &first, "--reason", " "], "it is empty"),
        (&["drain", &first], "--reason"),
        (&["drain", "", "--reason", "r"], "no member is named"),
        (&["drain", "puppet9", "--reason", "r"], "there is no member `puppet9`"),
        (&["explain", "p.example"], "is it `127."),
    ] {
        let (_, told, code) = said(&pair, words).await;
        assert!(code == 64 && told.contains(sentence), "{words:?}: {code} {told}");
    }
    daemon.stop().await;
}

/// The running server asks, and what it finds counts.
#[tokio::test]
async fn members_are_probed_now() {
    let mut pair = Pair::new();
    let daemon = pair.start().await;
    let [first, second] = pair.members.map(|member| member.to_string());
    let (told, complaints, code) = said(&pair, &["probe", "p.example"]).await;
    assert!(code == 0 && complaints.is_empty(), "{told}{complaints}");
    let line = format!("{second}: {second}:8140, check tcp\n  connect");
    assert!(told.contains(&line) && told.matches("  verdict  pass\n").count() == 2, "{told}");
    assert!(
        told.contains("  so far   It is up. It takes 2 fails in a row to take it down; none so far.\n"),
        "{told}"
    );

    pair.kill(1);
    status_once(&pair, |status| status.pools[0].answered == 1).await;
    let (told, _, code) = said(&pair, &["probe", &second]).await;
    assert!(code == 1 && told.contains("  verdict  fail: refused: ") && !told.contains(&first), "{told}");
    assert!(told.contains("  so far   It is down."), "{told}");
    let (_, nobody, code) = said(&pair, &["probe", "puppet9"]).await;
    assert!(code == 64 && nobody.contains("`puppet9`") && nobody.contains("`--here`"), "{nobody}");
    daemon.stop().await;
    let (_, none, code) = said(&pair, &["probe"]).await;
    assert!(code == 1 && none.contains("no server answers"), "a socket that was named is meant: {none}");
}

/// A shell asks how the line may go on.
#[tokio::test]
async fn members_are_completed() {
    let pair = Pair::new();
    let daemon = pair.start().await;
    let (path, [first, second]) = (socket(&pair), pair.members.map(|member| member.to_string()));
    let line = ["--", "onstage", "drain", "--socket", path.to_str().unwrap(), &first[..first.len() - 1]];
    let mut command = Command::new(env!("CARGO_BIN_EXE_onstage"));
    command.args(line).env("ONSTAGE_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "4");
    let output = command.env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_IFS", "\n").output().await.unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = words.lines().collect();
    assert!(lines.contains(&first.as_str()) && lines.contains(&second.as_str()), "{words}");
    daemon.stop().await;
}
