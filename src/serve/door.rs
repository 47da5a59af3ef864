//! An open door: one place at which clients are served. It is opened and closed by itself, so that a server may get and
//! lose addresses while it goes on at the others.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::accept::{Acceptor, Within};
use super::place::{Door, Protocol};
use super::tally::Tally;
use super::{House, quic, tls, udp};
use crate::config::Shown;

/// How long connections may take to end once their door closes.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A place that is served.
#[derive(Debug)]
pub(super) struct Open {
    /// Copies of its sockets, for whoever serves it next.
    pub(super) sockets: Door,
    house: House,
    udp: udp::Workers,
    tasks: TaskTracker,
    /// It closes when it is dropped, too.
    closing: DropGuard,
}

impl Open {
    /// Opens a door. `shown`: the certificate, without which nothing is encrypted.
    pub(super) fn new(door: Door, house: &House, shown: Option<&Shown>) -> io::Result<Self> {
        let sockets = door.try_clone()?;
        let house =
            House { stop: CancellationToken::new(), clients: house.clients.of_one_door(), ..house.clone() };
        let Door { place, udp, tcp } = door;
        let (datagrams, quic) = if place.protocol.has_quic() { (Vec::new(), udp) } else { (udp, Vec::new()) };
        let udp = udp::Workers::start(datagrams, &house.manner)?;
        let closing = house.stop.clone().drop_guard();
        let open = Self { sockets, house, udp, tasks: TaskTracker::new(), closing };
        match (place.protocol, shown) {
            (Protocol::Plain, _) => open.accept(tcp, |acceptor| acceptor)?,
            (_, None) => {}
            (Protocol::Dot, Some(shown)) => {
                let tls = tls::server(shown, b"dot");
                open.accept(tcp, |acceptor| acceptor.encrypted(tls, Within::Dns))?;
            }
            (Protocol::Doh, Some(shown)) => {
                let tls = tls::server(shown, b"h2");
                open.accept(tcp, |acceptor| acceptor.encrypted(tls, Within::Http))?;
                open.accept_quic(quic, shown, b"h3", Within::Http)?;
            }
            (Protocol::Doq, Some(shown)) => open.accept_quic(quic, shown, b"doq", Within::Dns)?,
        }
        open.tasks.close();
        Ok(open)
    }

    fn accept(
        &self,
        listener: Option<std::net::TcpListener>,
        dress: impl FnOnce(Acceptor) -> Acceptor,
    ) -> io::Result<()> {
        if let Some(listener) = listener {
            let acceptor = dress(Acceptor::new(self.house.clone()));
            self.tasks.spawn(acceptor.run(TcpListener::from_std(listener)?));
        }
        Ok(())
    }

    fn accept_quic(
        &self,
        sockets: Vec<std::net::UdpSocket>,
        shown: &Shown,
        protocol: &[u8],
        within: Within,
    ) -> io::Result<()> {
        for udp in sockets {
            let tls = tls::server(shown, protocol);
            self.tasks.spawn(quic::Acceptor::new(self.house.clone(), udp, tls, within)?.run());
        }
        Ok(())
    }

    /// What its workers count.
    pub(super) fn tallies(&self) -> &[Arc<Tally>] {
        self.udp.tallies()
    }

    /// Answers what has arrived, then closes.
    pub(super) async fn close(self) {
        let Self { sockets, house, udp, tasks, closing } = self;
        drop((closing, sockets));
        let udp = tokio::task::spawn_blocking(move || udp.stop());
        if timeout(LAST_WORDS, tasks.wait()).await.is_err() {
            house.clients.close_all();
            tasks.wait().await;
        }
        let _ = udp.await;
    }
}
