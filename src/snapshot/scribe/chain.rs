//! Chains: what CNAMEs lead to, and DNAMEs on their way (RFC 1034 §3.6.2, RFC 6672).

use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{Name as Spelled, RData, RecordType};

use super::{Scribe, Subject, any};
use crate::name::{self, Name};
use crate::snapshot::flags::{NXDOMAIN, YXDOMAIN};
use crate::snapshot::table::{Found, NodeId};
use crate::snapshot::template::{ANY_OTHER_TYPE, Draft};
use crate::snapshot::wire::{Anchor, Owner, Pointers};
use crate::units::Ttl;
use crate::zone::{DNAME, Record};

/// The most CNAMEs that one answer follows; a loop ends here.
const MAX_CHAIN: usize = 16;

/// A record of a chain.
struct Link {
    /// `None`: the question.
    owner: Option<Spelled>,
    ttl: Ttl,
    rdata: RData,
}

impl Link {
    /// Where it leads, if it is a CNAME.
    fn target(&self) -> Option<&Spelled> {
        match &self.rdata {
            RData::CNAME(cname) => Some(&cname.0),
            _ => None,
        }
    }
}

/// What is at the end of a chain.
#[derive(Clone, Copy)]
enum End {
    /// What the table has for the last name.
    Found(Found),
    /// A DNAME makes the next name longer than names may be (RFC 6672 §3.2).
    TooLong,
}

fn push_chain(subject: Subject<'_>, chain: &[Link], draft: &mut Draft) {
    for link in chain {
        let owner = link.owner.as_ref().map_or(Owner::Question, Owner::Name);
        draft.answers.push(subject.moving, owner, link.ttl, &link.rdata);
    }
}

impl<'p> Scribe<'p> {
    /// The answers of a name with a CNAME: one for each type at the end of its chain, one for all others.
    pub(super) fn alias(&mut self, subject: Subject<'_>) -> Vec<Draft> {
        let mut drafts: Vec<Draft> =
            self.rrset(subject, RecordType::CNAME).into_iter().chain([any()]).collect();
        let (chain, end) = self.follow(subject);
        if let (Some(owner), End::Found(Found::Data(id))) = (chain.iter().rev().find_map(Link::target), end) {
            for record_type in self.types(id) {
                let mut draft = self.draft(subject, record_type);
                push_chain(subject, &chain, &mut draft);
                if record_type != RecordType::CNAME
                    && self.push_rrset(subject, &mut draft, Some(owner), id, record_type)
                {
                    drafts.push(draft);
                }
            }
        }
        drafts.extend(self.ds_behind(subject, &chain));
        let mut otherwise = Draft { record_type: ANY_OTHER_TYPE, ..self.draft(subject, RecordType::CNAME) };
        push_chain(subject, &chain, &mut otherwise);
        self.push_end(subject, end, &mut otherwise);
        drafts.push(otherwise);
        drafts
    }

    /// The answer to DS where a chain ends at a cut: that type is on the upper side of it (RFC 4035 §3.1.4.1).
    fn ds_behind(&mut self, subject: Subject<'_>, chain: &[Link]) -> Option<Draft> {
        let owner = chain.iter().rev().find_map(Link::target)?;
        let Found::Data(cut) = self.table.find(Name::from(owner).as_wire(), true) else { return None };
        self.upper_zone(cut)?;
        let mut draft = self.draft(subject, RecordType::DS);
        push_chain(subject, chain, &mut draft);
        self.push_ds(subject, Some(owner), cut, &mut draft);
        Some(draft)
    }

    /// RFC 1034 §4.3.2 step 3a, again and again: the CNAMEs from a name on, those that DNAMEs stand for among them,
    /// and what is at their end.
    fn follow(&self, subject: Subject<'_>) -> (Vec<Link>, End) {
        let mut chain: Vec<Link> = Vec::new();
        let mut at = Found::Data(subject.id);
        loop {
            let owner = chain.iter().rev().find_map(Link::target).cloned();
            let next = match (at, &owner) {
                (Found::Data(id), _) => self.cname(id).map(|(record, cname)| (record.ttl, cname.0.clone())),
                (Found::Redirect(id), Some(owner)) => {
                    let Some((record, target)) = self.dname(id) else { break };
                    let (dname, ttl) = (Some(record.spelled.clone()), record.ttl);
                    if !chain.iter().any(|link| link.owner == dname && link.rdata == record.rdata) {
                        chain.push(Link { owner: dname, ttl, rdata: record.rdata.clone() });
                    }
                    match name::substitute(owner, &record.owner, &target) {
                        Some(target) => Some((record.ttl, target)),
                        None => return (chain, End::TooLong),
                    }
                }
                _ => None,
            };
            let Some((ttl, target)) = next else { break };
            let is_loop = chain.len() >= MAX_CHAIN || chain.iter().any(|link| link.target() == Some(&target));
            if is_loop {
                break;
            }
            at = self.table.find(Name::from(&target).as_wire(), false);
            chain.push(Link { owner, ttl, rdata: RData::CNAME(CNAME(target)) });
        }
        (chain, End::Found(at))
    }

    fn cname(&self, id: NodeId) -> Option<(&'p Record, &'p CNAME)> {
        let record = self.sheet.rrset(self.plan, self.table, id, RecordType::CNAME).next()?;
        match &record.rdata {
            RData::CNAME(cname) => Some((record, cname)),
            _ => None,
        }
    }

    fn dname(&self, id: NodeId) -> Option<(&'p Record, Spelled)> {
        let record = self.sheet.rrset(self.plan, self.table, id, DNAME).next()?;
        Some((record, record.dname_target()?))
    }

    /// What is answered below a DNAME, but for the CNAME that depends on the question (RFC 6672 §3.2).
    pub(in crate::snapshot) fn redirect(&self, id: NodeId) -> Option<Draft> {
        let (record, target) = self.dname(id).filter(|_| self.table.node(id).redirect.is_some())?;
        let mut draft = self.draft(self.subject(id), DNAME);
        let anchor = Anchor { name: self.table.name(id), pointers: Pointers::Noted };
        draft.answers.push(anchor, Owner::Name(&record.spelled), record.ttl, &record.rdata);
        draft.target = name::wire(&target);
        Some(draft)
    }

    /// What follows a chain when its end has no records of the type.
    fn push_end(&mut self, subject: Subject<'_>, end: End, draft: &mut Draft) {
        match end {
            End::TooLong => draft.flags |= YXDOMAIN,
            End::Found(Found::Data(id)) if self.cname(id).is_some() => {} // a loop: the chain is all there is to say
            End::Found(Found::Data(id)) => {
                self.push_soa(subject.fixed, self.table.node(id).zone, None, draft);
            }
            End::Found(Found::Missing(zone)) => {
                draft.flags |= NXDOMAIN;
                self.push_soa(subject.fixed, zone, None, draft);
            }
            End::Found(Found::Referral(cut)) => self.push_referral(subject.fixed, cut, draft),
            End::Found(Found::Redirect(_) | Found::Outside) => {}
        }
    }
}
