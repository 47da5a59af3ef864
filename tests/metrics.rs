//! The metrics as they are scraped, and everything that is written about them.

mod certificates;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;
use onstage::daemon::Daemon;

use certificates::{Member, made};

use crate::harness::{load_site, own_address, query, receive};
use crate::peers::available;

const PATIENCE: Duration = Duration::from_secs(10);

/// A server with a pool of one live and one dead member, both of the same label, and one that speaks TLS; what it answers
/// over HTTP.
struct Scraped {
    daemon: Daemon,
    member: Member,
    _live: TcpListener,
    _state: tempfile::TempDir,
}

impl Scraped {
    async fn start() -> Self {
        let (live, dead, member) = (own_address(), own_address(), Member::start());
        let own = made(2031);
        let listener = TcpListener::bind((live, 8140)).unwrap();
        let state = tempfile::tempdir().unwrap();
        let config = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nstate-dir = \"{}\"\n[admin]\nhttp = \"127.0.0.1:0\"\n\
             [[zone]]\nfile = \"zone\"\n[check.tcp]\ntcp = {{ port = 8140 }}\n\
             [[pool]]\nname = \"pool.p.example\"\ncheck = \"tcp\"\n\
             [pool.member.\"{live}\"]\nlabel = \"one\"\n[pool.member.\"{dead}\"]\nlabel = \"one\"\n\
             [check.tls]\ninterval = \"100ms\"\ntls = {{ port = 8140, verify = \"none\" }}\n\
             [[pool]]\nname = \"tls.p.example\"\ncheck = \"tls\"\n\
             [server.tls]\ncertificate = \"own.pem\"\nkey = \"own.key\"\ndot = [\"127.0.0.1:0\"]\n",
            state.path().display()
        );
        let zone = format!(
            "$ORIGIN p.example.\n$TTL 30\n@ SOA ns h 7 2 3 4 5\n@ NS ns\nns A 127.0.0.1\npool A {live}\npool A {dead}\ntls A {}\n",
            member.addr
        );
        let (pem, key) = (own.certificate.pem(), own.key.serialize_pem());
        let files = [("onstage.toml", &*config), ("zone", &*zone), ("own.pem", &*pem), ("own.key", &*key)];
        let loaded = load_site(&files);
        let daemon = Daemon::start(&loaded.plan, &loaded.network).await.unwrap();
        Self { daemon, member, _live: listener, _state: state }
    }

    async fn ask(&self, name: &'static str, times: usize) {
        let addr = self.daemon.addrs()[0];
        blocking(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            for _ in 0..times {
                socket.send_to(&query(name, RecordType::A), addr).unwrap();
                receive(&socket).unwrap();
            }
        })
        .await;
    }

    /// Head and body of what is scraped.
    async fn scrape(&self, accept: &'static str) -> (String, String) {
        let addr = self.daemon.http_addr().unwrap();
        blocking(move || get(addr, "/metrics", accept)).await
    }
}

async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(ask).await.unwrap()
}

