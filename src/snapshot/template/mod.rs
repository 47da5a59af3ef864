//! Answers in wire form, ready to be copied.
//!
//! ```text
//!            ┌ fixed ─────────────┐                ┌ fixed ──────────────────────────┐
//!  question  │ first records      │ ring, from any │ authority, additional           │ ring of additionals
//!            │ (CNAMEs, one RRset)│ place in it    │                                 │ from the same place
//!            └────────────────────┘                └─────────────────────────────────┘
//! ```
//!
//! A ring is an RRset whose records may start with any of them. Its bytes are stored twice in a row, so that
//! every rotation is one stretch of memory.

mod image;

use super::cells::{Cell, Stub};
use super::counts::Counts;
use super::draw::{self, Order, Places, Stake};
use super::flags::{QR, RCODE};
use super::wire::Records;
use crate::units::ZoneId;
use image::Image;

/// A template that serves whatever type is asked and has no template of its own.
pub(crate) const ANY_OTHER_TYPE: u16 = 0;

/// All answers of some names: one arena, so that a hundred thousand names cost a handful of allocations.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
    /// What is known of the records of rings that are drawn from.
    stakes: Vec<Stake>,
    relocations: Vec<u32>,
    templates: Vec<Template>,
    /// Where DNAMEs lead, as they are spelled, in wire form.
    targets: Vec<u8>,
    images: Vec<Image>,
}

/// One answer but for the id, the flags that the query brings, and the question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Template {
    /// The type it answers.
    pub(crate) record_type: u16,
    /// QR, AA and rcode.
    pub(crate) flags: u16,
    /// What a reply with it is counted as.
    pub(crate) cell: Stub,
    /// Records in each section, apart from the rings'.
    pub(crate) counts: Counts,
    /// How many bytes of the additional records, and how many records, a reply would be incomplete without: glue
    /// (RFC 9471 §3.1).
    required: (u32, u16),
    /// Whether it is answered for want of live members.
    pub(crate) fails_open: bool,
    anchor_len: u8,
    untouched_len: u8,
    order: Order,
    stakes: u32,
    /// Where a DNAME leads: its stretch of the targets, empty where it is none.
    target: (u32, u8),
    start: u32,
    split: u32,
    optional: u32,
    end: u32,
    ring: RingAt,
    extra: RingAt,
    /// One for each place that the ring may start with; none where records are drawn, or are too many.
    images: u32,
    image_count: u32,
    relocations: u32,
    relocation_count: u16,
    /// Where in the fixed bytes a serial has to be filled in, and of which zone.
    serial: u32,
    serial_zone: ZoneId,
}

const NO_SERIAL: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, Default)]
struct RingAt {
    marks: u32,
    size: u16,
    window: u16,
}

/// Where a ring's record starts, and how many records stand before it.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: u32,
    count: u32,
}

/// An answer being written.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) record_type: u16,
    pub(super) flags: u16,
    pub(super) answers: Records,
    /// Records that rotate.
    pub(super) ring: Vec<Records>,
    /// How many of the ring are answered at once.
    pub(super) window: u16,
    pub(super) authorities: Records,
    pub(super) additionals: Records,
    /// Those that have to be there come first: so many bytes and records.
    pub(super) required: (u32, u16),
    /// Additional records of each record of the ring; empty, or as long as the ring.
    pub(super) extra: Vec<Records>,
    /// How the records of the ring are chosen.
    pub(super) order: Order,
    /// What that needs to know of each record of the ring, unless it is simply their turn.
    pub(super) stakes: Vec<Stake>,
    /// Whether a pool in it fails open.
    pub(super) fails_open: bool,
    /// The cell of the pool whose members are answered.
    pub(super) pool: Option<Cell>,
    /// Where a DNAME leads, in wire form; empty where it is none.
    pub(super) target: Vec<u8>,
    /// The zone whose SOA is in it.
    pub(super) zone: ZoneId,
}

/// A stretch of records to copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    /// The wire form.
    pub(crate) bytes: &'a [u8],
    /// How many records.
    pub(crate) count: u16,
}

