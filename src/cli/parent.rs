//! Whether the zone above delegates a zone as it should: asked of that zone's own servers, which are found through the
//! resolver of this machine.
//!
//! ```text
//!  resolver: which zone is above? ──▶ its servers ──▶ their addresses ──▶ one that replies: NS of our zone, without recursion
//! ```
//!
//! A resolver's own word on our zone would be ours again: it asks us, once it knows the way.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

use super::delegation::{glue, servers};
use crate::name::Name;
use crate::probe::stub::exchange;
use crate::zone::Zone;

/// So many servers of the zone above are asked, one after another, until one replies.
const MOST_SERVERS: usize = 4;

/// Who is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// Who finds the servers of the zone above.
    pub(super) resolver: SocketAddr,
    /// The port of these.
    pub(super) port: u16,
}

/// What the zone above says of ours. Each is one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Delegation {
    /// What our zone says as well.
    Sound { above: String },
    /// Nothing.
    None { above: String },
    /// Something else: what it says, and what the zone does.
    Other { above: String, says: Vec<String>, ours: Vec<String> },
    /// Nobody could be asked.
    Unknown(String),
}

/// The resolver of this machine.
pub(super) fn resolver(resolv_conf: &str) -> Option<SocketAddr> {
    let mut servers = resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    servers.find_map(|server| server.trim().parse().ok()).map(|ip: IpAddr| (ip, 53).into())
}

/// What there is of a delegation.
pub(super) async fn delegation(zone: &Zone, way: Way) -> Delegation {
    let above = match above(&zone.origin, way).await {
        Ok(above) => above,
        Err(e) => return Delegation::Unknown(format!("`{}` tells no zone above it: {e}", way.resolver)),
    };
    let mut why = format!("`{}` knows no server of `{above}`", way.resolver);
    for server in addresses_of_servers(&above, way).await.into_iter().take(MOST_SERVERS) {
        match asked(server, &zone.origin.to_string(), RecordType::NS, false).await {
            Ok(reply) => return judged(zone, format!("`{above}`, asked at {server},"), &reply),
            Err(e) => why = format!("{server}, which serves `{above}`: {e}"),
        }
    }
    Delegation::Unknown(why)
}

/// The nearest zone above a name.
async fn above(origin: &Name, way: Way) -> io::Result<Name> {
    let mut name = origin.parent();
    while let Some(ancestor) = name {
        let reply = asked(way.resolver, &ancestor.to_string(), RecordType::SOA, true).await?;
        let mut soas = reply.answers.iter().chain(&reply.authorities);
        let apex = soas.find(|record| record.record_type() == RecordType::SOA);
        if let Some(apex) =
            apex.map(|record| Name::from(&record.name)).filter(|apex| ancestor.is_within(apex))
        {
            return Ok(apex);
        }
        name = ancestor.parent();
    }
    Err(io::Error::other("no SOA up to the root"))
}

async fn addresses_of_servers(zone: &Name, way: Way) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = Vec::new();
    let Ok(reply) = asked(way.resolver, &zone.to_string(), RecordType::NS, true).await else {
        return found;
    };
    for server in named(&reply.answers, zone).into_iter().take(MOST_SERVERS) {
        for record_type in [RecordType::A, RecordType::AAAA] {
            let reply = asked(way.resolver, &server, record_type, true).await;
            let addresses = reply.map(|reply| reply.answers).unwrap_or_default();
            let addresses = addresses.iter().filter_map(|record| record.data.ip_addr());
            found.extend(addresses.map(|ip| SocketAddr::new(ip, way.port)));
        }
    }
    found
}

/// A whole reply of somebody who knows: who refuses or fails says nothing of what there is.
async fn asked(
    server: SocketAddr,
    name: &str,
    record_type: RecordType,
    recurse: bool,
) -> io::Result<Message> {
    let reply = exchange(server, name, record_type, recurse).await?;
    match reply.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain if reply.metadata.truncation => {
            Err(io::Error::other("its reply is truncated"))
        }
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(reply),
        code => Err(io::Error::other(format!("it says {code}"))),
    }
}

