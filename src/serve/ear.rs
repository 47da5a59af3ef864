//! What QUIC hears its socket with. It can be covered: what comes then waits in the socket, for whoever reads it next.
//!
//! Two processes that read one socket take each other's packets, and QUIC cannot do without them. While a server is handed
//! over, and from then on, the old process therefore reads nothing; it goes on sending. Before that it lets nobody new in,
//! and handshakes end that are under way.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::accept::LAST_HANDSHAKES;

/// A socket with an ear.
#[derive(Debug)]
pub(super) struct Ear {
    socket: Arc<dyn AsyncUdpSocket>,
    cover: Cover,
}

/// What covers all ears of a server; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Cover {
    state: Arc<Mutex<State>>,
    /// Whether strangers have to wait.
    is_closed: watch::Sender<bool>,
    handshakes: TaskTracker,
}

#[derive(Default)]
struct State {
    is_on: bool,
    /// Whoever would have read meanwhile.
    waiting: Vec<Waker>,
}

impl Ear {
    pub(super) fn new(socket: Arc<dyn AsyncUdpSocket>, cover: Cover) -> Arc<Self> {
        Arc::new(Self { socket, cover })
    }
}

impl Cover {
    /// Nothing is heard from now on, once handshakes have ended that are under way, if that does not take long.
    pub(super) async fn put_on(&self) {
        self.is_closed.send_replace(true);
        self.handshakes.close();
        let _ = timeout(LAST_HANDSHAKES, self.handshakes.wait()).await;
        self.lock().is_on = true;
    }

    /// Waits until strangers are let in; what a handshake is to hold for as long as it lasts.
    pub(super) async fn opening(&self) -> TaskTrackerToken {
        loop {
            let under_way = self.handshakes.token(); // before the look: whoever closes it then waits for this one
            if !self.is_closed() {
                return under_way;
            }
            drop(under_way);
            let _ = self.is_closed.subscribe().wait_for(|is_closed| !is_closed).await;
        }
    }

    /// Whether somebody else lets strangers in.
    pub(super) fn is_closed(&self) -> bool {
        *self.is_closed.borrow()
    }

    /// What has come meanwhile is heard.
    pub(super) fn take_off(&self) {
        let mut state = self.lock();
        state.is_on = false;
        state.waiting.drain(..).for_each(Waker::wake);
        drop(state);
        self.handshakes.reopen();
        self.is_closed.send_replace(false);
    }

    /// Whether it is on; `context` is woken when it is not any more.
    fn is_on(&self, context: &Context<'_>) -> bool {
        let mut state = self.lock();
        if state.is_on && !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        state.is_on
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl fmt::Debug for Cover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cover({})", if self.lock().is_on { "on" } else { "off" })
    }
}

impl AsyncUdpSocket for Ear {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.cover.is_on(context) { Poll::Pending } else { self.socket.poll_recv(context, buffers, meta) }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::UdpSocket;

    use quinn::{Runtime, TokioRuntime};

    use super::*;

    #[tokio::test]
    async fn what_came_while_it_was_covered_is_heard_when_it_is_not() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (addr, client) = (server.local_addr().unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let cover = Cover::default();
        let ear = Ear::new(TokioRuntime.wrap_udp_socket(server).unwrap(), cover.clone());
        let hear = || async {
            let (mut bytes, mut meta) = ([0; 64], [RecvMeta::default()]);
            poll_fn(|context| ear.poll_recv(context, &mut [IoSliceMut::new(&mut bytes)], &mut meta))
                .await
                .unwrap();
            bytes[0]
        };
        client.send_to(b"1", addr).unwrap();
        assert_eq!(hear().await, b'1');
        cover.put_on().await;
        client.send_to(b"2", addr).unwrap();
        let later = tokio::spawn({
            let cover = cover.clone();
            async move { cover.take_off() }
        });
        assert_eq!(hear().await, b'2', "it was woken");
        later.await.unwrap();
        assert!(cover.lock().waiting.is_empty());
    }
}
