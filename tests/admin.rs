//! A running server as administrators meet it: over its control socket, and by the command.

mod command;
mod events;
mod socket;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use onstage::admin::status::Status;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::harness::Pair;

const PATIENCE: Duration = Duration::from_secs(10);

/// Where a server of this pair has its control socket.
fn socket(pair: &Pair) -> PathBuf {
    pair.state.path().join("onstage.sock")
}

/// What the server replies: the status code and the body.
pub async fn ask(socket: &Path, method: &str, route: &str, body: &str) -> (u16, Value) {
    talk(UnixStream::connect(socket).await.unwrap(), method, route, body).await
}

pub async fn ask_http(addr: SocketAddr, method: &str, route: &str) -> (u16, Value) {
    talk(TcpStream::connect(addr).await.unwrap(), method, route, "").await
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    route: &str,
    body: &str,
) -> (u16, Value) {
    let length = body.len();
    let request = format!(
        "{method} {route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut reply)).await.expect("a reply").unwrap();
    let reply = String::from_utf8(reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{reply}"));
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {reply}")))
}

async fn status(pair: &Pair) -> Status {
    let (code, body) = ask(&socket(pair), "GET", "/v1/status", "").await;
    assert_eq!(code, 200, "{body}");
    serde_json::from_value(body).unwrap()
}

/// The first status that is as wanted.
async fn status_once(pair: &Pair, is_wanted: impl Fn(&Status) -> bool) -> Status {
    let asking = async {
        loop {
            let status = status(pair).await;
            if is_wanted(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it comes to that")
}

/// Who these tests are.
fn me() -> String {
    let uid = nix::unistd::getuid();
    match nix::unistd::User::from_uid(uid).unwrap() {
        Some(user) => format!("{} (uid {uid})", user.name),
        None => format!("uid {uid}"),
    }
}
