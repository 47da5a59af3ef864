//! Who asks: orders carry it.

use std::net::{IpAddr, Ipv4Addr};

use nix::unistd::{Uid, User};
use tokio::task::spawn_blocking;

use crate::health::Remark;

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Caller {
    /// A user of this machine, by id, over the control socket: the kernel says so.
    User(u32),
    /// Somebody over TCP.
    From(IpAddr),
}

impl Caller {
    /// What its connections are counted by.
    pub(super) const fn addr(self) -> IpAddr {
        match self {
            Self::User(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Self::From(addr) => addr,
        }
    }

    /// What goes into the log and the order: `alice (uid 1000)`, `token from 192.0.2.7`. Names may come from the network, so
    /// that others wait elsewhere.
    pub(super) async fn name(self) -> Remark {
        match self {
            Self::From(addr) => Remark::of_holder(addr),
            Self::User(uid) => {
                let user = spawn_blocking(move || User::from_uid(Uid::from_raw(uid))).await;
                let name = user.ok().and_then(Result::ok).flatten().map(|user| user.name);
                let named = name.and_then(|name| Remark::new(&format!("{name} (uid {uid})")).ok());
                named.unwrap_or_else(|| Remark::of_uid(uid))
            }
        }
    }
}
