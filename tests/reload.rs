//! Reload, in a running daemon over real sockets: members, zones and addresses come and go, and nobody is left without an
//! answer, or with a guess.

mod doors;
pub mod sockets;
pub mod stage;

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use onstage::daemon::{Consent, Daemon, Difference, Loaded, ReloadError, load};
use onstage::health::{Draft, Remark, Word};

use crate::harness::own_address;
use stage::{Site, Stage};

fn named(names: &[String]) -> Vec<String> {
    names.to_vec()
}

fn key(member: Ipv4Addr) -> String {
    format!("p.example A {member}")
}

/// With an interval of an hour, whatever is known after a reload was known before, or was asked for its sake.
#[tokio::test]
async fn who_is_known_stays_known_and_who_is_new_is_asked_before_anybody_is_answered() {
    let [up, down, dead, fresh] = [(); 4].map(|()| own_address());
    let site = Site { members: vec![up, down], ..Site::default() };
    let stage = Stage::set(&site, &[down, dead]).await;
    assert_eq!(stage.answered().await, [up].into());
    let asking = stage.ask_on();
    let changes = stage.reload(&Site { members: vec![dead, down, fresh, up], ..site.clone() }).await.unwrap();
    assert_eq!(stage.answered().await, [fresh, up].into());
    let seen = asking.stop().await;
    assert!(!seen.answered.contains(&down) && !seen.answered.contains(&dead), "{:?}", seen.answered);
    assert_eq!([up, down, dead, fresh].map(|member| stage.asked(member)), [1; 4]);
    assert_eq!(changes.members.new, named(&[key(dead), key(fresh)]));
    assert_eq!((changes.pools, changes.zones.changed), (Difference::default(), vec!["p.example".to_owned()]));
    stage.daemon.stop().await;
}

#[tokio::test]
async fn who_is_gone_is_asked_no_more() {
    let [stays, goes] = [(); 2].map(|()| own_address());
    let often = Site { members: vec![stays, goes], interval: Duration::from_millis(20), ..Site::default() };
    let stage = Stage::set(&often, &[]).await;
    stage.until_asked(goes, 3).await;
    let changes = stage.reload(&Site { members: vec![stays], ..often }).await.unwrap();
    assert_eq!(changes.members.gone, named(&[key(goes)]));
    let (asked, goes_on) = (stage.asked(goes), stage.asked(stays) + 10);
    stage.until_asked(stays, goes_on).await;
    assert!(stage.asked(goes) <= asked + 1, "one that was under way");
    stage.daemon.stop().await;
}

/// A member that is known goes on being probed, and believed, after a reload.
#[tokio::test]
async fn what_happens_after_a_reload_is_noticed() {
    let [one, two] = [(); 2].map(|()| own_address());
    let site = Site { members: vec![one, two], interval: Duration::from_millis(20), ..Site::default() };
    let stage = Stage::set(&site, &[]).await;
    stage.reload(&Site { members: vec![two, one], ..site }).await.unwrap();
    stage.world.lose(one);
    stage.until_answered(&[two]).await;
    stage.world.find(one);
    stage.until_answered(&[one, two]).await;
    stage.daemon.stop().await;
}

#[tokio::test]
async fn orders_stay_on_their_members() {
    let [one, two, three] = [(); 3].map(|()| own_address());
    let site = Site { members: vec![one, two], ..Site::default() };
    let stage = Stage::set(&site, &[]).await;
    let who = Remark::new("root").unwrap();
    let drain = Draft { word: Word::Drain, who: who.clone(), why: who.clone(), lasts: None };
    let whom = || two.to_string().parse().unwrap();
    stage.daemon.steering().order(whom(), drain, Consent::Asked).await.unwrap();
    for (members, answered) in [
        (vec![three, two, one], vec![one, three]),
        (vec![three, one], vec![one, three]), // it is away meanwhile
        (vec![two, one], vec![one]),
    ] {
        stage.reload(&Site { members, ..site.clone() }).await.unwrap();
        assert_eq!(stage.answered().await, answered.into_iter().collect());
    }
    stage.daemon.steering().release(whom(), who).await.unwrap();
    assert_eq!(stage.answered().await, [one, two].into());
    stage.daemon.stop().await;
}

