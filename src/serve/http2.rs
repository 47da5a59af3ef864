//! DNS over HTTPS with HTTP/2: each request is a query, on connections that are limited as those of TCP are.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 9113 §5.1.2 | streams at once | `STREAMS` for each connection |
//! | 9113 §6.8 | who has to leave is told so | whole |

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use http_body_util::Full;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::House;
use super::desk::{Desk, STREAMS};
use super::https::{HEADERS, query, respond};
use super::tcp::Client;
use crate::answer::MAX_MESSAGE;

/// Replies that wait for the client to take them, in bytes, for each stream.
const UNTAKEN: usize = 2 * MAX_MESSAGE;

/// Talks with one client until it leaves, falls silent, or is told to leave. Silence is meant as in
/// [`tcp::converse`](super::tcp::converse).
pub(super) async fn converse<S>(stream: S, client: Client, house: House)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let leave = client.seat.leave.clone();
    let desk = Desk::new(client, house);
    let service = {
        let desk = Arc::clone(&desk);
        service_fn(move |request| {
            let desk = Arc::clone(&desk);
            async move {
                let query = query(request, desk.house.idle).await;
                Ok::<_, Infallible>(respond(&desk, query).map(Full::new))
            }
        })
    };
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.max_concurrent_streams(STREAMS).max_header_list_size(HEADERS).max_send_buf_size(UNTAKEN);
    let talk = async move {
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            _ = connection.as_mut() => return, // however it ended, there is nobody to tell
            () = desk.closing_time() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(desk.house.idle, connection).await;
    };
    let _ = leave.run_until_cancelled_owned(talk).await;
}