impl Answers {
    /// Adds an answer that was compiled for a name of `anchor_len` bytes, and returns its place.
    pub(super) fn push(&mut self, draft: &Draft, anchor_len: usize) -> u32 {
        let start = self.bytes.len() as u32;
        let relocations = self.relocations.len() as u32;
        let mut serial = NO_SERIAL;
        let mut ends = [0; 3];
        for (section, end) in
            [&draft.answers, &draft.authorities, &draft.additionals].into_iter().zip(&mut ends)
        {
            let offset = self.bytes.len() as u32 - start;
            self.relocations.extend(section.relocations.iter().map(|at| at + offset));
            serial = section.serial.map_or(serial, |at| at + offset);
            self.bytes.extend_from_slice(&section.bytes);
            *end = self.bytes.len() as u32;
        }
        let ring = self.add_ring(&draft.ring, draft.window);
        let extra = self.add_ring(&draft.extra, draft.window);
        let (images, image_count) = (self.images.len() as u32, 0);
        let (stakes, target) = (self.stakes.len() as u32, self.targets.len() as u32);
        self.stakes.extend_from_slice(&draft.stakes);
        self.targets.extend_from_slice(&draft.target);
        let mut counts = Counts::answers(draft.answers.count);
        counts += Counts::authorities(draft.authorities.count);
        counts += Counts::additionals(draft.additionals.count);
        let mut template = Template {
            record_type: draft.record_type,
            flags: QR | draft.flags,
            cell: Stub::new(draft.flags & RCODE, draft.record_type, draft.pool),
            counts,
            required: draft.required,
            fails_open: draft.fails_open,
            anchor_len: anchor_len as u8,
            untouched_len: if serial == NO_SERIAL { anchor_len as u8 } else { 0 },
            order: draft.order,
            stakes,
            target: (target, draft.target.len() as u8),
            start,
            split: ends[0],
            optional: ends[1],
            end: ends[2],
            ring,
            extra,
            images,
            image_count,
            relocations,
            relocation_count: (self.relocations.len() as u32 - relocations) as u16,
            serial,
            serial_zone: draft.zone,
        };
        if !template.fails_open && !template.redirects() {
            self.add_images(&mut template);
        }
        self.templates.push(template);
        self.templates.len() as u32 - 1
    }

    /// Adds the answers of a name.
    pub(super) fn extend(&mut self, drafts: &[Draft], anchor_len: usize) {
        for draft in drafts {
            self.push(draft, anchor_len);
        }
    }

    fn add_ring(&mut self, records: &[Records], window: u16) -> RingAt {
        if records.is_empty() {
            return RingAt::default();
        }
        let marks = self.marks.len() as u32;
        let mut count = 0;
        for record in records.iter().chain(records) {
            self.marks.push(Mark { at: self.bytes.len() as u32, count });
            self.bytes.extend_from_slice(&record.bytes);
            count += u32::from(record.count);
        }
        self.marks.push(Mark { at: self.bytes.len() as u32, count });
        RingAt { marks, size: records.len() as u16, window }
    }

    /// The template at a place.
    pub(crate) fn get(&self, place: u32) -> &Template {
        &self.templates[place as usize]
    }

    /// The templates from one place to another.
    pub(crate) fn range(&self, places: std::ops::Range<u32>) -> &[Template] {
        &self.templates[places.start as usize..places.end as usize]
    }

    /// All templates.
    pub(crate) fn all(&self) -> &[Template] {
        &self.templates
    }

    /// How many templates there are.
    pub(super) fn len(&self) -> u32 {
        self.templates.len() as u32
    }

    /// The fixed records that come before the ring.
    pub(crate) fn head(&self, template: &Template) -> &[u8] {
        &self.bytes[template.start as usize..template.split as usize]
    }

    /// The fixed records that come behind the ring, those that may be left out excepted.
    pub(crate) fn authority(&self, template: &Template) -> &[u8] {
        &self.bytes[template.split as usize..template.optional as usize]
    }

