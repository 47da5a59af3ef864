//! What is asked: names in, above, below and beside a zone, in all types and forms.

use std::collections::BTreeSet;

use hickory_proto::rr::{Name, RecordType};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::ask::{FORMS, Question};
use super::generate::LONG;
use super::zone::Zone;
use crate::harness::plan_of_zone;

const TYPES: [RecordType; 19] = {
    use RecordType::{
        A, AAAA, ANY, CAA, CNAME, DNAME, DS, HINFO, HTTPS, MX, NS, PTR, SOA, SRV, SVCB, TLSA, TXT, Unknown,
    };
    [
        A,
        AAAA,
        ANY,
        CAA,
        CNAME,
        DS,
        HINFO,
        HTTPS,
        MX,
        NS,
        PTR,
        SOA,
        SRV,
        SVCB,
        TLSA,
        TXT,
        DNAME,
        Unknown(65_280),
        Unknown(999),
    ]
};

/// A file's names, and those above, below and beside them, in several spellings: some types in all forms, the others
/// in one, so that it ends soon.
pub fn thorough(file: &str) -> Vec<Question> {
    use RecordType::{A, MX, NS, SRV, TXT};
    let mut questions = Vec::new();
    for name in names(file) {
        for record_type in TYPES {
            for form in FORMS {
                if matches!(record_type, A | MX | SRV | NS | TXT) || form == "1232 DO" {
                    questions.push(Question::new(&name, record_type, form));
                }
            }
        }
    }
    questions
}

fn names(file: &str) -> BTreeSet<Name> {
    let zone = &plan_of_zone(file).zones[0];
    let name = |text: &str| Name::from_ascii(text).unwrap();
    let mut names = BTreeSet::from(["elsewhere.", "example.", "xp.example.", "P.eXample."].map(name));
    for record in &zone.records {
        let owner = record.spelled.clone();
        let below = ["x", "X.y", "*"].map(|labels| name(labels).append_domain(&owner).unwrap());
        names.extend(below);
        names.extend([
            name(&owner.to_string().replace('*', "any")),
            name(&owner.to_string().to_uppercase()),
            owner.base_name(),
            owner,
        ]);
    }
    names.retain(|name| !name.is_root());
    names
}

/// How a question's name is made of an owner's.
#[derive(Debug, Clone)]
enum Twist {
    Same,
    Below(Vec<&'static str>),
    Beside(&'static str),
    Above,
    Matched,
}

#[derive(Debug, Clone)]
struct Draft {
    owner: Index,
    twist: Twist,
    /// One of the owner's own, or any.
    record_type: Result<Index, RecordType>,
    form: &'static str,
    /// A letter is upper case where its bit is set.
    case: u64,
}

fn draft() -> impl Strategy<Value = Draft> {
    let label = || select(vec!["a", "b", "x", "*", "_tcp", "ns0", LONG, LONG]);
    let twist = prop_oneof![
        5 => Just(Twist::Same),
        4 => vec(label(), 1..4).prop_map(Twist::Below),
        1 => label().prop_map(Twist::Beside),
        1 => Just(Twist::Above),
        2 => Just(Twist::Matched),
    ];
    let record_type = prop_oneof![any::<Index>().prop_map(Ok), select(TYPES.to_vec()).prop_map(Err)];
    let case = prop_oneof![Just(0), any::<u64>()];
    (any::<Index>(), twist, record_type, select(FORMS.to_vec()), case)
        .prop_map(|(owner, twist, record_type, form, case)| Draft { owner, twist, record_type, form, case })
}

/// The next `many` questions of a runner about a zone.
pub fn drawn(runner: &mut TestRunner, zone: &Zone, many: usize) -> Vec<Question> {
    let (owners, drafts) = (zone.owners(), draft());
    let mut next = || question(&drafts.new_tree(runner).unwrap().current(), &owners);
    std::iter::repeat_with(&mut next).flatten().take(many).collect()
}

/// `None`: the name would be too long.
fn question(draft: &Draft, owners: &[(String, Vec<&'static str>)]) -> Option<Question> {
    let (owner, types) = draft.owner.get(owners);
    let name = match &draft.twist {
        Twist::Same => owner.clone(),
        Twist::Below(labels) => format!("{}.{owner}", labels.join(".")),
        Twist::Beside(label) => format!("{label}.{}", parent(owner)),
        Twist::Above => parent(owner).to_owned(),
        Twist::Matched => owner.replace("*.", "any."),
    };
    let spelled = |(at, c): (usize, char)| {
        if draft.case >> (at % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c }
    };
    let name: String = name.chars().enumerate().map(spelled).collect();
    let record_type = match draft.record_type {
        Ok(index) => type_named(types[index.index(types.len())]),
        Err(record_type) => record_type,
    };
    Some(Question::new(&Name::from_ascii(name).ok()?, record_type, draft.form))
}

fn type_named(text: &str) -> RecordType {
    match text {
        "TYPE65280" => RecordType::Unknown(65_280),
        known => known.parse().unwrap(),
    }
}

/// The name above one, none of whose first labels has an escaped dot in it.
fn parent(name: &str) -> &str {
    let dots = name.match_indices('.').map(|(at, _)| at).filter(|&at| !name[..at].ends_with('\\'));
    dots.into_iter().next().map_or(".", |at| &name[at + 1..])
}
