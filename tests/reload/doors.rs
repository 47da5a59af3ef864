//! Where administrators come in changes with a reload, too; who is in where nothing changes stays.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpStream, UnixStream};

use super::stage::{PATIENCE, Site, Stage};
use crate::admin::{ask, ask_http};
use crate::harness::own_address;

type Events = Lines<BufReader<TcpStream>>;

fn site(member: Ipv4Addr) -> impl Fn(&str) -> Site {
    move |admin| Site {
        members: vec![member],
        more: format!("workers = 2\n[admin]\n{admin}"),
        ..Site::default()
    }
}

async fn events(addr: SocketAddr) -> Events {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    BufReader::new(stream).lines()
}

/// Whether another event comes, or the stream ends.
async fn goes_on(events: &mut Events) -> bool {
    let next = async {
        loop {
            match events.next_line().await {
                Ok(Some(line)) if line.starts_with("data: ") => return true,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return false,
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("an event, or the end")
}

async fn is_served(socket: &Path) -> bool {
    match UnixStream::connect(socket).await {
        Ok(_) => ask(socket, "GET", "/v1/status", "").await.0 == 200,
        Err(_) => false,
    }
}

#[tokio::test]
async fn doors_come_and_go_and_who_is_in_at_the_others_stays() {
    let site = site(own_address());
    let [here, there] = [(); 2].map(|()| SocketAddr::from((own_address(), 8053)));
    let stage = Stage::set(&site(&format!("http = \"{here}\"")), &[]).await;
    let [usual, other] = ["onstage.sock", "new/other.sock"].map(|name| stage.state.path().join(name));
    let access = |token: bool| (200, json!({ "token": token }));
    let mut watching = events(here).await;
    assert!(goes_on(&mut watching).await && is_served(&usual).await);
    assert_eq!(ask_http(here, "GET", "/v1/access").await, access(false));

    let moved = format!("http = \"{here}\"\nsocket = \"{}\"\ntoken-file = \"token\"", other.display());
    let changes = stage.reload(&site(&moved)).await.unwrap();
    assert_eq!(changes.addresses.new, [format!("{} (socket)", other.display())]);
    assert_eq!(changes.addresses.changed, [format!("{here} (http)")]);
    assert_eq!(changes.addresses.gone, [format!("{} (socket)", usual.display())]);
    assert!(changes.restart.is_empty(), "{changes}");
    assert!(is_served(&other).await && !usual.exists());
    assert_eq!(ask_http(here, "GET", "/v1/access").await, access(true));
    for _ in 0..2 {
        assert!(goes_on(&mut watching).await, "its door stays open");
    }

    stage.reload(&site(&format!("http = \"{there}\"\nsocket = \"\""))).await.unwrap();
    assert_eq!(ask_http(there, "GET", "/v1/access").await, access(false));
    assert_eq!(stage.daemon.http_addr(), Some(there));
    assert!(!other.exists() && TcpStream::connect(here).await.is_err());
    let began = Instant::now();
    while goes_on(&mut watching).await {
        assert!(began.elapsed() < PATIENCE, "its door is closed");
    }

    std::fs::remove_dir_all(other.parent().unwrap()).unwrap();
    stage.reload(&site(&format!("socket = \"{}\"", other.display()))).await.unwrap();
    assert!(is_served(&other).await && TcpStream::connect(there).await.is_err());
    std::fs::remove_file(&other).unwrap();
    stage.reload(&site(&format!("socket = \"{}\"", other.display()))).await.unwrap();
    assert!(is_served(&other).await, "what somebody has removed is there again");
    stage.daemon.stop().await;
    assert!(!other.exists());
}

#[tokio::test]
async fn a_door_that_cannot_be_had_changes_nothing() {
    let here = SocketAddr::from((own_address(), 8053));
    let site = site(own_address());
    let first = site(&format!("http = \"{here}\""));
    let stage = Stage::set(&first, &[]).await;
    let [usual, other, file] =
        ["onstage.sock", "other.sock", "file"].map(|name| stage.state.path().join(name));
    std::fs::write(&file, "precious").unwrap();
    let mut watching = events(here).await;
    assert!(goes_on(&mut watching).await);
    for (socket, http, sentence) in [
        (
            &other,
            "192.0.2.1:8053",
            "cannot listen on 192.0.2.1:8053 (HTTP): this machine has no such address",
        ),
        (&file, "127.0.0.1:0", "something else has that name, which is no socket"),
    ] {
        let admin = format!("socket = \"{}\"\nhttp = \"{http}\"", socket.display());
        let refused = stage.reload(&site(&admin)).await.unwrap_err().to_string();
        assert!(refused.contains(sentence), "{refused}");
        assert!(is_served(&usual).await && !other.exists());
        assert!(goes_on(&mut watching).await, "nothing has changed");
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "precious");
    let changes = stage.reload(&first).await.unwrap();
    assert_eq!(changes.to_string(), "nothing has changed");
    stage.daemon.stop().await;
}
