//! How busy members are, and what that does to the answer.

use std::time::Duration;

use onstage::demo::SiteCa;
use onstage::health::{Access, Load, Reason, Told, Verdict};

use super::{Stage, at, plan};
use crate::harness::{NOW, logged};

const CONFIG: &str = "[check.load]\nfall = 2\nrise = 3\npuppet-load = { ca-file = \"ca.pem\", busy-share = \"40%\" }\n\
                      [[pool]]\nname = \"puppet.example.org\"\ncheck = \"load\"\n";

fn stage() -> Stage {
    Stage::open(&plan(3, CONFIG, &SiteCa::new("Site CA").unwrap().pem()))
}

/// Everything is taken, and somebody has waited for so many seconds.
fn waited(seconds: u64) -> Told {
    let load = Load {
        instances: 4,
        free: 0,
        waiting: 2,
        oldest_wait: Duration::from_secs(seconds),
        longest_run: Duration::from_secs(30),
        turned_away: 0,
        pool: Access::Open,
    };
    Told { load: Some(load), ..Told::default() }
}

fn idle() -> Told {
    Told { load: waited(0).load.map(|load| Load { free: 4, waiting: 0, ..load }), ..Told::default() }
}

#[test]
fn a_member_that_gets_busier_gets_less_and_then_nothing_and_comes_back_step_by_step() {
    let mut stage = stage();
    for (now, told, head, line) in [
        (5, waited(1), "A 3/3 answered", "192.0.2.2 up"),
        (10, waited(3), "A 3/3 answered", "192.0.2.2 up"),
        (15, waited(4), "A 3/3 answered", "192.0.2.2 up, 40 % answered, busy"),
        (20, waited(25), "A 3/3 answered", "192.0.2.2 up, 40 % answered, busy"),
        (25, waited(30), "A 2/3 answered", "192.0.2.2 up, not answered, overloaded"),
        (30, waited(11), "A 2/3 answered", "192.0.2.2 up, not answered, overloaded"),
        (35, waited(5), "A 2/3 answered", "192.0.2.2 up, not answered, overloaded"),
        (40, idle(), "A 2/3 answered", "192.0.2.2 up, not answered, overloaded"),
        (45, idle(), "A 3/3 answered", "192.0.2.2 up, 40 % answered, busy"),
        (50, idle(), "A 3/3 answered", "192.0.2.2 up, 40 % answered, busy"),
        (55, idle(), "A 3/3 answered", "192.0.2.2 up, 40 % answered, busy"),
        (60, idle(), "A 3/3 answered", "192.0.2.2 up"),
    ] {
        stage.judge(1, Verdict::Pass, told, now);
        assert_eq!(stage.account(), [head, "192.0.2.1 up", line, "192.0.2.3 up"], "at {now}");
    }
}

/// A flood that all masters share is no reason to answer none of them, or a dead one beside them.
#[test]
fn overloaded_members_are_answered_where_there_are_no_others() {
    let mut stage = stage();
    for now in [5, 10] {
        stage.judge(0, Verdict::Fail(Reason::Refused), Told::default(), now);
        stage.judge(1, Verdict::Pass, waited(60), now);
    }
    assert_eq!(stage.account()[0], "A 1/3 answered");
    for now in [15, 20] {
        stage.judge(2, Verdict::Pass, waited(60), now);
    }
    let told = [
        "A 2/3 answered, failing open",
        "192.0.2.1 down (refused)",
        "192.0.2.2 up, overloaded",
        "192.0.2.3 up, overloaded",
    ];
    assert_eq!(stage.account(), told);
}

#[test]
fn a_member_that_was_down_comes_back_without_its_burden() {
    let mut stage = stage();
    for now in [5, 10] {
        stage.judge(1, Verdict::Pass, waited(60), now);
    }
    assert_eq!(stage.account()[2], "192.0.2.2 up, not answered, overloaded");
    stage.judge(1, Verdict::Leaving(Reason::ServiceState), Told::default(), 15);
    for now in [20, 21, 22] {
        stage.judge(1, Verdict::Pass, idle(), now);
    }
    assert_eq!(stage.account()[2], "192.0.2.2 up");
}

#[test]
fn each_change_of_the_level_is_a_line_in_the_log_and_since_is_told() {
    let mut stage = stage();
    let lines = logged(|| {
        for now in [5, 10, 15, 20] {
            stage.judge(1, Verdict::Pass, waited(60), now);
        }
    });
    let of_member: Vec<&String> = lines.iter().filter(|line| line.contains("overloaded")).collect();
    assert_eq!(of_member.len(), 1, "{lines:?}");
    assert!(
        of_member[0].contains("0 of 4 JRubies free") && of_member[0].contains("was=\"calm\""),
        "{lines:?}"
    );
    let account = &stage.reader.load().all_accounts()[0];
    assert_eq!(account.lines[2].since, Some(at(10).unix));
    assert_eq!(account.lines[1].since, Some(NOW));
}