#[tokio::test]
async fn a_serial_rises_with_what_is_answered_and_never_falls() {
    let [one, two] = [(); 2].map(|()| own_address());
    let site = Site { members: vec![one], serial: 7, ..Site::default() };
    let without = Site { zone: "other.example", ..site.clone() };
    let stage = Stage::set(&site, &[]).await;
    for (what, next, serial) in [
        ("the same", site.clone(), 7),
        ("another member", Site { members: vec![one, two], ..site.clone() }, 8),
        ("the same again", Site { members: vec![one, two], ..site.clone() }, 8),
        (
            "another check",
            Site { members: vec![one, two], interval: Duration::from_secs(7200), ..site.clone() },
            8,
        ),
        ("a rule", Site { members: vec![one, two], rules: "max-answers = 1", ..site.clone() }, 9),
        ("a later file", Site { serial: 100, ..site.clone() }, 100),
        ("an earlier file", site.clone(), 101),
    ] {
        stage.reload(&next).await.unwrap();
        assert_eq!(stage.serial("p.example").await, Some(serial), "{what}");
    }
    stage.reload(&without).await.unwrap();
    assert_eq!(stage.serial("p.example").await, None);
    stage.reload(&site).await.unwrap();
    assert_eq!(stage.serial("p.example").await, Some(102), "it was away");
    stage.daemon.stop().await;
}

#[tokio::test]
async fn what_cannot_be_done_is_not_begun() {
    let [one, two] = [(); 2].map(|()| own_address());
    let site = Site { members: vec![one], ..Site::default() };
    let stage = Stage::set(&site, &[]).await;
    let listen = vec!["127.0.0.1:0".to_owned(), "192.0.2.1:53".to_owned()];
    let refused = stage.reload(&Site { members: vec![two], listen, ..site.clone() }).await.unwrap_err();
    assert!(matches!(refused, ReloadError::Bind { .. }));
    assert_eq!(refused.to_string(), "cannot listen on 192.0.2.1:53 (UDP): this machine has no such address");
    assert_eq!((stage.answered().await, stage.asked(two)), ([one].into(), 0));
    stage.daemon.stop().await;
    let stopped = stage.reload(&site).await.unwrap_err();
    assert_eq!(stopped.to_string(), "the server is stopping");
}

#[tokio::test]
async fn what_takes_a_restart_is_told_each_time() {
    let site = Site { members: vec![own_address()], ..Site::default() };
    let stage = Stage::set(&site, &[]).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Site {
        more: "user = \"nobody\"\nworkers = 1".to_owned(),
        state: Some(elsewhere.path().into()),
        ..site.clone()
    };
    for _ in 0..2 {
        let changes = stage.reload(&other).await.unwrap();
        assert_eq!(changes.restart, ["user", "state-dir"]);
    }
    assert!(stage.reload(&site).await.unwrap().restart.is_empty());
    assert!(!elsewhere.path().join("state.json").exists());
    assert!(
        stage.state.path().join("onstage.sock").exists(),
        "the control socket goes where the config says"
    );
    stage.daemon.stop().await;
}

/// A reload that takes long to read has read what is old by the time that another one has begun.
#[tokio::test]
async fn of_two_reloads_the_one_that_began_last_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let (config, zone) = (folder.path().join("onstage.toml"), folder.path().join("zone"));
    let text = |more: &str| {
        format!("$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{more}")
    };
    std::fs::write(
        &config,
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"state\"\n[[zone]]\nfile = \"zone\"\n",
    )
    .unwrap();
    std::fs::write(&zone, text("")).unwrap();
    let Loaded { plan, network } = load(&config, |path| std::fs::read(path)).loaded.unwrap();
    let daemon = Arc::new(Daemon::start(&plan, &network).await.unwrap());
    let reload = || {
        let daemon = Arc::clone(&daemon);
        tokio::spawn(async move { daemon.reload_files().await.unwrap() })
    };
    std::fs::remove_file(&zone).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&zone).status().unwrap().success());
    let slow = reload();
    let pipe = zone.clone();
    let opening = move || std::fs::OpenOptions::new().write(true).open(pipe).unwrap();
    let mut pipe = tokio::task::spawn_blocking(opening).await.unwrap(); // it reads by now
    std::fs::remove_file(&zone).unwrap();
    std::fs::write(&zone, text("a A 192.0.2.2\nb A 192.0.2.3\n")).unwrap();
    let mut last = reload();
    let is_done = tokio::time::timeout(Duration::from_millis(300), &mut last).await.is_ok();
    pipe.write_all(text("a A 192.0.2.2\n").as_bytes()).unwrap();
    drop(pipe);
    slow.await.unwrap();
    if !is_done {
        last.await.unwrap();
    }
    let view = daemon.steering().view(None).await.unwrap();
    assert_eq!(view.zones[0].records, 5, "what is on disk");
    daemon.stop().await;
}
