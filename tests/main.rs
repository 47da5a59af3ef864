//! The one integration binary: everything that is seen from outside the library.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::struct_excessive_bools,
    unreachable_pub,
    reason = "a test stops at the first surprise, and says loudly what it skips"
)]

mod admin;
mod answer;
mod architecture;
mod cli;
mod config;
mod counts;
mod docs;
mod encrypted;
mod exec;
mod fixtures;
mod guard;
mod harness;
mod joined;
mod killed;
mod masters;
mod metrics;
mod orders;
mod peers;
mod postgres;
mod probe;
mod reload;
mod serve;
mod takeover;
mod tap;
mod told;
mod watch;
mod zone;
