//! Clients over TLS, HTTPS and QUIC, while one process takes over from another, again and again.
//!
//! A connection belongs to the process that made it. What was asked on it is answered, or it ends as its protocol has it,
//! and then the client asks the same on its next one. Whatever else becomes of a query is a query lost.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};
use hyper::Request;
use onstage::daemon::{Daemon, find_running};
use onstage::serve::Addresses;
use quinn::{Connection, ReadError, ReadToEndError};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::encrypted::https::{self, KIND, Refusal, Sender};
use crate::encrypted::{NAME, PATIENCE, Server, connect, quic, receive, send};
use crate::harness::query;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Dot,
    Doh2,
    Doh3,
    Doq,
}

impl Way {
    const ALL: [Self; 4] = [Self::Dot, Self::Doh2, Self::Doh3, Self::Doq];
}

/// How long a client stays on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// For as long as it may.
    Stays,
    /// For one query.
    Comes,
}

enum Talk {
    Dot(Box<TlsStream<TcpStream>>),
    Http(Sender),
    Doq(Connection),
}

/// Where a client finds the server, and what it trusts.
#[derive(Clone)]
struct Door {
    addrs: Addresses,
    tls: [Arc<rustls::ClientConfig>; 4],
}

impl Door {
    fn of(server: &Server) -> Self {
        let tls = [["dot"], ["h2"], ["h3"], ["doq"]].map(|protocol| server.client(&protocol));
        Self { addrs: server.daemon.all_addrs(), tls }
    }

    async fn open(&self, way: Way) -> Result<Talk, Refusal> {
        let (addrs, tls) = (&self.addrs, Arc::clone(&self.tls[way as usize]));
        Ok(match way {
            Way::Dot => Talk::Dot(Box::new(connect(addrs.dot[0], &tls).await?)),
            Way::Doh2 => Talk::Http(https::over_tls(connect(addrs.doh[0], &tls).await?).await?.0),
            Way::Doh3 => Talk::Http(https::over_quic(quic::connect(addrs.doh[0], tls).await?).await?.0),
            Way::Doq => Talk::Doq(quic::connect(addrs.doq[0], tls).await?),
        })
    }
}

impl Talk {
    /// The edition that the answer is from.
    async fn ask(&mut self) -> Result<u8, Refusal> {
        let query = query("p.example", RecordType::A);
        let reply = match self {
            Self::Dot(stream) => {
                let _ = send(stream, &query).await; // what comes back tells whether it was closed before
                receive(stream).await?
            }
            Self::Http(sender) => {
                let request = Request::post(format!("https://{NAME}/dns-query")).header("content-type", KIND);
                sender.send(request.body(()).unwrap(), query).await?.into_body().to_vec()
            }
            Self::Doq(connection) => quic::exchange(connection, &quic::framed(query)).await?.split_off(2),
        };
        match &Message::from_vec(&reply)?.answers[0].data {
            RData::A(address) => Ok(address.octets()[3]),
            other => panic!("{other}"),
        }
    }
}

/// A client at work: each of its queries is answered, or it panics.
struct Asking {
    who: (Way, Habit),
    /// The edition that it saw last.
    seen: watch::Receiver<u8>,
    task: JoinHandle<()>,
}

/// What all clients know, and what became of their queries.
#[derive(Debug, Default)]
struct World {
    stop: AtomicBool,
    /// The edition that is served.
    served: AtomicU8,
    /// Answers that the old process gave while the new one served already, by way.
    farewells: [AtomicUsize; 4],
}

/// Asks all the time, one query after another.
fn ask_on(door: &Door, who: (Way, Habit), world: &Arc<World>) -> Asking {
    let (to, seen) = watch::channel(0);
    let (door, world) = (door.clone(), Arc::clone(world));
    let task = tokio::spawn(async move {
        let mut line = Line { door, way: who.0, open: None };
        while !world.stop.load(Ordering::Relaxed) {
            let served = world.served.load(Ordering::Relaxed);
            let edition = line.ask().await;
            if edition < served {
                world.farewells[who.0 as usize].fetch_add(1, Ordering::Relaxed);
            }
            to.send_replace(edition);
            if who.1 == Habit::Comes {
                line.open = None;
            }
        }
    });
    Asking { who, seen, task }
}

