//! Whole answers in a row, one for each place that a ring may start with: most replies are one of them, copied.
//!
//! An answer has none where its records are drawn, where they would take too much memory, or where a reply needs more
//! than its records.

use super::super::counts::Counts;
use super::super::draw::{Order, Places};
use super::{Answers, Pieces, RingAt, Template};

/// The most bytes that the images of one answer take.
const MOST_IMAGED: usize = 1 << 15;

/// All records of an answer in a row, from one place in its ring: what most replies are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image {
    at: u32,
    len: u32,
    ring_len: u32,
    counts: Counts,
}

/// The same, to be copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) bytes: &'a [u8],
    /// How many of the bytes are the ring's.
    pub(crate) ring_len: u32,
    /// Of the whole message: the question is one of them.
    pub(crate) counts: Counts,
}

impl Answers {
    /// Adds those of a template that is being added.
    pub(super) fn add_images(&mut self, template: &mut Template) {
        let RingAt { size, window, .. } = template.ring;
        let bytes = (template.end - template.start) as usize;
        if size == 0 {
            let (at, len) = (template.start, bytes as u32);
            let mut counts = template.counts;
            counts += Counts::QUESTION;
            self.images.push(Image { at, len, ring_len: 0, counts });
            template.image_count = 1;
            return;
        }
        let length = |pieces: Pieces<'_>| pieces.map(|piece| piece.bytes.len()).sum::<usize>();
        let everyone = Places::Run(0, size);
        let whole =
            bytes + length(self.ring(template, &everyone)) + length(self.extra(template, &everyone, size));
        if template.order != Order::Turn || usize::from(size) * whole > MOST_IMAGED {
            return;
        }
        for first in 0..usize::from(size) {
            let (at, mut counts, places) =
                (self.bytes.len() as u32, template.counts, Places::Run(first, window));
            counts += Counts::QUESTION;
            let mut bytes = self.head(template).to_vec();
            for piece in self.ring(template, &places) {
                bytes.extend_from_slice(piece.bytes);
                counts += Counts::answers(piece.count);
            }
            let ring_len = (bytes.len() - self.head(template).len()) as u32;
            bytes.extend_from_slice(self.authority(template));
            bytes.extend_from_slice(self.additional(template).bytes);
            for piece in self.extra(template, &places, window) {
                bytes.extend_from_slice(piece.bytes);
                counts += Counts::additionals(piece.count);
            }
            self.images.push(Image { at, len: bytes.len() as u32, ring_len, counts });
            self.bytes.extend_from_slice(&bytes);
        }
        template.image_count = size.into();
    }

    /// The whole answer in a row, where there is such a thing, and its bytes. `turn`: a fraction of 2^32 of the ring.
    #[inline(always)]
    pub(crate) fn image(&self, template: &Template, turn: u32) -> Option<Row<'_>> {
        let which = ((u64::from(turn) * u64::from(template.image_count)) >> 32) as u32;
        if template.image_count == 0 {
            return None;
        }
        let Image { at, len, ring_len, counts } = self.images[(template.images + which) as usize];
        Some(Row { bytes: &self.bytes[at as usize..][..len as usize], ring_len, counts })
    }
}
