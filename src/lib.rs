//! onstage is an authoritative DNS server that answers only with servers that can serve.
//!
//! Data flows one way, and the modules are named after its stations:
//!
//! ```text
//! config + zones -> plan -> probe -> health -> snapshot -> answer -> serve
//! ```
//!
//! Nothing below `serve` and `probe` knows a socket, a clock, a task or a log. `ARCHITECTURE.md` has
//! the levels and the invariants; `tests/architecture.rs` enforces them.

pub mod name;
pub mod prose;
pub mod report;
pub mod units;

pub mod config;
pub mod health;
pub mod zone;

pub mod plan;

pub mod snapshot;

pub mod answer;

pub mod probe;
pub mod serve;

pub mod admin;

pub mod daemon;

pub mod cli;
pub mod demo;
