//! Names below a DNAME (RFC 6672): the one answer that depends on the question's labels.
//!
//! The reply holds the DNAME, the CNAME that it stands for, and what is found for the name that this leads to, in
//! these zones. Templates point into the name they were compiled for; here that is the CNAME's target, which is written
//! out, so that their pointers only have to be moved there.

use super::compose::{Composer, Full, Named};
use super::query::HEADER;
use super::{Chance, Reply};
use crate::name;
use crate::snapshot::counts::Counts;
use crate::snapshot::flags::{RCODE, YXDOMAIN};
use crate::snapshot::{Cell, Hit};

const TYPE_CNAME: u16 = 5;
const TYPE_ANY: u16 = 255;
/// The most DNAMEs that one answer follows; a loop ends here.
const MAX_CHAIN: usize = 16;

impl<'c> Composer<'c, '_> {
    /// The reply to a question below the DNAME of `hit`.
    #[cold]
    pub(super) fn redirected(&mut self, hit: &Hit<'c>, chance: &Chance<'_>) -> Reply {
        let flags = hit.template.flags;
        match self.follow(*hit, chance) {
            Ok(cell) => self.finish(flags, cell),
            Err(Full) => self.truncated(flags, Cell::of(flags & RCODE, self.query.record_type)),
        }
    }

    /// Adds everything; what it is counted as.
    fn follow(&mut self, mut hit: Hit<'c>, chance: &Chance<'_>) -> Result<Cell, Full> {
        let record_type = self.query.record_type;
        let asked = self.query.name;
        let mut spelled = [0; name::MAX_LEN];
        spelled[..asked.len()].copy_from_slice(asked);
        let mut named = Named { at: HEADER, len: asked.len() };
        let (mut passed, mut been) = ([None; MAX_CHAIN], [named; MAX_CHAIN]);
        for step in 0..MAX_CHAIN {
            let Some(target) = hit.answers.target(hit.template) else {
                self.append(&hit, chance, named)?;
                return Ok(hit.template.cell.any(record_type));
            };
            // A record is in its section once (RFC 2181 §5).
            if !passed.iter().flatten().any(|&earlier| std::ptr::eq(earlier, hit.template)) {
                self.append(&hit, chance, named)?;
            }
            (passed[step], been[step]) = (Some(std::ptr::from_ref(hit.template)), named);
            let kept = named.len - hit.template.anchor_len();
            let len = kept + target.len();
            let Some(end) = spelled.get_mut(kept..len) else { return Ok(Cell::of(YXDOMAIN, record_type)) };
            end.copy_from_slice(target);
            let is_loop = been[..=step].iter().any(|&earlier| self.is_named(earlier, &spelled[..len]));
            named = self.append_cname(named, &spelled[..len], ttl(&hit))?;
            if is_loop || matches!(record_type, TYPE_CNAME | TYPE_ANY) {
                break;
            }
            match self.snapshot.find(&spelled[..len], record_type) {
                Some(next) => hit = next,
                None => break,
            }
        }
        Ok(Cell::of(0, record_type))
    }

    /// Whether a name that was written is this one.
    fn is_named(&mut self, written: Named, name: &[u8]) -> bool {
        self.page.written()[written.at..written.at + written.len].eq_ignore_ascii_case(name)
    }

    /// The CNAME from one name to another (§3.1); where the latter is.
    fn append_cname(&mut self, owner: Named, target: &[u8], ttl: [u8; 4]) -> Result<Named, Full> {
        const FIXED: usize = 12;
        if self.page.len() + FIXED + target.len() + self.opt_len() > self.limit {
            return Err(Full);
        }
        self.page.put(&(0xc000 | owner.at as u16).to_be_bytes());
        self.page.put(&[0, TYPE_CNAME as u8, 0, 1]);
        self.page.put(&ttl);
        self.page.put(&(target.len() as u16).to_be_bytes());
        let at = self.page.len();
        self.page.put(target);
        self.counts += Counts::answers(1);
        Ok(Named { at, len: target.len() })
    }
}

/// The TTL of the DNAME, which the CNAME gets as well (§3.1).
fn ttl(hit: &Hit<'_>) -> [u8; 4] {
    let head = hit.answers.head(hit.template);
    let at = owner_len(head) + 4;
    [head[at], head[at + 1], head[at + 2], head[at + 3]]
}

/// Moves all compression pointers of records that we wrote.
pub(super) fn move_pointers(records: &mut [u8], by: u16) {
    let mut at = 0;
    while at < records.len() {
        at += move_pointer(&mut records[at..], by);
        let fixed = &records[at..at + 10];
        let (record_type, len) =
            (u16::from_be_bytes([fixed[0], fixed[1]]), usize::from(u16::from_be_bytes([fixed[8], fixed[9]])));
        at += 10;
        let rdata = &mut records[at..at + len];
        match record_type {
            2 | 5 | 12 => drop(move_pointer(rdata, by)),   // NS, CNAME, PTR
            15 => drop(move_pointer(&mut rdata[2..], by)), // MX
            6 => {
                let mname = move_pointer(rdata, by); // SOA
                move_pointer(&mut rdata[mname..], by);
            }
            _ => {}
        }
        at += len;
    }
}

/// Moves the pointer that a name ends in, if it does; how long the name is.
fn move_pointer(name: &mut [u8], by: u16) -> usize {
    let len = owner_len(name);
    if let [.., high, low] = &mut name[..len]
        && *high >= 0xc0
    {
        [*high, *low] = (u16::from_be_bytes([*high, *low]) + by).to_be_bytes();
    }
    len
}

/// The length of a name in a message.
fn owner_len(name: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match name[at] {
            0 => return at + 1,
            0xc0.. => return at + 2,
            len => at += 1 + usize::from(len),
        }
    }
}
