//! Probes against real sockets: every reason, and nothing ever asked of the wrong member.

mod captured;
mod catalog;
mod client;
mod exhausted;
mod host;
mod liars;
mod load;
mod puppet;
mod site;
mod verify;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use onstage::config::{
    Authorities, Body, Check, HttpCheck, Kind, Located, PuppetserverCheck, TcpCheck, TlsCheck, Tripwire,
    Trust, Verify,
};
use onstage::demo::{Identity, Master, Say, SiteCa, Validity};
use onstage::health::{Reason, Verdict};
use onstage::probe::{Finding, Held, Prober, Target, hold, run};
use onstage::report::{Location, Sources};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::harness::own_address;

const NAME: &str = "puppet.example.org";
const NAMES: [&str; 3] = ["puppet1.example.org", "puppet", NAME];
/// Long enough for a handshake on a busy machine, short enough to wait for its end.
const PATIENT: Duration = Duration::from_secs(10);
const HASTY: Duration = Duration::from_millis(300);

/// A site: its CA, and checks that trust it.
struct Site {
    ca: SiteCa,
}

impl Site {
    fn new() -> Self {
        Self { ca: SiteCa::new("Site CA").unwrap() }
    }

    fn identity(&self) -> Identity {
        self.ca.issue(&NAMES, Validity::Current).unwrap()
    }

    fn master(&self) -> Master {
        master(Some(self.identity()))
    }

    fn prober(&self, timeout: Duration) -> Prober {
        prober(puppetserver(), timeout, Some(&self.ca.pem()))
    }
}

