//! The `onstage` command.

fn main() {}
