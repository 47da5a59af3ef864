//! What other people's clients of encrypted DNS make of onstage: kdig and curl.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::encrypted::{NAME, Server};

use super::process::available;

/// What a program says, off the runtime.
async fn said(program: &'static str, arguments: Vec<String>) -> String {
    let run = move || {
        let output = Command::new(program).args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{program} {arguments:?}\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// kdig wants to be told of `+quic` after the CA: Debian 12's crashes otherwise.
async fn kdig(addr: SocketAddr, certificate: &Path, words: &str) -> String {
    let common = format!(
        "@{} -p {} +tls-ca={} +tls-hostname={NAME} +retry=0 +timeout=10 {words}",
        addr.ip(),
        addr.port(),
        certificate.display()
    );
    said("kdig", common.split(' ').map(str::to_owned).collect()).await
}

/// How long kdig says that the reply was.
fn length(said: &str) -> usize {
    let after = said.split(";; Received ").nth(1).and_then(|line| line.split(' ').next());
    after.and_then(|length| length.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn kdig_is_answered_over_tls_https_and_quic() {
    if !available("kdig") {
        return;
    }
    let server = Server::start("").await;
    let addrs = server.daemon.all_addrs().clone();
    let certificate: PathBuf = server.certificate();
    for (addr, how, named) in [
        (addrs.dot[0], "+tls", "TLS session"),
        (addrs.doh[0], "+https", "HTTP/2-POST"),
        (addrs.doh[0], "+https-get", "HTTP/2-GET"),
        (addrs.doq[0], "+quic", "QUIC session"),
    ] {
        for (asked, expected) in [
            ("P.example A", "192.0.2.1"),
            ("www.p.example A", "web.p.example."),
            ("mail.p.example MX", "20 ns.p.example."),
            ("no.p.example A", "NXDOMAIN"),
            ("other.example A", "REFUSED"),
        ] {
            let said = kdig(addr, &certificate, &format!("{how} +padding=128 {asked}")).await;
            assert!(said.contains(expected) && said.contains(named), "{how} {asked}\n{said}");
            assert_eq!(length(&said) % 468, 0, "{how} {asked}: padded\n{said}");
            let said = kdig(addr, &certificate, &format!("{how} +nopadding +noedns {asked}")).await;
            assert!(said.contains(expected) && length(&said) < 468, "{how} {asked}\n{said}");
        }
    }
    server.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_finds_a_host_over_https() {
    if !available("curl") {
        return;
    }
    let server = Server::start("").await;
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = web.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut client, _) = web.accept().unwrap();
        let _ = client.read(&mut [0; 4096]);
        client
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nfound\r\n")
            .unwrap();
    });
    let doh = server.daemon.all_addrs().doh[0];
    let arguments = [
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        "20",
        "--cacert",
        &server.certificate().display().to_string(),
        "--doh-url",
        &format!("https://{doh}/dns-query"),
        &format!("http://web.p.example:{port}/"),
    ];
    assert_eq!(said("curl", arguments.map(str::to_owned).to_vec()).await, "found\r\n");
    server.daemon.stop().await;
}
