//! Simulated masters and a whole daemon on loopback: who is answered when masters are not as they should be.

mod agreement;
mod foreign;
mod load;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onstage::daemon::Daemon;
use onstage::demo::{Identity, Master, SiteCa, Validity, addresses};
use onstage::health::Observed;
use onstage::plan::Plan;

use crate::harness::{load_site, own_address};

const NAME: &str = "puppet.example.org";
const PORT: u16 = 8140;
/// For what happens soon, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Masters of one pool, and a daemon that watches them.
struct Site {
    masters: Vec<Master>,
    daemon: Daemon,
    plan: Arc<Plan>,
    _state: tempfile::TempDir,
}

impl Site {
    /// A master for each identity; the members are in their order. `config` is the rest of the config: the check and
    /// the pool, with `ca.pem` for the CA, `own.crt` and `own.key` for a
    /// certificate of its own.
    async fn start(ca: &SiteCa, identities: Vec<Identity>, config: &str) -> Self {
        let masters: Vec<Master> = identities
            .into_iter()
            .map(|identity| Master::start((own_address(), PORT).into(), Some(identity)).unwrap())
            .collect();
        let state = tempfile::tempdir().unwrap();
        let records: Vec<String> =
            masters.iter().map(|master| format!("@ A {}\n", master.addr().ip())).collect();
        let records = records.concat();
        let zone =
            format!("$ORIGIN {NAME}.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n{records}");
        let config = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"{}\"\n[[zone]]\nfile = \"zone\"\n{config}",
            state.path().display()
        );
        let (certificate, key) = ca.credentials("onstage.example.org").unwrap();
        let files = [
            ("onstage.toml", &*config),
            ("zone", &*zone),
            ("ca.pem", &*ca.pem()),
            ("own.crt", &*certificate),
            ("own.key", &*key),
        ];
        let loaded = load_site(&files);
        let daemon = Daemon::start(&loaded.plan, &loaded.network).await.unwrap();
        Self { masters, daemon, plan: loaded.plan, _state: state }
    }

    /// Who is answered now, by place.
    async fn answered(&self) -> Vec<usize> {
        let answer = addresses(self.daemon.addrs()[0], NAME).await.unwrap();
        let place = |ip: &IpAddr| self.masters.iter().position(|master| master.addr().ip() == *ip).unwrap();
        let mut places: Vec<usize> = answer.iter().map(place).collect();
        places.sort_unstable();
        places
    }

    /// What is observed of the member at this place.
    fn observed(&self, place: usize) -> Observed {
        let ip = self.masters[place].addr().ip();
        let probe = self.plan.probes.iter().position(|probe| probe.target.ip() == ip).unwrap();
        self.daemon.views().borrow()[probe]
    }

    /// Whether all probes of the member at this place pass.
    fn is_up(&self, place: usize) -> bool {
        let ip = self.masters[place].addr().ip();
        let views = self.daemon.views();
        let views = views.borrow();
        self.plan.probes.iter().zip(&*views).all(|(probe, seen)| probe.target.ip() != ip || seen.is_up())
    }

    /// Asks until `happened`; everything that was answered meanwhile, each once.
    async fn until(&self, happened: impl Fn(&Self, &[usize]) -> bool) -> Vec<Vec<usize>> {
        let (began, mut seen) = (Instant::now(), Vec::new());
        loop {
            let answered = self.answered().await;
            let done = happened(self, &answered);
            if !seen.contains(&answered) {
                seen.push(answered);
            }
            if done {
                return seen;
            }
            assert!(began.elapsed() < PATIENCE, "not in time: {seen:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The names in the certificate of a good master.
fn names(place: usize) -> [String; 2] {
    [format!("puppet{place}.example.org"), NAME.to_owned()]
}

fn identity(ca: &SiteCa, place: usize) -> Identity {
    ca.issue(&names(place), Validity::Current).unwrap()
}