/// What a reply of the zone above comes to, beside what our zone says.
fn judged(zone: &Zone, above: String, reply: &Message) -> Delegation {
    let (mut says, mut ours) = (BTreeSet::new(), BTreeSet::new());
    let told = named(reply.answers.iter().chain(&reply.authorities), &zone.origin);
    for server in servers(zone) {
        ours.insert(format!("NS {server}"));
        ours.extend(glue(zone, &server).iter().map(|addr| format!("{server} {addr}")));
    }
    for server in &told {
        says.insert(format!("NS {server}"));
        let glue = reply.additionals.iter().filter(|record| Name::from(&record.name).to_string() == *server);
        says.extend(glue.filter_map(|record| Some(format!("{server} {}", record.data.ip_addr()?))));
    }
    if told.is_empty() {
        Delegation::None { above }
    } else if says == ours {
        Delegation::Sound { above }
    } else {
        Delegation::Other { above, says: says.into_iter().collect(), ours: ours.into_iter().collect() }
    }
}

/// The servers that records name for a zone.
fn named<'r>(records: impl IntoIterator<Item = &'r Record>, zone: &Name) -> BTreeSet<String> {
    let of_zone = records.into_iter().filter(|record| Name::from(&record.name) == *zone);
    let servers = of_zone.filter_map(|record| match &record.data {
        RData::NS(ns) => Some(Name::from(&ns.0).to_string()),
        _ => None,
    });
    servers.collect()
}

impl Delegation {
    /// Whether it is known to be wrong.
    pub(super) const fn is_wrong(&self) -> bool {
        matches!(self, Self::None { .. } | Self::Other { .. })
    }
}

