//! The server over real sockets: the daemon in this process, on ports of its own.

use std::io::{Read as _, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use onstage::daemon::{Daemon, Read, StartError, State, StateFile};
use onstage::demo::{Master, SiteCa, Validity, addresses};
use onstage::plan::{Plan, Probe};
use onstage::probe::Finding;
use onstage::probe::guard::Vouch;
use onstage::probe::schedule::Ask;
use onstage::units::ProbeId;

use crate::harness::{load_site, own_address, query, receive, with_edns};

const ZONE: &str =
    "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n@ A 192.0.2.1\n";
const PATIENCE: Duration = Duration::from_secs(10);

/// A daemon without pools, listening as told.
struct Server {
    daemon: Daemon,
    _state: tempfile::TempDir,
}

fn site(listen: &str, more: &str) -> (onstage::daemon::Loaded, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    let dir = state.path().display();
    let config =
        format!("[server]\nlisten = [{listen}]\nstate-dir = \"{dir}\"\n{more}\n[[zone]]\nfile = \"zone\"\n");
    (load_site(&[("onstage.toml", &config), ("zone", ZONE)]), state)
}

impl Server {
    async fn start(listen: &str, more: &str) -> Self {
        let (loaded, state) = site(listen, more);
        Self { daemon: Daemon::start(&loaded.plan, &loaded.network).await.unwrap(), _state: state }
    }

    fn addr(&self) -> SocketAddr {
        self.daemon.addrs()[0]
    }
}

/// Whether this machine has `::1`. A test says loudly what it leaves out where it has not.
fn has_ipv6() -> bool {
    let bound = UdpSocket::bind("[::1]:0");
    if let Err(e) = &bound {
        eprintln!("SKIPPED: IPv6, since ::1 cannot be bound: {e}");
    }
    bound.is_ok()
}

/// A blocking client asks off the runtime.
async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(ask).await.unwrap()
}

fn client(server: SocketAddr) -> UdpSocket {
    let any: SocketAddr = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(server).unwrap();
    socket
}

fn ask_udp(socket: &UdpSocket, query: &[u8]) -> Message {
    socket.send(query).unwrap();
    Message::from_vec(&receive(socket).unwrap()).unwrap()
}

fn ask_tcp(stream: &mut TcpStream, query: &[u8]) -> std::io::Result<Message> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[&(query.len() as u16).to_be_bytes(), query].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut reply)?;
    Ok(Message::from_vec(&reply).unwrap())
}

#[tokio::test]
async fn queries_are_answered_over_udp_and_tcp() {
    let listen = if has_ipv6() { "\"127.0.0.1:0\", \"[::1]:0\"" } else { "\"127.0.0.1:0\"" };
    let server = Server::start(listen, "").await;
    for addr in server.daemon.addrs() {
        blocking(move || {
            assert_eq!(ask_udp(&client(addr), &query("p.example", RecordType::A)).answers.len(), 1, "{addr}");
            let mut stream = TcpStream::connect(addr).unwrap();
            for _ in 0..3 {
                assert_eq!(
                    ask_tcp(&mut stream, &query("p.example", RecordType::A)).unwrap().answers.len(),
                    1
                );
            }
        })
        .await;
    }
    server.daemon.stop().await;
}

#[tokio::test]
async fn a_burst_is_answered_to_the_last_query() {
    const BURST: u16 = 500;
    let server = Server::start("\"127.0.0.1:0\"", "workers = 3").await;
    let addr = server.addr();
    blocking(move || {
        let sockets: Vec<UdpSocket> = (0..10).map(|_| client(addr)).collect();
        for socket in &sockets {
            for id in 0..BURST / 10 {
                let mut query = with_edns(query("p.example", RecordType::A), 1232, 0, 0);
                query[..2].copy_from_slice(&id.to_be_bytes());
                socket.send(&query).unwrap();
            }
        }
        for socket in &sockets {
            let mut ids: Vec<u16> = (0..BURST / 10)
                .map(|_| Message::from_vec(&receive(socket).unwrap()).unwrap().metadata.id)
                .collect();
            ids.sort_unstable();
            assert_eq!(ids, (0..BURST / 10).collect::<Vec<u16>>());
        }
    })
    .await;
    server.daemon.stop().await;
}

