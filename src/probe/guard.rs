//! Guards: addresses that answer as long as the network is there. They are asked only while onstage suspects itself.
//!
//! Any answer will do, be it a refused connection. Only silence, or word that there is no way, speaks against the network.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

/// Asks one guard. The real one dials; tests script theirs.
pub trait Vouch: Send + Sync + 'static {
    /// Whether anything comes back from it.
    fn vouches(&self, guard: SocketAddr) -> impl Future<Output = bool> + Send;
}

/// Dials a guard: whether it accepts or refuses, it answers.
pub async fn dial(guard: SocketAddr) -> bool {
    match TcpStream::connect(guard).await {
        Ok(_) => true,
        Err(e) => matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset),
    }
}

/// Asks all guards once, and says which of them are silent: nothing would ever be vouched for by those.
pub async fn inspect(guards: Vec<SocketAddr>, vouch: Arc<impl Vouch>, patience: Duration) {
    let end = Instant::now() + patience;
    let mut asked = ask(&guards, &vouch, end);
    while let Some(answer) = asked.join_next().await {
        if let Ok((guard, false)) = answer {
            warn!(%guard, "the guard does not answer: it cannot vouch for the network");
        }
    }
}

/// Asks all guards while there is a `suspicion`, once an `interval`; who answers first is told.
pub async fn stand(
    guards: Vec<SocketAddr>,
    vouch: Arc<impl Vouch>,
    interval: Duration,
    mut suspicion: watch::Receiver<bool>,
    answers: mpsc::Sender<SocketAddr>,
) {
    while suspicion.wait_for(|&is_there| is_there).await.is_ok() {
        let end = Instant::now() + interval;
        if let Some(guard) = first_answer(ask(&guards, &vouch, end)).await {
            let _ = answers.send(guard).await; // who does not listen any more ends this, too
            let _ = suspicion.changed().await;
        } else {
            let _ = timeout_at(end, suspicion.changed()).await;
        }
    }
}

async fn first_answer(mut asked: JoinSet<(SocketAddr, bool)>) -> Option<SocketAddr> {
    while let Some(answer) = asked.join_next().await {
        if let Ok((guard, true)) = answer {
            return Some(guard);
        }
    }
    None
}

/// Asks all of them at once; who has not answered by `end` is silent.
fn ask(guards: &[SocketAddr], vouch: &Arc<impl Vouch>, end: Instant) -> JoinSet<(SocketAddr, bool)> {
    let one = |&guard: &SocketAddr| {
        let vouch = Arc::clone(vouch);
        async move { (guard, timeout_at(end, vouch.vouches(guard)).await.unwrap_or(false)) }
    };
    guards.iter().map(one).collect()
}
