//! What one connection with many streams may make us hold: queries that are not whole, and replies that nobody takes.
//!
//! quinn and h2 bound what lies unread or is unacknowledged (`quic.rs`, `http2.rs`); this bounds what has been read and what
//! is to be written. Somebody whose queries take more than the room is sent away. Replies wait for their turn instead,
//! unwritten: a client may well ask for more at once than it takes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer::MAX_MESSAGE;

/// The most bytes of queries that are not answered yet: two of the longest, or a hundred of any that is likely.
const QUERIES: usize = 2 * MAX_MESSAGE;
/// The most replies that are written and not taken.
const REPLIES: usize = 2;

/// What the streams of a connection share.
#[derive(Debug)]
pub(super) struct Room {
    held: AtomicUsize,
    replies: Arc<Semaphore>,
}

/// What one stream has of it; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    room: Arc<Room>,
    bytes: usize,
}

/// The right to write a reply; given back when dropped.
pub(super) type Turn = Option<OwnedSemaphorePermit>;

/// There is no room left.
#[derive(Debug)]
pub(super) struct Full;

impl Room {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), replies: Arc::new(Semaphore::new(REPLIES)) })
    }

    /// Nothing yet, for a stream.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        Share { room: Arc::clone(self), bytes: 0 }
    }

    /// The right to write a reply, until it is dropped.
    pub(super) async fn turn(&self) -> Turn {
        Arc::clone(&self.replies).acquire_owned().await.ok() // it is never closed
    }
}

impl Share {
    /// Takes so many bytes more.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        self.bytes += bytes;
        let before = self.room.held.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > QUERIES { Err(Full) } else { Ok(()) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_share_the_room_and_give_it_back() {
        let room = Room::new();
        let (mut first, mut second) = (room.share(), room.share());
        first.grow(MAX_MESSAGE).unwrap();
        second.grow(MAX_MESSAGE).unwrap();
        second.grow(1).unwrap_err();
        drop(first);
        second.grow(1).unwrap();
        drop(second);
        room.share().grow(QUERIES).unwrap();
    }

    #[tokio::test]
    async fn replies_are_written_by_turns() {
        let room = Room::new();
        let turns = [room.turn().await, room.turn().await];
        let third = room.turn();
        tokio::pin!(third);
        tokio::select! { biased; _ = &mut third => panic!("too many"), () = std::future::ready(()) => {} }
        drop(turns);
        third.await;
    }
}
