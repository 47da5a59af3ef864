//! Pools: who is answered, over which types, and what follows from it.

use hickory_proto::rr::RecordType;
use onstage::snapshot::Lineup;
use onstage::units::{PoolId, Serial, ZoneId};

use crate::harness::{Site, lines, lineups, load_site};

const CONFIG: &str = r#"
[[zone]]
file = "zone"

[[pool]]
name = "puppet.example.org"
check = "tcp"
max-answers = 2

[[pool]]
name = "_x-puppet._tcp.puppet.example.org"
check = "tcp"

[check.tcp]
tcp = { port = 8140 }
"#;

const ZONE: &str = r"
$ORIGIN puppet.example.org.
$TTL 30
@ SOA ns1 hostmaster 7 3600 600 86400 30
@ NS ns1
ns1 A 172.16.1.53
@ A 172.16.1.10
@ A 172.16.4.26
@ A 172.16.7.7
@ AAAA 2001:db8::10
puppet1 A 172.16.1.10
puppet2 A 172.16.4.26
alias CNAME @
_x-puppet._tcp SRV 0 5 8140 puppet1
_x-puppet._tcp SRV 0 5 8140 puppet2
";

fn site(live: impl Fn(usize) -> Vec<bool>) -> Site {
    Site::with_live(load_site(&[("onstage.toml", CONFIG), ("zone", ZONE)]).plan, live)
}

fn addresses(site: &Site, name: &str) -> Vec<String> {
    let reply = site.ask(name, RecordType::A);
    lines(&reply.answers)
        .into_iter()
        .map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn pools_of_three_types_are_found_and_share_probes() {
    let site = site(|_| vec![true; 3]);
    let kinds: Vec<(RecordType, usize)> =
        site.plan.pools.iter().map(|pool| (pool.record_type, pool.members.len())).collect();
    assert_eq!(kinds, [(RecordType::A, 3), (RecordType::AAAA, 1), (RecordType::SRV, 2)]);
    assert_eq!(site.plan.probes.len(), 4, "the SRV targets are asked what the addresses are asked");
}

#[test]
fn an_answer_holds_live_members_only_and_no_more_than_max_answers() {
    assert_eq!(
        addresses(&site(|_| vec![true, false, true]), "puppet.example.org"),
        ["172.16.1.10", "172.16.7.7"]
    );
    assert_eq!(addresses(&site(|_| vec![false, true, false]), "puppet.example.org"), ["172.16.4.26"]);
    assert_eq!(addresses(&site(|_| vec![true; 3]), "puppet.example.org").len(), 2);
}

#[test]
fn an_alias_of_a_pool_follows_it() {
    let reply = site(|_| vec![false, true, false]).ask("alias.puppet.example.org", RecordType::A);
    assert_eq!(
        lines(&reply.answers),
        ["alias.puppet.example.org. 30 CNAME puppet.example.org.", "puppet.example.org. 30 A 172.16.4.26",]
    );
}

#[test]
fn srv_answers_carry_the_addresses_of_the_live_targets() {
    let reply = site(|_| vec![true, false, false]).ask("_x-puppet._tcp.puppet.example.org", RecordType::SRV);
    assert_eq!(
        lines(&reply.answers),
        ["_x-puppet._tcp.puppet.example.org. 30 SRV 0 5 8140 puppet1.puppet.example.org.",]
    );
    assert_eq!(lines(&reply.additionals), ["puppet1.puppet.example.org. 30 A 172.16.1.10"]);
}

#[test]
fn when_nobody_is_live_everybody_is_answered() {
    let site = site(|_| vec![false; 3]);
    assert_eq!(addresses(&site, "puppet.example.org").len(), 2, "max-answers holds all the same");
    assert_eq!(site.ask("_x-puppet._tcp.puppet.example.org", RecordType::SRV).answers.len(), 2);
}

#[test]
fn a_pool_that_fails_closed_has_no_data() {
    let config = CONFIG.replace("max-answers = 2", "fail-open = \"none\"");
    let site =
        Site::with_live(load_site(&[("onstage.toml", &config), ("zone", ZONE)]).plan, |_| vec![false; 3]);
    let reply = site.ask("puppet.example.org", RecordType::A);
    assert!(reply.answers.is_empty());
    assert_eq!(lines(&reply.authorities).len(), 1, "NODATA has the SOA");
}

#[test]
fn a_change_of_one_pool_leaves_the_rest_as_it_was() {
    let mut site = site(|_| vec![true; 3]);
    let one_less = lineups(&site.plan, |_| vec![true, false, true]);
    let mut next: Vec<Lineup> = lineups(&site.plan, |_| vec![true; 3]);
    next[0] = one_less[0].clone();
    site.snapshot = site.compiler.recompile(&site.snapshot, &[PoolId(0)], &next, &[Serial(8)]);
    assert_eq!(addresses(&site, "puppet.example.org"), ["172.16.1.10", "172.16.7.7"]);
    assert_eq!(addresses(&site, "alias.puppet.example.org").len(), 3, "its aliases change with it");
    assert_eq!(site.ask("_x-puppet._tcp.puppet.example.org", RecordType::SRV).answers.len(), 2);
    assert_eq!(site.snapshot.serial(ZoneId(0)), Serial(8));
}

#[test]
fn the_serial_of_now_is_in_every_soa() {
    let site = site(|_| vec![true; 3]);
    let everyone = lineups(&site.plan, |_| vec![true; 3]);
    let snapshot = site.compiler.recompile(&site.snapshot, &[], &everyone, &[Serial(99)]);
    let site = Site { snapshot, ..site };
    let soa = |name, record_type| lines(&site.ask(name, record_type).authorities).join("");
    assert!(lines(&site.ask("puppet.example.org", RecordType::SOA).answers)[0].contains(" 99 3600 "));
    assert!(soa("puppet.example.org", RecordType::TXT).contains(" 99 3600 "), "NODATA");
    assert!(soa("a.b.c.puppet.example.org", RecordType::A).contains(" 99 3600 "), "NXDOMAIN");
    assert!(soa("alias.puppet.example.org", RecordType::TXT).contains(" 99 3600 "), "NODATA behind a CNAME");
}
