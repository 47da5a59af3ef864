//! Orders given to a running server, and what its state directory keeps of them.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use onstage::daemon::{Brief, Consent, Durable, Refusal, SteeringError};
use onstage::demo::addresses;
use onstage::health::{Remark, Word};

use super::draft;
use crate::harness::Pair;

async fn answered(server: SocketAddr) -> Vec<IpAddr> {
    let mut answered = addresses(server, "p.example").await.unwrap();
    answered.sort();
    answered
}

/// Asks until this is answered.
async fn until_answered(server: SocketAddr, wanted: &[IpAddr]) {
    let asking = async {
        while answered(server).await != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asking).await.expect("it is answered");
}

fn root() -> Remark {
    Remark::new("root").unwrap()
}

#[tokio::test]
async fn an_order_holds_at_once_and_after_a_restart() {
    let site = Pair::new();
    let [first, second] = site.members;
    let daemon = site.start().await;
    let (steering, server) = (daemon.steering(), daemon.addrs()[0]);
    assert_eq!(answered(server).await, [first, second]);
    let whom = second.to_string();
    let drain = draft(Word::Drain, None);
    let asked = steering.preview(whom.parse().unwrap(), Some(Word::Drain)).await.unwrap();
    assert_eq!(answered(server).await, [first, second], "asking changes nothing");
    let (effect, durable) =
        steering.order(whom.parse().unwrap(), drain.clone(), Consent::Asked).await.unwrap();
    assert_eq!((effect, durable), (asked, Durable::Yes));
    assert_eq!(answered(server).await, [first], "it holds when it is told so");
    let both = steering.order(first.to_string().parse().unwrap(), drain, Consent::Asked).await;
    assert!(matches!(both, Err(SteeringError::Refused(Refusal::Bares(_)))), "{both:?}");
    daemon.stop().await;
    let stopped = steering.release(whom.parse().unwrap(), root()).await.unwrap_err();
    assert_eq!(stopped.to_string(), "the server is stopping");

    let daemon = site.start().await;
    let (steering, server) = (daemon.steering(), daemon.addrs()[0]);
    assert_eq!(answered(server).await, [first], "from the first answer");
    steering.release(whom.parse().unwrap(), root()).await.unwrap();
    assert_eq!(answered(server).await, [first, second]);
    daemon.stop().await;
    assert!(!site.file().contains("orders"), "{}", site.file());
}

#[tokio::test]
async fn in_short_it_is_told_how_many_are_live_and_who_fails_open() {
    let site = Pair::new();
    let daemon = site.start().await;
    let steering = daemon.steering();
    let calm = Brief { pools: 1, failing: Vec::new(), members: 2, live: 2, stale: 0, frozen: false };
    assert_eq!(steering.brief().await.unwrap(), calm);
    for (member, live, failing) in [(1, 1, &[][..]), (0, 0, &["p.example A"])] {
        let whom = site.members[member].to_string().parse().unwrap();
        steering.order(whom, draft(Word::Drain, None), Consent::Given).await.unwrap();
        let brief = steering.brief().await.unwrap();
        let failing = failing.iter().map(ToString::to_string).collect();
        assert_eq!(brief, Brief { live, failing, ..calm.clone() });
    }
    daemon.stop().await;
}

#[tokio::test]
async fn an_order_ends_on_a_timer() {
    let site = Pair::new();
    let [first, second] = site.members;
    let daemon = site.start().await;
    let (steering, server) = (daemon.steering(), daemon.addrs()[0]);
    let short = draft(Word::Drain, Some(Duration::from_secs(1)));
    steering.order(second.to_string().parse().unwrap(), short, Consent::Asked).await.unwrap();
    assert_eq!(answered(server).await, [first]);
    until_answered(server, &[first, second]).await;
    daemon.stop().await;
}

/// A crash loses no order that was acknowledged.
#[tokio::test]
async fn an_order_is_written_down_before_it_is_acknowledged() {
    let site = Pair::new();
    let [first, second] = site.members;
    let daemon = site.start().await;
    let whom = second.to_string().parse().unwrap();
    daemon.steering().order(whom, draft(Word::Drain, None), Consent::Asked).await.unwrap();
    let crashed = site.file();
    assert!(crashed.contains("kernel update"), "{crashed}");
    daemon.stop().await;
    std::fs::write(site.state.path().join("state.json"), crashed).unwrap();
    let daemon = site.start().await;
    assert_eq!(answered(daemon.addrs()[0]).await, [first]);
    daemon.stop().await;
}

/// What cannot be kept is still so: the order holds for this run, and is kept once there is a way.
#[tokio::test]
async fn an_order_holds_where_nothing_can_be_written() {
    let site = Pair::new();
    let [first, second] = site.members;
    let daemon = site.start().await;
    let (steering, server) = (daemon.steering(), daemon.addrs()[0]);
    let in_the_way = site.state.path().join("state.json.draft");
    std::fs::create_dir(&in_the_way).unwrap();
    let whom = second.to_string().parse().unwrap();
    let (_, durable) = steering.order(whom, draft(Word::Drain, None), Consent::Asked).await.unwrap();
    let Durable::NotYet(why) = durable else { panic!("{durable:?}") };
    assert!(why.contains("state.json"), "{why}");
    assert_eq!(answered(server).await, [first]);
    std::fs::remove_dir(&in_the_way).unwrap();
    daemon.stop().await;
    assert!(site.file().contains("kernel update"), "{}", site.file());
}

#[tokio::test]
async fn a_foreign_state_file_is_set_aside() {
    for foreign in [
        "",
        "not JSON",
        "{\"serials\": {}, \"up\": {}, \"orders\": {\"p.example A 192.0.2.1\"",
        "{\"serials\": {}, \"up\": {}, \"orders\": {\"p.example A 192.0.2.1\": {\"word\": \"burn\"}}}",
    ] {
        let site = Pair::new();
        let path = |name: &str| Path::new(site.state.path()).join(name);
        std::fs::write(path("state.json"), foreign).unwrap();
        let daemon = site.start().await;
        assert_eq!(answered(daemon.addrs()[0]).await, site.members, "{foreign}");
        daemon.stop().await;
        assert_eq!(std::fs::read_to_string(path("state.json.unreadable")).unwrap(), foreign);
        assert!(site.file().contains("\"up\""), "{}", site.file());
    }
}

#[tokio::test]
async fn a_state_file_from_before_orders_is_read() {
    let site = Pair::new();
    std::fs::write(site.state.path().join("state.json"), "{\"serials\": {\"p.example\": 77}, \"up\": {}}")
        .unwrap();
    let daemon = site.start().await;
    daemon.stop().await;
    assert!(site.file().contains("\"p.example\": 78"), "{}", site.file());
}