#[tokio::test]
async fn replies_leave_from_the_address_that_was_asked() {
    let listen = if has_ipv6() { "\"0.0.0.0:0\", \"[::]:0\"" } else { "\"0.0.0.0:0\"" };
    let server = Server::start(listen, "").await;
    let (v4, v6) = (server.addr(), server.daemon.addrs().get(1).copied());
    blocking(move || {
        for last in [1, 2, 3, 77] {
            let asked = SocketAddr::new(Ipv4Addr::new(127, 0, 0, last).into(), v4.port());
            // A connected socket takes replies from the address it asked, and from no other.
            ask_udp(&client(asked), &query("p.example", RecordType::A));
        }
        if let Some(v6) = v6 {
            let asked = SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), v6.port());
            ask_udp(&client(asked), &query("p.example", RecordType::A));
        }
    })
    .await;
    server.daemon.stop().await;
}

#[tokio::test]
async fn a_second_server_on_the_port_is_one_clear_sentence() {
    let server = Server::start(&format!("\"{}:5300\"", own_address()), "").await;
    let (loaded, _state) = site(&format!("\"{}\"", server.addr()), "");
    let refused = Daemon::start(&loaded.plan, &loaded.network).await.expect_err("it is refused");
    let sentence = format!("cannot listen on {} (UDP): another program listens there", server.addr());
    assert_eq!(refused.to_string(), sentence);
    server.daemon.stop().await;
    // Another test that starts a program holds copies of all sockets until its child has become that program.
    let began = std::time::Instant::now();
    let again = loop {
        match Daemon::start(&loaded.plan, &loaded.network).await {
            Err(StartError::Bind(_)) if began.elapsed() < PATIENCE => tokio::task::yield_now().await,
            started => break started.expect("the port is free again"),
        }
    };
    again.stop().await;
}

#[tokio::test]
async fn an_address_of_another_machine_is_one_clear_sentence() {
    let (loaded, _state) = site("\"192.0.2.1:0\"", "");
    let Err(StartError::Bind(e)) = Daemon::start(&loaded.plan, &loaded.network).await else {
        panic!("it is refused")
    };
    assert_eq!(e.to_string(), "cannot listen on 192.0.2.1:0 (UDP): this machine has no such address");
}

#[tokio::test]
async fn limits_of_tcp_hold_and_the_most_silent_leaves() {
    let server =
        Server::start("\"127.0.0.1:0\"", "tcp = { clients = 4, per-client = 3, idle = \"1m\" }").await;
    let addr = server.addr();
    blocking(move || {
        let connect_from = |last: u8| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::new(Ipv4Addr::new(127, 0, 0, last).into(), 0).into()).unwrap();
            socket.connect(&addr.into()).unwrap();
            TcpStream::from(socket)
        };
        let asked = query("p.example", RecordType::A);
        let mut greedy: Vec<TcpStream> = (0..3).map(|_| connect_from(2)).collect();
        for stream in &mut greedy {
            ask_tcp(stream, &asked).expect("three are let in");
        }
        assert!(ask_tcp(&mut connect_from(2), &asked).is_err(), "the fourth of one client is not");
        let mut others: Vec<TcpStream> = (3..7).map(connect_from).collect();
        for stream in &mut others {
            ask_tcp(stream, &asked).expect("other clients always are");
        }
        for stream in &mut greedy {
            let gone = stream.read(&mut [0]).map_err(|e| e.kind());
            let closed = matches!(gone, Ok(0) | Err(std::io::ErrorKind::ConnectionReset));
            assert!(closed, "in the place of those that were silent longest: {gone:?}");
        }
    })
    .await;
    server.daemon.stop().await;
}

/// The plan of three masters, one of them frozen before the start.
fn pool(
    members: [Ipv4Addr; 3],
    ca: &SiteCa,
) -> (Arc<Plan>, Arc<onstage::daemon::Network>, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    let config = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"{}\"\n[[zone]]\nfile = \"zone\"\n\
         [check.puppetserver]\ninterval = \"50ms\"\ntimeout = \"1s\"\nrecheck = \"20ms\"\n\
         puppetserver = {{ ca-file = \"ca.pem\" }}\n\
         [[pool]]\nname = \"puppet.example.org\"\ncheck = \"puppetserver\"\n",
        state.path().display()
    );
    let members = members.map(|member| format!("@ A {member}\n")).concat();
    let zone = format!(
        "$ORIGIN puppet.example.org.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n{members}"
    );
    let loaded = load_site(&[("onstage.toml", &config), ("zone", &zone), ("ca.pem", &ca.pem())]);
    (loaded.plan, loaded.network, state)
}

