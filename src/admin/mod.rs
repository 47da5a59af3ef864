//! What administrators see and touch while the server runs: one view of it, shown by each face in its own way.
//!
//! ```text
//!              ┌──▶ JSON over the control socket ──▶ `onstage status`
//!  Status ─────┼──▶ the dashboard
//!              └──▶ the metrics
//! ```
//!
//! Nothing here decides anything: a status is drawn by the director, orders are carried out by it.

pub mod journal;
pub mod metrics;
pub mod status;
