//! Addresses of the hosts that records point to (RFC 1034 §3.7, RFC 2782, RFC 9460 §4.2).

use hickory_proto::rr::RecordType;

use crate::harness::{Site, lines, plan_of_zone};

const ZONE: &str = "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n\
    web A 192.0.2.2\nweb AAAA 2001:db8::2\n\
    own HTTPS 1 . alpn=h2\nown A 192.0.2.3\n\
    other SVCB 1 web port=8443\nalias HTTPS 0 web\nmail MX 5 web\nfar HTTPS 1 www.example.net. alpn=h2\n";

fn additionals(name: &str, record_type: RecordType) -> Vec<String> {
    let reply = Site::new(plan_of_zone(ZONE)).ask(name, record_type);
    assert_eq!(reply.answers.len(), 1);
    lines(&reply.additionals)
}

#[test]
fn the_addresses_of_a_target_come_along() {
    let web = ["web.p.example. 30 A 192.0.2.2", "web.p.example. 30 AAAA 2001:db8::2"];
    assert_eq!(additionals("other.p.example", RecordType::SVCB), web);
    assert_eq!(additionals("alias.p.example", RecordType::HTTPS), web, "AliasMode");
    assert_eq!(additionals("mail.p.example", RecordType::MX), web);
}

#[test]
fn a_dot_means_the_owner_and_what_is_elsewhere_is_left_out() {
    assert_eq!(additionals("own.p.example", RecordType::HTTPS), ["own.p.example. 30 A 192.0.2.3"]);
    assert!(additionals("far.p.example", RecordType::HTTPS).is_empty());
}
