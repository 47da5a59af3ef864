//! DNS over QUIC: each stream carries one query and its reply, framed as over TCP.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 9250 §4.2 | a stream for each query; both sides say that they have said all | whole: a query is answered once its end has come |
//! | 9250 §4.2.1 | the message id is 0 | whole |
//! | 9250 §4.3.1 | who does not want its reply any more gets none | whole |
//! | 9250 §4.3.3 | another id, half a query, two of them, `edns-tcp-keepalive` (§5.5.2): `DOQ_PROTOCOL_ERROR` | whole; so is what is no query |
//! | 9250 §4.4 | who is silent is closed with `DOQ_NO_ERROR` | after `tcp.idle` without a whole query |
//! | 9250 §5.4 | padding | of messages, to those who pad |
//! | 9250 §5.6 | queries are answered in parallel | whole |
//! | 9250 §4.5 | 0-RTT | none is taken |
//! | 9250 §5.7 | zone transfers | refused |

use std::pin::pin;
use std::sync::Arc;

use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::House;
use super::desk::Desk;
use super::quic::see_off;
use super::room::{Room, Share};
use super::tcp::Client;
use crate::answer::{MAX_MESSAGE, asks_to_be_kept};

/// `DOQ_NO_ERROR` (RFC 9250 §8.4): the time is over.
const NO_ERROR: VarInt = VarInt::from_u32(0);
/// `DOQ_PROTOCOL_ERROR`: what the client does is no DNS over QUIC.
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
/// `DOQ_REQUEST_CANCELLED`: the client wants no reply.
const CANCELLED: VarInt = VarInt::from_u32(3);
/// `DOQ_EXCESSIVE_LOAD`: somebody else needs what the client takes.
pub(super) const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// The longest message behind its length.
const LONGEST: usize = 2 + MAX_MESSAGE;

/// Talks with one client until it leaves, falls silent, or is told to leave. Silence is meant as in
/// [`tcp::converse`](super::tcp::converse).
pub(super) async fn converse(connection: Connection, client: Client, house: House) {
    let leave = client.seat.leave.clone();
    let talk = talk(&connection, Desk::new(client, house));
    let why = leave.run_until_cancelled(talk).await.unwrap_or(EXCESSIVE_LOAD);
    connection.close(why, b"");
}

/// Answers the streams of a connection; why it ends.
async fn talk(connection: &Connection, desk: Arc<Desk>) -> VarInt {
    let (room, last_call) = (Room::new(), CancellationToken::new());
    let mut queries = JoinSet::new();
    let mut closing = pin!(desk.closing_time());
    loop {
        tokio::select! {
            stream = connection.accept_bi() => match stream {
                Ok(stream) => {
                    queries.spawn(transact(stream, Arc::clone(&desk), Arc::clone(&room), last_call.clone()));
                }
                Err(_) => return NO_ERROR, // nobody is there any more
            },
            Some(answered) = queries.join_next() => if let Ok(Err(why)) = answered {
                return why;
            },
            () = &mut closing => break,
        }
    }
    last_call.cancel();
    while let Some(answered) = queries.join_next().await {
        if let Ok(Err(why)) = answered {
            return why;
        }
    }
    see_off(connection, desk.house.idle).await;
    NO_ERROR
}

/// Answers the query of one stream, if it is whole before the last call; why the connection has to end.
async fn transact(
    (mut reply, mut query): (SendStream, RecvStream),
    desk: Arc<Desk>,
    room: Arc<Room>,
    last_call: CancellationToken,
) -> Result<(), VarInt> {
    let mut share = room.share();
    let query = timeout(desk.house.idle, read(&mut query, &mut share));
    let query = last_call.run_until_cancelled(query).await;
    let query = query.map_or(Err(CANCELLED), |query| query.unwrap_or(Err(PROTOCOL_ERROR)));
    let answered = match query {
        Ok(query) => answer(&query, &mut reply, &desk, &room).await,
        Err(why) => Err(why),
    };
    match answered {
        Ok(()) => Ok(()),
        Err(why) => {
            let _ = reply.reset(why); // dropped, it would end as if it were whole
            if why == CANCELLED { Ok(()) } else { Err(why) }
        }
    }
}

async fn answer(said: &[u8], reply: &mut SendStream, desk: &Desk, room: &Room) -> Result<(), VarInt> {
    let message = message(said).ok_or(PROTOCOL_ERROR)?;
    let _turn = room.turn().await;
    let framed = desk.answer(message);
    if framed.is_empty() {
        return Err(PROTOCOL_ERROR);
    }
    let written = timeout(desk.house.idle, reply.write_chunk(framed.into())).await;
    written.map_err(|_elapsed| EXCESSIVE_LOAD)?.map_err(|_stopped| CANCELLED)?;
    reply.finish().map_err(|_stopped| CANCELLED)
}

/// All that a stream says.
async fn read(stream: &mut RecvStream, share: &mut Share) -> Result<Vec<u8>, VarInt> {
    let mut said = Vec::new();
    loop {
        match stream.read_chunk(LONGEST, true).await {
            Ok(Some(chunk)) => {
                share.grow(chunk.bytes.len()).map_err(|_full| EXCESSIVE_LOAD)?;
                said.extend_from_slice(&chunk.bytes);
            }
            Ok(None) => return Ok(said),
            Err(_taken_back) => return Err(CANCELLED),
        }
        if said.len() > LONGEST {
            return Err(PROTOCOL_ERROR);
        }
    }
}

/// The one message that a stream may bring.
fn message(said: &[u8]) -> Option<&[u8]> {
    let (length, message) = said.split_first_chunk::<2>()?;
    let is_whole = message.len() == usize::from(u16::from_be_bytes(*length));
    (is_whole && message.starts_with(&[0, 0]) && !asks_to_be_kept(message)).then_some(message)
}
