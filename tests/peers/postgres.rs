//! Real PostgreSQL servers: who is logged in how, and a primary that dies and is replaced.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};
use nix::sys::signal::Signal;
use onstage::daemon::{Daemon, Loaded};
use onstage::health::{Reason, Verdict};
use onstage::probe::schedule::Ask;
use onstage::units::ProbeId;
use rcgen::{CertificateParams, DnType, KeyPair};

use super::cluster::{Cluster, programs};
use crate::harness::{load_site, query, receive};
use crate::postgres::{probe, site_with};

const PATIENT: &str = "20s";
const HASTY: &str = "500ms";
const PATIENCE: Duration = Duration::from_secs(30);
const NAME: &str = "db.example.org";

const HBA: &str = "host all onstage,crowd 127.0.0.0/8 scram-sha-256\nhost all old 127.0.0.0/8 md5\n\
                   host all plain 127.0.0.0/8 password\nhost all free 127.0.0.0/8 trust\n\
                   hostssl all proven 127.0.0.0/8 cert\n";
const ROLES: &str = "set password_encryption = 'scram-sha-256';\
                     create role onstage login password 'hunter2'; create role plain login password 'hunter2';\
                     create role proven login; create role crowd login password 'hunter2' connection limit 0; create role free login;\
                     set password_encryption = 'md5'; create role old login password 'hunter2'";

fn fail(reason: Reason) -> Verdict {
    Verdict::Fail(reason)
}

#[tokio::test]
async fn each_login_has_its_verdict() {
    let Some(programs) = programs() else { return };
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([NAME.to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let other = onstage::demo::SiteCa::new("Another CA").unwrap().pem();
    let settings =
        "ssl = on\nssl_cert_file = 'tls.crt'\nssl_key_file = 'tls.key'\nssl_ca_file = 'clients.pem'\n";
    let (proof, proof_key, clients) = proof_of("proven");
    let files =
        [("tls.crt", certificate.as_str()), ("tls.key", &key.serialize_pem()), ("clients.pem", &clients)];
    let server = Cluster::primary(&programs, HBA, settings, &files);
    server.execute(&programs, ROLES);
    let (secret, wrong) = (", password-file = \"secret\"", ", password-file = \"wrong\"");
    let (tls, rogue) =
        (", tls = \"require\", ca-file = \"ca.pem\"", ", tls = \"require\", ca-file = \"rogue.pem\"");
    for (user, keys, expected) in [
        ("onstage", secret.to_owned(), Verdict::Pass),
        ("onstage", format!("{secret}{tls}"), Verdict::Pass),
        ("onstage", wrong.to_owned(), fail(Reason::Login)),
        ("onstage", String::new(), fail(Reason::Login)),
        ("onstage", format!("{secret}, database = \"nowhere\""), fail(Reason::Login)),
        ("onstage", format!("{secret}{rogue}"), fail(Reason::TlsUntrusted)),
        (
            "onstage",
            format!("{secret}{tls}, server-name = \"other.example.org\""),
            fail(Reason::TlsWrongName),
        ),
        ("old", secret.to_owned(), Verdict::Pass),
        ("old", wrong.to_owned(), fail(Reason::Login)),
        ("plain", secret.to_owned(), fail(Reason::Login)),
        ("plain", format!("{secret}{tls}"), Verdict::Pass),
        ("plain", format!("{wrong}{tls}"), fail(Reason::Login)),
        ("free", String::new(), Verdict::Pass),
        ("proven", format!("{tls}, client-cert = \"own.crt\", client-key = \"own.key\""), Verdict::Pass),
        ("proven", tls.to_owned(), fail(Reason::Login)),
        ("onstage", format!("{secret}{tls}, server-name = \"other\", verify = \"ca\""), Verdict::Pass),
        ("crowd", secret.to_owned(), fail(Reason::Overloaded)),
        ("nobody", secret.to_owned(), fail(Reason::Login)),
    ] {
        let files = [
            ("ca.pem", certificate.as_str()),
            ("rogue.pem", &other),
            ("wrong", "hunter3\n"),
            ("own.crt", &proof),
            ("own.key", &proof_key),
        ];
        let site = site_with(server.addr, PATIENT, &format!(", user = \"{user}\"{keys}"), &files);
        let finding = probe(&site).await;
        assert_eq!(finding.verdict, expected, "{user}{keys}: {}", finding.detail);
        assert!(!format!("{site:?} {finding:?}").contains("hunter"), "no password is shown");
    }
    let log = server.log();
    assert!(
        !log.contains("unexpected EOF") && !log.contains("Connection reset"),
        "it is left politely:\n{log}"
    );
}

/// A certificate of this role, its key, and whom the server trusts for it.
fn proof_of(role: &str) -> (String, String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, role);
    let proof = params.self_signed(&key).unwrap().pem();
    (proof.clone(), key.serialize_pem(), proof)
}

/// A name with two members.
fn pair(one: &Cluster, two: &Cluster, timeout: &str, keys: &str) -> Loaded {
    let config = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"{}\"\n[[zone]]\nfile = \"zone\"\n\
         [[pool]]\nname = \"{NAME}\"\ncheck = \"db\"\nfail-open = \"none\"\n\
         [check.db]\ntimeout = \"{timeout}\"\ninterval = \"100ms\"\nrecheck = \"100ms\"\n\
         postgres = {{ port = {}, user = \"free\"{keys} }}\n",
        std::env::temp_dir().join(format!("onstage-{}-postgres", std::process::id())).display(),
        one.addr.port()
    );
    let zone = format!(
        "$ORIGIN {NAME}.\n$TTL 5\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n@ A {}\n@ A {}\n",
        one.addr.ip(),
        two.addr.ip()
    );
    load_site(&[("onstage.toml", &config), ("zone", &zone)])
}

