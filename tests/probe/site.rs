//! A member on loopback and the config of the one that watches it, from the text of its check to what a probe finds.

use std::net::SocketAddr;

use onstage::daemon::Loaded;
use onstage::probe::Finding;
use onstage::probe::schedule::Ask;
use onstage::units::ProbeId;

use super::NAME;
use crate::harness::load_site;

/// The config for one member at `addr`, whose check is of this kind.
pub fn config(addr: SocketAddr, kind: &str) -> String {
    let port = addr.port();
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"state\"\n[[zone]]\nfile = \"zone\"\n\
         [check.c]\ntimeout = \"30s\"\n{kind}\n\
         [[pool]]\nname = \"{NAME}\"\ncheck = \"c\"\n[pool.member.\"{}\"]\nport = {port}\n",
        addr.ip()
    )
}

/// The zone that has this member alone.
pub fn zone(addr: SocketAddr) -> String {
    format!("$ORIGIN {NAME}.\n$TTL 30\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n@ A {}\n", addr.ip())
}

/// What a check of this kind needs, with the files that it names.
pub fn loaded(addr: SocketAddr, kind: &str, files: &[(&str, &str)]) -> Loaded {
    let (config, zone) = (config(addr, kind), zone(addr));
    let mut all = vec![("onstage.toml", config.as_str()), ("zone", zone.as_str())];
    all.extend_from_slice(files);
    load_site(&all)
}

/// What one probe of this kind finds.
pub async fn found(addr: SocketAddr, kind: &str, files: &[(&str, &str)]) -> Finding {
    loaded(addr, kind, files).network.ask(ProbeId(0)).await
}
