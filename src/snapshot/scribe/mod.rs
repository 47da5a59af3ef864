//! Writes the answers of one name: its RRsets, the chains that start at it, the delegation that it is.

mod chain;
mod pool;

use hickory_proto::rr::rdata::{HINFO, HTTPS};
use hickory_proto::rr::{Name as Spelled, RData, RecordType};

use crate::name::{self, Name};
use crate::plan::Plan;
use crate::snapshot::compile::Sheet;
use crate::snapshot::flags::AA;
use crate::snapshot::lineup::Lineup;
use crate::snapshot::table::{Found, NodeId, Role, Table};
use crate::snapshot::template::{ANY_OTHER_TYPE, Draft};
use crate::snapshot::wire::{Anchor, Owner, Pointers, Records};
use crate::units::{PoolId, Ttl, ZoneId};
use crate::zone::Record;

/// Writes answers as some lineups have them, and notes which pools it had to ask.
pub(in crate::snapshot) struct Scribe<'p> {
    plan: &'p Plan,
    table: &'p Table,
    sheet: &'p Sheet,
    lineups: &'p [Lineup],
    touched: Vec<PoolId>,
}

/// The name whose answers are being written.
#[derive(Clone, Copy)]
struct Subject<'p> {
    id: NodeId,
    /// What fixed records point into.
    fixed: Anchor<'p>,
    /// What records in front and those that rotate point into.
    moving: Anchor<'p>,
}

impl<'p> Scribe<'p> {
    pub(in crate::snapshot) fn new(
        plan: &'p Plan,
        table: &'p Table,
        sheet: &'p Sheet,
        lineups: &'p [Lineup],
    ) -> Self {
        Self { plan, table, sheet, lineups, touched: Vec::new() }
    }

    /// The pools that the answers written so far depend on.
    pub(in crate::snapshot) fn touched(&self) -> &[PoolId] {
        &self.touched
    }

    /// All answers of a name.
    pub(in crate::snapshot) fn node(&mut self, id: NodeId) -> Vec<Draft> {
        let subject = self.subject(id);
        let types = self.types(id);
        match self.table.node(id).role {
            Role::Below(_) => Vec::new(),
            Role::Cut => vec![self.ds(subject), self.referral(subject)],
            Role::Data if types.contains(&RecordType::CNAME) => self.alias(subject),
            Role::Data => {
                let mut drafts: Vec<Draft> =
                    types.into_iter().filter_map(|t| self.rrset(subject, t)).collect();
                drafts.extend(self.upper_zone(id).map(|_| self.ds(subject)));
                drafts
            }
        }
    }

    /// The types at a name, but for DS at a cut, which is a matter of its own.
    fn types(&self, id: NodeId) -> Vec<RecordType> {
        let mut types = self.sheet.types(self.plan, self.table, id);
        if self.upper_zone(id).is_some() {
            types.retain(|record_type| *record_type != RecordType::DS);
        }
        types
    }

    /// NODATA or NXDOMAIN (RFC 2308 §2): the SOA, to be cached for the lesser of its TTL and its minimum.
    pub(in crate::snapshot) fn negative(&self, zone: ZoneId, rcode: u16) -> Draft {
        let anchor =
            Anchor { name: self.plan.zones[zone.index()].origin.as_wire(), pointers: Pointers::Noted };
        let mut draft = Draft { flags: AA | rcode, zone, ..Draft::default() };
        self.push_soa(anchor, zone, None, &mut draft);
        draft
    }

