//! The set: a CA, three masters, and a daemon that watches them.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Failure, Master, SiteCa, Validity};
use crate::daemon::{Daemon, Network, load};
use crate::plan::Plan;
use crate::report::Colour;
use std::sync::Arc;

/// The name that agents use.
pub(super) const NAME: &str = "puppet.example.org";

/// The masters of the play, as the seed of a site has them: an address each.
pub(super) const MASTERS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 16, 1, 10), Ipv4Addr::new(127, 16, 4, 26), Ipv4Addr::new(127, 16, 9, 7)];

const CONFIG: &str = "onstage.toml";

/// Where the dashboard is, where that is free.
const USUAL_PAGE: u16 = 8053;
/// mDNS aside, the port that people expect a second DNS server on.
const USUAL_PORT: u16 = 5353;

/// Everything that plays.
pub(super) struct Stage {
    pub(super) ca: SiteCa,
    pub(super) masters: Vec<Master>,
    pub(super) daemon: Daemon,
    pub(super) plan: Arc<Plan>,
    pub(super) server: SocketAddr,
    /// Config, zone, CA, state, and the control socket.
    folder: Folder,
}

/// A folder that is gone when the show is over, however it ends.
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("onstage-demo-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Stage {
    /// Starts the masters, then the daemon.
    pub(super) async fn set() -> Result<Self, Failure> {
        let ca = SiteCa::new("Demo CA")?;
        let port = free_port()?;
        let mut masters = Vec::new();
        for address in MASTERS {
            masters.push(Master::start(
                SocketAddr::new(address.into(), port),
                Some(ca.issue(&names(address), Validity::Current)?),
            )?);
        }
        let folder = Folder::make()?;
        let (plan, network) = read(port, &folder.0, &ca, dns_port().await, page_port())?;
        let daemon = Daemon::start(&plan, &network).await?;
        let server = daemon.addrs()[0];
        Ok(Self { ca, masters, daemon, plan, server, folder })
    }

    /// The show is over.
    pub(super) async fn strike(self) {
        self.daemon.stop().await;
    }

    /// The config, for whoever wants to talk to the server.
    pub(super) fn config(&self) -> PathBuf {
        self.folder.0.join(CONFIG)
    }
}

/// The names in a master's certificate: its own, and those that agents use.
pub(super) fn names(address: Ipv4Addr) -> [String; 3] {
    let own = format!("puppet-{}.example.org", address.to_string().replace('.', "-"));
    [own, "puppet".to_owned(), NAME.to_owned()]
}

/// A port that is free on the addresses of all masters: Puppet's, where it is.
fn free_port() -> io::Result<u16> {
    let free = |port| MASTERS.map(|address| std::net::TcpListener::bind((address, port)));
    if free(8140).iter().all(Result::is_ok) {
        return Ok(8140);
    }
    std::net::TcpListener::bind((MASTERS[0], 0))?.local_addr().map(|addr| addr.port())
}

/// 5353 where it is free, else any.
async fn dns_port() -> u16 {
    let usual = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), USUAL_PORT);
    let free = tokio::net::UdpSocket::bind(usual).await.is_ok()
        && tokio::net::TcpListener::bind(usual).await.is_ok();
    if free { USUAL_PORT } else { 0 }
}

/// 8053 where it is free, else any.
fn page_port() -> u16 {
    let usual = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PAGE));
    if usual.is_ok() { USUAL_PAGE } else { 0 }
}

/// Writes the files of a site into `folder`, and reads them as the server does.
fn read(
    port: u16,
    folder: &Path,
    ca: &SiteCa,
    dns_port: u16,
    page_port: u16,
) -> Result<(Arc<Plan>, Arc<Network>), Failure> {
    fs::write(folder.join(CONFIG), config(port, dns_port, page_port))?;
    fs::write(folder.join("puppet.example.org.zone"), zone())?;
    fs::write(folder.join("ca.pem"), ca.pem())?;
    let reading = load(&folder.join(CONFIG), |path| fs::read(path));
    let report = reading.report.render(&reading.sources, Colour::Never);
    let loaded = reading.loaded.ok_or(report)?;
    Ok((loaded.plan, loaded.network))
}

fn config(port: u16, dns_port: u16, page_port: u16) -> String {
    format!(
        r#"[server]
listen = ["127.0.0.1:{dns_port}"]
state-dir = "."

[admin]
http = "127.0.0.1:{page_port}"

[[zone]]
file = "puppet.example.org.zone"

[check.puppetserver]
puppetserver = {{ port = {port}, ca-file = "ca.pem" }}

[[pool]]
name = "{NAME}"
check = "puppetserver"
"#
    )
}

fn zone() -> String {
    let [first, second, third] = MASTERS;
    format!(
        "$ORIGIN {NAME}.\n$TTL 30\n\
         @   IN SOA ns1 hostmaster ( 1 3600 600 86400 30 )\n    IN NS  ns1\nns1 IN A   127.0.0.1\n\
         @   IN A   {first}\n    IN A   {second}\n    IN A   {third}\n"
    )
}

/// The longest that a change may take with the default settings, and some time for a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
