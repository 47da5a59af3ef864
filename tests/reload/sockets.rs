//! Addresses that come and go with a reload, and those that stay.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use hickory_proto::rr::RecordType;

use super::stage::{Site, Stage, ask, client};
use crate::harness::{own_address, query};

/// Two bytes of length and a query, and back.
fn ask_tcp(stream: &mut TcpStream) -> std::io::Result<usize> {
    let query = query("p.example", RecordType::A);
    stream.write_all(&[&(query.len() as u16).to_be_bytes(), &query[..]].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut reply).map(|()| reply.len())
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(super::stage::PATIENCE)).unwrap();
    stream
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn addresses_come_and_go_and_connections_to_the_others_stay() {
    let [first, second, third] = [(); 3].map(|()| format!("{}:5300", own_address()));
    let site =
        Site { members: vec![own_address()], listen: vec![first.clone(), second.clone()], ..Site::default() };
    let stage = Stage::set(&site, &[]).await;
    let addrs = [&first, &second, &third].map(|addr| addr.parse::<SocketAddr>().unwrap());
    let mut streams = blocking(move || {
        let mut streams = [connect(addrs[0]), connect(addrs[1])];
        for stream in &mut streams {
            ask_tcp(stream).unwrap();
        }
        streams
    })
    .await;
    let changes = stage.reload(&Site { listen: vec![third, second], ..site }).await.unwrap();
    assert_eq!(changes.addresses.new, [format!("{} (listen)", addrs[2])]);
    assert_eq!(changes.addresses.gone, [format!("{first} (listen)")]);
    assert_eq!(stage.daemon.addrs(), [addrs[2], addrs[1]], "in the order of the config");
    blocking(move || {
        ask_tcp(&mut streams[1]).expect("it stays");
        assert_eq!(streams[0].read(&mut [0]).unwrap(), 0, "its address is gone");
        ask(&client(addrs[2]), RecordType::A, 1);
        ask_tcp(&mut connect(addrs[2])).unwrap();
        let began = std::time::Instant::now();
        while TcpStream::connect(addrs[0]).is_ok() {
            assert!(began.elapsed() < super::stage::PATIENCE, "the door stays open");
            std::thread::yield_now();
        }
    })
    .await;
    stage.daemon.stop().await;
}

/// Clients ask one query after another, and lose none of them, whatever changes: members, addresses, limits.
#[tokio::test]
async fn no_query_is_lost_by_fifty_reloads() {
    const RELOADS: usize = 50;
    let [one, two, other] = [(); 3].map(|()| own_address());
    let stage = Stage::set(&Site { members: vec![one, two], ..Site::default() }, &[two]).await;
    let addr = stage.addr();
    let asking = [stage.ask_on(), stage.ask_on()];
    for round in 0..RELOADS {
        let mut listen = vec!["127.0.0.1:0".to_owned()];
        listen.extend((round % 3 == 0).then(|| format!("{other}:5300")));
        let members = if round % 2 == 0 { vec![two, one] } else { vec![one, two, other] };
        let limits = format!("workers = {}\ntcp = {{ clients = {} }}", 1 + round % 3, 10 + round / 10);
        stage.reload(&Site { members, listen, more: limits, ..Site::default() }).await.unwrap();
    }
    for asking in asking {
        let seen = asking.stop().await;
        assert!(seen.queries >= RELOADS, "{} queries", seen.queries);
        assert_eq!(seen.answered, [one, other].into());
    }
    assert_eq!(stage.addr(), addr, "the port is the one that was chosen first");
    stage.daemon.stop().await;
}

/// How many UDP sockets the kernel has at this address.
pub fn udp_sockets(addr: SocketAddr) -> usize {
    let SocketAddr::V4(addr) = addr else { panic!("{addr} is none of IPv4") };
    let place = format!("{:08X}:{:04X}", u32::from_ne_bytes(addr.ip().octets()), addr.port());
    let table = std::fs::read_to_string("/proc/net/udp").unwrap();
    let own = table.lines().filter_map(|line| line.split_whitespace().nth(1));
    own.filter(|own| *own == place).count()
}

/// Many clients, so that each socket has some.
#[tokio::test]
async fn fewer_workers_lose_no_query_either() {
    let member = own_address();
    let site =
        |workers| Site { members: vec![member], more: format!("workers = {workers}"), ..Site::default() };
    let stage = Stage::set(&site(4), &[]).await;
    let addr = stage.addr();
    let asking: Vec<_> = (0..12).map(|_| stage.ask_on()).collect();
    for count in [1, 4, 2, 1, 3, 1].repeat(4) {
        let changes = stage.reload(&site(count)).await.unwrap();
        assert!(changes.restart.is_empty(), "{changes}");
        let began = std::time::Instant::now();
        while udp_sockets(addr) != count {
            assert!(began.elapsed() < super::stage::PATIENCE, "{} for {count}", udp_sockets(addr));
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    for asking in asking {
        assert_eq!(asking.stop().await.answered, [member].into());
    }
    stage.daemon.stop().await;
}

/// Limits cannot be changed while a door is open: it is opened again, on the same sockets.
#[tokio::test]
async fn other_limits_hold_after_a_reload() {
    let site = Site { members: vec![own_address()], ..Site::default() };
    let stage = Stage::set(&site, &[]).await;
    let addr = stage.addr();
    let more = "tcp = { clients = 8, per-client = 1 }".to_owned();
    stage.reload(&Site { more, ..site }).await.unwrap();
    blocking(move || {
        let mut first = connect(addr);
        ask_tcp(&mut first).unwrap();
        assert!(ask_tcp(&mut connect(addr)).is_err(), "one connection from each");
        ask_tcp(&mut first).unwrap();
    })
    .await;
    stage.daemon.stop().await;
}
