//! Orders: given, released, over. They are kept by member; what they make of it is drawn with the next lineup.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::rr::RecordType;

use super::{Director, log};
use crate::health::{Consent, Draft, Order, Remark, Standing, Word};
use crate::name::Name;
use crate::plan::{MemberId, Near, Plan, Whom};
use crate::snapshot::{Lineup, Mode, Outlook};
use crate::units::{Moment, PoolId};

/// What an order does, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The members that it is about, by their keys (`puppet.example.org A 172.16.1.10`).
    pub members: Vec<String>,
    /// What it leaves of their pools.
    pub pools: Vec<Left>,
}

/// What an order leaves of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The pool.
    pub pool: Name,
    /// Which of its types.
    pub record_type: RecordType,
    /// Its members.
    pub members: usize,
    /// Those that are live then.
    pub live: usize,
    /// Whether that is enough.
    pub mode: Mode,
    /// Who is answered then, as people call them.
    pub answered: Vec<String>,
    /// Whether the order takes from it what it needs.
    pub is_bared: bool,
}

/// Why an order was not taken. Each is one sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody is named so.
    #[error("there is no member `{whom}`{near}")]
    Nobody {
        /// What was said.
        whom: Whom,
        /// What there is that is like it.
        near: Near,
    },
    /// It would be over before it began.
    #[error("the order would be over at once")]
    Over,
    /// A drain that takes a pool's last live members.
    #[error("too few would be live: {}", .0.join(" and "))]
    Bares(Vec<String>),
    /// Nothing to release.
    #[error("there is no order on `{0}`")]
    NoOrder(Whom),
    /// Another process takes the place of this one in this very moment.
    #[error("another process is taking over: say it again, to that one")]
    TakenOver,
}

/// Every order there is.
#[derive(Debug, Default)]
pub(super) struct Orders {
    on: BTreeMap<MemberId, Order>,
    /// By key: those on members that are not in the plan. They may come back.
    strays: BTreeMap<String, Order>,
}

impl Orders {
    /// Those that the last run left.
    pub(super) fn new(plan: &Plan, mut kept: BTreeMap<String, Order>) -> Self {
        let mut on = BTreeMap::new();
        if !kept.is_empty() {
            let known = plan.member_ids().map(|(id, _)| (id, plan.member_key(id)));
            let known: Vec<(MemberId, String)> = known.filter(|(_, key)| kept.contains_key(key)).collect();
            on.extend(known.iter().filter_map(|(id, key)| Some((*id, kept.get(key)?.clone()))));
            kept.retain(|key, _| known.iter().all(|(_, known)| known != key));
        }
        Self { on, strays: kept }
    }

    /// Tells of those on members that are not in the plan.
    pub(super) fn tell_strays(&self, are_known: impl Fn(&str) -> bool) {
        for (key, order) in self.strays.iter().filter(|(key, _)| !are_known(key)) {
            log::stray(key, order);
        }
    }

    /// For the next run.
    pub(super) fn kept(&self, plan: &Plan) -> BTreeMap<String, Order> {
        let known = self.on.iter().map(|(&id, order)| (plan.member_key(id), order.clone()));
        known.chain(self.strays.clone()).collect()
    }

    /// Those on members that are in no pool, by key.
    pub(super) fn strays(&self) -> impl Iterator<Item = (&str, &Order)> {
        self.strays.iter().map(|(key, order)| (key.as_str(), order))
    }

    pub(super) fn on(&self, id: MemberId) -> Option<&Order> {
        self.on.get(&id)
    }

    pub(super) fn count(&self) -> usize {
        self.on.len() + self.strays.len()
    }

    /// When the first of them is over, in seconds of Unix time.
    pub(super) fn first_end(&self) -> Option<u32> {
        self.on.values().chain(self.strays.values()).filter_map(|order| order.until).min()
    }

    /// Those whose time is over end here; the pools concerned.
    fn end(&mut self, plan: &Plan, now: u32) -> Vec<PoolId> {
        let mut pools = Vec::new();
        self.on.retain(|&id, order| {
            let is_over = order.is_over(now);
            if is_over {
                log::order_over(&plan.member_key(id), order);
                pools.push(id.pool);
            }
            !is_over
        });
        self.strays.retain(|key, order| {
            let is_over = order.is_over(now);
            if is_over {
                log::order_over(key, order);
            }
            !is_over
        });
        pools
    }
}

impl Director {
    /// What such an order on these members would do; `None`: what their release would.
    ///
    /// # Errors
    /// [`Refusal::Nobody`]
    pub fn preview(&self, whom: &Whom, word: Option<Word>, now: Moment) -> Result<Effect, Refusal> {
        let members = self.plan.members(whom);
        if members.is_empty() { Err(self.nobody(whom)) } else { Ok(self.effect(&members, word, now)) }
    }

