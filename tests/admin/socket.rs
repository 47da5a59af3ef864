//! Requests and replies.

use std::net::IpAddr;
use std::os::unix::net::UnixListener;

use onstage::admin::status::{Mode, Observed, OnDisk};
use onstage::daemon::{Daemon, StartError};
use serde_json::json;
use tokio::process::Command;

use super::{ask, ask_http, me, socket, status, status_once};
use crate::harness::Pair;

#[tokio::test]
async fn a_member_that_dies_is_shown() {
    let mut pair = Pair::new();
    let daemon = pair.start().await;
    let calm = status_once(&pair, |status| status.pools[0].settled).await;
    let pool = &calm.pools[0];
    assert_eq!(
        (pool.name.as_str(), pool.record_type.as_str(), pool.policy.as_str()),
        ("p.example", "A", "round-robin")
    );
    assert_eq!((pool.mode, pool.size, pool.answered, pool.min_live, pool.ttl), (Mode::Live, 2, 2, 1, 30));
    assert!(
        pool.members.iter().all(|member| member.live && member.answered == 100 && member.since.is_some())
    );
    assert_eq!(calm.zones[0].records, 5);
    assert_eq!((calm.server.prober.probes, calm.server.prober.stale), (2, 0));
    assert_eq!(calm.server.listen.plain, daemon.addrs());
    assert_eq!(
        (calm.server.config.hash.len(), calm.server.config.on_disk),
        (16, OnDisk::Unreadable),
        "it is made up"
    );

    pair.kill(1);
    let dead = status_once(&pair, |status| status.pools[0].answered == 1).await;
    let member = &dead.pools[0].members[1];
    assert_eq!((member.live, member.answered, member.observed), (false, 0, Observed::Down));
    assert_eq!(
        (member.reason.as_deref(), member.label.clone()),
        (Some("refused"), pair.members[1].to_string())
    );
    assert!(member.detail.as_ref().unwrap().contains("refused"), "{member:?}");
    let probe = &member.probes[0];
    assert_eq!((probe.target, probe.check.as_str()), ((pair.members[1], 8140).into(), "tcp"));
    assert_eq!((probe.so_far.observed, probe.so_far.threshold), (Observed::Down, 2));
    let (first, last) = (probe.recent.first().unwrap(), probe.recent.last().unwrap());
    assert_eq!((first.reason.as_deref(), last.reason.as_deref()), (None, Some("refused")));
    assert!(dead.zones[0].serial > calm.zones[0].serial);
    daemon.stop().await;
    assert!(!socket(&pair).exists(), "the socket goes with the server");
}

#[tokio::test]
async fn an_order_has_a_giver_and_an_effect_and_an_end() {
    let pair = Pair::new();
    let daemon = pair.start().await;
    let (socket, second) = (socket(&pair), pair.members[1]);
    let key = format!("p.example A {second}");
    let left = |answered: &[IpAddr]| {
        let (live, bares) = (answered.len(), false);
        json!([{"pool": "p.example", "record_type": "A", "members": 2, "live": live, "mode": "live", "answered": answered, "bares": bares}])
    };
    let (one, both) = (&pair.members[..1], &pair.members[..]);

    let preview = ask(&socket, "GET", &format!("/v1/preview?member={second}&order=drain"), "").await;
    assert_eq!(preview, (200, json!({"members": [key], "pools": left(one)})));
    assert!(status(&pair).await.pools[0].members[1].order.is_none(), "asking changes nothing");

    let drain = json!({"member": second, "order": "drain", "reason": "kernel update", "seconds": 60});
    let drained = ask(&socket, "POST", "/v1/orders", &drain.to_string()).await;
    assert_eq!(drained, (200, json!({"members": [key], "pools": left(one)})));
    assert!(pair.file().contains("kernel update"), "it is on disk when it is acknowledged");
    let member = status(&pair).await.pools[0].members[1].clone();
    let order = member.order.unwrap();
    assert_eq!((order.word.as_str(), order.who, order.why.as_str()), ("drain", me(), "kernel update"));
    assert_eq!(order.until, Some(order.since + 60));
    assert_eq!((member.observed, member.live, member.answered), (Observed::Up, false, 0), "observed stays");

    let forced = json!({"member": second, "order": "force", "reason": "it is needed"});
    assert_eq!(ask(&socket, "POST", "/v1/orders", &forced.to_string()).await.0, 200);
    assert_eq!(status(&pair).await.pools[0].members[1].order.clone().unwrap().until, None);

    let release = json!({"member": second}).to_string();
    assert_eq!(
        ask(&socket, "POST", "/v1/release", &release).await,
        (200, json!({"members": [key], "pools": left(both)}))
    );
    assert_eq!(ask(&socket, "POST", "/v1/release", &release).await.0, 409, "there is none any more");
    daemon.stop().await;
}

