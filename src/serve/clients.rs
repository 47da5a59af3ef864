//! Who is connected: limits in all and for each client, and who has to go when there are too many.
//!
//! At the limit the connection that has been silent longest is closed for the new one: a client that opens
//! connections and says nothing only closes its own. A client over its own limit is not let in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Tcp;

/// All connections; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    limits: Tcp,
    guests: Arc<Mutex<Guests>>,
    /// By which door they come in here.
    door: u64,
}

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    all: HashMap<u64, Guest>,
    by_client: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Guest {
    client: IpAddr,
    door: u64,
    heard: Instant,
    leave: CancellationToken,
}

/// The right to be connected; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    clients: Clients,
    id: u64,
    /// Cancelled when somebody else needs the seat more.
    pub(crate) leave: CancellationToken,
}

impl Clients {
    pub(crate) fn new(limits: Tcp) -> Self {
        Self { limits, guests: Arc::default(), door: 0 }
    }

    /// The same clients, and who comes in by one more door.
    pub(super) fn of_one_door(&self) -> Self {
        let mut guests = self.guests();
        guests.next += 1;
        Self { limits: self.limits, guests: Arc::clone(&self.guests), door: guests.next }
    }

    /// How many there may be.
    pub(crate) const fn most(&self) -> usize {
        self.limits.clients.get()
    }

    /// A seat for a client, unless it has too many already.
    pub(crate) fn seat(&self, addr: IpAddr) -> Option<Seat> {
        let client = network(addr);
        let mut guests = self.guests();
        let count = guests.by_client.entry(client).or_default();
        if *count >= self.limits.per_client.get() {
            return None;
        }
        *count += 1;
        if guests.all.len() >= self.limits.clients.get() {
            guests.ask_silent_to_leave();
        }
        let (id, leave) = (guests.next, CancellationToken::new());
        guests.next += 1;
        guests.all.insert(id, Guest { client, door: self.door, heard: Instant::now(), leave: leave.clone() });
        drop(guests);
        Some(Seat { clients: self.clone(), id, leave })
    }

    /// Makes the connection that has been silent longest leave: descriptors have run out.
    pub(crate) fn make_room(&self) {
        self.guests().ask_silent_to_leave();
    }

    /// Makes all connections of this door leave: their time is over.
    pub(crate) fn close_all(&self) {
        let guests = self.guests();
        let own = guests.all.values().filter(|guest| guest.door == self.door);
        own.for_each(|guest| guest.leave.cancel());
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock()
    }
}

impl Guests {
    /// The one asked gives its place up at once, so that the next one to be asked is another.
    fn ask_silent_to_leave(&mut self) {
        let silent = self.all.iter().min_by_key(|(_, guest)| guest.heard).map(|(&id, _)| id);
        if let Some(guest) = silent.and_then(|id| self.remove(id)) {
            guest.leave.cancel();
        }
    }

    fn remove(&mut self, id: u64) -> Option<Guest> {
        let guest = self.all.remove(&id)?;
        if let Some(count) = self.by_client.get_mut(&guest.client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&guest.client);
            }
        }
        Some(guest)
    }
}

impl Seat {
    /// The client has just said something.
    pub(crate) fn heard(&self) {
        if let Some(guest) = self.clients.guests().all.get_mut(&self.id) {
            guest.heard = Instant::now();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.clients.guests().remove(self.id);
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 /64, which one host has to itself.
fn network(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(_) => addr,
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use super::*;

    fn clients(all: usize, per_client: usize) -> Clients {
        let (clients, per_client) = (NonZeroUsize::new(all).unwrap(), NonZeroUsize::new(per_client).unwrap());
        Clients::new(Tcp { clients, per_client, idle: Duration::from_secs(10) })
    }

    fn v4(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[tokio::test(start_paused = true)]
    async fn the_most_silent_leaves_for_a_new_client() {
        let clients = clients(2, 2);
        let first = clients.seat(v4(1)).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = clients.seat(v4(2)).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        first.heard();
        let third = clients.seat(v4(3)).unwrap();
        assert!(second.leave.is_cancelled() && !first.leave.is_cancelled() && !third.leave.is_cancelled());
    }

    #[tokio::test]
    async fn a_client_over_its_own_limit_is_not_let_in() {
        let clients = clients(10, 2);
        let _first = clients.seat(v4(1)).unwrap();
        let second = clients.seat(v4(1)).unwrap();
        assert!(clients.seat(v4(1)).is_none());
        assert!(clients.seat(v4(2)).is_some());
        drop(second);
        assert!(clients.seat(v4(1)).is_some(), "a seat is given back");
    }

    #[tokio::test]
    async fn at_the_end_of_a_door_all_leave_who_came_in_there() {
        let clients = clients(4, 2);
        let doors = [clients.of_one_door(), clients.of_one_door()];
        let seats = doors.each_ref().map(|door| [1, 2].map(|last| door.seat(v4(last)).unwrap()));
        assert!(doors[0].seat(v4(1)).is_none(), "limits hold for all doors together");
        doors[0].close_all();
        let left = seats.each_ref().map(|seats| seats.each_ref().map(|seat| seat.leave.is_cancelled()));
        assert_eq!(left, [[true; 2], [false; 2]]);
    }

    #[test]
    fn an_ipv6_host_is_a_64() {
        let addr = |text: &str| network(text.parse().unwrap());
        assert_eq!(addr("2001:db8::1"), addr("2001:db8::2:3:4:5"));
        assert_ne!(addr("2001:db8::1"), addr("2001:db8:0:1::1"));
    }
}
