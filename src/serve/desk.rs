//! Where the queries of one connection are answered that may come all at once: HTTP and QUIC have a stream for each.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::House;
use super::tcp::{Client, reply_to};

/// Queries at once on one connection.
pub(super) const STREAMS: u32 = 100;

/// Answers one client, and knows how long it has been silent.
pub(super) struct Desk {
    client: Client,
    pub(super) house: House,
    heard: Notify,
}

impl Desk {
    pub(super) fn new(client: Client, house: House) -> Arc<Self> {
        Arc::new(Self { client, house, heard: Notify::new() })
    }

    /// The reply to a whole query, behind its length; empty where over TCP nothing would be said.
    pub(super) fn answer(&self, query: &[u8]) -> Vec<u8> {
        self.client.seat.heard();
        self.heard.notify_one();
        let manner = &self.house.manner;
        let mut framed = Vec::new();
        reply_to(manner.reader.clone().load(), manner, &self.client.way, query, &mut framed);
        framed.shrink_to_fit(); // it may have to wait until it is taken
        framed
    }

    /// Waits until the client has been silent for too long, or the server stops.
    pub(super) async fn closing_time(&self) {
        let silence = async { while timeout(self.house.idle, self.heard.notified()).await.is_ok() {} };
        let _ = self.house.stop.run_until_cancelled(silence).await;
    }
}
