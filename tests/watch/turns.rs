//! Checks that ask one member at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use onstage::demo::SiteCa;
use onstage::health::Pace;
use onstage::probe::ask_each;

use super::*;

/// Longer than `recheck`: an answer that takes its time is not asked for again beside it.
const COMPILES: Duration = Duration::from_secs(25);

/// Masters that take their time.
#[derive(Default)]
struct Masters {
    now: AtomicUsize,
    asked: Mutex<BTreeMap<ProbeId, usize>>,
}

impl Ask for Masters {
    async fn ask(&self, probe: ProbeId) -> Finding {
        assert_eq!(self.now.fetch_add(1, Ordering::Relaxed), 0, "one at a time");
        *self.asked.lock().unwrap().entry(probe).or_default() += 1;
        sleep(COMPILES).await;
        self.now.fetch_sub(1, Ordering::Relaxed);
        finding(Verdict::Pass, COMPILES)
    }
}

fn plan_of_catalogs(members: usize) -> Arc<Plan> {
    let ca = SiteCa::new("Site CA").unwrap();
    let (certificate, key) = ca.credentials("onstage.example.org").unwrap();
    let config = "[[zone]]\nfile = \"zone\"\n[check.catalog]\n\
                  puppet-catalog = { ca-file = \"ca.pem\", client-cert = \"own.crt\", client-key = \"own.key\" }\n\
                  [[pool]]\nname = \"puppet.example.org\"\ncheck = \"catalog\"\n";
    let records: Vec<String> = (1..=members).map(|n| format!("@ A 172.16.1.{n}\n")).collect();
    let zone = format!(
        "$ORIGIN puppet.example.org.\n@ 30 SOA ns.example.net. h 1 2 3 4 5\n@ 30 NS ns.example.net.\n$TTL 30\n{}",
        records.concat()
    );
    let files = [
        ("onstage.toml", config),
        ("zone", &zone),
        ("ca.pem", &ca.pem()),
        ("own.crt", &certificate),
        ("own.key", &key),
    ];
    load_site(&files).plan
}

#[tokio::test(start_paused = true)]
async fn catalogs_are_asked_for_one_after_another_and_each_once() {
    let (plan, masters) = (plan_of_catalogs(5), Arc::new(Masters::default()));
    let (sender, mut events) = mpsc::channel(16);
    let schedule = Schedule::start(&plan.probes, &masters, &sender);
    let end = Instant::now() + 3600 * Duration::from_secs(1);
    while let Ok(Some(event)) = timeout_at(end, events.recv()).await {
        let Event::Found { pace, .. } = event else { panic!("that it takes its time is no news") };
        let _ = pace.send(Pace::Interval);
    }
    let asked = masters.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 5);
    assert!(asked.values().all(|asked| (11..=13).contains(asked)), "every five minutes: {asked:?}");
    schedule.stop().await;
}

/// `onstage check --live` does no more to masters than the server would.
#[tokio::test(start_paused = true)]
async fn who_asks_each_once_asks_for_catalogs_one_after_another_too() {
    let (plan, masters) = (plan_of_catalogs(5), Arc::new(Masters::default()));
    let began = Instant::now();
    let found = ask_each(&plan.probes, (0..5).map(ProbeId), &masters, 32).join_all().await;
    assert_eq!((found.len(), began.elapsed()), (5, 5 * COMPILES));
}

/// While masters freeze, one after another uses up its minute, and those behind it in the line are not stale for that.
#[tokio::test(start_paused = true)]
async fn who_waits_for_its_turn_is_not_stale() {
    /// Masters that answer nothing.
    struct Frozen;

    impl Ask for Frozen {
        async fn ask(&self, _: ProbeId) -> Finding {
            sleep(Duration::from_secs(60)).await;
            finding(Verdict::Fail(Reason::ReplyTimeout), Duration::from_secs(60))
        }
    }

    let (plan, state) = (plan_of_catalogs(20), State::default());
    let mut director = Director::new(Arc::clone(&plan), &state);
    director.open(&state, since(Instant::now()));
    let silent = director.stale();
    let (sender, mut events) = mpsc::channel(16);
    let schedule = Schedule::start(&plan.probes, &Arc::new(Frozen), &sender);
    let began = Instant::now();
    while began.elapsed() < 3600 * Duration::from_secs(1) {
        match timeout(Duration::from_secs(10), events.recv()).await {
            Ok(Some(event)) => take(&mut director, event, since(began)),
            Ok(None) => unreachable!("the schedule runs"),
            Err(_elapsed) => {}
        }
        director.look(since(began));
        assert_eq!(*silent.borrow(), 0, "after {:?}", began.elapsed());
    }
    schedule.stop().await;
}
