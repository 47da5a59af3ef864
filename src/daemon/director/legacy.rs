//! All that a director knows when another one takes its place: in this process, with another plan, or in another process.
//!
//! Everything is told by keys, since ids change with the plan, and times by the steady clock, which goes on. What a later
//! version of the program writes otherwise is passed over, and found out anew.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::agreements::Other;
use super::history::History;
use super::recents::Recents;
use super::sighting::Sighting;
use super::tales::Tale;
use super::{Director, Stage};
use crate::admin::journal::Entries;
use crate::health::{Observed, Order, Stance};
use crate::plan::{Member, Plan, Pool, Probe};
use crate::snapshot::{Lineup, Mode, Outlook};
use crate::units::{CookieSecret, Moment, PoolId, Presence, ProbeId, Serial};

/// What a director leaves.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Legacy {
    /// Of the program that wrote it.
    version: String,
    /// When this was so, by the steady clock.
    pub(in crate::daemon) steady: Duration,
    /// By zone name: the serial that was answered last.
    serials: BTreeMap<String, Serial>,
    /// By member key.
    pub(super) orders: BTreeMap<String, Order>,
    /// Those on members that were not in the plan.
    strays: Vec<String>,
    /// By probe key.
    #[serde(deserialize_with = "what_is_understood")]
    probes: BTreeMap<String, Witnessed>,
    /// By name and type.
    #[serde(deserialize_with = "what_is_understood")]
    pools: BTreeMap<String, Played>,
    /// Of DNS cookies, where they are its own.
    secrets: Vec<CookieSecret>,
    pub(super) history: History,
    /// What was counted.
    #[serde(deserialize_with = "or_nothing")]
    pub(super) entries: Entries,
}

/// What is known by one probe.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Witnessed {
    /// The check, and who is asked.
    asked: String,
    pub(super) sighting: Sighting,
    pub(super) tale: Tale,
    /// Whether its member says nothing at all.
    is_silent: bool,
    pub(super) recents: Recents,
}

/// What was answered of a pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Played {
    fails_open: bool,
    is_settled: bool,
    began: u32,
    /// By record.
    members: BTreeMap<String, Part>,
}

/// What was answered of a member, and why.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Part {
    /// Percent.
    answered: u8,
    was_live: bool,
    rises_since: Option<Duration>,
    stance: Stance,
    other: Option<Other>,
}

/// Values that cannot be read are left out.
fn what_is_understood<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let all = BTreeMap::<String, serde_json::Value>::deserialize(from)?;
    Ok(all.into_iter().filter_map(|(key, value)| Some((key, serde_json::from_value(value).ok()?))).collect())
}

/// What cannot be read is nothing.
fn or_nothing<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

impl Director {
    /// All that another director has to know to go on from here.
    pub fn legacy(&self, now: Moment) -> Legacy {
        let probes = self.plan.probes.iter().enumerate();
        Legacy {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            steady: now.steady,
            serials: self.answered_serials(),
            orders: self.orders.kept(&self.plan),
            strays: self.orders.strays().map(|(member, _)| member.to_owned()).collect(),
            probes: probes
                .map(|(i, probe)| (probe.key(), self.witnessed(ProbeId(i as u32), probe)))
                .collect(),
            pools: self.plan.pool_ids().map(|(id, pool)| (pool.key(), self.played(id, pool))).collect(),
            secrets: match &self.stage {
                Stage::Open(publisher) if self.makes_secrets() => publisher.current().secrets().to_vec(),
                Stage::Open(_) | Stage::Rehearsal => Vec::new(),
            },
            history: self.history.clone(),
            entries: self.journal.entries(),
        }
    }

    fn witnessed(&self, id: ProbeId, probe: &Probe) -> Witnessed {
        Witnessed {
            asked: asked(probe),
            sighting: self.sightings[id.index()],
            tale: self.tales[id.index()].clone(),
            is_silent: self.guard.is_silent(id),
            recents: self.recents[id.index()].clone(),
        }
    }

    fn played(&self, id: PoolId, pool: &Pool) -> Played {
        let lineup = &self.lineups[id.index()];
        let part = |(id, presence): (_, &Presence)| {
            let (was_live, rises_since) = self.ramps.of(id);
            let (stance, other) = self.agreements.of(id);
            Part { answered: presence.as_percent(), was_live, rises_since, stance, other }
        };
        let records = pool.members.iter().map(|member| member.record_text.clone());
        Played {
            fails_open: lineup.mode == Mode::FailingOpen,
            is_settled: lineup.outlook == Outlook::Settled,
            began: self.began[id.index()],
            members: records.zip(self.ids(id).zip(&lineup.answered).map(part)).collect(),
        }
    }
}

