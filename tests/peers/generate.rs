//! Zones that a seed decides: every construct that replies differ by, side by side and nested in each other.
//!
//! A strategy draws what stands where; a [`Zone`] is what of it may stand together. Targets are drawn from the same
//! names, so that aliases lead to wildcards, delegations, other aliases, each other, and nowhere.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::zone::{LONGEST, Labels, Zone, absolute};

/// A label as long as labels may be.
pub const LONG: &str = "a-label-of-sixty-three-bytes-which-is-as-long-as-a-label-may-be";

/// What is to stand at one name.
#[derive(Debug, Clone)]
pub struct Plan {
    path: Labels,
    ttl: u32,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Addresses { v4: u8, v6: u8 },
    Texts { count: u8, length: usize },
    Alias(Target),
    Redirect(Target),
    Cut { hosts: Vec<Host>, signed: bool },
    Mail(Vec<Index>),
    Services(Vec<Index>),
    Binding { https: bool, priority: u8, target: Target },
    Pointer(Target),
    Authority,
    Unknown(Vec<u8>),
}

/// Where a record leads.
#[derive(Debug, Clone)]
enum Target {
    /// The name of another plan, or one below it.
    Planned(Index, Labels),
    /// Any name of the zone.
    Path(Labels),
    /// A name of another zone.
    Neighbour(Index, Labels),
    /// So long that what a DNAME makes of a name may be too long.
    Long,
    Outside,
}

/// A server that a zone is delegated to.
#[derive(Debug, Clone)]
enum Host {
    /// Below the cut, with glue of both families or one.
    Inside(u8, bool, bool),
    /// Some host with an address: glue of another cut, or the zone's own.
    Known(Index),
    Outside,
}

fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => select(vec!["a", "b", "c", "d", "e", "_tcp"]),
        3 => Just("*"),
        1 => Just(LONG),
        1 => Just(r"dot\.ted"),
    ]
    .prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = Labels> {
    prop_oneof![
        20 => vec(label(), 1..5),
        1 => Just(Labels::new()),
        // As long as a name of these zones may be, but for a few bytes.
        1 => (40_usize..53).prop_map(|n| vec!["n".repeat(n), LONG.into(), LONG.into(), LONG.into()]),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    let below = vec(label().prop_filter("no wildcard", |label| label != "*"), 0..2);
    prop_oneof![
        6 => (any::<Index>(), below).prop_map(|(index, below)| Target::Planned(index, below)),
        3 => path().prop_map(Target::Path),
        1 => Just(Target::Outside),
        1 => (any::<Index>(), path()).prop_map(|(index, path)| Target::Neighbour(index, path)),
    ]
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        4 => (0_u8..3, any::<bool>(), any::<bool>()).prop_map(|(n, v4, v6)| Host::Inside(n, v4, v6)),
        2 => any::<Index>().prop_map(Host::Known),
        1 => Just(Host::Outside),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    let some = || vec(any::<Index>(), 1..5);
    prop_oneof![
        6 => (0_u8..4, 0_u8..3).prop_map(|(v4, v6)| Kind::Addresses { v4, v6 }),
        1 => (25_u8..100, 0_u8..50).prop_map(|(v4, v6)| Kind::Addresses { v4, v6 }),
        2 => (1_u8..4, 0_usize..60).prop_map(|(count, length)| Kind::Texts { count, length }),
        1 => (3_u8..12, 100_usize..250).prop_map(|(count, length)| Kind::Texts { count, length }),
        6 => target().prop_map(Kind::Alias),
        2 => prop_oneof![4 => target(), 1 => Just(Target::Long)].prop_map(Kind::Redirect),
        3 => (vec(host(), 1..5), any::<bool>()).prop_map(|(hosts, signed)| Kind::Cut { hosts, signed }),
        2 => some().prop_map(Kind::Mail),
        2 => some().prop_map(Kind::Services),
        2 => (any::<bool>(), 0_u8..3, target())
            .prop_map(|(https, priority, target)| Kind::Binding { https, priority, target }),
        1 => target().prop_map(Kind::Pointer),
        1 => Just(Kind::Authority),
        1 => vec(any::<u8>(), 1..20).prop_map(Kind::Unknown),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let ttl = select(vec![0, 5, 60, 300, 86_400]);
    (path(), ttl, kind()).prop_map(|(path, ttl, kind)| Plan { path, ttl, kind })
}

/// The next zones of a runner, at `origins`. One that is right below another is delegated by it.
pub fn zones(runner: &mut TestRunner, origins: &[String]) -> Vec<Zone> {
    let plans = vec(plan(), 50..90);
    let mut drawn = || plans.new_tree(runner).unwrap().current();
    origins.iter().map(|origin| assemble(origin, origins, &drawn())).collect()
}

/// What of the plans may stand together, in one zone. Records that lead to hosts are added once these are known.
fn assemble(origin: &str, origins: &[String], plans: &[Plan]) -> Zone {
    let mut zone = Zone::new(origin);
    for child in origins.iter().filter_map(|child| child.strip_suffix(&format!(".{origin}"))) {
        zone.cut(&vec![child.to_owned()], 300, &[("ns1".to_owned(), true, false)], true);
    }
    for plan in plans {
        place(&mut zone, plan, &|target| aim(origin, origins, target, plans));
    }
    for Plan { path, ttl, kind } in plans {
        let hosts = zone.hosts();
        let known = |index: &Index| index.get(&hosts).clone();
        let lines = |indices: &[Index], head: &dyn Fn(usize) -> String| -> Vec<String> {
            indices.iter().enumerate().map(|(i, index)| format!("{} {}", head(i), known(index))).collect()
        };
        match kind {
            Kind::Mail(indices) => zone.add(path, *ttl, "MX", lines(indices, &|i| format!("{}", i % 2))),
            Kind::Services(indices) => {
                zone.add(path, *ttl, "SRV", lines(indices, &|i| format!("0 {i} 8140")));
            }
            Kind::Cut { hosts, .. } if zone.is_cut(path) => {
                let known = hosts.iter().filter_map(|host| match host {
                    Host::Known(index) => Some(known(index)),
                    Host::Inside(..) | Host::Outside => None,
                });
                zone.delegate_to(path, known.collect());
            }
            _ => {}
        }
    }
    zone
}

fn place(zone: &mut Zone, Plan { path, ttl, kind }: &Plan, aim: &dyn Fn(&Target) -> String) {
    match kind {
        Kind::Addresses { v4, v6 } => {
            zone.add(path, *ttl, "A", (0..*v4).map(|i| format!("192.0.2.{i}")).collect());
            zone.add(path, *ttl, "AAAA", (0..*v6).map(|i| format!("2001:db8::{i:x}")).collect());
        }
        Kind::Texts { count, length } => {
            let text = |i| format!("\"{}\" \"{i}\"", "Text".repeat(64).split_at(*length).0);
            zone.add(path, *ttl, "TXT", (0..*count).map(text).collect());
        }
        Kind::Alias(target) => zone.add(path, *ttl, "CNAME", vec![aim(target)]),
        Kind::Redirect(target) => zone.add(path, *ttl, "DNAME", vec![aim(target)]),
        Kind::Cut { hosts, signed } => {
            let mut servers = Vec::new();
            for host in hosts {
                match host {
                    Host::Inside(n, v4, v6) => servers.push((format!("ns{n}"), *v4, *v6)),
                    Host::Known(_) | Host::Outside => {}
                }
            }
            zone.cut(path, *ttl, &servers, *signed);
        }
        Kind::Binding { https, priority, target } => {
            let parameters = if *priority == 0 { "" } else { " alpn=h2,h3 port=8443 ipv4hint=192.0.2.7" };
            let target = if *priority == 2 { ".".to_owned() } else { aim(target) };
            let record_type = if *https { "HTTPS" } else { "SVCB" };
            zone.add(path, *ttl, record_type, vec![format!("{priority} {target}{parameters}")]);
        }
        Kind::Pointer(target) => zone.add(path, *ttl, "PTR", vec![aim(target)]),
        Kind::Authority => zone.add(path, *ttl, "CAA", vec!["0 issue \"ca.example\"".to_owned()]),
        Kind::Unknown(bytes) => {
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            zone.add(path, *ttl, "TYPE65280", vec![format!("\\# {} {}", bytes.len(), hex.concat())]);
        }
        Kind::Mail(_) | Kind::Services(_) => {}
    }
}

fn aim(origin: &str, origins: &[String], target: &Target, plans: &[Plan]) -> String {
    let mut origin = origin;
    let path = match target {
        Target::Neighbour(index, path) => {
            origin = index.get::<String>(origins);
            path.clone()
        }
        Target::Planned(index, below) => [&below[..], &index.get(plans).path].concat(),
        Target::Path(path) => path.clone(),
        Target::Long => [LONG; 3].map(str::to_owned).to_vec(),
        Target::Outside => return "host.Elsewhere.".to_owned(),
    };
    // Of a name that would be too long, the labels in front are left out.
    let names = (0..=path.len()).map(|from| absolute(&path[from..], origin));
    names.into_iter().find(|name| name.len() < LONGEST).unwrap_or_default()
}
