//! The differences that RFCs allow, or that a peer alone has: each has a name, the peers it is about, and a reason.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::ask::Question;
use super::told::{Told, owner};
use super::zone::zone_of;

/// A difference that is allowed.
pub struct Rule {
    pub name: &'static str,
    /// Whose replies differ so.
    pub peers: &'static [&'static str],
    /// Levels what may differ between our reply and theirs; true if something did.
    pub level: fn(&Question, &mut Told, &mut Told) -> bool,
}

const EVERYONE: &[&str] = &["BIND", "NSD", "Knot"];

/// In the order they are applied; each must be needed by each of its peers. What a rule does not level must still be the
/// same.
pub const RULES: &[Rule] = &[
    // RFC 8482 §4.2: ANY may be answered with a HINFO record in place of all that there is.
    Rule { name: "rfc8482-any", peers: EVERYONE, level: any },
    // RFC 6672 §3.2 step 3c looks the new name up whatever the type is, RFC 1034 §4.3.2 step 3a ends at a CNAME that
    // ANY matches. BIND and onstage end there, too.
    Rule { name: "rfc6672-any", peers: &["NSD", "Knot"], level: any_below_dname },
    // RFC 2181 §9: a truncated reply is not to be used, so that it does not matter how much of it is left, nor what was
    // found behind the first CNAME.
    Rule { name: "rfc2181-truncated", peers: EVERYONE, level: truncated },
    // RFC 1034 §3.6.2 calls a CNAME loop an error, and does not say how often it is followed; the same goes for DNAMEs that
    // lead below themselves.
    Rule { name: "rfc1034-endless", peers: EVERYONE, level: endless },
    // RFC 1034 §4.3.2 step 3a goes back to step 2, to whatever zone the next name is in; BIND and Knot stay in the zone of
    // the question, as a resolver will not believe the rest (RFC 2181 §5.4.1).
    Rule { name: "rfc1034-other-zone", peers: &["BIND", "Knot"], level: other_zone },
    // RFC 1035 §4.1.4: compression may be used or not. A reply that fits only because of it may be truncated.
    Rule { name: "rfc1035-compression", peers: EVERYONE, level: compression },
    // RFC 9471 §3.1 wants TC where glue does not fit. BIND 9.18 and NSD 4.6 add addresses in the order of the servers, those
    // of hosts elsewhere among them, and leave out what does not fit.
    Rule { name: "glue-left-out", peers: &["BIND", "NSD"], level: glue_left_out },
    // RFC 2308 §2 wants the SOA, and RFC 2181 §9 TC where it does not fit; Knot leaves it out behind a CNAME.
    Rule { name: "knot-soa", peers: &["Knot"], level: soa_left_out },
    // RFC 9471 §3.2 wants no TC for addresses that are not below the cut; NSD sets it for all.
    Rule { name: "nsd-truncates", peers: &["NSD"], level: truncated_for_siblings },
    // RFC 6672 §3.2: YXDOMAIN, and that is all. Knot goes on with the target of the DNAME itself, or adds an SOA.
    Rule { name: "knot-yxdomain", peers: &["Knot"], level: too_long },
    // RFC 1034 §4.3.2 step 6, RFC 2181 §9: additional records are a help that may be left out. Glue is not, RFC 9471.
    Rule { name: "rfc1034-additional", peers: EVERYONE, level: additional },
];

fn any(question: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let synthesized = ours.answer.len() == 1 && ours.answer[0].contains(" hinfo rfc8482 ");
    if question.record_type != RecordType::ANY || !synthesized || theirs.answer.is_empty() && !theirs.tc {
        return false;
    }
    ours.answer.clone_from(&theirs.answer);
    ours.tc = theirs.tc; // all that there is may not fit
    true
}

