//! Who watches the prober: when nothing is heard of probes any more, that is noticed, said, and no reason to leave anybody out.

use onstage::snapshot::Mode;

use super::*;

/// The members that are answered, and why.
fn lineup(watch: &Watch) -> (Vec<bool>, Mode) {
    let lineup = &watch.director.lineups()[0];
    (lineup.answered.iter().map(|presence| presence.is_some()).collect(), lineup.mode)
}

/// Lets time pass until so many probes are stale; how long that took.
async fn until_stale(watch: &mut Watch, probes: usize) -> Option<Duration> {
    watch.until(MINUTE, |director| *director.stale().borrow() == probes).await
}

/// What is told about the pool.
fn account(watch: &mut Watch) -> Vec<String> {
    watch.reader.load().all_accounts()[0].lines.iter().map(|line| line.text.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_prober_that_hangs_is_noticed_within_two_intervals_and_the_pool_fails_open() {
    for phase in 0..20 {
        let mut watch = Watch::begin([Does::Pass, Does::Refuse, Does::Pass]).await;
        assert_eq!(watch.until_change(INTERVAL + INTERVAL * phase / 20).await, None);
        assert_eq!(lineup(&watch), (vec![true, false, true], Mode::Live));
        (0..3).for_each(|probe| watch.world.does(probe, Does::Hang));
        let noticed = until_stale(&mut watch, 3).await.expect("it is noticed");
        let asked_last = INTERVAL; // at the latest
        assert!(noticed <= asked_last + 2 * INTERVAL, "{noticed:?}");
        assert_eq!(lineup(&watch), (vec![true; 3], Mode::FailingOpen));
        assert_eq!(watch.director.lineups()[0].outlook, Outlook::Unsettled);
        let told = [
            "A 3/3 answered, failing open",
            "172.16.1.10 up, stale",
            "172.16.4.26 down (refused), answered, stale",
        ];
        assert_eq!(account(&mut watch)[..3], told);
        assert_eq!(watch.until_change(10 * MINUTE).await, None);
    }
}

/// The tasks are gone, not only slow: nobody says that anything is overdue, either.
#[tokio::test(start_paused = true)]
async fn a_prober_that_dies_is_noticed_within_two_intervals() {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    watch.until_change(INTERVAL).await;
    (0..3).for_each(|probe| watch.world.does(probe, Does::Panic));
    let noticed = until_stale(&mut watch, 3).await.expect("it is noticed");
    assert!(noticed <= 2 * INTERVAL, "{noticed:?}");
    assert_eq!(lineup(&watch), (vec![true; 3], Mode::FailingOpen));
}

/// As long as something is known of somebody, what is old is the best that is known of the others.
#[tokio::test(start_paused = true)]
async fn a_probe_that_dies_alone_changes_nothing_and_is_said() {
    let mut watch = Watch::begin([Does::Pass, Does::Refuse, Does::Pass]).await;
    watch.world.does(0, Does::Panic);
    watch.world.does(1, Does::Panic);
    until_stale(&mut watch, 2).await.expect("they are noticed");
    assert_eq!(lineup(&watch), (vec![true, false, true], Mode::Live));
    assert_eq!(watch.until_change(MINUTE).await, None);
    let told =
        ["A 2/3 answered", "172.16.1.10 up, stale", "172.16.4.26 down (refused), stale", "172.16.9.7 up"];
    assert_eq!(account(&mut watch), told);
}

#[tokio::test(start_paused = true)]
async fn when_the_prober_is_back_all_is_as_it_was() {
    let mut watch = Watch::begin([Does::Pass, Does::Refuse, Does::Pass]).await;
    (0..3).for_each(|probe| watch.world.does(probe, Does::HangFor(MINUTE)));
    until_stale(&mut watch, 3).await.expect("it is noticed");
    watch.world.does(1, Does::Refuse);
    until_stale(&mut watch, 0).await.expect("they are heard again");
    assert_eq!(lineup(&watch), (vec![true, false, true], Mode::Live));
}
