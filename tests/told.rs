//! What members tell besides their verdicts, from the finding to what is answered and said, on time that the test moves.

mod agreement;
mod catalog;
mod load;

use std::sync::Arc;
use std::time::Duration;

use onstage::daemon::{Director, State};
use onstage::health::{Told, Verdict};
use onstage::plan::Plan;
use onstage::probe::Finding;
use onstage::snapshot::Reader;
use onstage::units::ProbeId;

use crate::harness::{at, load_site};

/// The plan of one pool with so many members, 192.0.2.1 and on; `config` has its check and its table.
fn plan(members: usize, config: &str, ca: &str) -> Arc<Plan> {
    plan_with(members, config, &[("ca.pem", ca)])
}

/// The same with the files that the check names.
fn plan_with(members: usize, config: &str, files: &[(&str, &str)]) -> Arc<Plan> {
    let records: Vec<String> = (1..=members).map(|n| format!("@ A 192.0.2.{n}\n")).collect();
    let zone = format!(
        "$ORIGIN puppet.example.org.\n$TTL 30\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n{}",
        records.concat()
    );
    let config = format!("[[zone]]\nfile = \"zone\"\n{config}");
    let mut all = vec![("onstage.toml", config.as_str()), ("zone", zone.as_str())];
    all.extend_from_slice(files);
    load_site(&all).plan
}

/// A director whose members have all passed, without telling anything.
struct Stage {
    director: Director,
    reader: Reader,
}

impl Stage {
    fn open(plan: &Arc<Plan>) -> Self {
        let state = State::default();
        let mut director = Director::new(Arc::clone(plan), &state);
        for probe in 0..plan.probes.len() {
            director.judge(ProbeId(probe as u32), &finding(Verdict::Pass, Told::default()), at(0));
        }
        let reader = director.open(&state, at(0)).reader();
        Self { director, reader }
    }

    fn judge(&mut self, probe: u32, verdict: Verdict, told: Told, now: u64) {
        self.director.judge(ProbeId(probe), &finding(verdict, told), at(now));
    }

    /// What is told of the pool.
    fn account(&mut self) -> Vec<String> {
        self.reader.load().all_accounts()[0].lines.iter().map(|line| line.text.clone()).collect()
    }
}

fn finding(verdict: Verdict, told: Told) -> Finding {
    Finding { verdict, detail: String::new(), told, steps: Vec::new(), latency: Duration::ZERO }
}
