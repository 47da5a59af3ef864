//! A server takes over from another one: nobody is left without an answer, and nothing that is known is lost.

mod control;
mod encrypted;
mod first;
mod program;
mod refused;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use onstage::daemon::{Consent, Daemon, TakeoverError, find_running};
use onstage::health::{Draft, Remark, Word};

use crate::harness::{own_address, query, receive, with_options};
use crate::reload::sockets::udp_sockets;
use crate::reload::stage::{Eyes, PATIENCE, Site, Stage, client};

/// Where the control socket of a stage is.
fn socket(stage: &Stage) -> PathBuf {
    stage.state.path().join("onstage.sock")
}

/// Another daemon in the place of the one on stage, which is told how it ended.
async fn take_over(stage: &mut Stage, site: &Site) -> Result<(), TakeoverError> {
    let plan = site.plan(stage.state.path());
    let eyes = Arc::new(Eyes(Arc::clone(&plan), Arc::clone(&stage.world)));
    let stream = find_running(&socket(stage)).await?.expect("it runs");
    let next = Daemon::take_over(&plan, &eyes, stream).await?;
    let before = std::mem::replace(&mut stage.daemon, next);
    before.succeeded().await;
    before.stop().await;
    Ok(())
}

fn drain() -> Draft {
    let remark = || Remark::new("root").unwrap();
    Draft { word: Word::Drain, who: remark(), why: remark(), lasts: None }
}

/// The server's half of the cookie for a client that shows this one.
async fn cookie(stage: &Stage, shown: Vec<u8>) -> Vec<u8> {
    let client = client(stage.addr());
    let asking = move || {
        client.send(&with_options(query("p.example", RecordType::A), &[(10, &shown)])).unwrap();
        let reply = Message::from_vec(&receive(&client).unwrap()).unwrap();
        let options = reply.edns.expect("EDNS").options().clone();
        match options.get(EdnsCode::Cookie) {
            Some(EdnsOption::Unknown(_, cookie)) => cookie.clone(),
            other => panic!("no cookie: {other:?}"),
        }
    };
    tokio::task::spawn_blocking(asking).await.unwrap()
}

/// With an interval of an hour, whatever is known after a takeover was known before, or was asked for its sake.
#[tokio::test]
async fn what_is_known_goes_from_one_process_to_the_next() {
    let [up, down, drained, fresh, dead] = [(); 5].map(|()| own_address());
    let site = Site { members: vec![up, down, drained], ..Site::default() };
    let mut stage = Stage::set(&site, &[down, dead]).await;
    let (addr, whom) = (stage.addr(), drained.to_string());
    stage.daemon.steering().order(whom.parse().unwrap(), drain(), Consent::Asked).await.unwrap();
    let serial = stage.serial("p.example").await.unwrap();
    let shown = cookie(&stage, vec![7; 8]).await;
    take_over(&mut stage, &site).await.unwrap();
    assert_eq!(stage.addr(), addr, "the same port, though the config says any");
    assert_eq!(stage.answered().await, [up].into());
    assert_eq!(stage.serial("p.example").await, Some(serial), "nothing is answered otherwise");
    assert_eq!(cookie(&stage, shown.clone()).await, shown, "it is still good, and fresh");
    let more = Site { members: vec![dead, drained, fresh, down, up], ..site };
    let asking = stage.ask_on();
    take_over(&mut stage, &more).await.unwrap();
    assert_eq!(stage.answered().await, [fresh, up].into());
    assert!(asking.stop().await.answered.is_subset(&[fresh, up].into()));
    assert_eq!(stage.serial("p.example").await, Some(serial + 1));
    assert_eq!([up, down, drained, fresh, dead].map(|member: Ipv4Addr| stage.asked(member)), [1; 5]);
    stage.daemon.steering().release(whom.parse().unwrap(), Remark::new("root").unwrap()).await.unwrap();
    assert_eq!(stage.answered().await, [drained, fresh, up].into());
    stage.daemon.stop().await;
}

/// Clients ask one query after another, and lose none of them.
#[tokio::test]
async fn no_query_is_lost_by_ten_takeovers() {
    let [one, two, extra] = [(); 3].map(|()| own_address());
    let site = Site { members: vec![one, two], ..Site::default() };
    let mut stage = Stage::set(&site, &[two]).await;
    let asking = [stage.ask_on(), stage.ask_on()];
    for round in 0..10 {
        let mut listen = site.listen.clone();
        listen.extend((round % 2 == 0).then(|| format!("{extra}:5300")));
        let more = format!("workers = {}", 1 + round % 3);
        take_over(&mut stage, &Site { listen, more, ..site.clone() }).await.unwrap();
    }
    for asking in asking {
        let seen = asking.stop().await;
        assert_eq!(seen.answered, [one].into());
    }
    stage.daemon.stop().await;
}

/// Many clients, so that each socket has some.
#[tokio::test]
async fn fewer_workers_have_fewer_sockets_and_lose_no_query() {
    let member = own_address();
    let site =
        |workers| Site { members: vec![member], more: format!("workers = {workers}"), ..Site::default() };
    let mut stage = Stage::set(&site(4), &[]).await;
    let addr = stage.addr();
    let asking: Vec<_> = (0..12).map(|_| stage.ask_on()).collect();
    for count in [1, 4, 2, 1, 3, 1] {
        take_over(&mut stage, &site(count)).await.unwrap();
        let began = Instant::now();
        while udp_sockets(addr) != count {
            assert!(began.elapsed() < PATIENCE, "{} for {count}", udp_sockets(addr));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    for asking in asking {
        assert_eq!(asking.stop().await.answered, [member].into());
    }
    stage.daemon.stop().await;
}

/// The old process keeps its hands off the state once the new one has it.
#[tokio::test]
async fn orders_given_after_a_takeover_are_on_disk_and_stay_there() {
    let [one, two] = [(); 2].map(|()| own_address());
    let site = Site { members: vec![one, two], ..Site::default() };
    let mut stage = Stage::set(&site, &[]).await;
    take_over(&mut stage, &site).await.unwrap();
    let whom = two.to_string().parse().unwrap();
    stage.daemon.steering().order(whom, drain(), Consent::Asked).await.unwrap();
    let on_disk = std::fs::read_to_string(stage.state.path().join("state.json")).unwrap();
    assert!(on_disk.contains(&format!("p.example A {two}")), "{on_disk}");
    take_over(&mut stage, &site).await.unwrap();
    stage.daemon.stop().await;
    let on_disk = std::fs::read_to_string(stage.state.path().join("state.json")).unwrap();
    assert!(on_disk.contains(&format!("p.example A {two}")), "{on_disk}");
}

#[tokio::test]
async fn without_a_server_there_is_none_to_take_over() {
    let folder = tempfile::tempdir().unwrap();
    assert!(find_running(&folder.path().join("none.sock")).await.unwrap().is_none());
}
