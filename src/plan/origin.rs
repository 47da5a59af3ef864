//! Where a plan comes from: every file that was read for it, by what it said, so that anybody can see whether the files still say
//! the same.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use siphasher::sip::SipHasher24;

/// The files that a plan was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The config.
    pub config: PathBuf,
    /// When it was read, in seconds of Unix time.
    pub loaded: u32,
    /// Each file that was opened, with a mark of what it said; `None`: it could not be read.
    pub files: BTreeMap<PathBuf, Option<u64>>,
}

impl Origin {
    /// Notes a file that was read; `None`: it could not be.
    pub fn note(&mut self, path: &Path, said: Option<&[u8]>) {
        self.files.insert(path.to_owned(), said.map(mark));
    }

    /// What all of them said, as 16 hexadecimal digits. The same files have the same on every machine and in every version.
    pub fn hash(&self) -> String {
        let mut hasher = SipHasher24::new();
        for (path, said) in &self.files {
            path.as_os_str().as_encoded_bytes().hash(&mut hasher);
            said.hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }

    /// The same files as they are now, read by `read`.
    #[must_use]
    pub fn anew(&self, read: impl Fn(&Path) -> Option<Vec<u8>>) -> Self {
        let mut anew = Self { files: BTreeMap::new(), ..self.clone() };
        for path in self.files.keys() {
            anew.note(path, read(path).as_deref());
        }
        anew
    }
}

fn mark(said: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(said);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_say_something_else_are_noticed() {
        let mut origin = Origin::default();
        origin.note(Path::new("a"), Some(b"one"));
        origin.note(Path::new("b"), None);
        let said = |a: &'static [u8], b: Option<&'static [u8]>| {
            origin.anew(|path| if path == Path::new("a") { Some(a.to_vec()) } else { b.map(<[u8]>::to_vec) })
        };
        assert_eq!(said(b"one", None), origin);
        assert_eq!(said(b"one", None).hash(), origin.hash());
        for other in [said(b"two", None), said(b"one", Some(b""))] {
            assert_ne!(other, origin);
            assert_ne!(other.hash(), origin.hash());
        }
        assert_eq!(origin.hash().len(), 16);
    }
}
