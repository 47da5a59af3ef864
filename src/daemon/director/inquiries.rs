//! Members are asked now because somebody wants to know. What is found counts as any verdict does, and is told besides.
//!
//! ```text
//!  inquire ─▶ ring each probe ─▶ a verdict whose question was asked after the ring ─▶ tell ─▶ …all of them: the end
//!                                  │ of a question before                      │ too late, or another plan
//!                                  └─▶ wait for the next                       └─▶ the end, without the rest
//! ```
//!
//! However many want to know, a member is asked one question at a time, and all that rang before it share the answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::{Director, Refusal};
use crate::admin::probed::{Found, Probed, judged, questions};
use crate::admin::status::SoFar;
use crate::health::Verdict;
use crate::plan::{Plan, Wanted, Whom};
use crate::probe::Finding;
use crate::probe::schedule::{Bells, Ring};
use crate::units::ProbeId;

/// The longest that anybody waits for verdicts. They count, whether somebody waits or not.
const LONGEST: Duration = Duration::from_secs(50);

/// Verdicts that somebody waits for.
#[derive(Debug)]
pub struct Inquiry {
    plan: Arc<Plan>,
    wanted: Vec<Wanted>,
    /// How long they may take.
    patience: Duration,
    heard: mpsc::Receiver<Heard>,
}

/// One of them.
#[derive(Debug)]
struct Heard {
    probe: ProbeId,
    finding: Arc<Finding>,
    so_far: SoFar,
}

/// Everybody who waits.
#[derive(Debug, Default)]
pub(super) struct Inquiries(Vec<Waiting>);

#[derive(Debug)]
struct Waiting {
    /// The probes that are still to be heard of, and the ring of each.
    rings: BTreeMap<ProbeId, Ring>,
    to: mpsc::Sender<Heard>,
}

impl Director {
    /// Has everybody asked who is meant, a pool by its name or members as in orders; `None`: everybody.
    ///
    /// # Errors
    /// [`Refusal::Nobody`]
    pub fn inquire(&mut self, whom: Option<&Whom>, bells: &Bells) -> Result<Inquiry, Refusal> {
        let wanted = self.plan.wanted(whom);
        if let Some(whom) = whom.filter(|_| wanted.is_empty()) {
            return Err(self.nobody(whom));
        }
        let probes = wanted.iter().flat_map(|wanted| wanted.condition.probes());
        let rings: BTreeMap<ProbeId, Ring> =
            probes.filter_map(|probe| Some((probe, bells.ring(probe)?))).collect();
        let patience = rings.keys().map(|&probe| self.longest_answer(probe)).max().unwrap_or_default();
        let (to, heard) = mpsc::channel(rings.len().max(1));
        self.inquiries.0.push(Waiting { rings, to });
        self.inquiries.tidy();
        Ok(Inquiry { plan: Arc::clone(&self.plan), wanted, patience, heard })
    }

    /// What was found goes to everybody who rang for it.
    pub fn answer(&mut self, probe: ProbeId, ring: Ring, finding: Finding) {
        if !self.inquiries.0.is_empty() {
            let so_far = self.so_far(probe);
            self.inquiries.tell(probe, ring, &Arc::new(finding), so_far);
        }
    }

    /// How long a probe may take to answer that is under way and has to be asked again, where it may have to wait for its turn.
    fn longest_answer(&self, probe: ProbeId) -> Duration {
        let check = &self.plan.probes[probe.index()].check;
        let under_way = check.recheck.min(check.timeout) + check.timeout;
        (self.queues[probe.index()] + under_way + check.timeout).min(LONGEST)
    }
}

impl Inquiries {
    fn tell(&mut self, probe: ProbeId, ring: Ring, finding: &Arc<Finding>, so_far: SoFar) {
        for waiting in &mut self.0 {
            if waiting.rings.get(&probe).is_some_and(|wanted| *wanted <= ring) {
                waiting.rings.remove(&probe);
                let heard = Heard { probe, finding: Arc::clone(finding), so_far };
                let _ = waiting.to.try_send(heard); // there is room for each probe; who has left does not care
            }
        }
        self.tidy();
    }

    /// Who knows all, or does not wait any more, is let go.
    fn tidy(&mut self) {
        self.0.retain(|waiting| !waiting.rings.is_empty() && !waiting.to.is_closed());
    }
}

impl Inquiry {
    /// Waits until all have answered, or cannot be expected to any more.
    pub async fn end(mut self) -> Probed {
        let (end, mut heard) = (Instant::now() + self.patience, HashMap::new());
        while let Ok(Some(Heard { probe, finding, so_far })) = timeout_at(end, self.heard.recv()).await {
            heard.insert(probe, (finding, so_far));
        }
        let mut probed = Probed::default();
        for (probe, question) in questions(&self.plan, &self.wanted) {
            match heard.get(&probe) {
                Some((finding, so_far)) => probed.findings.push(Found::new(question, finding, Some(*so_far))),
                None => probed.late.push(question),
            }
        }
        let passes = |probe| heard.get(&probe).is_some_and(|(finding, _)| finding.verdict == Verdict::Pass);
        probed.members = self.wanted.iter().map(|wanted| judged(&self.plan, wanted, &passes)).collect();
        probed
    }
}
