//! Members that serve other code than most of their pool.

use onstage::health::{Reason, Told, Verdict};

use super::{Stage, at, plan};
use crate::harness::logged;

const CONFIG: &str = "[check.tcp]\nfall = 1\nrise = 1\ntcp = { port = 8140 }\n\
                      [[pool]]\nname = \"puppet.example.org\"\ncheck = \"tcp\"\nversion-grace = \"15m\"\n";
const MINUTE: u64 = 60;

fn stage(members: usize) -> Stage {
    Stage::open(&plan(members, CONFIG, ""))
}

impl Stage {
    fn tells(&mut self, probe: u32, version: &str, now: u64) {
        let told = Told { version: Some(version.to_owned()), ..Told::default() };
        self.judge(probe, Verdict::Pass, told, now);
    }

    fn all_tell(&mut self, versions: &[&str], now: u64) {
        for (probe, version) in versions.iter().enumerate() {
            self.tells(probe as u32, version, now);
        }
    }

    /// Lets time pass as the daemon does: woken when it wants to be, until `until`.
    fn wait(&mut self, from: u64, until: u64) {
        let mut now = from;
        while let Some(pause) = self.director.wakes_in(at(now)) {
            now += pause.as_secs().max(1);
            if now > until {
                break;
            }
            self.director.wake(at(now));
            self.director.publish(at(now));
        }
    }
}

#[test]
fn who_is_stale_for_longer_than_the_grace_is_held_back_until_it_agrees() {
    let mut stage = stage(3);
    stage.all_tell(&["v2", "v2", "v1"], 0);
    assert_eq!(stage.account()[0], "A 3/3 answered, most serve v2");
    stage.wait(0, 15 * MINUTE - 1);
    assert_eq!(stage.account()[3], "192.0.2.3 up");
    let lines = logged(|| stage.wait(15 * MINUTE - 1, 15 * MINUTE));
    assert_eq!(stage.account()[0], "A 2/3 answered, most serve v2");
    let other = format!("{}: v1", Reason::OtherVersion);
    assert_eq!(stage.account()[3], format!("192.0.2.3 up, not answered, {other}"));
    assert_eq!(stage.reader.load().all_accounts()[0].lines[3].since, Some(at(15 * MINUTE).unix));
    let held = lines.iter().find(|line| line.contains("member is held back")).unwrap();
    assert!(held.contains("version=\"v1\"") && held.contains("most=\"v2\""), "{held}");
    assert_eq!(stage.director.wakes_in(at(16 * MINUTE)), None);
    stage.tells(2, "v2", 20 * MINUTE);
    assert_eq!(stage.account(), ["A 3/3 answered", "192.0.2.1 up", "192.0.2.2 up", "192.0.2.3 up"]);
}

#[test]
fn a_rolling_deployment_holds_nobody_back() {
    let mut stage = stage(3);
    stage.all_tell(&["v1", "v1", "v1"], 0);
    for (minute, versions, head) in [
        (10, ["v2", "v1", "v1"], "A 3/3 answered, most serve v1"),
        (20, ["v2", "v2", "v1"], "A 3/3 answered, most serve v2"),
        (30, ["v2", "v2", "v2"], "A 3/3 answered"),
    ] {
        stage.all_tell(&versions, minute * MINUTE);
        assert_eq!(stage.account()[0], head);
        stage.wait(minute * MINUTE, (minute + 10) * MINUTE);
        assert_eq!(stage.account()[0], head);
    }
}

#[test]
fn where_no_version_is_that_of_most_all_are_answered_and_it_is_said() {
    let mut stage = stage(4);
    let lines = logged(|| stage.all_tell(&["v2", "v1", "v2", "v1"], 0));
    stage.wait(0, 100 * MINUTE);
    assert_eq!(stage.account()[0], "A 4/4 answered, divided: v1 by 2, v2 by 2");
    assert_eq!(stage.director.wakes_in(at(100 * MINUTE)), None);
    let said: Vec<_> = lines.iter().filter(|line| line.contains("no version is that of most")).collect();
    assert!(said.last().is_some_and(|line| line.contains("v1 by 2, v2 by 2")), "{lines:?}");
    stage.all_tell(&["v2", "v2", "v3", "v1"], 100 * MINUTE);
    stage.wait(100 * MINUTE, 200 * MINUTE);
    assert_eq!(stage.account()[0], "A 4/4 answered, divided: v2 by 2, v1 by 1, v3 by 1");
}

/// A member that is held back is doubtful, not dead.
#[test]
fn who_is_held_back_is_answered_where_nobody_else_is_left() {
    let mut stage = stage(3);
    stage.all_tell(&["v2", "v2", "v1"], 0);
    stage.wait(0, 20 * MINUTE);
    for probe in [0, 1] {
        stage.judge(probe, Verdict::Fail(Reason::Refused), Told::default(), 21 * MINUTE);
    }
    let last = "192.0.2.3 up";
    assert_eq!(
        stage.account(),
        ["A 1/3 answered", "192.0.2.1 down (refused)", "192.0.2.2 down (refused)", last]
    );
    stage.tells(0, "v2", 22 * MINUTE);
    stage.tells(1, "v2", 22 * MINUTE);
    assert_eq!(stage.account()[0], "A 3/3 answered, most serve v2", "its grace begins anew");
    stage.wait(22 * MINUTE, 37 * MINUTE);
    assert_eq!(stage.account()[3], "192.0.2.3 up, not answered, other-version: v1");
}

#[test]
fn who_crashed_comes_back_as_it_was() {
    let mut stage = stage(3);
    stage.all_tell(&["v2", "v2", "v1"], 0);
    stage.wait(0, 20 * MINUTE);
    stage.judge(2, Verdict::Fail(Reason::Refused), Told::default(), 21 * MINUTE);
    assert_eq!(stage.account()[0], "A 2/3 answered");
    stage.tells(2, "v1", 22 * MINUTE);
    assert_eq!(stage.account()[3], "192.0.2.3 up, not answered, other-version: v1");
    stage.tells(2, "v0", 23 * MINUTE);
    assert_eq!(stage.account()[3], "192.0.2.3 up, not answered, other-version: v0");
}
