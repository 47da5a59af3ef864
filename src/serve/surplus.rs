//! UDP sockets of workers that are not wanted any more. What waits in one is lost when it is closed, and as long as it is in
//! the group of its port (`SO_REUSEPORT`), the kernel goes on choosing it. So it leaves the group first: the kernel passes a
//! connected socket over for queries of others than its peer (Linux 5.3, udp(7) does not say so), and nobody is its peer
//! where that is itself.
//!
//! ```text
//!  in the group ── connect(2) to itself ──▶ it gets no more ── what was on its way is in ──▶ its worker answers that, and ends
//! ```

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use super::place::{Protocol, Sockets};

/// How long a datagram may take from the choice of its socket into that.
const ON_ITS_WAY: Duration = Duration::from_millis(20);

/// Copies of sockets that nobody serves later.
#[derive(Debug, Default)]
pub struct Surplus(Vec<UdpSocket>);

impl Sockets {
    /// As many UDP sockets of plain DNS at each address as there are workers, if there are so many, and what is left over.
    pub fn for_workers(mut self, workers: NonZeroUsize) -> (Self, Surplus) {
        let plain = self.0.iter_mut().filter(|door| door.place.protocol == Protocol::Plain);
        let left = plain.flat_map(|door| door.udp.split_off(workers.get().min(door.udp.len()))).collect();
        (self, Surplus(left))
    }
}

impl Surplus {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns when they get no more.
    pub(super) async fn leave(self) {
        for socket in &self.0 {
            if let Err(e) = leave(socket) {
                warn!(%e, "a UDP socket cannot leave its port: a query may be lost there");
            }
        }
        if !self.0.is_empty() {
            sleep(ON_ITS_WAY).await;
        }
    }
}

fn leave(socket: &UdpSocket) -> io::Result<()> {
    let mut own = socket.local_addr()?;
    match &mut own {
        SocketAddr::V4(own) if own.ip().is_unspecified() => own.set_ip(Ipv4Addr::LOCALHOST),
        SocketAddr::V6(own) if own.ip().is_unspecified() => own.set_ip(Ipv6Addr::LOCALHOST),
        SocketAddr::V4(_) | SocketAddr::V6(_) => {}
    }
    socket.connect(own)
}
