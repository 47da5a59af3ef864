//! Encrypted DNS over real sockets: the daemon in this process, with a certificate that clients hold it to.

mod counted;
pub mod https;
pub mod quic;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use onstage::daemon::{Daemon, Loaded, load};
use onstage::report::Colour;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{query, with_edns};

/// The name in the certificate.
pub const NAME: &str = "dns.example";
const ZONE: &str = "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n@ A 192.0.2.1\n\
                    web A 127.0.0.1\nwww CNAME web\nmail MX 10 web\nmail MX 20 ns\n";
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A daemon with a certificate, in a folder of its own.
pub struct Server {
    pub daemon: Daemon,
    pub folder: tempfile::TempDir,
}

/// Puts a new certificate and its key into a folder.
fn certify(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let names = [NAME.to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    fs::write(folder.join("server.crt"), certificate.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

/// Texts of many lengths, three bytes from one to the next.
const LENGTHS: usize = 230;

/// So many characters, as strings of a TXT record.
fn text(length: usize) -> String {
    let whole = vec!["x".repeat(100); length / 100];
    format!("{} {}", whole.join(" "), "y".repeat(length % 100 + 1))
}

/// A folder with a site that is served encrypted.
fn site(more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let any = "[\"127.0.0.1:0\"]";
    let config = format!(
        "[server]\nlisten = {any}\nstate-dir = \"state\"\n{more}\n[[zone]]\nfile = \"zone\"\n\
         [server.tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\ndot = {any}\ndoh = {any}\ndoq = {any}\n"
    );
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::write(folder.path().join("onstage.toml"), config).unwrap();
    let large: Vec<String> = (0..200).map(|i| format!("large TXT {i:0200}\n")).collect();
    let lengths: Vec<String> = (0..LENGTHS).map(|i| format!("t{i} TXT {}\n", text(1700 + 3 * i))).collect();
    fs::write(folder.path().join("zone"), format!("{ZONE}{}{}", large.concat(), lengths.concat())).unwrap();
    certify(folder.path());
    folder
}

fn load_from(folder: &Path) -> Loaded {
    let reading = load(&folder.join("onstage.toml"), |path| fs::read(path));
    let report = reading.report.render(&reading.sources, Colour::Never);
    reading.loaded.unwrap_or_else(|| panic!("{report}"))
}

impl Server {
    pub async fn start(more: &str) -> Self {
        let folder = site(more);
        let loaded = load_from(folder.path());
        Self { daemon: Daemon::start(&loaded.plan, &loaded.network).await.unwrap(), folder }
    }

    /// What its files say now.
    pub fn load(&self) -> Loaded {
        load_from(self.folder.path())
    }

    /// From the next reading on `p.example` has another address, with this number at its end.
    pub fn number(&self, last: u8) {
        let zone = fs::read_to_string(self.folder.path().join("zone")).unwrap();
        let (before, after) = zone.split_once("\n@ A ").unwrap();
        let (_, after) = after.split_once('\n').unwrap();
        fs::write(self.folder.path().join("zone"), format!("{before}\n@ A 192.0.2.{last}\n{after}")).unwrap();
    }

    pub fn certificate(&self) -> std::path::PathBuf {
        self.folder.path().join("server.crt")
    }

    fn dot(&self) -> SocketAddr {
        self.daemon.all_addrs().dot[0]
    }

    /// A client that trusts the certificate as its file is now, and offers these protocols.
    pub fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.certificate()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = versions.unwrap().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

pub async fn connect(addr: SocketAddr, client: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from(NAME).unwrap();
    timeout(PATIENCE, TlsConnector::from(Arc::clone(client)).connect(name, stream)).await?
}

pub async fn send(stream: &mut TlsStream<TcpStream>, query: &[u8]) -> io::Result<()> {
    stream.write_all(&[&(query.len() as u16).to_be_bytes(), query].concat()).await?;
    stream.flush().await
}

pub async fn receive(stream: &mut TlsStream<TcpStream>) -> io::Result<Vec<u8>> {
    let mut reply = vec![0; timeout(PATIENCE, stream.read_u16()).await??.into()];
    timeout(PATIENCE, stream.read_exact(&mut reply)).await??;
    Ok(reply)
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> usize {
    send(stream, &query("p.example", RecordType::A)).await.unwrap();
    Message::from_vec(&receive(stream).await.unwrap()).unwrap().answers.len()
}

/// A query with an empty padding option (RFC 7830 §3).
pub fn padded(name: &str, record_type: RecordType) -> Vec<u8> {
    let mut query = with_edns(query(name, record_type), 1232, 0, 0);
    let end = query.len();
    query[end - 1] = 4;
    query.extend_from_slice(&[0, 12, 0, 0]);
    query
}

#[tokio::test]
async fn many_queries_are_answered_on_one_connection() {
    let server = Server::start("").await;
    for protocols in [&["dot"][..], &["h2", "dot"], &[]] {
        let mut stream = connect(server.dot(), &server.client(protocols)).await.unwrap();
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(agreed, (!protocols.is_empty()).then(|| b"dot".to_vec()), "{protocols:?}");
        for id in 0..1000_u16 {
            let mut query = query("p.example", RecordType::A);
            query[..2].copy_from_slice(&id.to_be_bytes());
            send(&mut stream, &query).await.unwrap();
        }
        for id in 0..1000 {
            let reply = Message::from_vec(&receive(&mut stream).await.unwrap()).unwrap();
            assert_eq!((reply.metadata.id, reply.answers.len()), (id, 1));
        }
    }
    server.daemon.stop().await;
}

#[tokio::test]
async fn who_pads_is_padded() {
    let server = Server::start("").await;
    let mut stream = connect(server.dot(), &server.client(&["dot"])).await.unwrap();
    for (name, record_type) in [("p.example", RecordType::A), ("no.p.example", RecordType::A)] {
        send(&mut stream, &padded(name, record_type)).await.unwrap();
        assert_eq!(receive(&mut stream).await.unwrap().len() % 468, 0, "{name}");
    }
    // Of every length around those of which we try first whether they suffice.
    for i in 0..LENGTHS {
        send(&mut stream, &padded(&format!("t{i}.p.example"), RecordType::TXT)).await.unwrap();
        assert_eq!(receive(&mut stream).await.unwrap().len() % 468, 0, "t{i}");
    }
    send(&mut stream, &query("p.example", RecordType::A)).await.unwrap();
    assert!(receive(&mut stream).await.unwrap().len() < 100, "who does not is not");
    server.daemon.stop().await;
}

#[tokio::test]
async fn who_wants_something_else_is_refused() {
    let server = Server::start("").await;
    let refused = connect(server.dot(), &server.client(&["h2"])).await.unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    let mut plain = TcpStream::connect(server.dot()).await.unwrap();
    let query = query("p.example", RecordType::A);
    plain.write_all(&[&(query.len() as u16).to_be_bytes(), &query[..]].concat()).await.unwrap();
    let mut said = Vec::new();
    let _ = timeout(PATIENCE, plain.read_to_end(&mut said)).await.expect("it is closed");
    assert!(said.len() < 10, "an alert of TLS at most: {said:?}");
    server.daemon.stop().await;
}

#[tokio::test]
async fn a_handshake_that_stalls_delays_nobody_and_has_an_end() {
    let server = Server::start("tcp = { idle = \"300ms\" }").await;
    let mut stalled = Vec::new();
    for _ in 0..10 {
        stalled.push(TcpStream::connect(server.dot()).await.unwrap());
    }
    let mut stream = connect(server.dot(), &server.client(&["dot"])).await.unwrap();
    assert_eq!(ask(&mut stream).await, 1);
    for mut stalled in stalled {
        assert_eq!(timeout(PATIENCE, stalled.read(&mut [0])).await.unwrap().unwrap(), 0, "closed");
    }
    server.daemon.stop().await;
}

#[tokio::test]
async fn handshakes_count_among_the_connections_of_a_client() {
    let server = Server::start("tcp = { clients = 4, per-client = 2, idle = \"1m\" }").await;
    let mut stalled = TcpStream::connect(server.dot()).await.unwrap();
    let mut stream = connect(server.dot(), &server.client(&["dot"])).await.unwrap();
    assert_eq!(ask(&mut stream).await, 1);
    assert!(connect(server.dot(), &server.client(&["dot"])).await.is_err(), "the third is not let in");
    server.daemon.stop().await;
    let end = timeout(PATIENCE, stalled.read(&mut [0])).await.expect("the server does not wait for it");
    assert!(matches!(end, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_who_comes_next() {
    let server = Server::start("").await;
    let old = server.client(&["dot"]);
    let mut before = connect(server.dot(), &old).await.unwrap();
    certify(server.folder.path());
    server.daemon.renew().await;
    let new = server.client(&["dot"]);
    let mut after = connect(server.dot(), &new).await.expect("the new one is shown");
    assert_eq!((ask(&mut before).await, ask(&mut after).await), (1, 1), "and no connection is dropped");
    fs::write(server.folder.path().join("server.key"), "torn").unwrap();
    for _ in 0..3 {
        server.daemon.renew().await;
    }
    connect(server.dot(), &new).await.expect("what cannot be used changes nothing");
    server.daemon.stop().await;
}

#[test]
fn a_key_of_another_certificate_is_told_with_its_place() {
    let folder = site("");
    let key = KeyPair::generate().unwrap().serialize_pem();
    fs::write(folder.path().join("server.key"), key).unwrap();
    let reading = load(&folder.path().join("onstage.toml"), |path| fs::read(path));
    assert!(reading.loaded.is_none());
    let report = reading.report.render(&reading.sources, Colour::Never);
    let file = folder.path().join("server.key");
    let problem = format!("error[bad-key]: `{}`: the key is not that of the certificate\n", file.display());
    assert!(report.starts_with(&problem), "{report}");
    assert!(report.contains("onstage.toml:9:7"), "{report}");
    assert!(
        report.contains("key = \"server.key\"\n  |       ^^^^^^^^^^^^ the certificate is proved with it"),
        "{report}"
    );
}
