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

/// A state, and how many were before it.
#[derive(Debug, Clone)]
pub struct Edition {
    /// Counts from 0.
    pub number: u64,
    /// What the next run should know.
    pub state: State,
}

impl Edition {
    /// The one after it.
    pub(super) const fn next(&self, state: State) -> Self {
        Self { number: self.number + 1, state }
    }
}

/// The state file and whether the newest state is in it.
#[derive(Debug)]
pub(super) struct Keeper {
    file: Arc<StateFile>,
    trouble: Trouble,
    written: watch::Sender<Written>,
}

/// How the last writing went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Which edition was to be written.
    pub(super) edition: u64,
    /// Why it was not; `None`: it was.
    pub(super) trouble: Option<String>,
}

/// Whether the last writing failed, which is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Told,
}

impl Keeper {
    pub(super) fn new(file: StateFile) -> Self {
        Self { file: Arc::new(file), trouble: Trouble::None, written: watch::Sender::default() }
    }

    /// News of each writing.
    pub(super) fn written(&self) -> watch::Receiver<Written> {
        self.written.subscribe()
    }

    /// Writes `state` now, which is before all editions.
    pub(super) fn keep_now(&mut self, state: &State) {
        let written = self.file.write(state);
        self.tell(0, written);
    }

    /// Writes each new state, or the newest of those that came while the disk was busy, until there are no more. It is
    /// given back then, with nothing left to write.
    pub(super) async fn keep(mut self, mut states: watch::Receiver<Edition>) -> Self {
        while self.has_to(&mut states).await {
            let (file, Edition { number, state }) =
                (Arc::clone(&self.file), states.borrow_and_update().clone());
            if let Ok(written) = spawn_blocking(move || file.write(&state)).await {
                self.tell(number, written);
            }
        }
        self
    }

    /// Waits until there is something to write; false: there never will be.
    async fn has_to(&self, states: &mut watch::Receiver<Edition>) -> bool {
        match self.trouble {
            Trouble::None => states.changed().await.is_ok(),
            Trouble::Told => timeout(RETRY, states.changed()).await.unwrap_or(Ok(())).is_ok(),
        }
    }

    fn tell(&mut self, edition: u64, written: std::io::Result<()>) {
        let trouble =
            written.as_ref().err().map(|e| format!("cannot write `{}`: {e}", self.file.path().display()));
        self.written.send_replace(Written { edition, trouble });
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

    fn edition(number: u32) -> Edition {
        Edition { number: number.into(), state: state(number) }
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
        let (states, news) = watch::channel(edition(1));
        let mut keeper = Keeper::new(file());
        let in_the_way = dir.path().join("state.json.draft");
        fs::create_dir(&in_the_way).unwrap();
        keeper.keep_now(&state(1));
        let mut written = keeper.written();
        let keeping = tokio::spawn(keeper.keep(news));
        states.send_replace(edition(2));
        tokio::time::sleep(3 * RETRY).await;
        let Written { edition: tried, trouble } = written.borrow_and_update().clone();
        assert!(tried == 2 && trouble.unwrap().contains("state.json"));
        assert!(matches!(file().read().unwrap(), Read::First));
        fs::remove_dir(&in_the_way).unwrap();
        tokio::time::sleep(2 * RETRY).await;
        assert_eq!(kept(&file()), state(2), "without further news");
        assert_eq!(*written.borrow(), Written { edition: 2, trouble: None });
        states.send_replace(edition(3));
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