impl fmt::Display for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sound { above } => write!(f, "{above} delegates it as it should"),
            Self::None { above } => write!(f, "{above} does not delegate it: see `onstage delegation`"),
            Self::Other { above, says, ours } => {
                write!(f, "{above} delegates it with {}, not with {}", says.join(", "), ours.join(", "))
            }
            Self::Unknown(why) => write!(f, "whether it is delegated could not be asked: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hickory_proto::op::MessageType;
    use hickory_proto::rr::Name as Spelled;
    use hickory_proto::rr::rdata::{A, NS, SOA};
    use tokio::net::UdpSocket;

    use super::*;
    use crate::daemon::{Loaded, load};

    const ZONE: &str =
        "$ORIGIN puppet.example.org.\n$TTL 30\n@ SOA ns1 h 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n";

    fn site() -> Loaded {
        let read = |path: &Path| match path.to_str() {
            Some("onstage.toml") => Ok(b"[[zone]]\nfile = \"zone\"\n".to_vec()),
            _ => Ok(ZONE.as_bytes().to_vec()),
        };
        load(Path::new("onstage.toml"), read).loaded.unwrap()
    }

    fn record(owner: &str, rdata: RData) -> Record {
        Record::from_rdata(Spelled::from_ascii(owner).unwrap(), 30, rdata)
    }

    fn ns(owner: &str, server: &str) -> Record {
        record(owner, RData::NS(NS(Spelled::from_ascii(server).unwrap())))
    }

    /// A resolver that knows of `example.org.`, and the server of that zone, which refers to us with these records.
    async fn world(referral: Vec<Record>, glue: Vec<Record>) -> Way {
        flawed(Flaw::None, referral, glue).await
    }

    /// What is wrong with them.
    #[derive(Clone, Copy)]
    enum Flaw {
        None,
        Server(ResponseCode),
        Resolver(ResponseCode),
        Truncated,
    }

    async fn flawed(flaw: Flaw, referral: Vec<Record>, glue: Vec<Record>) -> Way {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((len, client)) = socket.recv_from(&mut query).await {
                let mut reply = Message::from_vec(&query[..len]).unwrap();
                reply.metadata.message_type = MessageType::Response;
                let asked = (reply.queries[0].name().to_ascii(), reply.queries[0].query_type());
                let root = Spelled::root;
                match (asked.0.as_str(), asked.1, reply.metadata.recursion_desired) {
                    ("example.org.", RecordType::SOA, true) => {
                        let soa = SOA::new(root(), root(), 1, 2, 3, 4, 5);
                        reply.answers.push(record("example.org.", RData::SOA(soa)));
                    }
                    ("example.org.", RecordType::NS, true) => {
                        reply.answers.push(ns("example.org.", "ns.example.org."));
                    }
                    ("ns.example.org.", RecordType::A, true) => {
                        reply.answers.push(record("ns.example.org.", RData::A(A::new(127, 0, 0, 1))));
                    }
                    ("puppet.example.org.", RecordType::NS, false) => {
                        reply.authorities.extend(referral.clone());
                        reply.additionals.extend(glue.clone());
                    }
                    _ => {}
                }
                match (flaw, reply.metadata.recursion_desired) {
                    (Flaw::Server(code), false) => reply.metadata.response_code = code,
                    (Flaw::Resolver(code), true) => {
                        reply.metadata.response_code = code;
                        reply.answers.clear();
                    }
                    (Flaw::Truncated, false) => reply.metadata.truncation = true,
                    _ => {}
                }
                socket.send_to(&reply.to_vec().unwrap(), client).await.unwrap();
            }
        });
        Way { resolver: addr, port: addr.port() }
    }

    #[tokio::test]
    async fn what_the_zone_above_says_is_compared() {
        let loaded = site();
        let zone = &loaded.plan.zones[0];
        let glue = |addr| vec![record("ns1.puppet.example.org.", RData::A(addr))];
        let (ours, others) = (A::new(192, 0, 2, 53), A::new(192, 0, 2, 54));
        let referral = |server: &str| vec![ns("puppet.example.org.", server)];
        for (referral, glue, says) in [
            (referral("NS1.puppet.example.org."), glue(ours), "delegates it as it should"),
            (
                referral("ns1.puppet.example.org."),
                glue(others),
                "with NS ns1.puppet.example.org, ns1.puppet.example.org 192.0.2.54, not with",
            ),
            (
                referral("ns1.puppet.example.org."),
                vec![],
                "delegates it with NS ns1.puppet.example.org, not with NS ns1.puppet.example.org, ns1.puppet.example.org 192.0.2.53",
            ),
            (referral("ns9.example.org."), vec![], "delegates it with NS ns9.example.org, not with NS ns1."),
            (vec![], vec![], "does not delegate it: see `onstage delegation`"),
        ] {
            let way = world(referral, glue).await;
            let told = delegation(zone, way).await;
            assert!(told.to_string().contains(says), "{told}");
            assert!(
                told.to_string().starts_with(&format!("`example.org`, asked at 127.0.0.1:{},", way.port)),
                "{told}"
            );
            assert_eq!(told.is_wrong(), !matches!(told, Delegation::Sound { .. }));
        }
    }

    #[tokio::test]
    async fn a_resolver_that_is_not_there_is_no_wrong_delegation() {
        let loaded = site();
        let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let told = delegation(&loaded.plan.zones[0], Way { resolver: closed, port: closed.port() }).await;
        assert!(
            matches!(&told, Delegation::Unknown(why) if why.contains("tells no zone above it")),
            "{told}"
        );
        assert!(!told.is_wrong());
    }

    #[test]
    fn the_resolver_is_the_first_that_can_be_asked() {
        let config = "# one\nsearch example.org\nnameserver  fe80::1%eth0\nnameserver\t192.0.2.1 \nnameserver 192.0.2.2\n";
        assert_eq!(resolver(config), Some("192.0.2.1:53".parse().unwrap()));
        assert_eq!(resolver("options edns0\n"), None);
    }

    /// Who does not say what it knows may know better.
    #[tokio::test]
    async fn a_server_that_refuses_to_say_or_says_half_is_no_wrong_delegation() {
        let loaded = site();
        for (flaw, says) in [
            (Flaw::Server(ResponseCode::Refused), "which serves `example.org`: it says Query Refused"),
            (Flaw::Resolver(ResponseCode::ServFail), "tells no zone above it: it says Server Failure"),
            (Flaw::Truncated, "which serves `example.org`: its reply is truncated"),
        ] {
            let told = delegation(&loaded.plan.zones[0], flawed(flaw, vec![], vec![]).await).await;
            assert!(matches!(&told, Delegation::Unknown(why) if why.contains(says)), "{told}");
        }
    }
}
