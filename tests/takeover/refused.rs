//! Takeovers that come to nothing: the server goes on as if nothing had been.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::{drain, find_running, socket, take_over};
use crate::harness::own_address;
use crate::reload::stage::{PATIENCE, Site, Stage};
use onstage::daemon::Consent;

/// A word behind its length.
async fn say(stream: &mut UnixStream, word: &Value) {
    let text = serde_json::to_vec(word).unwrap();
    stream.write_u32(text.len() as u32).await.unwrap();
    stream.write_all(&text).await.unwrap();
}

async fn hear(stream: &mut UnixStream) -> Value {
    let length = stream.read_u32().await.unwrap();
    let mut text = vec![0; length as usize];
    stream.read_exact(&mut text).await.unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn hello(protocol: u32) -> Value {
    json!({ "protocol": protocol, "version": "9.9.9", "pid": 1, "patience": { "secs": 5, "nanos": 0 } })
}

/// A connection that is to become a takeover.
async fn line(stage: &Stage) -> UnixStream {
    find_running(&socket(stage)).await.unwrap().expect("it runs")
}

/// It answers, takes orders and keeps them.
async fn goes_on(stage: &Stage, site: &Site) {
    assert_eq!(stage.answered().await, site.members.iter().copied().collect());
    let whom = || site.members[0].to_string().parse().unwrap();
    let steering = stage.daemon.steering();
    let mut given = steering.order(whom(), drain(), Consent::Asked).await;
    while given.as_ref().is_err_and(|e| e.to_string().contains("another process is taking over")) {
        tokio::time::sleep(Duration::from_millis(5)).await; // it holds still until it has heard the other hang up
        given = steering.order(whom(), drain(), Consent::Asked).await;
    }
    given.unwrap();
    assert_eq!(stage.answered().await, site.members[1..].iter().copied().collect());
    let on_disk = std::fs::read_to_string(stage.state.path().join("state.json")).unwrap();
    assert!(on_disk.contains("\"word\": \"drain\""), "{on_disk}");
    steering.release(whom(), drain().who).await.unwrap();
}

#[tokio::test]
async fn whoever_hangs_up_or_talks_nonsense_changes_nothing() {
    let site = Site { members: vec![own_address(), own_address()], ..Site::default() };
    let mut stage = Stage::set(&site, &[]).await;
    let asking = stage.ask_on();
    for how_far in 0..5 {
        let mut line = line(&stage).await;
        match how_far {
            0 => {}
            1 => line.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap(),
            2 => {
                say(&mut line, &hello(77)).await;
                let refused = hear(&mut line).await;
                assert_eq!(refused["refused"], "the other process speaks protocol 77, and this one 1");
            }
            _ => {
                say(&mut line, &hello(1)).await;
                let granted = hear(&mut line).await;
                let sockets = granted["granted"]["sockets"].as_array().unwrap().len();
                assert!(sockets >= 3, "UDP, TCP, and the control socket");
                let mut bytes = vec![0; 1]; // the sockets beside it are closed by the kernel
                line.read_exact(&mut bytes).await.unwrap();
                if how_far == 4 {
                    say(&mut line, &json!({})).await; // ready
                    assert!(hear(&mut line).await["legacy"].is_object());
                }
            }
        }
        drop(line);
        goes_on(&stage, &site).await;
    }
    take_over(&mut stage, &site).await.unwrap();
    assert_eq!(asking.stop().await.answered, site.members.iter().copied().collect());
    stage.daemon.stop().await;
}

/// What is on the other end need not be onstage.
#[tokio::test]
async fn another_program_on_the_socket_is_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.sock");
    let listener = UnixListener::bind(&path).unwrap();
    for (reply, why) in [
        ("", "it hung up"),
        ("HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 404 Not Found"),
        ("HTTP/1.1 501 Not Implemented\r\n\r\n{\"error\":\"not now\",\"kind\":\"unable\"}", "not now"),
        ("220 mail.example.org ESMTP\r\n\r\n", "220 mail.example.org ESMTP"),
    ] {
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(reply.as_bytes()).await.unwrap();
            let mut asked = [0; 20];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!(&asked, b"POST /v1/takeover HT");
        };
        let ((), refused) = tokio::join!(answering, find_running(&path));
        let sentence = format!("the server on the control socket does not hand over: {why}");
        assert_eq!(refused.unwrap_err().to_string(), sentence);
    }
}

/// The new process has the control socket by the time that it finds out that it cannot start.
#[tokio::test]
async fn who_fails_after_it_has_the_control_socket_leaves_it_to_whoever_goes_on() {
    let site = Site { members: vec![own_address(), own_address()], ..Site::default() };
    let mut stage = Stage::set(&site, &[]).await;
    let more = format!("workers = 2\n[admin]\nsocket = \"{}\"", socket(&stage).display());
    let no_folder = Some("/dev/null/state".into());
    let refused = take_over(&mut stage, &Site { state: no_folder, more, ..site.clone() }).await.unwrap_err();
    assert!(refused.to_string().starts_with("cannot keep state in `/dev/null/state`"), "{refused}");
    goes_on(&stage, &site).await;
    take_over(&mut stage, &site).await.unwrap();
    stage.daemon.stop().await;
}

/// It may take ten minutes to get ready, and has said so.
#[tokio::test]
async fn whoever_stops_the_server_does_not_wait_for_a_silent_successor() {
    let site = Site { members: vec![own_address()], ..Site::default() };
    let stage = Stage::set(&site, &[]).await;
    let mut line = line(&stage).await;
    let mut hello = hello(1);
    hello["patience"]["secs"] = json!(600);
    say(&mut line, &hello).await;
    assert!(hear(&mut line).await["granted"].is_object());
    tokio::time::timeout(PATIENCE, stage.daemon.stop()).await.expect("it stops");
}
