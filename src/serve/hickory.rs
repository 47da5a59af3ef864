//! DNS over HTTP/3 and over QUIC: hickory-server's listeners around our `answer()`.
//!
//! QUIC is large, and hickory-server has it in the form that DNS needs. What it does not have is a way to send bytes: its
//! handlers see the query as it came, and hand records back. So each of our replies is decoded here, and written again by
//! hickory: the same header, records and options, with names compressed in its own way. Nothing else of onstage knows
//! hickory-server; were it replaced, this file would be.
//!
//! Its limits are its own: 100 queries on a connection, 65,535 bytes a query, 5 seconds a handshake, one handshake at a
//! time. It has none for how many connections there are.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 8484 §4.1 | GET, POST | POST, whatever the path |
//! | 9250 §4.2 | a stream for each query; the message id is 0 | whole |
//! | 9250 §5.5.3 | connections that are idle are closed | after `tcp.idle` |

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Header, HeaderCounts, Message, Metadata};
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::serialize::binary::{BinDecoder, BinEncoder};
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server};
use hickory_server::zone_handler::{MessageResponse, MessageResponseBuilder, Queries};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use super::Manner;
use super::tcp::reply_to;
use crate::answer::{HEADER, MAX_MESSAGE, PADDED, Peer, Via};
use crate::config::Shown;

/// Starts listeners, and keeps them until they are to stop.
#[derive(Debug)]
pub(super) struct Host<'h> {
    pub(super) manner: &'h Manner,
    pub(super) shown: &'h Shown,
    pub(super) idle: Duration,
    pub(super) tasks: &'h TaskTracker,
    pub(super) stop: &'h CancellationToken,
}

impl Host<'_> {
    /// DNS over HTTPS with HTTP/3.
    pub(super) fn doh3(&self, udp: UdpSocket) -> io::Result<()> {
        let addr = udp.local_addr()?;
        let mut server = self.server();
        server.register_h3_listener(datagrams(udp)?, self.idle, Arc::new(self.shown.clone()), None)?;
        self.keep(server, "DNS over HTTP/3", addr);
        Ok(())
    }

    /// DNS over QUIC.
    pub(super) fn doq(&self, udp: UdpSocket) -> io::Result<()> {
        let addr = udp.local_addr()?;
        let mut server = self.server();
        server.register_quic_listener(datagrams(udp)?, self.idle, Arc::new(self.shown.clone()))?;
        self.keep(server, "DNS over QUIC", addr);
        Ok(())
    }

    fn server(&self) -> Server<Adapter> {
        Server::new(Adapter(self.manner.clone()))
    }

    fn keep(&self, mut server: Server<Adapter>, what: &'static str, addr: SocketAddr) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let ended = stop.run_until_cancelled(server.block_until_done()).await;
            match ended {
                None => drop(server.shutdown_gracefully().await), // it has nobody to tell
                Some(ended) => error!(%addr, why = ?ended.err(), "{what} is not served any more"),
            }
        });
    }
}

fn datagrams(socket: UdpSocket) -> io::Result<tokio::net::UdpSocket> {
    socket.set_nonblocking(true)?;
    tokio::net::UdpSocket::from_std(socket)
}

/// Our `answer()` as hickory-server asks for it.
struct Adapter(Manner);

#[async_trait]
impl RequestHandler for Adapter {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut client: R,
    ) -> ResponseInfo {
        let peer = Peer { addr: request.src().ip(), via: Via::Encrypted, now: (self.0.clock)() };
        let mut framed = Vec::new();
        reply_to(self.0.reader.clone().load(), &peer, request.as_slice(), &mut framed);
        // Nothing is said to who sends us a response; and what we write, hickory reads.
        let Some(reply) = framed.get(2..).and_then(Reply::read) else { return unsaid(request.metadata) };
        client.send_response(reply.response()).await.unwrap_or_else(|_left| unsaid(reply.message.metadata))
    }
}

/// A reply of ours, as hickory-server writes it again.
struct Reply {
    message: Message,
    /// The question, as it was spelled.
    queries: Queries,
}

impl Reply {
    fn read(wire: &[u8]) -> Option<Self> {
        let message = Message::from_vec(wire).ok()?;
        let questions = message.queries.len();
        let queries = Queries::read(&mut BinDecoder::new(wire.get(HEADER..)?), questions).ok()?;
        let mut reply = Self { message, queries };
        reply.pad();
        Some(reply)
    }

    /// What was padded is padded again: it is not as long any more as it was.
    fn pad(&mut self) {
        if self.set_padding(0).is_some() {
            let bare = self.len();
            let padded = bare.next_multiple_of(PADDED).min(MAX_MESSAGE);
            self.set_padding(padded.saturating_sub(bare));
        }
    }

    /// Makes the padding so long, if there is any (RFC 7830 §3).
    fn set_padding(&mut self, length: usize) -> Option<()> {
        let options = &mut self.message.edns.as_mut()?.options_mut().options;
        let (_, padding) = options.iter_mut().find(|(code, _)| *code == EdnsCode::Padding)?;
        *padding = EdnsOption::Unknown(EdnsCode::Padding.into(), vec![0; length]);
        Some(())
    }

    /// How long hickory makes it.
    fn len(&self) -> usize {
        let mut wire = Vec::new();
        // What does not fit into a message is sent as SERVFAIL, and needs no padding.
        let _ = self.response().destructive_emit(&mut BinEncoder::new(&mut wire));
        wire.len()
    }

    fn response(&self) -> Response<'_> {
        let Message { metadata, answers, authorities, additionals, edns, .. } = &self.message;
        let builder = MessageResponseBuilder::new(&self.queries, edns.as_ref());
        builder.build(*metadata, answers, authorities, &[], additionals)
    }
}

type Records<'r> = std::slice::Iter<'r, Record>;
type Response<'r> = MessageResponse<'r, 'r, Records<'r>, Records<'r>, Records<'r>, Records<'r>>;

/// What hickory is told where nothing could be sent.
fn unsaid(metadata: Metadata) -> ResponseInfo {
    Header { metadata, counts: HeaderCounts::default() }.into()
}
