//! The idle connection to each member: what its loss sets off, and what it does not.

use super::*;

/// From a loss to the probe.
const SETTLE: Duration = Duration::from_millis(25);

#[tokio::test(start_paused = true)]
async fn a_killed_member_leaves_at_once() {
    for phase in 0..50 {
        let mut watch = Watch::begin([Does::Pass; 3]).await;
        assert_eq!(watch.until_change(INTERVAL + INTERVAL * phase / 50).await, None);
        let asked = watch.world.asked(1);
        watch.world.does(1, Does::Refuse);
        watch.world.lose(1);
        assert_eq!(watch.until_change(MINUTE).await, Some(SETTLE));
        assert!(watch.world.asked(1) <= asked + 2, "no need to ask again");
    }
}

/// The probe that was under way when the member died may still bring good news of before.
#[tokio::test(start_paused = true)]
async fn what_was_asked_before_the_loss_does_not_count() {
    const TAKES: Duration = Duration::from_millis(400);
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    watch.world.does(1, Does::PassAfter(TAKES));
    let asked = watch.world.asked(1);
    while watch.world.asked(1) == asked {
        assert_eq!(watch.until_change(Duration::from_millis(1)).await, None);
    }
    watch.world.does(1, Does::Refuse);
    watch.world.lose(1);
    assert_eq!(watch.until_change(MINUTE).await, Some(SETTLE));
    assert_eq!(watch.until_change(MINUTE).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_without_a_loss_is_asked_again() {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    watch.world.does(1, Does::Refuse);
    watch.until_outlook(Outlook::Unsettled, MINUTE).await.expect("one fail is pending");
    assert_eq!(watch.until_change(MINUTE).await, Some(RECHECK));
}

/// What a dead process had is closed one by one: the socket that listens may accept once more.
#[tokio::test(start_paused = true)]
async fn a_member_that_is_cut_off_after_a_loss_is_asked_again_very_soon() {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    assert_eq!(watch.until_change(INTERVAL).await, None);
    watch.world.does(1, Does::CutOff);
    watch.world.lose(1);
    watch.until_outlook(Outlook::Unsettled, SETTLE + SLACK).await.expect("one fail is pending");
    watch.world.does(1, Does::Refuse);
    let left = watch.until_change(MINUTE).await.expect("it leaves");
    assert!(left <= Duration::from_millis(55), "{left:?}");
}

/// How often a member is asked in so many minutes whose idle connections last so long; it never changes anything.
async fn asked_in(minutes: u32, lasts: Duration) -> usize {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    watch.world.script(1).idle = Some(lasts);
    watch.world.lose(1); // the one that would have lasted
    let asked = watch.world.asked(1);
    assert_eq!(watch.until_outlook(Outlook::Unsettled, minutes * MINUTE).await, None);
    assert_eq!(watch.serial(), Serial(1));
    watch.world.asked(1) - asked
}

#[tokio::test(start_paused = true)]
async fn a_member_that_closes_idle_connections_costs_a_probe_each_time() {
    let asked = asked_in(10, Duration::from_secs(30)).await;
    assert!((300..=322).contains(&asked), "300, and one for each half minute: {asked}");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_closes_at_once_is_asked_less_than_twice_as_often() {
    for lasts in [0, 1, 100, 1000, 1900, 2100] {
        let asked = asked_in(10, Duration::from_millis(lasts)).await;
        let most = if Duration::from_millis(lasts) < INTERVAL { 350 } else { 600 };
        assert!((300..=most).contains(&asked), "{lasts} ms: {asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_held_to_a_member_that_is_down() {
    let mut watch = Watch::begin([Does::Pass, Does::Refuse, Does::Pass]).await;
    let held = |watch: &Watch| [0, 1, 2].map(|member| watch.world.script(member).held);
    assert_eq!(watch.until_change(MINUTE).await, None);
    assert_eq!(held(&watch), [1, 0, 1]);
    for (does, expected) in [(Does::Pass, 1), (Does::Refuse, 0), (Does::Pass, 1), (Does::Freeze, 0)] {
        watch.world.does(1, does);
        watch.until_change(MINUTE).await.expect("it goes or comes");
        assert_eq!(watch.until_change(SETTLE).await, None);
        assert_eq!(held(&watch), [1, expected, 1], "{does:?}");
    }
}

/// Two checks of one address: one connection, and both are asked when it is lost.
#[tokio::test(start_paused = true)]
async fn checks_of_one_address_share_a_connection() {
    let config = "[[zone]]\nfile = \"zone\"\n\
                  [check.a]\ninterval = \"1h\"\ntcp = { port = 8140 }\n[check.b]\ninterval = \"1h\"\ntcp = { port = 8140 }\n\
                  [check.c]\ntripwire = false\ninterval = \"1h\"\ntcp = { port = 8140 }\n\
                  [[pool]]\nname = \"a.example\"\ncheck = \"a\"\n[[pool]]\nname = \"b.example\"\ncheck = \"b\"\n\
                  [[pool]]\nname = \"c.example\"\ncheck = \"c\"\n";
    let zone = "$ORIGIN example.\n$TTL 30\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n\
                a A 172.16.1.10\nb A 172.16.1.10\nc A 172.16.1.10\n";
    let plan = load_site(&[("onstage.toml", config), ("zone", zone)]).plan;
    let mut watch = Watch::begin_with(plan, &[Does::Pass; 3]).await;
    assert_eq!(watch.until_change(MINUTE).await, None);
    let held = [0, 1, 2].map(|probe| watch.world.script(probe).held);
    assert_eq!(held, [1, 0, 0]);
    let asked = [0, 1, 2].map(|probe| watch.world.asked(probe));
    for probe in 0..3 {
        watch.world.does(probe, Does::Refuse);
    }
    watch.world.lose(0);
    while watch.until_change(2 * SETTLE).await.is_some() {}
    let asked_more = [0, 1, 2].map(|probe| watch.world.asked(probe) - asked[probe]);
    assert_eq!(asked_more, [1, 1, 0], "the one without a tripwire waits");
    let views = watch.director.views();
    assert_eq!(
        views.borrow().iter().map(|observed| observed.is_up()).collect::<Vec<_>>(),
        [false, false, true]
    );
}
