//! Onstage suspects itself, on paused time: the network goes for all members at once, and guards answer or do not.

mod daemon;
mod shared;
mod world;

use std::time::Duration;

use onstage::health::Reason;

use crate::harness::logged;
use world::{Does, Watch};

const INTERVAL: Duration = Duration::from_secs(2);
/// The longest that a member takes to leave which does not answer: interval, timeout, recheck, and the timers' rounding.
const WORST: Duration = Duration::from_millis(4510);
const TIMEOUT: Duration = Duration::from_secs(2);
const TENTH: Duration = Duration::from_millis(100);
const MINUTE: Duration = Duration::from_secs(60);

const GUARDED: &str = "[guard]\naddresses = [\"192.0.2.253:53\", \"192.0.2.254:53\"]\n";
const SILENT: Does = Does::Time(Reason::ConnectTimeout);

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(test)
}

fn frozen(watch: &mut Watch) -> bool {
    watch.told()[0].ends_with(", frozen: nobody answers, and no guard")
}

#[test]
fn when_nobody_answers_and_no_guard_nothing_changes_and_it_is_said_once() {
    for silence in [Reason::ConnectTimeout, Reason::Unreachable, Reason::TlsTimeout, Reason::Prober] {
        let log = logged(|| {
            run(async {
                let mut watch = Watch::begin(8, GUARDED).await;
                watch.world.guards(false);
                let serial = watch.serial();
                watch.world.all(Does::Time(silence));
                watch.pass(10 * MINUTE).await;
                assert_eq!((watch.answered(), frozen(&mut watch)), (8, true));
                let asked = watch.world.asked_guards();
                assert!((295..=301).contains(&asked), "once an interval: {asked} in ten minutes");
                let changes = watch.serial().0 - serial.0;
                assert!(changes <= 8, "who left before it was clear is taken back: {changes}");
            });
        });
        let times = |what: &str| log.iter().filter(|line| line.contains(what)).count();
        assert_eq!((times("the network is gone"), times("somebody answers again")), (1, 0), "{log:#?}");
        assert_eq!(times("was=\"up\" now=\"down\""), times("is taken back"), "{log:#?}");
    }
}

#[test]
fn when_a_guard_answers_they_leave_as_ever() {
    run(async {
        let mut watch = Watch::begin(8, GUARDED).await;
        watch.world.all(SILENT);
        watch.pass(WORST).await;
        assert_eq!(watch.up(), 0, "none is held back");
        assert_eq!(watch.told()[0], "A 8/8 answered, failing open");
        assert!(watch.world.asked_guards() >= 1);
    });
}

/// A rack goes dark, and the gateway with it. The other members answer: it is not the network.
#[test]
fn when_other_members_answer_they_leave() {
    run(async {
        let mut watch = Watch::begin(8, GUARDED).await;
        watch.world.guards(false);
        for member in 0..6 {
            watch.world.does(member, SILENT);
        }
        watch.pass(WORST + INTERVAL).await;
        assert_eq!((watch.up(), watch.answered()), (2, 2), "as soon as the next of them answers");
        watch.pass(10 * MINUTE).await;
        assert_eq!((watch.up(), watch.answered()), (2, 2));
    });
}

#[test]
fn one_member_of_two_is_nobodys_business() {
    for _ in 0..20 {
        run(async {
            let mut watch = Watch::begin(2, GUARDED).await;
            watch.world.guards(false);
            watch.world.does(0, SILENT);
            watch.pass(WORST).await;
            assert_eq!((watch.answered(), watch.world.asked_guards()), (1, 0));
        });
    }
}

#[test]
fn without_guards_nobody_is_held_back() {
    run(async {
        let mut watch = Watch::begin(8, "").await;
        watch.world.all(SILENT);
        watch.pass(WORST).await;
        assert_eq!(watch.up(), 0);
    });
}

#[test]
fn when_the_network_is_back_all_is_as_it_was() {
    run(async {
        let mut watch = Watch::begin(8, GUARDED).await;
        watch.world.guards(false);
        watch.world.all(SILENT);
        watch.pass(MINUTE).await;
        assert!(frozen(&mut watch));
        watch.world.all(Does::Pass);
        watch.world.guards(true);
        watch.pass(INTERVAL + TENTH).await;
        assert_eq!((watch.answered(), frozen(&mut watch)), (8, false));
        let serial = watch.serial();
        watch.pass(MINUTE).await;
        assert_eq!(watch.serial(), serial, "nobody leaves afterwards");
        watch.world.does(3, SILENT);
        watch.pass(WORST).await;
        assert_eq!(watch.answered(), 7, "and who dies then leaves as ever");
    });
}

