//! What administrators see and touch while the server runs: one view of it, shown by each face in its own way, and one way to
//! steer it.
//!
//! ```text
//!              ┌──▶ JSON over the control socket ──▶ `onstage status`
//!  Status ─────┼──▶ the dashboard
//!              └──▶ the metrics
//!
//!  `onstage drain` ──▶ control socket ──▶ who asks? (SO_PEERCRED) ──▶ Running ──▶ the director
//! ```
//!
//! Nothing here decides anything: a status is drawn by the director, orders are carried out by it. What a running server is
//! asked goes through [`Running`], so that no face knows how it is built.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 9110, 9112 | HTTP/1.1 over a Unix socket, and over TCP for reading | hyper; bodies up to 16 KiB |
//! | 9110 §7.8 | `Upgrade: onstage-takeover` | the socket alone |
//! | HTML, server-sent events | `GET /v1/events` | whole statuses; a client that is slow misses some |

mod accept;
mod asked;
mod caller;
mod door;
mod events;
mod gate;
pub mod journal;
pub mod metrics;
mod page;
pub mod probed;
mod refused;
mod router;
mod running;
mod socket;
pub mod status;
mod taken;

pub use asked::{Effect, Left, OrderRequest, Preview, ProbeRequest, ReleaseRequest, Reloaded};
pub use door::{DoorError, Doors, Entrance};
pub use refused::{Kind, Refused};
pub use running::{Running, TAKEOVER};