#[tokio::test]
async fn who_is_to_be_probed_now_is_told_of() {
    let mut pair = Pair::new();
    let daemon = pair.start().await;
    let (socket, [first, second]) = (socket(&pair), pair.members);
    pair.kill(1);
    let (code, probed) = ask(&socket, "POST", "/v1/probes", &json!({"member": second}).to_string()).await;
    assert_eq!(code, 200, "{probed}");
    let found = &probed["findings"][0];
    assert_eq!((&found["target"], &found["check"]), (&json!(format!("{second}:8140")), &json!("tcp")));
    assert_eq!(found["reason"], json!("refused"));
    let judged = json!([{"member": format!("p.example A {second}"), "label": second, "passes": false}]);
    assert_eq!((&probed["members"], &probed["late"]), (&judged, &json!([])));
    let (code, all) = ask(&socket, "POST", "/v1/probes", "{}").await;
    let passes = |member: usize| all["members"][member]["passes"].as_bool().unwrap();
    assert_eq!((code, passes(0), passes(1)), (200, true, false), "{first} {all}");
    for (body, expected) in [(r#"{"member": "puppet9"}"#, 404), (r#"{"member": "@"}"#, 400), ("", 400)] {
        assert_eq!(ask(&socket, "POST", "/v1/probes", body).await.0, expected, "{body}");
    }
    daemon.stop().await;
}

/// What cannot be written holds for this run, and whoever ordered it is told.
#[tokio::test]
async fn an_order_that_cannot_be_kept_has_a_warning() {
    let pair = Pair::new();
    let daemon = pair.start().await;
    std::fs::create_dir(pair.state.path().join("state.json.draft")).unwrap();
    let drain = json!({"member": pair.members[1], "order": "drain", "reason": "kernel update"});
    let (code, effect) = ask(&socket(&pair), "POST", "/v1/orders", &drain.to_string()).await;
    let warning = effect["warning"].as_str().unwrap();
    assert!(code == 200 && warning.contains("a restart would not know of it yet"), "{effect}");
    let status = status(&pair).await;
    assert!(status.server.state_trouble.unwrap().contains("state.json"));
    assert_eq!(status.pools[0].answered, 1, "it holds");
    daemon.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_one_sentence() {
    let pair = Pair::new();
    let daemon = pair.start().await;
    let (socket, [first, second]) = (socket(&pair), pair.members);
    let order = |member: &str, more: &str| {
        format!("{{\"member\": \"{member}\", \"order\": \"drain\", \"reason\": \"r\"{more}}}")
    };
    let first = first.to_string();
    assert_eq!(ask(&socket, "POST", "/v1/orders", &order(&second.to_string(), "")).await.0, 200);
    let long = format!("\"{}\"", "x".repeat(20_000));
    for (method, route, body, code, kind, sentence) in [
        (
            "POST",
            "/v1/orders",
            order(&first, ""),
            409,
            "bares",
            "too few would be live: 0 of 2 in `p.example` (A)",
        ),
        ("POST", "/v1/orders", order("puppet9", ""), 404, "no-such-member", "there is no member `puppet9`"),
        ("POST", "/v1/orders", order("p.example", ""), 404, "no-such-member", "`; is it `127."),
        (
            "POST",
            "/v1/orders",
            order(&first, ", \"seconds\": 0"),
            400,
            "bad-request",
            "the order would be over at once",
        ),
        ("POST", "/v1/orders", order(&first, ", \"until\": 9"), 400, "bad-request", "unknown field `until`"),
        ("POST", "/v1/orders", order("", ""), 400, "bad-request", "no member is named"),
        (
            "POST",
            "/v1/orders",
            order(&first, "").replace("\"r\"", "\"\\u001b\""),
            400,
            "bad-request",
            "control character",
        ),
        ("POST", "/v1/orders", "drain it".to_owned(), 400, "bad-request", "the body makes no sense"),
        ("POST", "/v1/orders", long, 400, "bad-request", "length limit"),
        ("GET", "/v1/status?membre=x", String::new(), 400, "bad-request", "unknown field `membre`"),
        (
            "GET",
            "/v1/status?member=puppet9",
            String::new(),
            404,
            "no-such-member",
            "there is no member `puppet9`",
        ),
        ("GET", "/v1/orders", String::new(), 405, "wrong-method", "this route has another method"),
        ("GET", "/v2/status", String::new(), 404, "no-such-route", "there is no such route"),
        ("POST", "/v1/takeover", String::new(), 400, "bad-request", "`Upgrade: onstage-takeover`"),
    ] {
        let (said, body) = ask(&socket, method, route, &body).await;
        assert_eq!((said, body["kind"].as_str()), (code, Some(kind)), "{method} {route}: {body}");
        assert!(body["error"].as_str().unwrap().contains(sentence), "{sentence}: {body}");
    }
    let meant = order(&first, ", \"yes\": true");
    assert_eq!(ask(&socket, "POST", "/v1/orders", &meant).await.0, 200, "the last one, with consent");
    daemon.stop().await;
}

#[tokio::test]
async fn one_member_is_shown_alone() {
    let pair = Pair::new();
    let daemon = pair.start().await;
    let (_, body) = ask(&socket(&pair), "GET", &format!("/v1/status?member={}", pair.members[0]), "").await;
    assert_eq!(body["pools"][0]["members"].as_array().unwrap().len(), 1);
    assert_eq!((&body["pools"][0]["size"], &body["pools"][0]["answered"]), (&json!(2), &json!(2)));
    daemon.stop().await;
}

#[tokio::test]
async fn a_second_server_does_not_start_and_a_dead_ones_socket_is_taken_over() {
    let pair = Pair::new();
    drop(UnixListener::bind(socket(&pair)).unwrap());
    let daemon = pair.start().await;
    assert_eq!(status(&pair).await.pools.len(), 1);
    let loaded = pair.load();
    let refused = Daemon::start(&loaded.plan, &loaded.network).await.unwrap_err();
    assert!(matches!(refused, StartError::Door(_)));
    assert!(refused.to_string().starts_with("another onstage is running"), "{refused}");
    assert_eq!(status(&pair).await.pools.len(), 1, "the first one does not mind");
    daemon.stop().await;
}

#[tokio::test]
async fn who_wants_no_socket_has_none_and_http_only_reads() {
    let pair = Pair::new();
    let daemon = pair.start_with("[admin]\nsocket = \"\"\nhttp = \"127.0.0.1:0\"\n").await;
    assert!(!socket(&pair).exists());
    let addr = daemon.http_addr().unwrap();
    let (code, body) = ask_http(addr, "GET", "/v1/status").await;
    assert_eq!((code, &body["pools"][0]["name"]), (200, &json!("p.example")));
    for (route, code) in
        [("/v1/orders", 401), ("/v1/release", 401), ("/v1/reload", 401), ("/v1/takeover", 404)]
    {
        assert_eq!(ask_http(addr, "POST", route).await.0, code, "{route}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn curl_reads_the_status() {
    let pair = Pair::new();
    let daemon = pair.start().await;
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail", "--unix-socket"]).arg(socket(&pair)).arg("http://localhost/v1/status");
    match curl.output().await {
        Err(e) => eprintln!("SKIPPED: curl on the control socket: {e}"),
        Ok(output) => {
            let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(status["pools"][0]["name"], "p.example");
        }
    }
    daemon.stop().await;
}