fn get(addr: SocketAddr, path: &str, accept: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = format!("Host: {addr}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("GET {path} HTTP/1.1\r\n{host}").as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

/// Whether the body has this line.
fn has(body: &str, line: &str) -> bool {
    body.lines().any(|other| other == line)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_what_is_scraped() {
    let server = Scraped::start().await;
    server.ask("pool.p.example", 3).await;
    server.ask("nosuch.p.example", 2).await;
    let (head, body) = server.scrape("application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    assert!(body.ends_with("# EOF\n"));
    let pool = "pool=\"pool.p.example\",type=\"A\"";
    for line in [
        "onstage_queries_total{transport=\"udp\",type=\"A\",rcode=\"NOERROR\"} 3".to_owned(),
        "onstage_queries_total{transport=\"udp\",type=\"A\",rcode=\"NXDOMAIN\"} 2".to_owned(),
        "onstage_queries_received_total{transport=\"udp\"} 5".to_owned(),
        "onstage_queries_received_total{transport=\"doq\"} 0".to_owned(),
        format!("onstage_pool_queries_total{{{pool}}} 3"),
        format!("onstage_pool_members{{{pool}}} 2"),
        format!("onstage_pool_live_members{{{pool}}} 1"),
        format!("onstage_pool_failing_open{{{pool}}} 0"),
        "onstage_transitions_total{check=\"tcp\",to=\"down\"} 1".to_owned(),
        "onstage_frozen 0".to_owned(),
        "onstage_config_on_disk_differs 1".to_owned(), // the site of a test has no files
    ] {
        assert!(has(&body, &line), "{line} in\n{body}");
    }
    for start in [
        "onstage_build_info{version=\"",
        "onstage_zone_serial{zone=\"p.example\"} ",
        "onstage_verdicts_total{check=\"tcp\",reason=\"\"} ",
        "onstage_verdicts_total{check=\"tcp\",reason=\"refused\"} ",
        "onstage_probe_duration_seconds_bucket{le=\"+Inf\",check=\"tcp\"} ",
        "process_cpu_seconds_total ",
    ] {
        assert!(body.lines().any(|line| line.starts_with(start)), "{start} in\n{body}");
    }
    let live = |body: &str| {
        let members = body.lines().filter(|line| line.starts_with("onstage_member_live{"));
        members.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(live(&body).len(), 3, "two of the same label are told apart");
    server.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_series_is_there_twice_and_promtool_takes_them() {
    let server = Scraped::start().await;
    server.ask("pool.p.example", 1).await;
    let (head, body) = server.scrape("*/*").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let series: Vec<&str> = body.lines().filter(|line| !line.starts_with('#')).collect();
    let names: BTreeSet<&str> = series.iter().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
    assert_eq!(names.len(), series.len());
    if available("promtool") {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        assert!(output.status.success() && said.concat().is_empty(), "{said:?}");
    }
    server.daemon.stop().await;
}

/// Each family with its kind, and the labels that it was seen with.
async fn families() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let server = Scraped::start().await;
    server.ask("pool.p.example", 1).await;
    let (_, body) = server.scrape("*/*").await;
    server.daemon.stop().await;
    let mut families = BTreeMap::new();
    let mut name = String::new();
    for line in body.lines() {
        if let Some((family, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            family.clone_into(&mut name);
            families.insert(name.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((_, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            let keys = labels.split("=\"").filter_map(|text| text.rsplit(['"', ',']).next());
            let keys = keys.filter(|key| !key.starts_with('}') && *key != "le").map(str::to_owned);
            families.get_mut(&name).unwrap().1.extend(keys);
        }
    }
    families
}

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_explained_and_nothing_else_is() {
    let families = families().await;
    let doc = text("docs/metrics.md");
    let mut explained = BTreeSet::new();
    for row in doc.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`');
        let (kind, labels) = families.get(name).unwrap_or_else(|| panic!("there is no {name}"));
        assert_eq!(cells[2], kind, "{name}");
        let listed: BTreeSet<String> =
            cells[3].split(", ").filter(|label| !label.is_empty()).map(str::to_owned).collect();
        assert_eq!(&listed, labels, "{name}");
        assert!(explained.insert(name.to_owned()), "{name} is there twice");
    }
    let known: BTreeSet<String> = families.into_keys().collect();
    assert_eq!(explained, known);
}

/// Words that start as our metrics do.
fn mentioned(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("onstage_")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_dashboard_use_metrics_that_there_are() {
    let families = families().await;
    let dashboard = text("contrib/grafana/onstage.json");
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(parsed["panels"].as_array().unwrap().len() > 10);
    for used in [&dashboard, &text("contrib/prometheus/onstage.rules.yml")] {
        let words = mentioned(used);
        assert!(words.len() > 10, "{words:?}");
        for word in words {
            let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
            let is_histogram = |name: &str| families.get(name).is_some_and(|(kind, _)| kind == "histogram");
            assert!(families.contains_key(&word) || of_histogram.is_some_and(is_histogram), "{word}");
        }
    }
}

#[test]
fn each_alert_fires_when_it_should() {
    let tests = text("contrib/prometheus/onstage.rules.test.yml");
    let rules = text("contrib/prometheus/onstage.rules.yml");
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("- alertname: {alert}\n")), "{alert} is never seen to fire");
    }
    if !available("promtool") {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/prometheus");
    for args in [["check", "rules", "onstage.rules.yml"], ["test", "rules", "onstage.rules.test.yml"]] {
        let output = Command::new("promtool").args(args).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A real Prometheus scrapes a server, finds it up, and has its metrics.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_it() {
    if !available("prometheus") {
        return;
    }
    let server = Scraped::start().await;
    server.ask("pool.p.example", 1).await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "scrape_configs:\n- job_name: onstage\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  static_configs: [{{ targets: [\"{}\"] }}]\n",
        server.daemon.http_addr().unwrap()
    );
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let web = SocketAddr::from((own_address(), 9090));
    let mut prometheus = Command::new("prometheus")
        .arg(format!("--web.listen-address={web}"))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let found = blocking(move || {
        let began = Instant::now();
        while began.elapsed() < 3 * PATIENCE {
            if TcpStream::connect(web).is_ok() {
                let path = "/api/v1/query?query=onstage_pool_queries_total%20and%20on(instance)%20up==1";
                let (_, body) = get(web, path, "*/*");
                if body.contains("\"pool\":\"pool.p.example\"") {
                    return true;
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    })
    .await;
    prometheus.kill().unwrap();
    prometheus.wait().unwrap();
    assert!(found, "Prometheus has it");
    server.daemon.stop().await;
}
