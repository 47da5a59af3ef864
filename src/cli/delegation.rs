//! `onstage delegation`: what the parent of each zone has to say, ready to be pasted.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use hickory_proto::rr::{RData, RecordType};

use super::{loaded, say};
use crate::name::Name;
use crate::zone::{Record, Zone};

pub(super) fn run(path: &Path) -> ExitCode {
    match loaded(path) {
        Err(code) => code,
        Ok(loaded) => {
            let told = loaded.plan.zones.iter().map(|zone| told(zone, &loaded.plan.server.listen));
            say(&told.collect::<Vec<String>>().join("\n\n"));
            ExitCode::SUCCESS
        }
    }
}

/// The names of a zone's servers, as its apex has them.
pub(super) fn servers(zone: &Zone) -> Vec<Name> {
    let apex = zone.records_of(&zone.origin);
    let servers = apex.filter_map(|record| match &record.rdata {
        RData::NS(ns) => Some(Name::from(&ns.0)),
        _ => None,
    });
    servers.collect()
}

/// The addresses of a server whose name is in the zone: its parent has to tell them (RFC 9499 §7, glue).
pub(super) fn glue(zone: &Zone, server: &Name) -> Vec<IpAddr> {
    let records = zone.records_of(server);
    records.filter(|record| is_address(record)).filter_map(|record| record.rdata.ip_addr()).collect()
}

fn is_address(record: &Record) -> bool {
    matches!(record.record_type(), RecordType::A | RecordType::AAAA)
}

fn told(zone: &Zone, listen: &[SocketAddr]) -> String {
    let mut lines = vec![format!("; for the zone above {}:", zone.origin)];
    for server in servers(zone) {
        lines.push(format!("{}. IN NS {server}.", zone.origin));
        let kind = |addr: &IpAddr| if addr.is_ipv4() { "A" } else { "AAAA" };
        let glue = glue(zone, &server);
        lines.extend(glue.iter().map(|addr| format!("{server}. IN {} {addr}", kind(addr))));
    }
    lines.push(String::new());
    lines.push("// or for named.conf of a BIND that resolves for its own clients:".to_owned());
    lines.extend(forwarded(zone, listen));
    lines.join("\n")
}

/// A delegation cannot carry a port, and a resolver may be told to ask any.
fn forwarded(zone: &Zone, listen: &[SocketAddr]) -> Vec<String> {
    let own = |addr: &SocketAddr| match addr.port() {
        53 => format!("{}; ", addr.ip()),
        port => format!("{} port {port}; ", addr.ip()),
    };
    let told: Vec<&SocketAddr> = listen.iter().filter(|addr| !addr.ip().is_unspecified()).collect();
    let port = listen.first().map_or(53, SocketAddr::port);
    let glue = servers(zone).into_iter().flat_map(|server| glue(zone, &server));
    let forwarders: String = if told.is_empty() {
        glue.map(|ip| own(&SocketAddr::new(ip, port))).collect()
    } else {
        told.into_iter().map(own).collect()
    };
    vec![
        format!("zone \"{}\" {{", zone.origin),
        "    type forward;".to_owned(),
        "    forward only;".to_owned(),
        format!("    forwarders {{ {forwarders}}};"),
        "};".to_owned(),
    ]
}
