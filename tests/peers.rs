//! Beside other servers: whether they answer as onstage does, and what they make of what it answers.

mod delegation;
mod differential;
mod process;

pub use process::available;