    /// The fixed additional records.
    pub(crate) fn additional(&self, template: &Template) -> Run<'_> {
        let bytes = &self.bytes[template.optional as usize..template.end as usize];
        Run { bytes, count: template.counts.0 as u16 }
    }

    /// Those of them that may not be left out.
    pub(crate) fn required(&self, template: &Template) -> Run<'_> {
        let (start, (len, count)) = (template.optional as usize, template.required);
        Run { bytes: &self.bytes[start..start + len as usize], count }
    }

    /// Who of the ring is answered, and in which order. `turn`: a fraction of 2^32 of the ring; `network`: what
    /// stands for the client's network.
    pub(crate) fn choose(&self, template: &Template, turn: u32, network: impl FnOnce() -> u64) -> Places {
        let RingAt { size, window, .. } = template.ring;
        let stakes = || &self.stakes[template.stakes as usize..][..usize::from(size)];
        match template.order {
            Order::Turn => Places::Run(((u64::from(turn) * u64::from(size)) >> 32) as usize, window),
            Order::Partial => draw::partial(stakes(), turn, window),
            Order::Sticky => draw::sticky(stakes(), network(), window),
            Order::Weighted => draw::weighted(stakes(), turn, window),
        }
    }

    /// The chosen records of the ring.
    pub(crate) fn ring<'a>(&'a self, template: &Template, places: &'a Places) -> Pieces<'a> {
        self.pieces(template.ring, places, places.len())
    }

    /// The additional records of the first `records` of the chosen ones.
    pub(crate) fn extra<'a>(&'a self, template: &Template, places: &'a Places, records: u16) -> Pieces<'a> {
        self.pieces(template.extra, places, records)
    }

    fn pieces<'a>(&'a self, ring: RingAt, places: &'a Places, records: u16) -> Pieces<'a> {
        let records = if ring.size == 0 { 0 } else { records };
        Pieces { answers: self, marks: ring.marks as usize, places, next: 0, records }
    }

    /// Where a DNAME leads, in wire form; `None` where it is none.
    pub(crate) fn target(&self, template: &Template) -> Option<&[u8]> {
        let (start, len) = (template.target.0 as usize, usize::from(template.target.1));
        (len > 0).then(|| &self.targets[start..start + len])
    }

    /// The places in the fixed bytes where pointers stand that move with the question's length.
    pub(crate) fn relocations(&self, template: &Template) -> &[u32] {
        let start = template.relocations as usize;
        &self.relocations[start..start + usize::from(template.relocation_count)]
    }
}

impl Template {
    /// Whether it is a DNAME's, which the rest of the answer has yet to follow.
    pub(crate) fn redirects(&self) -> bool {
        self.target.1 > 0
    }

    /// Whether there are records in its answer section: it does not say that there are none.
    pub(crate) fn has_data(&self) -> bool {
        self.counts.has_answers() || self.ring.size > 0
    }

    /// How much of the question it was compiled against: its last bytes.
    pub(crate) fn anchor_len(&self) -> usize {
        self.anchor_len.into()
    }

    /// The longest question whose answer needs nothing to be filled in.
    pub(crate) fn untouched_len(&self) -> usize {
        self.untouched_len.into()
    }

    /// Where in the fixed bytes a serial stands, and whose.
    pub(crate) fn serial(&self) -> Option<(u32, ZoneId)> {
        (self.serial != NO_SERIAL).then_some((self.serial, self.serial_zone))
    }

    /// How many fixed bytes stand before the ring.
    pub(crate) fn head_len(&self) -> u32 {
        self.split - self.start
    }

    /// Whether the answer differs from one client's network to another's.
    pub(crate) fn is_tailored(&self) -> bool {
        self.order == Order::Sticky
    }
}

/// Stretches of records to copy, one after another: a rotation is one, a drawn order one for each record.
#[derive(Debug, Clone)]
pub(crate) struct Pieces<'a> {
    answers: &'a Answers,
    marks: usize,
    places: &'a Places,
    next: u16,
    records: u16,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Run<'a>;

    #[inline]
    fn next(&mut self) -> Option<Run<'a>> {
        if self.next == self.records {
            return None;
        }
        let (first, records) = match self.places {
            Places::Run(first, _) => (*first, self.records),
            Places::Drawn(places, _) => (usize::from(places[usize::from(self.next)]), 1),
        };
        self.next += records;
        let (from, to) = (
            self.answers.marks[self.marks + first],
            self.answers.marks[self.marks + first + usize::from(records)],
        );
        let bytes = &self.answers.bytes[from.at as usize..to.at as usize];
        Some(Run { bytes, count: (to.count - from.count) as u16 })
    }
}