async fn verdicts(site: &Loaded) -> [Verdict; 2] {
    [site.network.ask(ProbeId(0)).await.verdict, site.network.ask(ProbeId(1)).await.verdict]
}

#[tokio::test]
async fn verdicts_follow_the_roles() {
    let Some(programs) = programs() else { return };
    let mut one = Cluster::primary(&programs, HBA, "", &[]);
    one.execute(&programs, ROLES);
    let two = one.replica(&programs, "", 0);
    let any = pair(&one, &two, PATIENT, "");
    let primary = pair(&one, &two, PATIENT, ", role = \"primary\"");
    let replica = pair(&one, &two, PATIENT, ", role = \"replica\"");
    let wrong = fail(Reason::WrongRole);
    assert_eq!(verdicts(&any).await, [Verdict::Pass, Verdict::Pass]);
    assert_eq!(verdicts(&primary).await, [Verdict::Pass, wrong]);
    assert_eq!(verdicts(&replica).await, [wrong, Verdict::Pass]);

    one.signal(Signal::SIGSTOP);
    let hasty = pair(&one, &two, HASTY, "");
    assert_eq!(
        verdicts(&hasty).await,
        [fail(Reason::ReplyTimeout), Verdict::Pass],
        "the kernel still accepts"
    );
    one.signal(Signal::SIGCONT);
    assert_eq!(verdicts(&any).await, [Verdict::Pass, Verdict::Pass]);

    let cold = one.replica(&programs, "hot_standby = off\n", 1);
    let leaving = Verdict::Leaving(Reason::ServiceState);
    assert_eq!(verdicts(&pair(&one, &cold, PATIENT, "")).await, [Verdict::Pass, leaving]);

    one.shut_down();
    two.promote(&programs);
    assert_eq!(verdicts(&primary).await, [fail(Reason::Refused), Verdict::Pass]);
    assert_eq!(verdicts(&replica).await, [fail(Reason::Refused), wrong]);
}

/// Who is answered now.
fn answered(server: SocketAddr) -> Vec<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&query(NAME, RecordType::A), server).unwrap();
    let reply = Message::from_vec(&receive(&socket).unwrap()).unwrap();
    let addresses = reply.answers.iter().filter_map(|record| match &record.data {
        RData::A(address) => Some(SocketAddr::from((address.0, 5432))),
        _ => None,
    });
    addresses.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_follows_the_primary() {
    let Some(programs) = programs() else { return };
    let mut one = Cluster::primary(&programs, HBA, "", &[]);
    one.execute(&programs, ROLES);
    let two = one.replica(&programs, "", 0);
    let site = pair(&one, &two, PATIENT, ", role = \"primary\"");
    std::fs::create_dir_all(&site.plan.server.state_dir).unwrap();
    let daemon = Daemon::start(&site.plan, &site.network).await.unwrap();
    let mut views = daemon.views();
    let server = daemon.addrs()[0];
    assert_eq!(answered(server), [one.addr]);
    one.shut_down();
    let gone = views.wait_for(|observed| !observed[0].is_up());
    tokio::time::timeout(PATIENCE, gone).await.unwrap().unwrap();
    assert_eq!(answered(server), [], "a replica is no primary");
    two.promote(&programs);
    let (promoted, up) = (Instant::now(), views.wait_for(|observed| observed[1].is_up()));
    tokio::time::timeout(PATIENCE, up).await.unwrap().unwrap();
    assert_eq!(answered(server), [two.addr]);
    println!("the name follows {:?} after the promotion", promoted.elapsed());
    daemon.stop().await;
    std::fs::remove_dir_all(&site.plan.server.state_dir).unwrap();
}