#[tokio::test]
async fn the_first_answer_is_no_guess() {
    let ca = SiteCa::new("Site CA").unwrap();
    let names = ["puppet.example.org"];
    let members = [(); 3].map(|()| own_address());
    let masters = members.map(|member| {
        let identity = ca.issue(&names, Validity::Current).unwrap();
        Master::start((member, 8140).into(), Some(identity)).unwrap()
    });
    masters[1].freeze();
    let (plan, network, _state) = pool(members, &ca);
    let daemon = Daemon::start(&plan, &network).await.unwrap();
    let mut answered = addresses(daemon.addrs()[0], "puppet.example.org").await.unwrap();
    answered.sort();
    assert_eq!(answered, [members[0], members[2]].map(IpAddr::from), "from the very first");
    masters[1].present(ca.issue(&names, Validity::Current).unwrap());
    let mut views = daemon.views();
    drop(masters);
    let all_down = |views: &Vec<onstage::health::Observed>| views.iter().all(|observed| !observed.is_up());
    tokio::time::timeout(PATIENCE, views.wait_for(all_down)).await.expect("they are noticed").unwrap();
    let answered = addresses(daemon.addrs()[0], "puppet.example.org").await.unwrap();
    assert_eq!(answered.len(), 3, "with nobody live, everybody is answered");
    daemon.stop().await;
}

/// Whatever stalls the probes does not stall who watches them, nor answers.
#[test]
fn when_probes_stall_the_pools_fail_open_until_they_go_on() {
    let (lives, dead) = (own_address(), own_address());
    let _member = std::net::TcpListener::bind((lives, 8140)).unwrap();
    let zone = format!("{ZONE}pool A {lives}\npool A {dead}\n");
    let state = tempfile::tempdir().unwrap();
    let config = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"{}\"\n[[zone]]\nfile = \"zone\"\n\
         [check.tcp]\ninterval = \"100ms\"\ntimeout = \"200ms\"\ntcp = {{ port = 8140 }}\n\
         [[pool]]\nname = \"pool.p.example\"\ncheck = \"tcp\"\n",
        state.path().display()
    );
    let loaded = load_site(&[("onstage.toml", &config), ("zone", &zone)]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let daemon = runtime.block_on(Daemon::start(&loaded.plan, &loaded.network)).unwrap();
    let (silent, client) = (daemon.stale(), client(daemon.addrs()[0]));
    let answered = || ask_udp(&client, &query("pool.p.example", RecordType::A)).answers.len();
    assert_eq!((*silent.borrow(), answered()), (0, 1));
    let (go_on, stalled) = std::sync::mpsc::channel::<()>();
    runtime.spawn(async move { stalled.recv() }); // on the one thread that probes have
    for (is_stalled, expected) in [(true, (2, 2)), (false, (0, 1))] {
        if !is_stalled {
            go_on.send(()).unwrap();
        }
        let began = std::time::Instant::now();
        while (*silent.borrow(), answered()) != expected {
            assert!(began.elapsed() < PATIENCE, "stalled: {is_stalled}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    runtime.block_on(daemon.stop());
}

/// Members that never answer.
struct Mute;

impl Ask for Mute {
    async fn ask(&self, _: ProbeId) -> Finding {
        std::future::pending().await
    }
}

impl Vouch for Mute {
    async fn vouches(&self, _: SocketAddr) -> bool {
        false
    }
}

/// A server that is killed before the first verdict knows as much the next time.
#[tokio::test]
async fn what_the_last_run_knew_is_kept_until_there_is_a_verdict() {
    let state = tempfile::tempdir().unwrap();
    let config = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"{}\"\nfirst-round = \"10ms\"\n\
         [[zone]]\nfile = \"zone\"\n[check.tcp]\ntcp = {{ port = 8140 }}\n\
         [[pool]]\nname = \"p.example\"\ncheck = \"tcp\"\n",
        state.path().display()
    );
    let zone = "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n@ A 127.0.0.2\n@ A 127.0.0.3\n";
    let plan = load_site(&[("onstage.toml", &config), ("zone", zone)]).plan;
    let (file, mut last) = (StateFile::in_dir(state.path()).unwrap(), State::default());
    last.up = plan.probes.iter().map(Probe::key).zip([true, false]).collect();
    file.write(&last).unwrap();
    let daemon = Daemon::start(&plan, &Arc::new(Mute)).await.unwrap();
    let Read::State(kept) = file.read().unwrap() else { panic!("not written") };
    assert_eq!(kept.up, last.up);
    daemon.stop().await;
}
