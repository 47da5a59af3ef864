//! Lets administrators in: a few at a time, with limits on what they send and how long they take.
//!
//! With all seats taken, who has been silent longest leaves for who comes, so that programs that hang keep nobody out.

use std::io;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::caller::Caller;
use super::taken::Taken;
use super::{Kind, Refused};
use crate::config::Tcp;
use crate::serve::{Clients, Seat};

/// Connections at once.
const SEATS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);
/// From one address; over the socket they are all from one.
const SEATS_EACH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);
/// The longest that a request's head may take, a connection without a request, and a client of whose reply nothing is taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that a reply may take to begin.
const LONGEST: Duration = Duration::from_secs(60);
/// How long it may take to end what was asked at a door that closes; who listens to events hears no more.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How much of a head is read.
const LONGEST_HEAD: usize = 16 << 10;
/// How long accepting rests when the system has no descriptor left.
const REST: Duration = Duration::from_millis(50);

/// Where they come from.
pub(super) trait Listener: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The most connections of one client.
    const EACH: NonZeroUsize;

    /// The next one, and who it is as far as the kernel can tell.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Caller)>> + Send;
}

impl Listener for UnixListener {
    type Stream = tokio::net::UnixStream;
    const EACH: NonZeroUsize = SEATS;

    async fn next(&self) -> io::Result<(Self::Stream, Caller)> {
        let (stream, _unnamed) = self.accept().await?;
        let caller = Caller::User(stream.peer_cred()?.uid());
        Ok((stream, caller))
    }
}

impl Listener for TcpListener {
    type Stream = tokio::net::TcpStream;
    const EACH: NonZeroUsize = SEATS_EACH;

    async fn next(&self) -> io::Result<(Self::Stream, Caller)> {
        let (stream, addr) = self.accept().await?;
        let _ = stream.set_nodelay(true); // an event is one write, and waits for no other
        Ok((stream, Caller::From(addr.ip())))
    }
}

/// Accepts until `closing`. Connections end then, too, when what they have asked is answered; with `stop` they end at once.
pub(super) async fn accept<L: Listener>(
    listener: L,
    router: Router,
    closing: CancellationToken,
    stop: CancellationToken,
) {
    let clients = Clients::new(Tcp { clients: SEATS, per_client: L::EACH, idle: PATIENCE });
    let mut is_told = false;
    while let Some(next) = closing.run_until_cancelled(listener.next()).await {
        match next {
            Ok((stream, caller)) => {
                let Some(seat) = clients.seat(caller.addr()) else { continue };
                let talk = converse(stream, router.clone(), caller, seat, closing.clone());
                tokio::spawn(stop.clone().run_until_cancelled_owned(talk));
            }
            Err(e) => {
                if !std::mem::replace(&mut is_told, true) {
                    warn!(%e, "cannot accept connections of administrators for now");
                }
                clients.make_room();
                let _ = closing.run_until_cancelled(sleep(REST)).await;
            }
        }
    }
}

/// Until one of them leaves, or the seat is needed. Where the connection becomes another protocol's, the seat is given back.
async fn converse<S>(stream: S, router: Router, caller: Caller, seat: Seat, closing: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let leave = seat.leave.clone();
    let tower = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        seat.heard();
        request.extensions_mut().insert(caller);
        let reply = timeout(LONGEST, tower.call(request));
        let late = || Refused::new(Kind::TooSlow, "that took too long, and may still come to pass");
        async move { reply.await.unwrap_or_else(|_elapsed| Ok(late().into_response())) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LONGEST_HEAD);
    let stream = TokioIo::new(Taken::new(stream, PATIENCE));
    let talk = http.serve_connection(stream, service).with_upgrades();
    let talk = async move {
        let mut talk = pin!(talk);
        if closing.run_until_cancelled(talk.as_mut()).await.is_none() {
            talk.as_mut().graceful_shutdown();
            let _ = timeout(LAST_WORDS, talk).await;
        }
    };
    leave.run_until_cancelled_owned(talk).await; // however it ended, there is nobody to tell
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use axum::routing::get;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;

    const ROOM: usize = 1 << 16;
    const LONG: usize = 16 * ROOM;

    fn long() -> Router {
        Router::new().route("/", get(|| async { "x".repeat(LONG) }))
    }

    /// A client that has asked for `/`, where this is the reply.
    async fn ask(reply: Router, headers: &str) -> (DuplexStream, JoinHandle<()>) {
        let (mut ours, theirs) = duplex(ROOM);
        let caller = Caller::User(0);
        let clients = Clients::new(Tcp { clients: SEATS, per_client: SEATS_EACH, idle: PATIENCE });
        let seat = clients.seat(caller.addr()).unwrap();
        let talk = tokio::spawn(converse(theirs, reply, caller, seat, CancellationToken::new()));
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        ours.write_all(request.as_bytes()).await.unwrap();
        (ours, talk)
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_a_reply_is_cut_off() {
        for headers in ["", "Connection: close\r\n"] {
            let (_client, talk) = ask(long(), headers).await;
            timeout(2 * PATIENCE, talk).await.expect("it ends").unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_its_time_gets_all_of_it() {
        let (mut client, _talk) = ask(long(), "").await;
        let (mut taken, mut room) = (0, vec![0; ROOM]);
        while taken < LONG {
            sleep(PATIENCE / 2).await;
            let more = client.read(&mut room).await.unwrap();
            assert!(more > 0, "cut off after {taken} bytes");
            taken += more;
        }
    }

    /// As events do that are seldom.
    #[tokio::test(start_paused = true)]
    async fn a_reply_may_rest_for_hours() {
        let words = || {
            stream::unfold((), |()| async {
                sleep(Duration::from_secs(3600)).await;
                Some((Ok::<_, Infallible>("word\n"), ()))
            })
        };
        let (mut client, talk) =
            ask(Router::new().route("/", get(move || async move { Body::from_stream(words()) })), "").await;
        let mut heard = Vec::new();
        while heard.windows(4).filter(|window| *window == b"word").count() < 3 {
            assert!(client.read_buf(&mut heard).await.unwrap() > 0);
        }
        assert!(!talk.is_finished());
    }
}
