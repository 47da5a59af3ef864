//! Beside other servers: whether they answer as onstage does, and what they make of what it answers.

mod delegation;
mod differential;
mod encrypted;
mod process;
mod rules;

pub use process::available;
