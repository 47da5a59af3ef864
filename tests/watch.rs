//! From fault to answer on paused time: the schedule asks, the director judges, the snapshot changes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use onstage::answer::{Rotation, Via};
use onstage::daemon::{Director, State};
use onstage::health::{Reason, Told, Verdict};
use onstage::plan::Plan;
use onstage::probe::Finding;
use onstage::probe::schedule::{Ask, Event, Schedule};
use onstage::snapshot::Reader;
use onstage::units::{Moment, ProbeId, Serial, ZoneId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use crate::harness::{NOW, ask, load_site, peer, query};

const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(2);
const RECHECK: Duration = Duration::from_millis(500);
/// For the arithmetic of timers, which round up to a millisecond.
const SLACK: Duration = Duration::from_millis(5);

/// What a scripted member does when it is asked.
#[derive(Debug, Clone, Copy)]
enum Does {
    Pass,
    PassAfter(Duration),
    Refuse,
    Freeze,
    Leave,
}

/// Three scripted members, and how often each was asked.
struct World(Mutex<[(Does, usize); 3]>);

impl World {
    fn does(&self, member: usize, does: Does) {
        self.0.lock().unwrap()[member].0 = does;
    }

    fn asked(&self, member: usize) -> usize {
        self.0.lock().unwrap()[member].1
    }
}

impl Ask for World {
    async fn ask(&self, id: ProbeId) -> Finding {
        let does = {
            let member = &mut self.0.lock().unwrap()[id.index()];
            member.1 += 1;
            member.0
        };
        let (verdict, took) = match does {
            Does::Pass => (Verdict::Pass, Duration::ZERO),
            Does::PassAfter(took) => (Verdict::Pass, took),
            Does::Refuse => (Verdict::Fail(Reason::Refused), Duration::ZERO),
            Does::Freeze => (Verdict::Fail(Reason::TlsTimeout), TIMEOUT),
            Does::Leave => (Verdict::Leaving(Reason::ServiceState), Duration::ZERO),
        };
        sleep(took).await;
        Finding { verdict, detail: String::new(), told: Told::default(), steps: Vec::new(), latency: took }
    }
}

fn plan() -> Arc<Plan> {
    let config = "[[zone]]\nfile = \"zone\"\n[check.tcp]\ntcp = { port = 8140 }\n\
                  [[pool]]\nname = \"puppet.example.org\"\ncheck = \"tcp\"\n";
    let zone = "$ORIGIN puppet.example.org.\n$TTL 30\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n\
                @ A 172.16.1.10\n@ A 172.16.4.26\n@ A 172.16.9.7\n";
    load_site(&[("onstage.toml", config), ("zone", zone)]).plan
}

/// The moment that it is, in a run that began then.
fn since(began: Instant) -> Moment {
    Moment { steady: began.elapsed(), unix: NOW + began.elapsed().as_secs() as u32 }
}

/// The daemon without its sockets.
struct Watch {
    world: Arc<World>,
    director: Director,
    events: mpsc::Receiver<Event>,
    reader: Reader,
    began: Instant,
    _schedule: Schedule,
}

impl Watch {
    /// After the first round.
    async fn begin(does: [Does; 3]) -> Self {
        let (plan, state) = (plan(), State::default());
        let world = Arc::new(World(Mutex::new(does.map(|does| (does, 0)))));
        let (sender, mut events) = mpsc::channel(16);
        let schedule = Schedule::start(&plan.probes, &world, &sender);
        let (mut director, began) = (Director::new(plan, &state), Instant::now());
        while !director.is_informed() {
            let event = events.recv().await.unwrap();
            let _ = event.pace.send(director.judge(event.probe, &event.finding, since(began)));
        }
        let reader = director.open(&state, since(began)).reader();
        Self { world, director, events, reader, began, _schedule: schedule }
    }

    fn serial(&mut self) -> Serial {
        self.reader.load().serial(ZoneId(0))
    }

    /// Lets time pass until what is answered changes; how long that took. `None`: it did not within `most`.
    async fn until_change(&mut self, most: Duration) -> Option<Duration> {
        let (began, serial) = (Instant::now(), self.serial());
        while let Ok(Some(event)) = timeout_at(began + most, self.events.recv()).await {
            let _ = event.pace.send(self.director.judge(event.probe, &event.finding, since(self.began)));
            if self.serial() != serial {
                return Some(began.elapsed());
            }
        }
        None
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn while_nothing_changes_nothing_changes() {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    assert_eq!(watch.until_change(10 * MINUTE).await, None);
    let asked = watch.world.asked(0);
    assert!((295..=330).contains(&asked), "once an interval: {asked} times in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_refuses_leaves_within_interval_and_recheck() {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    assert_eq!(watch.until_change(MINUTE).await, None);
    watch.world.does(1, Does::Refuse);
    let took = watch.until_change(MINUTE).await.expect("it leaves");
    assert!(took <= INTERVAL + RECHECK + SLACK, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_member_leaves_within_interval_and_timeout_and_recheck() {
    for _ in 0..20 {
        let mut watch = Watch::begin([Does::Pass; 3]).await;
        watch.world.does(1, Does::Freeze);
        let took = watch.until_change(MINUTE).await.expect("it leaves");
        assert!(took >= TIMEOUT + RECHECK && took <= INTERVAL + TIMEOUT + RECHECK + SLACK, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_returns_is_answered_within_interval_and_recheck() {
    let mut watch = Watch::begin([Does::Pass, Does::Refuse, Does::Pass]).await;
    assert_eq!(watch.until_change(MINUTE).await, None);
    watch.world.does(1, Does::Pass);
    let took = watch.until_change(MINUTE).await.expect("it returns");
    assert!(took <= INTERVAL + RECHECK + SLACK, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_says_it_is_leaving_leaves_with_the_first_verdict() {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    assert_eq!(watch.until_change(MINUTE).await, None);
    let asked = watch.world.asked(1);
    watch.world.does(1, Does::Leave);
    assert!(watch.until_change(MINUTE).await.expect("it leaves") <= INTERVAL + SLACK);
    assert_eq!(watch.world.asked(1), asked + 1);
}

#[tokio::test(start_paused = true)]
async fn one_fail_is_asked_again_and_forgotten() {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    for _ in 0..10 {
        watch.world.does(1, Does::Refuse);
        let asked = watch.world.asked(1);
        while watch.world.asked(1) == asked {
            assert_eq!(watch.until_change(Duration::from_millis(10)).await, None);
        }
        watch.world.does(1, Does::Pass);
        assert_eq!(watch.until_change(RECHECK + SLACK).await, None);
        assert!(watch.world.asked(1) >= asked + 2, "asked again after recheck");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_member_is_asked_twice_at_once_and_stays() {
    let mut watch =
        Watch::begin([Does::Pass, Does::PassAfter(Duration::from_millis(1500)), Does::Pass]).await;
    assert_eq!(watch.until_change(10 * MINUTE).await, None);
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_all_are_answered() {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    for member in 0..3 {
        watch.world.does(member, Does::Refuse);
    }
    let mut changes = 0;
    while watch.until_change(MINUTE).await.is_some() {
        changes += 1;
    }
    assert_eq!(changes, 3, "two leave, and with the last one the pool fails open");
    let mut reader = watch.reader;
    let query = query("puppet.example.org", RecordType::A);
    let reply = ask(reader.load(), &peer("127.0.0.1", Via::Stream), &mut Rotation::new(0), &query).unwrap();
    assert_eq!(reply[7], 3, "three answers");
}

#[tokio::test(start_paused = true)]
async fn the_serial_rises_with_each_change_and_across_restarts() {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    assert_eq!(watch.serial(), Serial(1));
    watch.world.does(0, Does::Refuse);
    watch.until_change(MINUTE).await.expect("it leaves");
    assert_eq!(watch.serial(), Serial(2));
    for (state, at_least) in [(watch.director.last_state(), Serial(3)), (watch.director.state(), Serial(4))] {
        let mut next = Director::new(plan(), &state);
        let serial = next.open(&state, since(Instant::now())).current().serial(ZoneId(0));
        assert!(serial == at_least || serial.is_after(at_least), "{serial:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_no_verdict_is_taken_as_the_last_run_left_it() {
    let plan = plan();
    let mut state = State::default();
    state.up.insert(plan.probes[1].key(), true);
    state.up.insert(plan.probes[2].key(), false);
    let mut director = Director::new(plan, &state);
    let views = director.views();
    director.open(&state, since(Instant::now()));
    let up: Vec<bool> = views.borrow().iter().map(|observed| observed.is_up()).collect();
    assert_eq!(up, [false, true, false]);
}

/// A site where everything is frozen holds no more connections than the prober may have.
#[tokio::test(start_paused = true)]
async fn probes_in_flight_are_bounded() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    const MEMBERS: u16 = 3000;
    const MOST: usize = 1024;

    /// Counts a probe as ended, also when it is dropped.
    struct Ended<'n>(&'n AtomicUsize);

    impl Drop for Ended<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[derive(Default)]
    struct Frozen {
        now: AtomicUsize,
        peak: AtomicUsize,
    }

    impl Ask for Frozen {
        async fn ask(&self, _: ProbeId) -> Finding {
            let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
            self.peak.fetch_max(now, Ordering::Relaxed);
            let _ended = Ended(&self.now);
            sleep(TIMEOUT).await;
            let verdict = Verdict::Fail(Reason::TlsTimeout);
            Finding {
                verdict,
                detail: String::new(),
                told: Told::default(),
                steps: Vec::new(),
                latency: TIMEOUT,
            }
        }
    }

    let mut probes = Vec::new();
    for port in 1..=MEMBERS {
        probes
            .push(onstage::plan::Probe { target: ([127, 0, 0, 1], port).into(), ..plan().probes[0].clone() });
    }
    let (frozen, (sender, mut events)) = (Arc::new(Frozen::default()), mpsc::channel(16));
    let schedule = Schedule::start(&probes, &frozen, &sender);
    for _ in 0..3 * usize::from(MEMBERS) {
        let event = events.recv().await.unwrap();
        let _ = event.pace.send(onstage::health::Pace::Interval);
    }
    assert_eq!(frozen.peak.load(Ordering::Relaxed), MOST);
    schedule.stop().await;
    assert_eq!(frozen.now.load(Ordering::Relaxed), 0, "those under way were ended");
}