/// A client's way to the server.
struct Line {
    door: Door,
    way: Way,
    /// A connection, and the edition of the process that made it, once it is known.
    open: Option<(Talk, Option<u8>)>,
}

impl Line {
    /// The edition that answers; asks again only where a connection has ended as it should.
    async fn ask(&mut self) -> u8 {
        loop {
            let (mut talk, made_by) = match self.open.take() {
                Some(open) => open,
                None => match self.door.open(self.way).await {
                    Ok(talk) => (talk, None),
                    Err(e) if is_farewell(&e) => continue, // HTTP says something before it is asked
                    Err(e) => panic!("{:?}: not let in: {e}: {e:?}", self.way),
                },
            };
            match talk.ask().await {
                Ok(edition) => {
                    assert_eq!(made_by.unwrap_or(edition), edition, "{:?}: who answers?", self.way);
                    self.open = Some((talk, Some(edition)));
                    return edition;
                }
                Err(e) if is_farewell(&e) => {}
                Err(e) => panic!("{:?}: a query is lost: {e}: {e:?}", self.way),
            }
        }
    }
}

/// Whether this is how a server says that it will answer nothing more on a connection.
fn is_farewell(e: &Refusal) -> bool {
    if let Some(e) = e.downcast_ref::<io::Error>() {
        let e = (e.kind(), e.get_ref().map(ToString::to_string).unwrap_or_default());
        return e.0 == io::ErrorKind::UnexpectedEof && !e.1.contains("without sending TLS close_notify");
    }
    if let Some(e) = e.downcast_ref::<hyper::Error>() {
        return e.is_canceled(); // it was not sent
    }
    if let Some(e) = e.downcast_ref::<h3::error::StreamError>() {
        return e.is_h3_no_error() || matches!(e, h3::error::StreamError::RemoteClosing { .. });
    }
    if let Some(e) = e.downcast_ref::<h3::error::ConnectionError>() {
        return e.is_h3_no_error();
    }
    let lost = match e.downcast_ref::<ReadToEndError>() {
        Some(ReadToEndError::Read(ReadError::ConnectionLost(lost))) => Some(lost),
        _ => None,
    };
    lost.and_then(quic::code) == Some(0)
}

/// Another process, which answers with another edition, in the place of the one that serves.
async fn take_over(server: &mut Server, edition: u8, world: &World) {
    server.number(edition);
    let loaded = server.load();
    let socket = server.folder.path().join("state/onstage.sock");
    let stream = find_running(&socket).await.unwrap().expect("it runs");
    let next = Daemon::take_over(&loaded.plan, &loaded.network, stream).await.unwrap();
    world.served.store(edition, Ordering::Relaxed);
    let before = std::mem::replace(&mut server.daemon, next);
    before.succeeded().await;
    before.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_speaks_tls_https_or_quic_is_answered_throughout() {
    let mut server = Server::start("").await;
    let (world, door) = (Arc::<World>::default(), Door::of(&server));
    let who = Way::ALL.into_iter().flat_map(|way| [(way, Habit::Stays), (way, Habit::Comes)]);
    let mut asking: Vec<Asking> = who.map(|who| ask_on(&door, who, &world)).collect();
    for edition in 1..=6 {
        if edition > 1 {
            take_over(&mut server, edition, &world).await;
        }
        for Asking { who, seen, task } in &mut asking {
            tokio::select! {
                seen = timeout(PATIENCE, seen.wait_for(|&seen| seen == edition)) => {
                    seen.unwrap_or_else(|_| panic!("{who:?} is not answered by process {edition}")).unwrap();
                }
                ended = task => ended.unwrap(),
            }
        }
    }
    world.stop.store(true, Ordering::Relaxed);
    for asking in asking {
        timeout(PATIENCE, asking.task).await.expect("its last query is answered").unwrap();
    }
    let farewells = world.farewells[Way::Dot as usize].load(Ordering::Relaxed);
    assert!(farewells > 0, "the old process goes on with whom it knows: {world:?}");
    server.daemon.stop().await;
}
