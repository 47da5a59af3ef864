//! How members are named.

use onstage::plan::Whom;

use crate::harness::load_site;

const CONFIG: &str = r#"
[[zone]]
file = "zone"
[check.tcp]
tcp = { port = 8140 }
[check.db]
tcp = { port = 5432 }

[[pool]]
name = "p.example"
check = "tcp"
[pool.member."192.0.2.1"]
label = "Puppet1"
[pool.member."192.0.2.3"]
label = "primary"
address = "192.0.2.99"

[[pool]]
name = "_x-puppet._tcp.p.example"
check = "tcp"

[[pool]]
name = "db.p.example"
check = "db"
[pool.member."192.0.2.2"]
label = "primary"
"#;

const ZONE: &str = r"
$ORIGIN p.example.
$TTL 30
@ SOA ns h 1 2 3 4 5
@ NS ns
ns A 192.0.2.53
@ A 192.0.2.1
@ A 192.0.2.2
@ A 192.0.2.3
@ AAAA 2001:db8::1
one A 192.0.2.1
one AAAA 2001:db8::1
two A 192.0.2.2
_x-puppet._tcp SRV 0 5 8140 One
_x-puppet._tcp SRV 0 5 9140 two
db A 192.0.2.1
db A 192.0.2.2
";

#[test]
fn a_host_is_meant_in_all_pools_and_a_pool_where_it_is_named() {
    let plan = load_site(&[("onstage.toml", CONFIG), ("zone", ZONE)]).plan;
    let a = |place| format!("p.example A 192.0.2.{place}");
    let db = |place| format!("db.p.example A 192.0.2.{place}");
    let v6 = || "p.example AAAA 2001:db8::1".to_owned();
    let one = || "_x-puppet._tcp.p.example SRV one.p.example:8140".to_owned();
    let two = || "_x-puppet._tcp.p.example SRV two.p.example:9140".to_owned();
    for (whom, members) in [
        ("192.0.2.1", vec![a(1), one(), db(1)]),
        ("192.0.2.2", vec![a(2), two(), db(2)]),
        ("2001:DB8::1", vec![v6(), one()]),
        ("192.0.2.1:8140", vec![a(1), one()]),
        ("192.0.2.1:5432", vec![db(1)]),
        ("192.0.2.2:8140", vec![a(2)]),
        ("[2001:db8::1]:8140", vec![v6(), one()]),
        ("one.p.example", vec![a(1), v6(), one(), db(1)]),
        ("ONE.p.example.", vec![a(1), v6(), one(), db(1)]),
        ("one.p.example:8140", vec![a(1), v6(), one()]),
        ("two.p.example:9140", vec![two()]),
        ("puppet1", vec![a(1), one(), db(1)]),
        ("primary", vec![a(2), a(3), two(), db(2)]),
        ("primary@db.p.example", vec![db(2)]),
        ("primary@p.example.", vec![a(3)]),
        ("puppet1@_x-puppet._tcp.p.example", vec![one()]),
        ("192.0.2.1@db.p.example", vec![db(1)]),
        ("192.0.2.99", vec![]), // where it is probed is not where it is
        ("192.0.2.3", vec![a(3)]),
        ("192.0.2.3:8140", vec![a(3)]),
        ("192.0.2.53", vec![]),
        ("p.example", vec![]),
        ("primary@ns.p.example", vec![]),
        ("2001:db8:", vec![]),
    ] {
        let found = plan.members(&whom.parse().unwrap());
        let keys: Vec<String> = found.into_iter().map(|id| plan.member_key(id)).collect();
        assert_eq!(keys, members, "{whom}");
    }
}

#[test]
fn what_names_nobody_whatever_the_config_is_said_so() {
    for (text, why) in [
        ("", "no member is named"),
        (" . ", "no member is named"),
        ("@p.example", "no member is named"),
        ("one@p..example", "no pool can be named so: `p..example` has an empty label"),
    ] {
        assert_eq!(text.parse::<Whom>().unwrap_err().to_string(), why, "{text}");
    }
    assert_eq!("One.p.example.@P.example.".parse::<Whom>().unwrap().to_string(), "one.p.example@p.example");
}

#[test]
fn whom_somebody_may_have_meant_is_told() {
    let plan = load_site(&[("onstage.toml", CONFIG), ("zone", ZONE)]).plan;
    for (said, near) in [
        ("pupet1", "; is it `Puppet1`"),
        ("primray", "; is it `primary`"),
        ("db.p.example", "; is it "),
        ("nothing-of-the-kind", ""),
    ] {
        let told = plan.near(&said.parse().unwrap()).to_string();
        assert!(told.starts_with(near) && told.is_empty() == near.is_empty(), "{said}: {told}");
    }
}
