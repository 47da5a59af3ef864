//! A simulated Puppet master: a status endpoint over HTTPS, and all the ways in which a real one fails.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ca::Identity;
use super::compiler::{self, Code};
use super::jrubies::Jrubies;

/// Connections that nobody has accepted yet: a frozen master has some, and one that plays thousands has bursts.
const BACKLOG: u32 = 1024;

/// What a master says to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Say {
    /// 200 `running`.
    Running,
    /// The same, but later.
    Slow(Duration),
    /// Another status code, with this body.
    Http(u16, &'static str),
    /// These bytes, then the end of the connection.
    Raw(&'static str),
    /// A body without an end.
    Endless,
    /// One byte a time, this far apart, for ever.
    Trickle(Duration),
    /// To go to this port on the same address.
    Redirect(u16),
}

/// A running (or crashed, or frozen) master.
#[derive(Debug)]
pub struct Master {
    addr: SocketAddr,
    mind: Arc<Mind>,
    listening: Option<Listening>,
}

/// The task that accepts; everything it started ends with it.
#[derive(Debug)]
struct Listening {
    task: JoinHandle<()>,
    end: DropGuard,
}

/// What all connections of a master share.
#[derive(Debug)]
struct Mind {
    identity: Mutex<Option<Identity>>,
    script: Mutex<VecDeque<Say>>,
    manner: Mutex<Say>,
    jrubies: Mutex<Jrubies>,
    code: Mutex<Code>,
    heard: Mutex<String>,
    requests: AtomicUsize,
    frozen: watch::Sender<bool>,
}

impl Master {
    /// Listens on `addr` and says `running`. Without an identity it speaks plain HTTP. Must be called on a runtime.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn start(addr: SocketAddr, identity: Option<Identity>) -> io::Result<Self> {
        let mind = Arc::new(Mind {
            identity: Mutex::new(identity),
            script: Mutex::default(),
            manner: Mutex::new(Say::Running),
            jrubies: Mutex::default(),
            code: Mutex::default(),
            heard: Mutex::default(),
            requests: AtomicUsize::new(0),
            frozen: watch::Sender::new(false),
        });
        let mut master = Self { addr, mind, listening: None };
        master.come_back()?;
        Ok(master)
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many requests it has read.
    pub fn requests(&self) -> usize {
        self.mind.requests.load(Ordering::Relaxed)
    }

    /// What it says to the next requests, one after another.
    pub fn say(&self, script: impl IntoIterator<Item = Say>) {
        self.mind.script.lock().extend(script);
    }

    /// What it says when there is no script.
    pub fn always_say(&self, manner: Say) {
        *self.mind.manner.lock() = manner;
    }

    /// What it tells of its JRuby instances while it is running.
    pub fn occupy(&self, jrubies: Jrubies) {
        *self.mind.jrubies.lock() = jrubies;
    }

    /// From now on it serves this code.
    pub fn deploy(&self, code: Code) {
        *self.mind.code.lock() = code;
    }

    /// The last request that it read: head and body, as they came.
    pub fn heard(&self) -> String {
        self.mind.heard.lock().clone()
    }

    /// From the next connection on it shows another certificate.
    pub fn present(&self, identity: Identity) {
        *self.mind.identity.lock() = Some(identity);
    }

    /// Dies: its connections are closed, new ones refused.
    pub async fn crash(&mut self) {
        if let Some(Listening { task, end }) = self.listening.take() {
            drop(end);
            let _ = task.await;
        }
    }

    /// Stops, as with SIGSTOP: the kernel goes on accepting connections, nobody speaks on them.
    pub fn freeze(&self) {
        self.mind.frozen.send_replace(true);
    }

    /// Goes on after a freeze, or listens again after a crash.
    ///
    /// # Errors
    /// The address was taken meanwhile.
    pub fn come_back(&mut self) -> io::Result<()> {
        self.mind.frozen.send_replace(false);
        if self.listening.is_some() {
            return Ok(());
        }
        let listener = listen(self.addr)?;
        self.addr = listener.local_addr()?;
        let end = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&self.mind).accept(listener, end.clone()));
        self.listening = Some(Listening { task, end: end.drop_guard() });
        Ok(())
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

impl Mind {
    async fn accept(self: Arc<Self>, listener: TcpListener, end: CancellationToken) {
        let accept = async {
            loop {
                self.thawed().await;
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(end.clone().run_until_cancelled_owned(Arc::clone(&self).serve(stream)));
                }
            }
        };
        let _: Option<()> = end.run_until_cancelled(accept).await;
    }

    async fn thawed(&self) {
        // The sender lives as long as this does, so there is always somebody to wait for.
        let _ = self.frozen.subscribe().wait_for(|frozen| !frozen).await;
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        self.thawed().await;
        let identity = self.identity.lock().clone();
        let _ = match identity {
            None => self.reply(stream).await,
            Some(Identity(config)) => match TlsAcceptor::from(config).accept(stream).await {
                Ok(stream) => self.reply(stream).await,
                Err(e) => Err(e),
            },
        };
    }

    async fn reply(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let request = read_request(&mut stream).await?;
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        *self.heard.lock() = request;
        self.thawed().await;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let scripted = self.script.lock().pop_front();
        let manner = scripted.unwrap_or(*self.manner.lock());
        let known = matches!(
            path.as_str(),
            "/" | "/status/v1/simple" | "/status/v1/simple/server" | "/status/v1/simple/master"
        );
        let text = match manner {
            Say::Running if path.starts_with(compiler::PATH) => {
                let node = path[compiler::PATH.len()..].split('?').next().unwrap_or_default();
                let (status, body) = self.code.lock().compiled(node);
                http(status, &body)
            }
            Say::Running if path.starts_with(Jrubies::PATH) => http(200, &self.jrubies.lock().told()),
            Say::Running | Say::Slow(_) if !known => http(404, "not found"),
            Say::Running => http(200, "running"),
            Say::Slow(pause) => {
                sleep(pause).await;
                http(200, "running")
            }
            Say::Http(status, body) => http(status, body),
            Say::Raw(bytes) => bytes.to_owned(),
            Say::Redirect(port) => format!(
                "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:{port}/\r\nContent-Length: 0\r\n\r\n"
            ),
            Say::Endless => return repeat(&mut stream, &[b'x'; 16 * 1024], Duration::ZERO).await,
            Say::Trickle(pause) => return repeat(&mut stream, b"x", pause).await,
        };
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    }
}

/// A whole request.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut request = Vec::new();
    while !is_whole(&String::from_utf8_lossy(&request)) {
        if stream.read_buf(&mut request).await? == 0 || !request[0].is_ascii_alphabetic() {
            return Err(io::ErrorKind::InvalidData.into()); // it left, or speaks something else
        }
    }
    Ok(String::from_utf8_lossy(&request).into_owned())
}

/// Whether a request has its head, and as much of a body as that announces.
fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().filter_map(|line| line.split_once(": "));
    let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.filter_map(|(_, value)| value.parse().ok()).next_back();
    body.len() >= length.unwrap_or(0)
}

fn http(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Status\r\nContent-Type: text/plain;charset=utf-8\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// A body without an end, until the client leaves.
async fn repeat(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8], pause: Duration) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await?;
    loop {
        stream.write_all(bytes).await?;
        stream.flush().await?;
        if !pause.is_zero() {
            sleep(pause).await; // a timer takes a millisecond at the least
        }
    }
}
