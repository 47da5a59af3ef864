//! What one run leaves for the next: serials that never fall, the health that was last observed, and orders.
//!
//! A serial is *leased*: the file names one that is ahead of what is served, so that publishing never waits for
//! a disk, and a crash skips a few serials instead of repeating one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::health::Order;
use crate::units::Serial;

/// How far ahead of the serials in use the file is.
const LEASE: u32 = 1024;

/// The file `state.json` in the state directory.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
}

/// What it says. What a later version says besides is passed over: to set the file aside for it would cost serials and orders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// By zone name: no serial after this one was ever answered.
    pub serials: BTreeMap<String, Serial>,
    /// By probe key: whether the member was up.
    pub up: BTreeMap<String, bool>,
    /// By member key: what operators want of members. Left out where there is none, so that versions without orders can
    /// read it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub orders: BTreeMap<String, Order>,
}

/// How reading went.
#[derive(Debug)]
pub enum Read {
    /// There is none: the first run.
    First,
    /// As it was left.
    State(State),
    /// It is torn, or not ours. It was moved to the path given, and nothing is known.
    SetAside(PathBuf, String),
}

impl StateFile {
    /// The file in `dir`, which is made if it is missing.
    ///
    /// # Errors
    /// The directory cannot be made or written to. A disk that is full is none: there may be room later, and DNS must
    /// answer meanwhile.
    pub fn in_dir(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let probe = dir.join(".writable");
        File::create(&probe).and_then(|_| fs::remove_file(&probe)).or_else(unless_full)?;
        Ok(Self { path: dir.join("state.json") })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the last run left.
    ///
    /// # Errors
    /// It is there, but cannot be read or moved.
    pub fn read(&self) -> io::Result<Read> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Read::First),
            Err(e) => return Err(e),
        };
        match serde_json::from_slice(&text) {
            Ok(state) => Ok(Read::State(state)),
            Err(e) => {
                let aside = self.path.with_extension("json.unreadable");
                fs::rename(&self.path, &aside)?;
                Ok(Read::SetAside(aside, e.to_string()))
            }
        }
    }

    /// Writes the whole file, or leaves the old one as it is. What was written is there after a power failure, too.
    ///
    /// # Errors
    /// No room, no permission.
    pub fn write(&self, state: &State) -> io::Result<()> {
        let draft = self.path.with_extension("json.draft");
        let written = write_draft(&draft, state).and_then(|()| fs::rename(&draft, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&draft); // half a draft is no use, and takes room
        }
        written?;
        self.path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    }
}

fn write_draft(draft: &Path, state: &State) -> io::Result<()> {
    let mut file = File::create(draft)?;
    file.write_all(&serde_json::to_vec_pretty(state)?)?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn unless_full(e: io::Error) -> io::Result<()> {
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Ok(()),
        _ => Err(e),
    }
}

/// The serial of one zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    now: Serial,
}

impl Lease {
    /// The serial to start with: the zone file's, unless a later one may have been answered already.
    pub fn start(in_file: Serial, stored: Option<Serial>) -> Self {
        let now = match stored {
            Some(stored) if !in_file.is_after(stored) => stored.next(),
            _ => in_file,
        };
        Self { now }
    }

    /// The serial to go on with after `served` was answered, which is to be the next one if anything else is answered now.
    pub const fn follow(in_file: Serial, served: Serial) -> Self {
        Self { now: if in_file.is_after(served) { in_file } else { served } }
    }

    /// The serial now.
    pub const fn now(self) -> Serial {
        self.now
    }

    /// The next serial.
    pub fn advance(&mut self) {
        self.now = self.now.next();
    }

    /// What has to be in the file from now on.
    pub const fn stored(self) -> Serial {
        Serial(self.now.0.wrapping_add(LEASE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::in_dir(&dir.path().join("new")).unwrap();
        assert!(matches!(file.read().unwrap(), Read::First));
        let mut state = State::default();
        state.serials.insert("puppet.example.org".to_owned(), Serial(7));
        state.up.insert("puppetserver 127.0.0.1:8140".to_owned(), true);
        file.write(&state).unwrap();
        let Read::State(read) = file.read().unwrap() else { panic!("not read") };
        assert_eq!(read, state);
    }

    #[test]
    fn a_torn_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::in_dir(dir.path()).unwrap();
        fs::write(file.path(), r#"{"serials": {"pup"#).unwrap();
        let Read::SetAside(aside, _) = file.read().unwrap() else { panic!("was believed") };
        assert_eq!(fs::read_to_string(aside).unwrap(), r#"{"serials": {"pup"#);
        assert!(matches!(file.read().unwrap(), Read::First));
    }

    #[test]
    fn a_file_that_cannot_be_written_keeps_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::in_dir(dir.path()).unwrap();
        file.write(&State::default()).unwrap();
        fs::create_dir(dir.path().join("state.json.draft")).unwrap();
        assert!(file.write(&State::default()).is_err());
        assert!(matches!(file.read().unwrap(), Read::State(_)));
    }

    #[test]
    fn a_serial_never_falls_across_a_crash() {
        let mut lease = Lease::start(Serial(5), None);
        assert_eq!(lease.now(), Serial(5));
        let stored = lease.stored();
        for _ in 0..LEASE {
            lease.advance();
            assert!(!lease.now().is_after(stored));
        }
        let after_crash = Lease::start(Serial(5), Some(stored));
        assert!(after_crash.now().is_after(lease.now()));
    }

    #[test]
    fn a_newer_zone_file_has_its_way() {
        assert_eq!(Lease::start(Serial(2_026_112_401), Some(Serial(9))).now(), Serial(2_026_112_401));
        assert_eq!(Lease::start(Serial(3), Some(Serial(9))).now(), Serial(10));
        assert_eq!(Lease::start(Serial(9), Some(Serial(9))).now(), Serial(10));
    }

    /// Going back to this version must not cost the serials and the orders.
    #[test]
    fn what_a_later_version_has_written_is_read_as_far_as_it_is_understood() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::in_dir(dir.path()).unwrap();
        let order = r#"{"word": "drain", "who": "root", "why": "disk", "since": 7, "ticket": "OPS-1"}"#;
        let text = format!(
            r#"{{"serials": {{"p.example": 9}}, "up": {{}}, "orders": {{"p.example A 192.0.2.1": {order}}}, "epoch": 2}}"#
        );
        fs::write(file.path(), text).unwrap();
        let Read::State(state) = file.read().unwrap() else { panic!("set aside") };
        assert_eq!((state.serials["p.example"], state.orders.len()), (Serial(9), 1));
    }
}
