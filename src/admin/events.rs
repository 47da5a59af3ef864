//! Statuses as they change, for pages that stay open: drawn once for all who look, and not at all while nobody does.
//!
//! ```text
//!  nobody looks ──▶ somebody does ──▶ draw, tell all ──▶ pause ──▶ something changed, or MOST has passed ─┐
//!        ▲                              ▲     │ nobody looks any more                                    │
//!        └──────────────────────────────┼─────┘                                                          │
//!                                       └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A client that reads slowly misses statuses and always gets the newest: nothing is kept for it. An event is written once, and
//! all clients are sent the same bytes.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::{Kind, Refused, Running};

/// From one status to the next, at the least; and so many times as long as drawing it took.
const LEAST: Duration = Duration::from_millis(250);
const PAUSES: u32 = 10;
/// The longest time between two: latencies move though nothing changes.
const MOST: Duration = Duration::from_secs(2);

/// Where statuses come from; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    latest: watch::Sender<Option<Bytes>>,
    somebody: Arc<Notify>,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { latest: watch::Sender::new(None), somebody: Arc::default() }
    }

    /// Draws until the server stops.
    pub(super) async fn run(self, running: Arc<impl Running>) {
        let mut changes = running.changes();
        loop {
            if self.latest.receiver_count() == 0 {
                self.latest.send_replace(None); // what is old by then is shown to nobody
                self.somebody.notified().await;
            }
            changes.borrow_and_update();
            let began = Instant::now();
            if let Ok(told) = self.draw(&*running).await {
                self.latest.send_replace(Some(told));
            }
            sleep(LEAST.max(PAUSES * began.elapsed())).await;
            let news = async {
                tokio::select! {
                    end = changes.changed() => if end.is_err() { pending().await },
                    () = self.somebody.notified() => {}
                }
            };
            let _ = timeout(MOST, news).await;
        }
    }

    /// The whole event: its JSON has no line break.
    async fn draw(&self, running: &impl Running) -> Result<Bytes, Refused> {
        let status = running.status(None).await?;
        let mut event = b"event: status\ndata: ".to_vec();
        serde_json::to_writer(&mut event, &status).map_err(|e| Refused::new(Kind::Unable, e))?;
        event.extend_from_slice(b"\n\n");
        Ok(event.into())
    }

    fn look(&self) -> watch::Receiver<Option<Bytes>> {
        let mut latest = self.latest.subscribe();
        latest.mark_changed();
        self.somebody.notify_one();
        latest
    }
}

/// `event: status` with the whole status, now and whenever it changes.
pub(super) fn stream(feed: &Feed) -> Response {
    let statuses = stream::unfold(feed.look(), |mut latest| async move {
        loop {
            latest.changed().await.ok()?;
            let told = latest.borrow_and_update().clone();
            if let Some(told) = told {
                return Some((Ok::<_, Infallible>(told), latest));
            }
        }
    });
    let head = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    (head, Body::from_stream(statuses)).into_response()
}
