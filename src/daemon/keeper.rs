//! Writes the state file beside everything else, never in its way.
//!
//! ```text
//!  news ──▶ write ──▶ kept ──▶ wait for news
//!             ▲  │
//!             │  └──▶ not kept ──▶ wait for news, or for RETRY
//!             └─────────────────────────┘
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{error, info};

use super::state::{State, StateFile};

/// How long after a failure it is tried again: there may be room by then.
const RETRY: Duration = Duration::from_secs(10);

/// The state file and whether the newest state is in it.
#[derive(Debug)]
pub(super) struct Keeper {
    file: Arc<StateFile>,
    trouble: Trouble,
}

/// Whether the last writing failed, which is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Told,
}

impl Keeper {
    pub(super) fn new(file: StateFile) -> Self {
        Self { file: Arc::new(file), trouble: Trouble::None }
    }

    /// Writes `state` now.
    pub(super) fn keep_now(&mut self, state: &State) {
        let written = self.file.write(state);
        self.tell(written);
    }

    /// Writes each new state, or the newest of those that came while the disk was busy, until there are no more. It is
    /// given back then, with nothing left to write.
    pub(super) async fn keep(mut self, mut states: watch::Receiver<State>) -> Self {
        while self.has_to(&mut states).await {
            let (file, state) = (Arc::clone(&self.file), states.borrow_and_update().clone());
            if let Ok(written) = spawn_blocking(move || file.write(&state)).await {
                self.tell(written);
            }
        }
        self
    }

    /// Waits until there is something to write; false: there never will be.
    async fn has_to(&self, states: &mut watch::Receiver<State>) -> bool {
        match self.trouble {
            Trouble::None => states.changed().await.is_ok(),
            Trouble::Told => timeout(RETRY, states.changed()).await.unwrap_or(Ok(())).is_ok(),
        }
    }

    fn tell(&mut self, written: std::io::Result<()>) {
        let file = self.file.path().display();
        match (written, self.trouble) {
            (Err(e), Trouble::None) => {
                error!(%file, %e, "cannot keep state: a restart would not know of orders and health since the last time");
                self.trouble = Trouble::Told;
            }
            (Ok(()), Trouble::Told) => {
                info!(%file, "state is kept again");
                self.trouble = Trouble::None;
            }
            (Ok(()), Trouble::None) | (Err(_), Trouble::Told) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::daemon::state::Read;
    use crate::units::Serial;

    fn state(serial: u32) -> State {
        State { serials: [("p.example".to_owned(), Serial(serial))].into(), ..State::default() }
    }

    fn kept(file: &StateFile) -> State {
        match file.read().unwrap() {
            Read::State(state) => state,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_written_is_written_when_there_is_a_way() {
        let dir = tempfile::tempdir().unwrap();
        let file = || StateFile::in_dir(dir.path()).unwrap();
        let (states, news) = watch::channel(state(1));
        let mut keeper = Keeper::new(file());
        let in_the_way = dir.path().join("state.json.draft");
        fs::create_dir(&in_the_way).unwrap();
        keeper.keep_now(&state(1));
        let keeping = tokio::spawn(keeper.keep(news));
        states.send_replace(state(2));
        tokio::time::sleep(3 * RETRY).await;
        assert!(matches!(file().read().unwrap(), Read::First));
        fs::remove_dir(&in_the_way).unwrap();
        tokio::time::sleep(2 * RETRY).await;
        assert_eq!(kept(&file()), state(2), "without further news");
        states.send_replace(state(3));
        drop(states);
        keeping.await.unwrap();
        assert_eq!(kept(&file()), state(3), "the last one, too");
    }

    /// Every write to `/dev/full` says that there is no room.
    #[tokio::test(start_paused = true)]
    async fn a_full_disk_keeps_the_file_that_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = || StateFile::in_dir(dir.path()).unwrap();
        let mut keeper = Keeper::new(file());
        keeper.keep_now(&state(1));
        symlink("/dev/full", dir.path().join("state.json.draft")).unwrap();
        keeper.keep_now(&state(2));
        assert_eq!((keeper.trouble, kept(&file())), (Trouble::Told, state(1)));
        keeper.keep_now(&state(3));
        assert_eq!((keeper.trouble, kept(&file())), (Trouble::None, state(3)));
    }
}