    fn subject(&self, id: NodeId) -> Subject<'p> {
        let wire = self.table.name(id);
        let name = &wire[wire.len() - self.table.anchor_len(id)..];
        let exact = name.len() == wire.len();
        let (fixed, moving) = match (exact, self.table.node(id).role) {
            (true, Role::Data) => (Pointers::Fixed, Pointers::Fixed),
            _ => (Pointers::Noted, Pointers::None),
        };
        Subject { id, fixed: Anchor { name, pointers: fixed }, moving: Anchor { name, pointers: moving } }
    }

    /// The answer with one RRset; `None` where no record of it is answered.
    fn rrset(&mut self, subject: Subject<'_>, record_type: RecordType) -> Option<Draft> {
        let mut draft = self.draft(subject, record_type);
        self.push_rrset(subject, &mut draft, None, subject.id, record_type).then_some(draft)
    }

    fn draft(&self, subject: Subject<'_>, record_type: RecordType) -> Draft {
        let zone = self.table.node(subject.id).zone;
        Draft { record_type: record_type.into(), flags: AA, zone, ..Draft::default() }
    }

    /// Adds the RRset of `id`, owned by the question or by `owner`; where nobody of a pool is answered, adds that. False
    /// where there is neither: the zone's own NODATA says it.
    fn push_rrset(
        &mut self,
        subject: Subject<'_>,
        draft: &mut Draft,
        owner: Option<&Spelled>,
        id: NodeId,
        record_type: RecordType,
    ) -> bool {
        let rrset = self.answered(id, record_type);
        draft.zone = self.table.node(id).zone; // whose SOA it may be
        draft.fails_open |= rrset.fails_open();
        draft.pool = self.sheet.pool(id, record_type).and_then(|pool| self.sheet.cell(pool));
        if rrset.len() == 0 {
            if rrset.is_pool() {
                self.push_soa(subject.fixed, self.table.node(id).zone, rrset.most(), draft);
            }
            return rrset.is_pool();
        }
        let owner = owner.map_or(Owner::Question, Owner::Name);
        let rotates =
            matches!(record_type, RecordType::A | RecordType::AAAA | RecordType::SRV) && rrset.len() > 1;
        draft.window = rrset.window();
        if rotates {
            rrset.order(draft);
        }
        let mut written = Vec::new();
        for record in rrset.records() {
            let mut single = Records::default();
            let into = if rotates { &mut single } else { &mut draft.answers };
            into.push(subject.moving, owner, rrset.ttl(record), &record.rdata);
            if rotates {
                draft.ring.push(single);
            }
            draft.extra.push(self.addresses_of(subject, record, &mut written));
        }
        if !rotates {
            draft.additionals = merge(draft.extra.drain(..));
        } else if draft.extra.iter().all(|extra| extra.count == 0) {
            draft.extra.clear();
        }
        true
    }

    /// The addresses of the host that a record points to (RFC 1035 §3.3.9, §3.3.11, RFC 2782, RFC 9460 §4.1), once a
    /// host.
    fn addresses_of(&mut self, subject: Subject<'_>, record: &Record, written: &mut Vec<Name>) -> Records {
        let mut addresses = Records::default();
        let target = match &record.rdata {
            RData::SRV(srv) => &srv.target,
            RData::MX(mx) => &mx.exchange,
            RData::NS(ns) => &ns.0,
            // The owner itself; what that is below a wildcard, only the question knows.
            RData::SVCB(svcb) | RData::HTTPS(HTTPS(svcb)) if svcb.target_name.is_root() => {
                if record.spelled.is_wildcard() {
                    return addresses;
                }
                &record.spelled
            }
            RData::SVCB(svcb) | RData::HTTPS(HTTPS(svcb)) => &svcb.target_name,
            _ => return addresses,
        };
        let lowered = Name::from(target);
        if written.contains(&lowered) {
            return addresses;
        }
        if let Found::Data(id) = self.table.find(lowered.as_wire(), false) {
            if let RData::SVCB(svcb) | RData::HTTPS(HTTPS(svcb)) = &record.rdata
                && svcb.svc_priority == 0
            {
                self.push_all(subject.moving, target, id, record.record_type(), &mut addresses);
            }
            self.push_addresses(subject.moving, target, id, &mut addresses);
        }
        written.push(lowered);
        addresses
    }

    fn push_addresses(&mut self, anchor: Anchor<'_>, host: &Spelled, id: NodeId, into: &mut Records) {
        for record_type in [RecordType::A, RecordType::AAAA] {
            self.push_all(anchor, host, id, record_type, into);
        }
    }

    fn push_all(
        &mut self,
        anchor: Anchor<'_>,
        owner: &Spelled,
        id: NodeId,
        record_type: RecordType,
        into: &mut Records,
    ) {
        let rrset = self.answered(id, record_type);
        for record in rrset.companions() {
            into.push(anchor, Owner::Name(owner), rrset.ttl(record), &record.rdata);
        }
    }

    /// Adds a zone's SOA, with the TTL that negative answers have (RFC 2308 §3) or `most`.
    fn push_soa(&self, anchor: Anchor<'_>, zone: ZoneId, most: Option<Ttl>, draft: &mut Draft) {
        let soa = self.plan.zones[zone.index()].records.iter().find_map(|record| match &record.rdata {
            RData::SOA(soa) => Some((record, soa)),
            _ => None,
        });
        let Some((record, soa)) = soa else { return };
        let ttl = record.ttl.min(Ttl::new(soa.minimum).unwrap_or(Ttl::MAX)).min(most.unwrap_or(Ttl::MAX));
        draft.authorities.push(anchor, Owner::Name(&record.spelled), ttl, &record.rdata);
        draft.zone = zone;
    }

    /// A delegation (RFC 1034 §4.3.2 step 3b): not authoritative, the NS records, and the glue.
    fn referral(&mut self, subject: Subject<'_>) -> Draft {
        let mut draft = Draft { record_type: ANY_OTHER_TYPE, ..Draft::default() };
        self.push_referral(subject.fixed, subject.id, &mut draft);
        draft
    }

    /// The zone on the upper side of the cut at a name, which has the say on DS; `None`: none that is served, or no cut.
    fn upper_zone(&self, id: NodeId) -> Option<ZoneId> {
        let node = self.table.node(id);
        match node.role {
            Role::Cut => Some(node.zone),
            Role::Data if node.is_apex => self.plan.apexes.above(self.table.name(id)),
            _ => None,
        }
    }

    /// The upper side says how the lower one is signed, or that it is not, rather than refer to it (RFC 4035 §3.1.4.1).
    fn ds(&mut self, subject: Subject<'_>) -> Draft {
        let mut draft = self.draft(subject, RecordType::DS);
        self.push_ds(subject, None, subject.id, &mut draft);
        draft
    }

    fn push_ds(&mut self, subject: Subject<'_>, owner: Option<&Spelled>, id: NodeId, draft: &mut Draft) {
        if !self.push_rrset(subject, draft, owner, id, RecordType::DS)
            && let Some(zone) = self.upper_zone(id)
        {
            self.push_soa(subject.fixed, zone, None, draft);
        }
    }

    fn push_referral(&mut self, anchor: Anchor<'_>, cut: NodeId, draft: &mut Draft) {
        let cut_name = self.table.name(cut);
        let (mut inside, mut elsewhere) = (Vec::new(), Vec::new());
        for record in self.sheet.rrset(self.plan, self.table, cut, RecordType::NS) {
            draft.authorities.push(anchor, Owner::Name(&record.spelled), record.ttl, &record.rdata);
            let RData::NS(ns) = &record.rdata else { continue };
            let host = Name::from(&ns.0);
            let hosts = if name::is_within(host.as_wire(), cut_name) { &mut inside } else { &mut elsewhere };
            hosts.extend(self.table.get(host.as_wire()).map(|id| (&ns.0, id)));
        }
        for (host, id) in inside {
            self.push_addresses(anchor, host, id, &mut draft.additionals);
        }
        draft.required = (draft.additionals.bytes.len() as u32, draft.additionals.count);
        for (host, id) in elsewhere {
            self.push_addresses(anchor, host, id, &mut draft.additionals);
        }
    }
}

fn merge(parts: impl Iterator<Item = Records>) -> Records {
    parts.fold(Records::default(), |mut all, part| {
        all.bytes.extend_from_slice(&part.bytes);
        all.count = all.count.saturating_add(part.count);
        all
    })
}

/// The whole answer to ANY for any name that has records (RFC 8482 §4.2).
pub(in crate::snapshot) fn any() -> Draft {
    const TTL: Ttl = match Ttl::new(3789) {
        Some(ttl) => ttl,
        None => Ttl::MAX,
    };
    let mut draft = Draft { record_type: RecordType::ANY.into(), flags: AA, ..Draft::default() };
    let nowhere = Anchor { name: b"\0", pointers: Pointers::None };
    let hinfo = RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()));
    draft.answers.push(nowhere, Owner::Question, TTL, &hinfo);
    draft
}
