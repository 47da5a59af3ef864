//! Beside other servers: what they answer, and what they do with what onstage answers.

use std::process::Command;

/// Whether a program is installed. A test that needs it says loudly that it skips where it is not, and fails instead
/// where `ONSTAGE_PEERS=required` is set.
pub fn available(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let found = found.is_ok_and(|output| output.status.success());
    let required = std::env::var("ONSTAGE_PEERS").is_ok_and(|value| value == "required");
    assert!(found || !required, "{program} is missing, and ONSTAGE_PEERS=required");
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}