/// The verdicts of a blind time are no verdicts: after it members have to fail again, as often as ever.
#[test]
fn verdicts_count_anew_when_somebody_answers() {
    run(async {
        let mut watch = Watch::begin(8, GUARDED).await;
        watch.world.guards(false);
        watch.world.all(SILENT);
        watch.pass(MINUTE).await;
        for member in 0..4 {
            watch.world.does(member, Does::Pass);
        }
        while frozen(&mut watch) {
            watch.pass(TENTH).await;
        }
        watch.pass(TIMEOUT.saturating_sub(TENTH)).await;
        assert_eq!(watch.answered(), 8, "four are still silent, and nothing was asked of them since");
        watch.pass(WORST + INTERVAL).await;
        assert_eq!(watch.answered(), 4);
    });
}

#[test]
fn a_guard_that_comes_and_goes_costs_nobody_their_place() {
    run(async {
        let mut watch = Watch::begin(8, GUARDED).await;
        watch.world.guards(false);
        watch.world.all(SILENT);
        watch.pass(MINUTE).await;
        for _ in 0..5 {
            watch.world.guards(true);
            while frozen(&mut watch) {
                watch.pass(TENTH).await;
            }
            watch.world.guards(false);
            watch.pass(MINUTE).await;
            assert_eq!((watch.answered(), frozen(&mut watch)), (8, true));
        }
        watch.world.guards(true);
        watch.pass(MINUTE).await;
        assert_eq!((watch.up(), frozen(&mut watch)), (0, false), "it stays, and so the members are gone");
    });
}

/// With a long interval the first have left before a share of them can have been silent.
#[test]
fn who_left_before_it_was_clear_is_taken_back() {
    run(async {
        let rare = format!("{GUARDED}[check.tcp]\ntcp = {{ port = 8140 }}\ninterval = \"20s\"\n");
        let mut watch = Watch::begin(8, &rare).await;
        watch.world.guards(false);
        watch.world.all(SILENT);
        let mut fewest = 8;
        for _ in 0..60 {
            watch.pass(Duration::from_secs(1)).await;
            fewest = fewest.min(watch.answered());
        }
        assert!((4..8).contains(&fewest), "half of them, at the most: {fewest}");
        assert_eq!((watch.answered(), watch.up(), frozen(&mut watch)), (8, 8, true));
    });
}

#[test]
fn what_is_proven_is_not_held_back() {
    for proof in [Does::Refuse, Does::Leave] {
        run(async {
            let mut watch = Watch::begin(8, &format!("{GUARDED}max-leaving = 1\n")).await;
            watch.world.guards(false);
            for member in 0..4 {
                watch.world.does(member, proof);
            }
            watch.pass(WORST).await;
            assert_eq!(watch.answered(), 4);
        });
    }
}

#[test]
fn a_bound_lets_one_leave_in_an_interval() {
    run(async {
        let mut watch = Watch::begin(8, "[guard]\nmax-leaving = 1\n").await;
        for member in 0..3 {
            watch.world.does(member, SILENT);
        }
        let mut left = Vec::new();
        for _ in 0..200 {
            let before = watch.answered();
            watch.pass(TENTH).await;
            left.extend((before > watch.answered()).then(|| watch.now()));
            assert!(before - watch.answered() <= 1);
        }
        assert_eq!(left.len(), 3, "{left:?}");
        for pair in left.windows(2) {
            let between = pair[1].saturating_sub(pair[0]);
            assert!(between + TENTH >= INTERVAL && between <= INTERVAL + TENTH, "{left:?}");
        }
    });
}

/// Who waits and answers meanwhile has not failed.
#[test]
fn who_waits_and_passes_stays() {
    run(async {
        let mut watch = Watch::begin(8, "[guard]\nmax-leaving = 1\n").await;
        watch.world.does(0, SILENT);
        watch.world.does(1, SILENT);
        while watch.answered() == 8 {
            watch.pass(Duration::from_millis(10)).await;
        }
        let back = usize::from(watch.told()[1].contains("down"));
        watch.world.does(back, Does::Pass);
        watch.pass(MINUTE).await;
        assert_eq!(watch.answered(), 7);
    });
}
