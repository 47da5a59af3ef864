//! A prober that has run out of descriptors says so, and does not blame the member.

use std::fs;
use std::process::Command;

use onstage::health::Reason;

use super::master;
use super::site::{config, zone};

#[tokio::test]
async fn a_prober_without_descriptors_blames_itself() {
    let member = master(None);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("onstage.toml");
    fs::write(&file, config(member.addr(), "tcp = { port = 1 }")).unwrap();
    fs::write(folder.path().join("zone"), zone(member.addr())).unwrap();
    // How many it needs besides the one that it lacks is the runtime's affair: from too few to enough.
    let told: Vec<String> = (3..30)
        .map(|most| {
            let words = format!(
                "ulimit -n {most}; exec {} probe --here -c {}",
                env!("CARGO_BIN_EXE_onstage"),
                file.display()
            );
            let output = Command::new("sh").args(["-c", &words]).output().unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
        .collect();
    let blames_itself = format!("fail: {}: Too many open files", Reason::Prober);
    assert!(told.iter().any(|told| told.contains(&blames_itself)), "{told:?}");
    assert!(told.last().unwrap().contains("verdict  pass"), "{told:?}");
    assert!(told.iter().all(|told| !told.contains("unreachable") && !told.contains("refused")), "{told:?}");
}