fn any_below_dname(question: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let goes_on =
        ours.has("dname") && ours.has("cname") && ours.answer.iter().all(|line| theirs.answer.contains(line));
    if question.record_type != RecordType::ANY || !(goes_on || theirs.tc && ours.tc) || ours == theirs {
        return false;
    }
    ours.clone_from(theirs);
    true
}

fn truncated(_: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    if !(ours.tc && theirs.tc) || ours == theirs {
        return false;
    }
    ours.rcode = theirs.rcode;
    ours.level_records(theirs);
    true
}

fn endless(_: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let all_links =
        |told: &Told| told.answer.iter().all(|line| line.contains(" cname ") || line.contains(" dname "));
    let is_endless = theirs.is_endless() || ours.is_endless();
    if !is_endless || !all_links(ours) || !all_links(theirs) || ours == theirs {
        return false;
    }
    ours.answer.clone_from(&theirs.answer);
    (ours.rcode, ours.tc) = (theirs.rcode, theirs.tc);
    true
}

fn other_zone(question: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let same_start = ours.tc || theirs.answer.iter().all(|line| ours.answer.contains(line));
    let ends = theirs.rcode == ResponseCode::NoError && theirs.authority.is_empty() && !theirs.tc;
    let asked = question.name.to_string().to_ascii_lowercase();
    let leaves = theirs.end_of_chain(&asked).is_some_and(|end| zone_of(end) != zone_of(&asked));
    if !same_start || !ends || !leaves || ours == theirs {
        return false;
    }
    ours.clone_from(theirs);
    true
}

fn compression(question: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let whole = if ours.tc { &theirs } else { &ours };
    if ours.tc == theirs.tc || whole.size.0 <= question.limit {
        return false;
    }
    ours.clone_from(theirs);
    true
}

fn glue_left_out(question: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let (all, some) = (ours.glue(), theirs.glue());
    let fewer = some.len() < all.len() && some.iter().all(|line| all.contains(line));
    let full = ours.size.0 > question.limit || ours.has_server_elsewhere();
    if theirs.tc || ours.tc || !fewer || !full {
        return false;
    }
    ours.additional.clone_from(&theirs.additional);
    true
}

fn soa_left_out(question: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let lacks = ours.tc && !theirs.tc && theirs.has("cname") && theirs.authority.is_empty();
    let is_negative = matches!(theirs.rcode, ResponseCode::NXDomain | ResponseCode::NoError);
    if !lacks || !is_negative || question.limit > 512 {
        return false;
    }
    ours.clone_from(theirs);
    true
}

fn truncated_for_siblings(_: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let refers = ours.has("ns") && ours.answer == theirs.answer && ours.authority == theirs.authority;
    let applies = refers && theirs.tc && !ours.tc;
    if !applies || ours.glue().len() < theirs.glue().len() {
        return false;
    }
    ours.tc = true;
    ours.additional.clone_from(&theirs.additional);
    true
}

fn too_long(_: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let same_start = ours.answer.iter().all(|line| theirs.answer.contains(line));
    let applies = ours.rcode == ResponseCode::YXDomain && ours.authority.is_empty() && same_start;
    if !applies || ours == theirs {
        return false;
    }
    (ours.rcode, ours.tc) = (theirs.rcode, theirs.tc);
    ours.level_records(theirs);
    true
}

fn additional(_: &Question, ours: &mut Told, theirs: &mut Told) -> bool {
    let helps = |line: &String| {
        let is_address = matches!(line.split(' ').nth(2), Some("a" | "aaaa"));
        let is_behind_alias = matches!(line.split(' ').nth(2), Some("svcb" | "https")); // RFC 9460 §4.1
        (is_address || is_behind_alias) && ours.mentions(owner(line)) || theirs.additional.contains(line)
    };
    let allowed = ours.glue() == theirs.glue() && ours.additional.iter().all(helps);
    if ours.additional == theirs.additional || !allowed {
        return false;
    }
    ours.additional.clone_from(&theirs.additional);
    true
}
