//! The streams of an HTTP/3 connection, measured: what they bring takes of the connection's room.
//!
//! h3 keeps what it has read until a frame is whole, however long the frame says it is, and piece by piece as it came.
//! What lies between it and quinn here counts both, and closes the connection before either grows large. Streams of
//! HTTP/3 itself have a room of their own, for as long as the connection lasts.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use h3::error::Code;
use h3::quic::{
    Connection, ConnectionErrorIncoming, OpenStreams, RecvStream, SendStream, StreamErrorIncoming, StreamId,
    WriteBuf,
};
use h3_quinn::BidiStream;
use hyper::body::{Buf, Bytes};

use super::http3::EXCESSIVE_LOAD;
use super::room::{Room, Share};

/// What it takes to keep a piece, however small it is.
const PIECE: usize = 128;

/// A connection whose streams are measured.
pub(super) struct Measured {
    inner: h3_quinn::Connection,
    connection: quinn::Connection,
    requests: Arc<Room>,
    control: Arc<Room>,
}

/// A stream whose bytes are counted.
pub(super) struct Stream<S> {
    inner: S,
    connection: quinn::Connection,
    share: Share,
}

impl Measured {
    /// `requests`: the room of all requests.
    pub(super) fn new(connection: quinn::Connection, requests: Arc<Room>) -> Self {
        let inner = h3_quinn::Connection::new(connection.clone());
        Self { inner, connection, requests, control: Room::new() }
    }

    fn stream<S>(&self, inner: S, room: &Arc<Room>) -> Stream<S> {
        Stream { inner, connection: self.connection.clone(), share: room.share() }
    }
}

impl Connection<Bytes> for Measured {
    type RecvStream = Stream<h3_quinn::RecvStream>;
    type OpenStreams = Self;

    fn poll_accept_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        let accepted = ready!(Connection::<Bytes>::poll_accept_recv(&mut self.inner, context));
        Poll::Ready(accepted.map(|stream| self.stream(stream, &self.control)))
    }

    fn poll_accept_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        let accepted = ready!(self.inner.poll_accept_bidi(context));
        Poll::Ready(accepted.map(|stream| self.stream(stream, &self.requests)))
    }

    fn opener(&self) -> Self {
        Self::new(self.connection.clone(), Arc::clone(&self.requests))
    }
}

impl OpenStreams<Bytes> for Measured {
    type BidiStream = Stream<BidiStream<Bytes>>;
    type SendStream = h3_quinn::SendStream<Bytes>;

    fn poll_open_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        let opened = ready!(self.inner.poll_open_bidi(context));
        Poll::Ready(opened.map(|stream| self.stream(stream, &self.requests)))
    }

    fn poll_open_send(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        self.inner.poll_open_send(context)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        OpenStreams::<Bytes>::close(&mut self.inner, code, reason);
    }
}

impl<S: RecvStream<Buf = Bytes>> RecvStream for Stream<S> {
    type Buf = Bytes;

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let Some(piece) = ready!(self.inner.poll_data(context))? else { return Poll::Ready(Ok(None)) };
        if self.share.grow(piece.remaining().max(PIECE)).is_err() {
            self.connection.close(EXCESSIVE_LOAD, b"");
            return Poll::Ready(Err(StreamErrorIncoming::StreamTerminated {
                error_code: EXCESSIVE_LOAD.into(),
            }));
        }
        Poll::Ready(Ok(Some(Bytes::copy_from_slice(&piece)))) // it would keep the whole datagram
    }

    fn stop_sending(&mut self, code: u64) {
        self.inner.stop_sending(code);
    }

    fn recv_id(&self) -> StreamId {
        self.inner.recv_id()
    }
}

impl<S: SendStream<Bytes>> SendStream<Bytes> for Stream<S> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.inner.poll_ready(context)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.inner.send_data(data)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.inner.poll_finish(context)
    }

    fn reset(&mut self, code: u64) {
        self.inner.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.inner.send_id()
    }
}
