//! The reply that most queries get: records that lie ready, to a question with nothing around it.
//!
//! It is a shortcut, not a second opinion: the same lookup, the same bytes as [`super::thorough`] composes, which is asked
//! whenever there is anything to decide. It never takes the address of what it works with, so that all of it stays in
//! registers.

use super::compose::{Named, header, patch};
use super::edns::PlainOpt;
use super::query::{HEADER, Query};
use super::{MIN_MESSAGE, Reply, Via, limit};
use crate::snapshot::Snapshot;
use crate::snapshot::counts::Counts;
use crate::snapshot::flags::RD;

/// The reply in `reply`; `None` where it takes more than this. `turn`: where a rotation starts.
#[inline(never)]
pub(super) fn reply(
    snapshot: &Snapshot,
    via: Via,
    message: &[u8],
    turn: u32,
    reply: &mut [u8],
) -> Option<Reply> {
    let query = Query::with_question(message).ok().filter(Query::asks_for_records)?;
    let opt = match (query.additionals, query.rest) {
        (0, []) => None,
        (1, record) => Some(PlainOpt::read(record)?),
        _ => return None,
    };
    let hit = snapshot.find_ordinary(query.name, query.record_type)?;
    let (template, records) = (hit.template, hit.answers.image(hit.template, turn)?);
    let start = query.opening.len();
    let end = start + records.bytes.len();
    let len = end + opt.map_or(0, PlainOpt::len);
    if len > MIN_MESSAGE && len > limit(snapshot, via, opt.map(PlainOpt::udp_size)) {
        return None;
    }
    let reply = reply.get_mut(..len)?;
    reply[..start].copy_from_slice(query.opening);
    reply[start..end].copy_from_slice(records.bytes);
    let named = Named { at: HEADER, len: query.name.len() };
    patch(snapshot, hit, named, &mut reply[start..end], records.ring_len as usize);
    let mut counts = records.counts;
    if let Some(opt) = opt {
        reply[end..].copy_from_slice(&opt.reply(snapshot.terms().udp_size));
        counts += Counts::additionals(1);
    }
    let flags = template.flags | query.flags & RD;
    *reply.first_chunk_mut()? = header(query.id, flags, counts);
    let cell = template.cell.ordinary(query.record_type);
    Some(Reply { len: len as u16, cell, is_truncated: false, is_known: false })
}
