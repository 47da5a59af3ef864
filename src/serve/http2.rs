//! DNS over HTTPS with HTTP/2: each request is a query, on connections that are limited as those of TCP are.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 9113 §5.1.2 | streams at once | `STREAMS` for each connection |
//! | 9113 §5.2 | flow control | a reply is written when those before it are taken but for a piece, however much the client says it takes |
//! | 9113 §6.8 | who has to leave is told so | whole |

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::House;
use super::desk::{Desk, STREAMS};
use super::https::{HEADERS, query, respond};
use super::room::{Room, Turn};
use super::tcp::Client;

/// The most of a reply that is handed over at once, and that waits for the client to take it: what each stream may hold
/// beside the replies whose turn it is.
const PIECE: usize = 4096;

/// Talks with one client until it leaves, falls silent, or is told to leave. Silence is meant as in
/// [`tcp::converse`](super::tcp::converse).
pub(super) async fn converse<S>(stream: S, client: Client, house: House)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let leave = client.seat.leave.clone();
    let (desk, room) = (Desk::new(client, house), Room::new());
    let service = {
        let desk = Arc::clone(&desk);
        service_fn(move |request| {
            let (desk, room) = (Arc::clone(&desk), Arc::clone(&room));
            async move {
                let query = query(request, desk.house.idle).await;
                let turn = room.turn().await;
                Ok::<_, Infallible>(respond(&desk, query).map(|left| Untaken { left, _turn: turn }))
            }
        })
    };
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.max_concurrent_streams(STREAMS).max_header_list_size(HEADERS).max_send_buf_size(PIECE);
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

/// What of a reply has not been handed over yet.
struct Untaken {
    left: Bytes,
    _turn: Turn,
}

impl Body for Untaken {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.left.len().min(PIECE);
        let piece = self.left.split_to(piece);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