fn master(identity: Option<Identity>) -> Master {
    Master::start(local(0), identity).unwrap()
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn trust() -> Trust {
    let mut sources = Sources::new(|_: &Path| Ok(Vec::new()));
    let source = sources.open("config".as_ref()).unwrap();
    Trust {
        server_name: None,
        verify: Verify::Full,
        ca_file: Some(Located { value: "ca.pem".into(), at: Location { source, span: 0..0 } }),
        credentials: None,
    }
}

fn http(trust: Option<Trust>, body: Option<Body>) -> Kind {
    Kind::Http(HttpCheck {
        port: 8140.try_into().unwrap(),
        trust,
        method: "GET".to_owned(),
        path: "/status/v1/simple/server".to_owned(),
        host: None,
        headers: Vec::new(),
        status: vec![(200, 200)],
        expect_headers: Vec::new(),
        body,
    })
}

fn puppetserver() -> Kind {
    Kind::Puppetserver(PuppetserverCheck {
        port: 8140.try_into().unwrap(),
        trust: trust(),
        service: "server".to_owned(),
    })
}

fn prober(kind: Kind, timeout: Duration, pem: Option<&str>) -> Prober {
    let two = 2.try_into().unwrap();
    let second = Duration::from_secs(1);
    let check = Check {
        name: "check".to_owned(),
        interval: second,
        timeout,
        recheck: second,
        fall: two,
        rise: two,
        tripwire: Tripwire::Off,
        kind,
    };
    let authorities = pem.map(|pem| Authorities::from_pem(pem.as_bytes()).unwrap());
    Prober::new(&check, authorities.as_ref(), None, None).unwrap()
}

async fn probe(prober: &Prober, addr: SocketAddr) -> Finding {
    run(prober, &Target { addr, server_name: NAME.to_owned() }).await
}

async fn verdict(prober: &Prober, addr: SocketAddr) -> Verdict {
    probe(prober, addr).await.verdict
}

fn fail(reason: Reason) -> Verdict {
    Verdict::Fail(reason)
}

#[tokio::test]
async fn a_master_that_is_running_passes_and_tells_its_steps() {
    let site = Site::new();
    let finding = probe(&site.prober(PATIENT), site.master().addr()).await;
    assert_eq!(finding.verdict, Verdict::Pass, "{finding:?}");
    let steps: Vec<&str> = finding.steps.iter().map(|step| step.name).collect();
    assert_eq!(steps, ["connect", "tls", "reply"]);
    assert!(finding.steps[2].seen.contains("200") && finding.steps[2].seen.contains("running"));
}

#[tokio::test]
async fn each_reply_has_its_verdict() {
    let site = Site::new();
    let (master, prober) = (site.master(), site.prober(PATIENT));
    for (say, expected) in [
        (Say::Running, Verdict::Pass),
        (Say::Http(200, "running\n"), Verdict::Pass),
        (Say::Http(503, "error"), fail(Reason::ServiceState)),
        (Say::Http(503, "unknown"), fail(Reason::ServiceState)),
        (Say::Http(503, "starting"), Verdict::Leaving(Reason::ServiceState)),
        (Say::Http(503, "stopping"), Verdict::Leaving(Reason::ServiceState)),
        (Say::Http(503, "<html>Jetty</html>"), fail(Reason::Unavailable)),
        (Say::Http(404, "not found: server"), fail(Reason::HttpStatus)),
        (Say::Http(403, "Forbidden"), fail(Reason::Forbidden)),
        (Say::Http(401, ""), fail(Reason::Forbidden)),
        (Say::Http(500, "running"), fail(Reason::HttpStatus)),
        (Say::Http(200, "something else"), fail(Reason::HttpBody)),
        (Say::Http(200, ""), fail(Reason::HttpBody)),
        (Say::Endless, fail(Reason::HttpBody)),
        (Say::Raw(""), fail(Reason::Closed)),
        (Say::Raw("HTTP/1.1 200 OK\r\nContent-Le"), fail(Reason::Closed)),
        (Say::Raw("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nrun"), fail(Reason::Closed)),
        (Say::Raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"), fail(Reason::BadReply)),
        (Say::Raw("HTTP/1.1 2000000 OK\r\n\r\n"), fail(Reason::BadReply)),
    ] {
        master.always_say(say);
        let finding = probe(&prober, master.addr()).await;
        assert_eq!(finding.verdict, expected, "{say:?}: {}", finding.detail);
        assert_eq!(finding.detail.is_empty(), expected == Verdict::Pass, "{say:?} is explained");
    }
}

#[tokio::test]
async fn a_redirect_is_a_status_code_and_is_not_followed() {
    let site = Site::new();
    let (master, elsewhere) = (site.master(), site.master());
    master.say([Say::Redirect(elsewhere.addr().port())]);
    assert_eq!(verdict(&site.prober(PATIENT), master.addr()).await, fail(Reason::HttpStatus));
    assert_eq!((master.requests(), elsewhere.requests()), (1, 0));
}

#[tokio::test]
async fn the_deadline_is_for_the_whole_probe_and_tells_the_step() {
    let site = Site::new();
    let hasty = site.prober(HASTY);
    let slow = site.master();
    slow.always_say(Say::Slow(PATIENT));
    assert_eq!(verdict(&hasty, slow.addr()).await, fail(Reason::ReplyTimeout));
    slow.always_say(Say::Trickle(Duration::from_millis(20)));
    assert_eq!(verdict(&hasty, slow.addr()).await, fail(Reason::ReplyTimeout), "a byte at a time");
    let frozen = site.master();
    frozen.freeze();
    let finding = probe(&hasty, frozen.addr()).await;
    assert_eq!(finding.verdict, fail(Reason::TlsTimeout), "the kernel still accepts");
    assert!(finding.latency >= HASTY && finding.latency < HASTY * 3, "{:?}", finding.latency);
    let full = full_backlog();
    assert_eq!(verdict(&hasty, full.addr).await, fail(Reason::ConnectTimeout));
}

/// A listener whose queue is full: the kernel drops further attempts, as a dead host would.
struct FullBacklog {
    addr: SocketAddr,
    _listener: socket2::Socket,
    _queue: Vec<socket2::Socket>,
}

fn full_backlog() -> FullBacklog {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&local(0).into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    let queue = (0..8).map(|_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&addr.into());
        socket
    });
    let queue = queue.collect();
    FullBacklog { addr, _listener: listener, _queue: queue }
}

