//! Entries of systemd's journal, in its native protocol: a datagram with a field on each line.
//!
//! `MESSAGE` is the whole line, as `journalctl` shows nothing else; each field stands beside it as `ONSTAGE_FIELD`, to be
//! looked for. The socket does not block: a journal that hangs must not hang who directs. What it has no room for is
//! lost, and the next entry says how much.

use std::fmt::{Debug, Write};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::stat::fstat;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::Context;

use crate::prose::plural;

const SOCKET: &str = "/run/systemd/journal/socket";

/// Whether the service manager has connected standard error to the journal, and nobody has redirected it since.
pub(super) fn is_standard_error() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(io::stderr()).is_ok_and(|stat| is_stream(&stream, stat.st_dev, stat.st_ino))
}

/// `JOURNAL_STREAM` is device and inode (systemd.exec(5)).
fn is_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream == format!("{device}:{inode}")
}

/// A way to journald.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    /// Entries that it had no room for since the last one that it took.
    lost: AtomicU64,
}

impl Journal {
    /// # Errors
    /// Nobody listens there.
    pub(super) fn open() -> io::Result<Self> {
        Self::at(Path::new(SOCKET))
    }

    fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, lost: AtomicU64::new(0) })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let mut entry = Entry(Vec::new());
        entry.put("PRIORITY", priority(*event.metadata().level()));
        entry.put("SYSLOG_IDENTIFIER", "onstage");
        entry.put("MESSAGE", &message(event, lost));
        event.record(&mut entry);
        if self.socket.send(&entry.0).is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

/// The line that people read.
fn message(event: &Event<'_>, lost: u64) -> String {
    let mut line = String::new();
    if lost > 0 {
        let lost = plural(lost, "line is", "lines are");
        let _ = write!(line, "({lost} lost before this one: the journal was busy) ");
    }
    let _ = DefaultFields::new().format_fields(Writer::new(&mut line), event);
    line
}

/// As syslog(3) counts.
const fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

/// The bytes of one entry.
struct Entry(Vec<u8>);

impl Entry {
    /// A value with a line break goes with its length.
    fn put(&mut self, key: &str, value: &str) {
        self.0.extend_from_slice(key.as_bytes());
        if value.contains('\n') {
            self.0.push(b'\n');
            self.0.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "message" {
            self.put(&format!("ONSTAGE_{}", field.name().to_ascii_uppercase()), value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing::{info, warn};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn listener() -> (tempfile::TempDir, UnixDatagram, Journal) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixDatagram::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        (folder, listener, Journal::at(&path).unwrap())
    }

    fn heard(listener: &UnixDatagram) -> Option<String> {
        let mut entry = [0; 4096];
        let length = listener.recv(&mut entry).ok()?;
        Some(String::from_utf8(entry[..length].to_vec()).unwrap())
    }

    #[test]
    fn an_entry_has_a_line_for_people_and_fields_for_programs() {
        let (_folder, listener, journal) = listener();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(journal), || {
            let pool = "p.example.";
            info!(%pool, answered = 2, "pool");
            warn!(detail = "two\nlines", "member");
        });
        assert_eq!(
            heard(&listener).unwrap(),
            "PRIORITY=6\nSYSLOG_IDENTIFIER=onstage\nMESSAGE=pool pool=p.example. answered=2\n\
             ONSTAGE_POOL=p.example.\nONSTAGE_ANSWERED=2\n"
        );
        assert_eq!(
            heard(&listener).unwrap(),
            "PRIORITY=4\nSYSLOG_IDENTIFIER=onstage\nMESSAGE=member detail=\"two\\nlines\"\n\
             ONSTAGE_DETAIL\n\u{9}\0\0\0\0\0\0\0two\nlines\n"
        );
    }

    #[test]
    fn a_journal_that_hangs_holds_nobody_up_and_is_told_what_it_missed() {
        const MANY: u64 = 20_000; // more than any queue of the kernel holds
        let (_folder, listener, journal) = listener();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(journal), || {
            (0..MANY).for_each(|count| info!(count, "line"));
            let taken = std::iter::from_fn(|| heard(&listener)).count() as u64;
            assert!(taken < MANY, "{taken}");
            info!("again");
            let told = format!(
                "MESSAGE=({} lines are lost before this one: the journal was busy) again\n",
                MANY - taken
            );
            assert!(heard(&listener).unwrap().contains(&told));
        });
    }

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        assert!(is_stream("8:4711", 8, 4711));
        for other in ["8:4712", "9:4711", "", "8", "8:4711 "] {
            assert!(!is_stream(other, 8, 4711), "{other}");
        }
    }
}
