//! `onstage demo`: the whole thing on loopback, without set-up, root or network.
//!
//! Three simulated masters with certificates of a CA that is made on the spot, a real daemon with a real config
//! and a real zone (both in memory), and a play: one master crashes, one freezes, one comes back, one shows a
//! certificate without the name that agents use. After each act the demo asks its own server over UDP, as a
//! resolver would, until the answer is what it should be, and says how long that took and why.

mod ca;
mod compiler;
mod jrubies;
mod master;
mod play;
mod stage;

use std::future::pending;
use std::io::{self, Write};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

pub use crate::probe::stub::addresses;
pub use ca::{Identity, SiteCa, Validity};
pub use compiler::Code;
pub use jrubies::Jrubies;
pub use master::{Master, Say};

use play::Play;
use stage::Stage;

/// Plays; `once`: and exits, instead of serving on until it is told to end.
pub fn run(once: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let played = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(play(once)));
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = say(&format!("\nThat did not go as told: {e}"));
            ExitCode::FAILURE
        }
    }
}

/// Why the demo failed.
type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn play(once: bool) -> Result<(), Failure> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut play = Play::new(Stage::set().await?);
    let played = tokio::select! {
        played = perform(&mut play, once) => played,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    play.close().await;
    played
}

async fn perform(play: &mut Play, once: bool) -> Result<(), Failure> {
    play.perform().await?;
    if !once {
        say("\nThat was the play. The server goes on answering; Ctrl-C ends it.")?;
        pending::<()>().await;
    }
    Ok(())
}

/// A line for the audience. Where nobody reads any more, the play is over.
fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
