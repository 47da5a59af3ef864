//! Certificates that are shown, to clients or to members, are read again when their files change, and when the operator
//! says so.
//!
//! What is looked at is what the files say, not when they were written: copies, links that are turned, and clocks that
//! were set make no difference. A certificate and its key are two files and are never replaced in one instant, so what
//! cannot be used is told only if it still says the same at the next look; what is shown meanwhile is the old one.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::admin::status::{Certificate, is_soon};
use crate::config::{Identity, Watched};

/// From one look at the files to the next.
const PERIOD: Duration = Duration::from_secs(5);

/// Every certificate that is shown to anybody; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Renewal(Arc<[(Watched, Mutex<Watch>)]>);

impl Renewal {
    pub(super) fn new(watched: &[Watched]) -> Self {
        Self(watched.iter().map(|watched| (watched.clone(), Mutex::default())).collect())
    }

    /// What is shown at `now`, in seconds of Unix time.
    pub(super) fn certificates(&self, now: u32) -> Vec<Certificate> {
        let shown = self.0.iter().filter_map(|(Watched { files, shown }, _)| {
            let file = files.certificate.value.display().to_string();
            let expires = shown.valid_until()?;
            Some(Certificate { file, expires, expires_soon: is_soon(expires, now) })
        });
        shown.collect()
    }

    /// Looks now and then, as long as there is something to look at.
    pub(super) async fn run(self) {
        let mut looks = interval(PERIOD); // its first tick is now: the files may have changed since they were loaded
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.0.is_empty() {
            looks.tick().await;
            self.look().await;
        }
    }

    /// Looks now.
    pub(super) async fn look(&self) {
        let renewal = self.clone();
        let look = move || renewal.0.iter().for_each(|(watched, watch)| look(watched, watch));
        let _ = spawn_blocking(look).await;
    }
}

fn look(watched: &Watched, watch: &Mutex<Watch>) {
    let Watched { files, shown } = watched;
    let (certificate, key) = (files.certificate.value.display(), files.key.value.display());
    let said = Said::read(&files.certificate.value, &files.key.value, |path| std::fs::read(path));
    let news = watch.lock().see(said);
    match news {
        Some(News::Read(identity)) if shown.is(&identity) => {}
        Some(News::Read(identity)) => {
            shown.replace(&identity);
            info!(%certificate, "this certificate is shown from now on");
        }
        Some(News::Unusable(why)) => {
            warn!(%certificate, %key, why, "cannot be used: the certificate is shown as it was before");
        }
        None => {}
    }
}

/// What the files said at one look: the texts of certificate and key, or why they cannot be read.
#[derive(Debug, PartialEq, Eq)]
struct Said(Result<(Vec<u8>, Vec<u8>), String>);

impl Said {
    fn read(certificate: &Path, key: &Path, read: impl Fn(&Path) -> io::Result<Vec<u8>>) -> Self {
        let read = |path: &Path| read(path).map_err(|e| format!("cannot read `{}`: {e}", path.display()));
        Self(read(certificate).and_then(|certificate| Ok((certificate, read(key)?))))
    }

    fn identity(&self) -> Result<Identity, String> {
        let (certificate, key) = self.0.as_ref().map_err(Clone::clone)?;
        Identity::from_pem(certificate, key).map_err(|e| e.to_string())
    }
}

/// What the last look saw, and what of it is wrong and not yet told.
#[derive(Debug, Default)]
struct Watch(Option<(Said, Option<String>)>);

#[derive(Debug)]
enum News {
    Read(Identity),
    Unusable(String),
}

impl Watch {
    /// What there is to do about a look: nothing, as long as the files say what they said.
    fn see(&mut self, said: Said) -> Option<News> {
        match &mut self.0 {
            Some((last, untold)) if *last == said => untold.take().map(News::Unusable),
            _ => {
                let identity = said.identity();
                self.0 = Some((said, identity.as_ref().err().cloned()));
                identity.ok().map(News::Read)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// What two files say after a certificate was made.
    fn made() -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["dns.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
    }

    fn said(pair: &(Vec<u8>, Vec<u8>)) -> Said {
        Said(Ok(pair.clone()))
    }

    #[test]
    fn a_renewal_is_read_once() {
        let (old, new) = (made(), made());
        let mut watch = Watch::default();
        assert!(matches!(watch.see(said(&old)), Some(News::Read(_))));
        assert!(watch.see(said(&old)).is_none());
        assert!(matches!(watch.see(said(&new)), Some(News::Read(_))));
        assert!(watch.see(said(&new)).is_none());
    }

    #[test]
    fn what_is_being_written_is_no_trouble() {
        let (old, new) = (made(), made());
        let mut watch = Watch::default();
        watch.see(said(&old));
        assert!(watch.see(said(&(new.0.clone(), old.1))).is_none(), "the certificate comes before its key");
        assert!(matches!(watch.see(said(&new)), Some(News::Read(_))));
    }

    #[test]
    fn trouble_that_stays_is_told_once() {
        let (old, new) = (made(), made());
        let mut watch = Watch::default();
        watch.see(said(&old));
        for trouble in [Said(Ok((new.0, old.1.clone()))), Said(Err("cannot read `k`: gone".to_owned()))] {
            let again = || Said(trouble.0.clone());
            let told: Vec<bool> =
                (0..4).map(|_| matches!(watch.see(again()), Some(News::Unusable(_)))).collect();
            assert_eq!(told, [false, true, false, false]);
        }
        assert!(matches!(watch.see(said(&old)), Some(News::Read(_))), "and is over");
    }
}
