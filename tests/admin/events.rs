//! Server-sent events.

use std::time::Duration;

use onstage::admin::status::Status;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;

use super::{PATIENCE, socket, status_once};
use crate::harness::Pair;

type Events = Lines<BufReader<UnixStream>>;

async fn events(pair: &Pair) -> Events {
    let mut stream = UnixStream::connect(socket(pair)).await.unwrap();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    BufReader::new(stream).lines()
}

async fn next(events: &mut Events) -> Status {
    let reading = async {
        loop {
            let line = events.next_line().await.unwrap().expect("the stream goes on");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an event")
}

#[tokio::test]
async fn whoever_looks_sees_a_change_soon() {
    let mut pair = Pair::new();
    let daemon = pair.start().await;
    status_once(&pair, |status| status.pools[0].settled).await;
    let (mut one, mut other) = (events(&pair).await, events(&pair).await);
    assert_eq!(next(&mut one).await.pools[0].answered, 2, "the first comes at once");
    assert_eq!(next(&mut other).await.pools[0].answered, 2);
    pair.kill(1);
    for events in [&mut one, &mut other] {
        while next(events).await.pools[0].answered == 2 {}
    }
    drop((one, other));
    tokio::time::sleep(Duration::from_millis(300)).await; // the feed rests
    assert_eq!(next(&mut events(&pair).await).await.pools[0].answered, 1, "and begins again with what is");
    daemon.stop().await;
}
