//! The `onstage` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    onstage::cli::run()
}