    /// Orders members; an order that they had is replaced.
    ///
    /// # Errors
    /// [`Refusal::Nobody`], [`Refusal::Over`]; without consent [`Refusal::Bares`].
    pub fn order(
        &mut self,
        whom: &Whom,
        draft: &Draft,
        consent: Consent,
        now: Moment,
    ) -> Result<Effect, Refusal> {
        let order = draft.taken(now.unix);
        if order.is_over(now.unix) {
            return Err(Refusal::Over);
        }
        let effect = self.preview(whom, Some(order.word), now)?;
        let bared: Vec<String> = effect.pools.iter().filter(|left| left.is_bared).map(Left::told).collect();
        if consent == Consent::Asked && !bared.is_empty() {
            return Err(Refusal::Bares(bared));
        }
        let members = self.plan.members(whom);
        for &id in &members {
            log::order(&self.plan.member_key(id), &order);
            self.orders.on.insert(id, order.clone());
        }
        self.redraw(&pools_of(&members), now);
        Ok(effect)
    }

    /// Ends the orders on members, also on those that are not there any more: what is observed counts again.
    ///
    /// # Errors
    /// [`Refusal::Nobody`], [`Refusal::NoOrder`]
    pub fn release(&mut self, whom: &Whom, who: &Remark, now: Moment) -> Result<Effect, Refusal> {
        let named = self.plan.members(whom);
        let members: Vec<MemberId> =
            named.iter().copied().filter(|&id| self.orders.on(id).is_some()).collect();
        let strays: Vec<String> = self.orders.strays.keys().filter(|key| whom.means(key)).cloned().collect();
        if members.is_empty() && strays.is_empty() {
            let nobody = named.is_empty();
            return Err(if nobody { self.nobody(whom) } else { Refusal::NoOrder(whom.clone()) });
        }
        let mut effect = self.effect(&members, None, now);
        effect.members.extend(strays);
        for key in &effect.members {
            log::released(key, who);
        }
        self.orders.on.retain(|id, _| members.binary_search(id).is_err());
        self.orders.strays.retain(|key, _| !whom.means(key));
        self.redraw(&pools_of(&members), now);
        Ok(effect)
    }

    /// Ends the orders whose time is over; the pools concerned.
    pub(super) fn end_orders(&mut self, now: Moment) -> Vec<PoolId> {
        self.orders.end(&self.plan, now.unix)
    }

    /// Nobody is named so.
    pub(super) fn nobody(&self, whom: &Whom) -> Refusal {
        Refusal::Nobody { whom: whom.clone(), near: self.plan.near(whom) }
    }

    fn effect(&self, members: &[MemberId], word: Option<Word>, now: Moment) -> Effect {
        let pools = pools_of(members).into_iter().map(|pool| self.left(pool, members, word, now));
        Effect {
            pools: pools.collect(),
            members: members.iter().map(|&id| self.plan.member_key(id)).collect(),
        }
    }

    fn left(&self, id: PoolId, ordered: &[MemberId], word: Option<Word>, now: Moment) -> Left {
        let pool = &self.plan.pools[id.index()];
        let before = self.standings(id, now);
        let after = self.ids(id).zip(&before).map(|(id, &standing)| match word {
            _ if ordered.binary_search(&id).is_err() => standing,
            Some(Word::Drain) => Standing::Drained,
            Some(Word::Force) => Standing::LIVE,
            None => self.observed_standing(id),
        });
        let after: Vec<Standing> = after.collect();
        let lineup = |standings| Lineup::of(pool, standings, Outlook::Settled, self.lineups.get(id.index()));
        let (is, then) = (lineup(&before), lineup(&after));
        let nobody = after.iter().all(|&standing| standing == Standing::Drained);
        let gives_way = is.mode == Mode::Live && then.mode == Mode::FailingOpen;
        Left {
            pool: pool.name.clone(),
            record_type: pool.record_type,
            members: after.len(),
            live: after.iter().filter(|standing| standing.is_live()).count(),
            mode: then.mode,
            answered: then.labels(pool).map(str::to_owned).collect(),
            is_bared: word == Some(Word::Drain) && (nobody || gives_way),
        }
    }
}

impl Left {
    fn told(&self) -> String {
        let Self { pool, record_type, members, live, .. } = self;
        format!("{live} of {members} in `{pool}` ({record_type})")
    }
}

fn pools_of(members: &[MemberId]) -> Vec<PoolId> {
    let pools: BTreeSet<PoolId> = members.iter().map(|id| id.pool).collect();
    pools.into_iter().collect()
}
