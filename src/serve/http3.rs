//! DNS over HTTPS with HTTP/3: each request is a query, as with HTTP/2, on streams of QUIC.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 9114 §4.1 | requests and responses | whole; trailers are not looked at |
//! | 9114 §5.2 | who has to leave is told so | GOAWAY |
//! | 9114 §8.1 | what takes too much or too long: `H3_EXCESSIVE_LOAD`, `H3_REQUEST_INCOMPLETE` | whole |
//! | 9204 §3.2.3 | a table of headers for each connection | none: each request stands alone |
//! | 9218 §7 | PRIORITY_UPDATE | ignored |

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use h3::error::StreamError;
use h3::server::{Connection as Http, RequestResolver, RequestStream, builder};
use hyper::Response;
use hyper::body::{Body, Buf, Bytes, Frame};
use quinn::{Connection, VarInt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::House;
use super::desk::Desk;
use super::https::{HEADERS, query, respond};
use super::measured::{Measured, Stream};
use super::quic::see_off;
use super::room::Room;
use super::tcp::Client;

/// `H3_NO_ERROR` (RFC 9114 §8.1): the time is over.
const NO_ERROR: VarInt = VarInt::from_u32(0x100);
/// `H3_EXCESSIVE_LOAD`: somebody else needs what the client takes.
pub(super) const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(0x107);
/// `H3_REQUEST_INCOMPLETE`: a request does not become whole.
const INCOMPLETE: VarInt = VarInt::from_u32(0x10d);

/// GOAWAY names the request behind the last one that is answered (RFC 9114 §5.2).
const NEXT: usize = 1;

/// A request as h3 hands it out, before its headers are read and behind them.
type Request = RequestResolver<Measured, Bytes>;
type Open = RequestStream<Stream<h3_quinn::BidiStream<Bytes>>, Bytes>;

/// Talks with one client until it leaves, falls silent, or is told to leave. Silence is meant as in
/// [`tcp::converse`](super::tcp::converse).
pub(super) async fn converse(connection: Connection, client: Client, house: House) {
    let leave = client.seat.leave.clone();
    let talk = talk(&connection, Desk::new(client, house));
    let _ = leave.run_until_cancelled(talk).await;
    connection.close(NO_ERROR, b"");
}

/// Answers the requests of a connection.
async fn talk(connection: &Connection, desk: Arc<Desk>) {
    let (room, idle) = (Room::new(), desk.house.idle);
    let mut http = builder();
    http.max_field_section_size(HEADERS.into()).send_grease(false);
    let http = http.build(Measured::new(connection.clone(), Arc::clone(&room)));
    let Ok(Ok(mut http)) = timeout(idle, http).await else { return };
    let mut requests = JoinSet::new();
    let mut closing = pin!(desk.closing_time());
    loop {
        tokio::select! {
            request = http.accept() => match request {
                Ok(Some(request)) => {
                    requests.spawn(transact(request, Arc::clone(&desk), Arc::clone(&room)));
                }
                _ => return, // nobody is there any more, or h3 has said why
            },
            Some(answered) = requests.join_next() => if let Ok(Err(why)) = answered {
                return connection.close(why, b"");
            },
            () = &mut closing => break,
        }
    }
    let _ = timeout(idle, finish(&mut http, requests)).await;
    see_off(connection, idle).await;
}

/// Tells the client to leave, and waits for the requests that came before.
async fn finish(http: &mut Http<Measured, Bytes>, mut requests: JoinSet<Result<(), VarInt>>) {
    let mut is_told = http.shutdown(NEXT).await.is_ok();
    while is_told && !requests.is_empty() {
        tokio::select! {
            _ = requests.join_next() => {}
            late = http.accept() => is_told = matches!(late, Ok(Some(_))), // the client has been told to ask elsewhere
        }
    }
}

/// Answers one request; why the connection has to end.
async fn transact(request: Request, desk: Arc<Desk>, room: Arc<Room>) -> Result<(), VarInt> {
    let idle = desk.house.idle;
    let opened = timeout(idle, request.resolve_request()).await.map_err(|_elapsed| INCOMPLETE)?;
    let Ok((request, mut stream)) = opened else { return Ok(()) }; // h3 has said what is wrong with it
    let query = query(request.map(|()| Posted(&mut stream)), idle).await;
    let _turn = room.turn().await;
    let taken = timeout(idle, send(respond(&desk, query), &mut stream)).await;
    taken.map_or(Err(EXCESSIVE_LOAD), |_| Ok(())) // who has cancelled it, or has gone, misses nothing
}

async fn send(response: Response<Bytes>, stream: &mut Open) -> Result<(), StreamError> {
    let (head, body) = response.into_parts();
    stream.send_response(Response::from_parts(head, ())).await?;
    stream.send_data(body).await?;
    stream.finish().await
}

/// The body of a request.
struct Posted<'s>(&'s mut Open);

impl Body for Posted<'_> {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let piece = std::task::ready!(self.0.poll_recv_data(context)).transpose();
        Poll::Ready(
            piece.map(|piece| piece.map(|mut data| Frame::data(data.copy_to_bytes(data.remaining())))),
        )
    }
}
