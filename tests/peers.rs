//! Beside other servers: whether they answer as onstage does, and what they make of what it answers.

mod ask;
mod cluster;
mod delegation;
mod differential;
mod encrypted;
mod generate;
mod postgres;
mod process;
mod questions;
mod rules;
mod told;
mod zone;

pub use ask::Question;
pub use generate::zones;
pub use process::available;
pub use questions::drawn;
pub use zone::Zone;
