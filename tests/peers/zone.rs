//! A zone under construction: what may stand together, and its text.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Labels below the apex, from the name up.
pub type Labels = Vec<String>;

/// The longest a name may be on the wire.
pub const LONGEST: usize = 255;

/// A zone that every server loads.
pub struct Zone {
    /// The apex, with a final dot.
    pub origin: String,
    /// What stands at each name: TTL and data by type.
    sets: BTreeMap<Labels, BTreeMap<&'static str, (u32, Vec<String>)>>,
}

/// A zone that another of them delegates.
pub const CHILD: &str = "child.z00.test.";

/// The apex of the zone that a name is in, where that is one of ours: they have two labels, but for the child.
pub fn zone_of(name: &str) -> &str {
    if name.ends_with(CHILD) {
        return CHILD;
    }
    let above = |name: &str| name.find('.').is_some_and(|dot| name[dot + 1..].matches('.').count() >= 2);
    let mut zone = name;
    while above(zone) {
        zone = zone.split_once('.').map_or(zone, |(_, rest)| rest);
    }
    zone
}

/// A name of a zone as text.
pub fn absolute(path: &[String], origin: &str) -> String {
    let labels: String = path.iter().flat_map(|label| [label, "."]).collect();
    labels + origin
}

impl Zone {
    /// With an SOA, a server inside and one outside.
    pub fn new(origin: &str) -> Self {
        let mut zone = Self { origin: origin.to_owned(), sets: BTreeMap::new() };
        let apex = Labels::new();
        let soa = format!("ns1.{origin} hostmaster.{origin} 1 3600 600 86400 60");
        zone.put(&apex, 300, "SOA", vec![soa]);
        zone.put(&apex, 300, "NS", vec![format!("ns1.{origin}"), "ns.elsewhere.".to_owned()]);
        zone.put(&vec!["ns1".to_owned()], 300, "A", vec!["192.0.2.53".to_owned()]);
        zone
    }

    /// Adds an RRset where it may stand.
    pub fn add(&mut self, path: &Labels, ttl: u32, record_type: &'static str, mut data: Vec<String>) {
        data.sort();
        data.dedup();
        let here = self.sets.get(path);
        let has = |wanted| here.is_some_and(|sets| sets.contains_key(wanted));
        let clashes = match record_type {
            "CNAME" => here.is_some(),
            "DNAME" => has("CNAME") || self.is_cut(path) || self.has_names_below(path) || is_wild(path),
            _ => has("CNAME") || self.is_cut(path) || has(record_type),
        };
        if !clashes
            && self.has_room(path, 0)
            && !has(record_type)
            && !self.is_hidden(path)
            && !data.is_empty()
        {
            self.put(path, ttl, record_type, data);
        }
    }

    /// Delegates a name where that may be, to servers below it with an address of a family or two, or else to one outside.
    pub fn cut(&mut self, path: &Labels, ttl: u32, servers: &[(String, bool, bool)], signed: bool) {
        let is_free = !self.sets.contains_key(path) && !self.has_names_below(path) && !self.is_hidden(path);
        if path.is_empty() || !is_free || is_wild(path) || !self.has_room(path, 4) {
            return;
        }
        let mut hosts = Vec::new();
        for (label, v4, v6) in servers {
            let host = [std::slice::from_ref(label), path].concat();
            hosts.push(absolute(&host, &self.origin));
            if *v4 || !*v6 {
                self.put(&host, ttl, "A", vec!["192.0.2.201".to_owned(), "192.0.2.202".to_owned()]);
            }
            if *v6 {
                self.put(&host, ttl, "AAAA", vec!["2001:db8::201".to_owned()]);
            }
        }
        hosts.sort();
        hosts.dedup();
        if hosts.is_empty() {
            hosts.push("ns.elsewhere.".to_owned());
        }
        self.put(path, ttl, "NS", hosts);
        if signed {
            self.put(path, ttl, "DS", vec![format!("12345 13 2 {}", "0123456789abcdef".repeat(4))]);
        }
    }

    /// More servers of a delegation.
    pub fn delegate_to(&mut self, path: &Labels, hosts: Vec<String>) {
        let set = self.sets.get_mut(path).and_then(|sets| sets.get_mut("NS"));
        let (_, data) = set.expect("a delegation");
        data.extend(hosts);
        data.sort();
        data.dedup();
    }

    /// Whether a name is delegated.
    pub fn is_cut(&self, path: &[String]) -> bool {
        !path.is_empty() && self.sets.get(path).is_some_and(|sets| sets.contains_key("NS"))
    }

    /// The names that have an address, glue too, and one outside.
    pub fn hosts(&self) -> Vec<String> {
        let addressed =
            self.sets.iter().filter(|(_, sets)| sets.contains_key("A") || sets.contains_key("AAAA"));
        let inside = addressed.map(|(path, _)| absolute(path, &self.origin));
        inside.chain(["host.elsewhere.".to_owned()]).collect()
    }

    /// Every owner, and the types it has.
    pub fn owners(&self) -> Vec<(String, Vec<&'static str>)> {
        let owners = self.sets.iter();
        owners.map(|(path, sets)| (absolute(path, &self.origin), sets.keys().copied().collect())).collect()
    }

    /// The master file, with names in changing case.
    pub fn text(&self) -> String {
        let mut text = format!("$ORIGIN {}\n", self.origin);
        for (at, (path, sets)) in self.sets.iter().enumerate() {
            let owner = absolute(path, &self.origin);
            let owner = if at % 3 == 1 { owner.to_ascii_uppercase() } else { owner };
            for (record_type, (ttl, data)) in sets {
                for data in data {
                    let _ = writeln!(text, "{owner} {ttl} IN {record_type} {data}");
                }
            }
        }
        text
    }

    fn put(&mut self, path: &Labels, ttl: u32, record_type: &'static str, data: Vec<String>) {
        self.sets.entry(path.clone()).or_default().insert(record_type, (ttl, data));
    }

    /// Whether a delegation or a DNAME stands above a name.
    fn is_hidden(&self, path: &[String]) -> bool {
        (1..=path.len()).any(|up| {
            let above = &path[up..];
            self.is_cut(above) || self.sets.get(above).is_some_and(|sets| sets.contains_key("DNAME"))
        })
    }

    /// Whether a name may be so long, and so many bytes longer.
    fn has_room(&self, path: &[String], more: usize) -> bool {
        absolute(path, &self.origin).len() + 1 + more <= LONGEST
    }

    fn has_names_below(&self, path: &[String]) -> bool {
        self.sets.keys().any(|name| name.len() > path.len() && name.ends_with(path))
    }
}

fn is_wild(path: &[String]) -> bool {
    path.first().is_some_and(|label| label == "*")
}