impl Legacy {
    /// The probes of a plan of which nothing is known.
    pub fn unknown(&self, plan: &Plan) -> Vec<ProbeId> {
        let ids = (0..).map(ProbeId).zip(self.witnesses(plan));
        let knows = |known: Option<&Witnessed>| {
            known.is_some_and(|known| known.sighting.observed != Observed::Unknown)
        };
        ids.filter(|(_, known)| !knows(*known)).map(|(id, _)| id).collect()
    }

    /// What is known of each probe of a plan. A check that has changed begins with what it has found before.
    pub(super) fn witnesses<'l>(&'l self, plan: &'l Plan) -> impl Iterator<Item = Option<&'l Witnessed>> {
        let asked_before = OnceCell::new(); // few checks change
        let index = || self.probes.values().map(|known| (known.asked.as_str(), known)).collect();
        plan.probes.iter().map(move |probe| {
            let before = || -> &BTreeMap<&str, &Witnessed> { asked_before.get_or_init(index) };
            self.probes.get(&probe.key()).or_else(|| before().get(asked(probe).as_str()).copied())
        })
    }

    /// The probes of a plan whose members say nothing, and have not left for it.
    pub(super) fn silent(&self, plan: &Plan) -> Vec<ProbeId> {
        let waits = |known: &Witnessed| known.is_silent && known.sighting.observed.is_up();
        let known = (0..).map(ProbeId).zip(self.witnesses(plan));
        known.filter(|(_, known)| known.is_some_and(waits)).map(|(id, _)| id).collect()
    }

    /// Whether it was written by the same version, so that whatever is packed in it can be unpacked.
    pub(super) fn is_of_this_version(&self) -> bool {
        self.version == env!("CARGO_PKG_VERSION")
    }

    /// The serial of a zone.
    pub(super) fn serial(&self, origin: &str) -> Option<Serial> {
        self.serials.get(origin).copied()
    }

    pub(super) const fn serials(&self) -> &BTreeMap<String, Serial> {
        &self.serials
    }

    pub(super) fn is_stray(&self, member: &str) -> bool {
        self.strays.iter().any(|stray| stray == member)
    }

    pub(super) fn own_secrets(&self) -> Vec<CookieSecret> {
        self.secrets.clone()
    }

    pub(super) fn pool(&self, pool: &Pool) -> Option<&Played> {
        self.pools.get(&pool.key())
    }
}

impl Played {
    /// What was answered, of those who are members now.
    pub(super) fn lineup(&self, pool: &Pool) -> Lineup {
        let answered = pool.members.iter().map(|member| {
            let percent = self.part(member).map_or(0, |part| part.answered);
            Presence::percent(percent).unwrap_or(Presence::FULL)
        });
        Lineup {
            answered: answered.collect(),
            mode: if self.fails_open { Mode::FailingOpen } else { Mode::Live },
            outlook: if self.is_settled { Outlook::Settled } else { Outlook::Unsettled },
        }
    }

    /// Whether nobody has left. (SRV records that differ in priority or weight alone are one member.)
    pub(super) fn has_only(&self, pool: &Pool) -> bool {
        let records: HashSet<&str> = pool.members.iter().map(|member| member.record_text.as_str()).collect();
        self.members.keys().all(|record| records.contains(record.as_str()))
    }

    pub(super) const fn began(&self) -> u32 {
        self.began
    }

    /// Whether a member was live, and since when it rises.
    pub(super) fn ramp(&self, member: &Member) -> (bool, Option<Duration>) {
        self.part(member).map_or((false, None), |part| (part.was_live, part.rises_since))
    }

    /// Where a member stands, and what it is held back for.
    pub(super) fn agreement(&self, member: &Member) -> (Stance, Option<Other>) {
        self.part(member).map_or_else(Default::default, |part| (part.stance, part.other.clone()))
    }

    fn part(&self, member: &Member) -> Option<&Part> {
        self.members.get(&member.record_text)
    }
}

/// What makes a changed probe the one that it was: the check's name, and who is asked.
fn asked(probe: &Probe) -> String {
    format!("{} {}", probe.check.name, probe.target)
}
