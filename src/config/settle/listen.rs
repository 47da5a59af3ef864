//! Addresses to listen on: one that is asked for twice is a slip, which binding it would tell only later.

use std::net::SocketAddr;

use serde_spanned::Spanned;

use crate::config::schema::{Admin, Server};
use crate::report::{Code, Location, Problem, Report, SourceId};

/// Reports each address that two listeners of one protocol want. TCP carries plain DNS, DNS over TLS and HTTP/2; UDP
/// carries plain DNS, DNS over QUIC and HTTP/3. The dashboard is on TCP as well.
pub(super) fn refuse_twins(server: &Server, admin: &Admin, source: SourceId, report: &mut Report) {
    let plain = &server.listen[..];
    let (dot, doh, doq) =
        server.tls.as_ref().map_or((&[][..], &[][..], &[][..]), |tls| (&tls.dot, &tls.doh, &tls.doq));
    let tcp: Vec<&Spanned<SocketAddr>> = [plain, dot, doh].into_iter().flatten().chain(&admin.http).collect();
    let udp: Vec<&Spanned<SocketAddr>> = [plain, doh, doq].into_iter().flatten().collect();
    let mut told = Vec::new();
    for (again, first) in twins(&tcp).chain(twins(&udp)) {
        if told.contains(&again.span().start) {
            continue;
        }
        told.push(again.span().start);
        let at = |addr: &Spanned<SocketAddr>| Location { source, span: addr.span() };
        let problem = Problem::error(Code::ConfigDuplicate, at(again), "an address to listen on twice");
        report.push(problem.label("again here").related(at(first), "first here"));
    }
}

/// Each address that was there before, with where it was first. Port 0 is a new port each time.
fn twins<'a>(
    addrs: &'a [&'a Spanned<SocketAddr>],
) -> impl Iterator<Item = (&'a Spanned<SocketAddr>, &'a Spanned<SocketAddr>)> {
    addrs.iter().enumerate().filter(|(_, addr)| addr.get_ref().port() != 0).filter_map(|(i, addr)| {
        let first = addrs[..i].iter().find(|first| first.get_ref() == addr.get_ref())?;
        Some((*addr, *first))
    })
}