#[tokio::test]
async fn a_crashed_master_is_refused_and_comes_back() {
    let site = Site::new();
    let addr = SocketAddr::from((own_address(), 8140));
    let mut master = Master::start(addr, Some(site.identity())).unwrap();
    let prober = site.prober(PATIENT);
    master.crash().await;
    // Another test that starts a program holds a copy of the listener until its child has become that program.
    let began = std::time::Instant::now();
    let mut found = verdict(&prober, master.addr()).await;
    while found != fail(Reason::Refused) && began.elapsed() < PATIENT {
        found = verdict(&prober, master.addr()).await;
    }
    assert_eq!(found, fail(Reason::Refused));
    master.come_back().unwrap();
    assert_eq!(verdict(&prober, master.addr()).await, Verdict::Pass);
}

/// What ends an idle connection, and whether that is a reason to probe.
#[tokio::test]
async fn an_idle_connection_ends_as_the_member_ends_it() {
    let prober = prober(Kind::Tcp(TcpCheck { port: 1.try_into().unwrap() }), PATIENT, None);
    let listener = TcpListener::bind(local(0)).await.unwrap();
    let target = Target { addr: listener.local_addr().unwrap(), server_name: String::new() };
    let say = async |text: &[u8], times: usize, ending: Ending| {
        let (mut stream, _) = listener.accept().await.unwrap();
        if let Ending::Reset = ending {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        for _ in 0..times {
            if stream.write_all(text).await.is_err() {
                break; // it had enough
            }
        }
    };
    for (text, times, ending, held) in [
        ("", 0, Ending::Close, Held::Lost),
        ("", 0, Ending::Reset, Held::Lost),
        ("220 who are you\r\n", 1, Ending::Close, Held::Lost),
        ("on and on, without an end", 1_000_000, Ending::Close, Held::Unfit),
    ] {
        let (ended, ()) = tokio::join!(hold(&prober, &target), say(text.as_bytes(), times, ending));
        assert_eq!(ended, held, "{text} {ending:?}");
    }
    drop(listener);
    assert_eq!(hold(&prober, &target).await, Held::Lost, "refused");
    let unreachable = Target { addr: SocketAddr::new(IpAddr::V4(Ipv4Addr::BROADCAST), 8140), ..target };
    assert_eq!(hold(&prober, &unreachable).await, Held::Unfit);
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Close,
    Reset,
}

#[tokio::test]
async fn what_cannot_be_dialled_from_here_is_told_apart() {
    let prober = prober(Kind::Tcp(TcpCheck { port: 1.try_into().unwrap() }), PATIENT, None);
    // Broadcast needs a socket option for TCP, which has none: the kernel says no without sending anything.
    let unreachable = SocketAddr::new(IpAddr::V4(Ipv4Addr::BROADCAST), 8140);
    assert_eq!(verdict(&prober, unreachable).await, fail(Reason::Unreachable));
}

#[tokio::test]
async fn each_certificate_has_its_verdict() {
    let site = Site::new();
    let rogue = SiteCa::new("Another CA").unwrap();
    let prober = site.prober(PATIENT);
    for (what, identity, expected) in [
        ("good", site.identity(), Verdict::Pass),
        ("another CA", rogue.issue(&NAMES, Validity::Current).unwrap(), fail(Reason::TlsUntrusted)),
        (
            "without the name",
            site.ca.issue(&NAMES[..2], Validity::Current).unwrap(),
            fail(Reason::TlsWrongName),
        ),
        ("expired", site.ca.issue(&NAMES, Validity::Expired).unwrap(), fail(Reason::TlsExpired)),
        ("wants ours", site.ca.issue_strict(&NAMES).unwrap(), fail(Reason::TlsAlert)),
    ] {
        let master = master(Some(identity));
        let finding = probe(&prober, master.addr()).await;
        assert_eq!(finding.verdict, expected, "{what}: {}", finding.detail);
        assert_eq!(
            master.requests(),
            usize::from(expected == Verdict::Pass),
            "{what}: nothing is asked of it"
        );
    }
}

#[tokio::test]
async fn a_wrong_name_is_told_with_the_names_that_are_there() {
    let site = Site::new();
    let master = master(Some(site.ca.issue(&NAMES[..2], Validity::Current).unwrap()));
    let detail = probe(&site.prober(PATIENT), master.addr()).await.detail;
    assert!(detail.contains(NAME) && detail.contains("puppet1.example.org"), "{detail}");
}

#[tokio::test]
async fn a_bundle_needs_the_intermediate_because_masters_send_only_their_leaf() {
    let root = SiteCa::new("Root").unwrap();
    let intermediate = root.intermediate("Intermediate").unwrap();
    let master = master(Some(intermediate.issue(&NAMES, Validity::Current).unwrap()));
    let both = format!("{}{}", intermediate.pem(), root.pem());
    for (pem, expected) in [(both, Verdict::Pass), (root.pem(), fail(Reason::TlsUntrusted))] {
        assert_eq!(verdict(&prober(puppetserver(), PATIENT, Some(&pem)), master.addr()).await, expected);
    }
}

#[tokio::test]
async fn what_is_no_tls_fails_the_handshake() {
    let site = Site::new();
    let plain = master(None);
    assert_eq!(verdict(&site.prober(PATIENT), plain.addr()).await, fail(Reason::TlsHandshake), "plain HTTP");
    let listener = TcpListener::bind(local(0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { drop(listener.accept().await) });
    assert_eq!(verdict(&site.prober(PATIENT), addr).await, fail(Reason::TlsHandshake), "closes at once");
}

#[tokio::test]
async fn the_other_kinds_ask_less() {
    let site = Site::new();
    let tls = prober(
        Kind::Tls(TlsCheck { port: 1.try_into().unwrap(), trust: trust() }),
        PATIENT,
        Some(&site.ca.pem()),
    );
    let tcp = prober(Kind::Tcp(TcpCheck { port: 1.try_into().unwrap() }), PATIENT, None);
    let contains = prober(http(None, Some(Body::Contains("unn".to_owned()))), PATIENT, None);
    let is = prober(http(None, Some(Body::Is("running".to_owned()))), PATIENT, None);
    let (strict, plain) = (site.master(), master(None));
    for (what, prober, addr) in [
        ("tls", &tls, strict.addr()),
        ("tcp", &tcp, strict.addr()),
        ("http, contains", &contains, plain.addr()),
        ("http, is", &is, plain.addr()),
    ] {
        assert_eq!(verdict(prober, addr).await, Verdict::Pass, "{what}");
    }
    assert_eq!(strict.requests(), 0);
    plain.always_say(Say::Http(200, "no"));
    assert_eq!(verdict(&contains, plain.addr()).await, fail(Reason::HttpBody));
    assert_eq!(verdict(&is, plain.addr()).await, fail(Reason::HttpBody));
}

/// Every member has the same server name, and some the same port: only the address tells them apart.
#[tokio::test]
async fn two_members_behind_one_name_are_never_mixed_up() {
    const ROUNDS: usize = 40;
    let site = Site::new();
    let well = Master::start((own_address(), 8140).into(), Some(site.identity())).unwrap();
    let twin = SocketAddr::from((own_address(), 8140));
    let ill = Master::start(twin, Some(site.identity())).unwrap();
    ill.always_say(Say::Http(503, "error"));
    let prober = site.prober(PATIENT);
    let mut under_way = tokio::task::JoinSet::new();
    for (addr, expected) in [(well.addr(), Verdict::Pass), (twin, fail(Reason::ServiceState))].repeat(ROUNDS)
    {
        let prober = prober.clone();
        under_way.spawn(async move { assert_eq!(verdict(&prober, addr).await, expected, "{addr}") });
    }
    while let Some(probed) = under_way.join_next().await {
        probed.unwrap();
    }
    assert_eq!((well.requests(), ill.requests()), (ROUNDS, ROUNDS));
}

/// The list of reasons is closed; each is shown by a test of real sockets.
#[test]
fn every_reason_is_shown() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let modules = fs::read_dir(tests.join("probe")).unwrap().map(|entry| entry.unwrap().path());
    let others = ["probe.rs", "postgres.rs", "exec.rs"].map(|file| tests.join(file));
    let files = modules.chain(others);
    let shown: String = files.map(|file| fs::read_to_string(file).unwrap()).collect();
    for reason in Reason::ALL {
        let shown = shown.contains(&format!("Reason::{reason:?})"));
        let is_of_a_pool = matches!(reason, Reason::OtherVersion); // no single probe can find it
        assert!(shown || is_of_a_pool, "{reason}");
    }
}
