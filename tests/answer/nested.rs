//! A zone that is served beside one of those above it: whose word counts where.

use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use onstage::plan::Plan;

use crate::harness::{Site, lines, load_site};

/// A zone above, and one two labels below it whose delegation is in its file, with the address of its name server.
const ABOVE: &str = "$ORIGIN p.example.\n$TTL 300\n@ SOA ns h 7 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n\
    * A 192.0.2.9\nalias CNAME c.b\nc.b NS c.b\nc.b A 192.0.2.99\n";
const BELOW: &str = "$ORIGIN c.b.p.example.\n$TTL 300\n@ SOA ns h 70 3600 600 86400 60\n@ NS ns\nns A 192.0.2.2\n@ A 192.0.2.3\n";

/// Both zones, in either order.
fn plans(below: &str, more: &str) -> [Arc<Plan>; 2] {
    [["above", "below"], ["below", "above"]].map(|[first, second]| {
        let config = format!("[[zone]]\nfile = \"{first}\"\n[[zone]]\nfile = \"{second}\"\n{more}");
        load_site(&[("onstage.toml", &config), ("above", ABOVE), ("below", below)]).plan
    })
}

fn sites() -> [Site; 2] {
    plans(BELOW, "").map(Site::new)
}

/// Resolvers take a name that does not exist for a word on all below it (RFC 8020).
#[test]
fn names_between_the_zones_exist() {
    for site in sites() {
        let reply = site.ask("b.p.example", RecordType::A);
        assert_eq!(
            (reply.metadata.response_code, reply.answers.len()),
            (ResponseCode::NoError, 0),
            "{reply}"
        );
        assert_eq!(lines(&site.ask("x.p.example", RecordType::A).answers).len(), 1, "the wildcard");
        let missing = site.ask("x.b.p.example", RecordType::A);
        assert_eq!(missing.metadata.response_code, ResponseCode::NXDomain, "no wildcard below b");
    }
}

/// RFC 4035 §3.1.4.1: whoever is authoritative for both sides of a cut speaks of DS for the upper one.
#[test]
fn ds_is_the_word_of_the_zone_above() {
    for site in sites() {
        let reply = site.ask("c.b.p.example", RecordType::DS);
        assert_eq!(reply.authorities[0].name.to_string(), "p.example.", "{reply}");
        assert_eq!(
            site.ask("c.b.p.example", RecordType::TXT).authorities[0].name.to_string(),
            "c.b.p.example."
        );
    }
}

#[test]
fn a_serial_is_that_of_the_zone_whose_soa_it_is_in() {
    for site in sites() {
        let reply = site.ask("alias.p.example", RecordType::SOA);
        assert!(
            lines(&reply.answers).iter().any(|line| line.contains(" SOA ") && line.contains(" 70 ")),
            "{reply}"
        );
    }
}

/// Glue in the zone above is no member.
#[test]
fn members_are_the_records_of_the_zone_that_answers() {
    let pool = "[[pool]]\nname = \"c.b.p.example\"\ncheck = \"tcp\"\n[check.tcp]\ntcp = { port = 1 }\n";
    for plan in plans(BELOW, pool) {
        let texts: Vec<&str> = plan.pools[0].members.iter().map(|member| &*member.record_text).collect();
        assert_eq!(texts, ["192.0.2.3"]);
    }
}
