//! What all members share fails: a database, a deployment. That is no reason to answer nobody, or the dead.

use onstage::health::Reason;

use super::world::{Does, Watch};
use super::{MINUTE, SILENT, WORST, run};

const NO_DATABASE: Does = Does::Say(Reason::ServiceState);

#[test]
fn a_database_that_all_share_empties_no_pool() {
    for (fail_open, answered) in [("all", 4), ("last-live", 4), ("none", 0)] {
        run(async {
            let mut watch = Watch::begin_pool(4, "", &format!("fail-open = \"{fail_open}\"")).await;
            watch.world.all(NO_DATABASE);
            watch.pass(WORST).await;
            assert_eq!((watch.up(), watch.answered()), (0, answered), "{fail_open}");
            assert!(watch.told()[0].ends_with("failing open"));
            watch.world.all(Does::Pass);
            watch.pass(WORST).await;
            assert_eq!((watch.up(), watch.answered(), &*watch.told()[0]), (4, 4, "A 4/4 answered"));
        });
    }
}

/// One of them is dead besides, whether it died before the database, with it, or after it.
#[test]
fn a_dead_member_is_not_answered_beside_those_that_share_a_failure() {
    for order in [[Some(0), None], [None, Some(0)], [Some(0), Some(0)]] {
        for dies in [Does::Refuse, SILENT] {
            run(async {
                let mut watch = Watch::begin(4, "").await;
                let mut dead = None;
                for death in order {
                    dead = death.or(dead);
                    if death.is_none() || order[1].is_some() {
                        watch.world.all(NO_DATABASE);
                    }
                    if let Some(dead) = dead {
                        watch.world.does(dead, dies);
                    }
                    watch.pass(WORST).await;
                }
                assert_eq!((watch.up(), watch.answered()), (0, 3), "{order:?} {dies:?}: {:?}", watch.told());
                assert!(watch.told()[1].contains("down") && !watch.told()[1].contains(", answered"));
                watch.pass(MINUTE).await;
                assert_eq!(watch.answered(), 3);
            });
        }
    }
}

/// While one of them still has the database, it is answered alone; it is not overrun by those that are worse.
#[test]
fn who_can_serve_is_answered_before_who_is_in_doubt() {
    run(async {
        let mut watch = Watch::begin(4, "").await;
        watch.world.all(NO_DATABASE);
        watch.world.does(2, Does::Pass);
        watch.pass(WORST).await;
        assert_eq!((watch.up(), watch.answered(), &*watch.told()[0]), (1, 1, "A 1/4 answered"));
        watch.world.does(2, Does::Refuse);
        watch.pass(WORST).await;
        assert_eq!((watch.up(), watch.answered()), (0, 3));
    });
}
