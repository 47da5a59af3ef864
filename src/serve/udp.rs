//! UDP: one thread a worker, each with a socket of its own that shares the port (`SO_REUSEPORT`).

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::batch::{BATCH, Batch};
use crate::answer::{Outcome, Peer, ReplyBuf, Via, answer};
use crate::snapshot::Reader;

/// How long a worker sleeps at most before it looks whether it should stop.
const NAP: Duration = Duration::from_millis(200);
/// How many batches a worker still answers once it should stop.
const LAST_BATCHES: usize = 64;

/// A thread that answers.
#[derive(Debug)]
pub(super) struct Worker {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    pub(super) fn start(socket: UdpSocket, reader: Reader) -> io::Result<Self> {
        socket.set_read_timeout(Some(NAP))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = move || work(&socket, reader, &stopped);
        let thread = Builder::new().name("onstage-udp".to_owned()).spawn(work)?;
        Ok(Self { thread, stop })
    }
}

/// Stops all workers; what has arrived is answered before.
pub(super) fn stop(workers: Vec<Worker>) {
    for worker in &workers {
        worker.stop.store(true, Ordering::Relaxed);
    }
    for worker in workers {
        let _ = worker.thread.join();
    }
}

fn work(socket: &UdpSocket, mut reader: Reader, stop: &AtomicBool) {
    let mut batch = Batch::new();
    let mut buffer = ReplyBuf::new(fastrand::u32(..));
    while !stop.load(Ordering::Relaxed) {
        exchange(socket, &mut batch, &mut reader, &mut buffer);
    }
    let _ = socket.set_nonblocking(true);
    for _ in 0..LAST_BATCHES {
        if exchange(socket, &mut batch, &mut reader, &mut buffer) == 0 {
            return;
        }
    }
}

/// One batch in, one batch out; how many queries there were.
fn exchange(socket: &UdpSocket, batch: &mut Batch, reader: &mut Reader, buffer: &mut ReplyBuf) -> usize {
    // An error is a timeout, an interruption, or an ICMP message about an earlier reply: nothing to do about it.
    let received = batch.receive(socket).unwrap_or(0).min(BATCH);
    let snapshot = reader.load();
    for i in 0..received {
        let Some((query, addr)) = batch.query(i) else { continue };
        let peer = Peer { addr, via: Via::Datagram };
        if answer(snapshot, &peer, query, buffer) == Outcome::Reply {
            batch.reply(i, buffer.as_bytes());
        }
    }
    batch.send(socket);
    received
}
