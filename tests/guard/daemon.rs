//! Guards asked by a running server.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use onstage::daemon::Daemon;
use onstage::demo::{Master, SiteCa, Validity};
use onstage::probe::guard::dial;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::{sleep, timeout};

use crate::harness::{load_site, own_address, query};

const PATIENCE: Duration = Duration::from_secs(20);
/// Broadcasts have no TCP: the kernel says at once that there is no way.
const UNREACHABLE: &str = "255.255.255.255:53";

#[tokio::test]
async fn any_answer_vouches_and_no_way_does_not() {
    let listener = TcpListener::bind((own_address(), 53_000)).await.unwrap();
    let accepted = listener.local_addr().unwrap();
    assert!(dial(accepted).await);
    assert!(dial((own_address(), 53_000).into()).await, "refused");
    assert!(!dial(UNREACHABLE.parse().unwrap()).await);
}

/// Two masters freeze, which is all there are.
async fn freeze(guard: &str) -> (Daemon, [Master; 2], tempfile::TempDir) {
    let (ca, state) = (SiteCa::new("Site CA").unwrap(), tempfile::tempdir().unwrap());
    let members = [(); 2].map(|()| own_address());
    let masters = members.map(|member| {
        let identity = ca.issue(&["p.example"], Validity::Current).unwrap();
        Master::start((member, 8140).into(), Some(identity)).unwrap()
    });
    let config = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"{}\"\n[guard]\naddresses = [\"{guard}\"]\n\
         [[zone]]\nfile = \"zone\"\n[[pool]]\nname = \"p.example\"\ncheck = \"puppetserver\"\n\
         [check.puppetserver]\ninterval = \"400ms\"\ntimeout = \"1s\"\nrecheck = \"300ms\"\npuppetserver = {{ ca-file = \"ca.pem\" }}\n",
        state.path().display()
    );
    let [first, second] = members;
    let zone = format!(
        "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n@ A {first}\n@ A {second}\n"
    );
    let loaded = load_site(&[("onstage.toml", &config), ("zone", &zone), ("ca.pem", &ca.pem())]);
    let daemon = Daemon::start(&loaded.plan, &loaded.network).await.unwrap();
    assert_eq!(told(daemon.addrs()[0]).await[0], "A 2/2 answered");
    masters.iter().for_each(Master::freeze);
    (daemon, masters, state)
}

/// What is told about the pool to who asks for it, without the age.
async fn told(server: SocketAddr) -> Vec<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut question = query("p.example", RecordType::TXT);
    let class = question.len() - 1;
    question[class] = 3;
    socket.send_to(&question, server).await.unwrap();
    let mut reply = [0; 4096];
    let length = timeout(PATIENCE, socket.recv(&mut reply)).await.expect("a reply").unwrap();
    let message = Message::from_vec(&reply[..length]).unwrap();
    let texts = message.answers.iter().map(|record| record.data.to_string());
    texts.map(|text| text.split(", for ").next().unwrap().trim_matches('"').to_owned()).collect()
}

async fn until_told(server: SocketAddr, head: &str) {
    let asking = async {
        while told(server).await[0] != head {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let told_so = timeout(PATIENCE, asking).await;
    assert!(told_so.is_ok(), "{head}: {:?}", told(server).await);
}

#[tokio::test]
async fn a_silent_guard_freezes_what_is_observed_until_somebody_answers() {
    let (daemon, mut masters, _state) = freeze(UNREACHABLE).await;
    let server = daemon.addrs()[0];
    until_told(server, "A 2/2 answered, frozen: nobody answers, and no guard").await;
    for master in &mut masters {
        master.come_back().unwrap();
    }
    until_told(server, "A 2/2 answered").await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_guard_that_answers_lets_them_leave() {
    let guard = TcpListener::bind((own_address(), 53_000)).await.unwrap();
    let (daemon, ..) = freeze(&guard.local_addr().unwrap().to_string()).await;
    until_told(daemon.addrs()[0], "A 2/2 answered, failing open").await;
    let asked = timeout(PATIENCE, guard.accept()).await.expect("it was asked");
    assert!(asked.is_ok());
    daemon.stop().await;
}
