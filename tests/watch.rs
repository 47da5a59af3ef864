//! From fault to answer on paused time: the schedule asks, the director judges, the snapshot changes.

use std::fmt::Display;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use onstage::answer::{Rotation, Via};
use onstage::daemon::{Director, State};
use onstage::health::{Reason, Told, Verdict};
use onstage::plan::Plan;
use onstage::probe::schedule::{Ask, Event, Schedule};
use onstage::probe::{Finding, Held};
use onstage::snapshot::{Outlook, Reader};
use onstage::units::{ProbeId, Serial, ZoneId};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

mod crowd;
mod inquiries;
mod stale;
mod tripwire;
mod turns;
mod unsettled;

use crate::harness::{ask, load_site, peer, query, since, take};

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
    CutOff,
    Freeze,
    Leave,
    /// What a prober does that has stalled: its own fault.
    Hang,
    HangFor(Duration),
    Panic,
}

/// Scripted members.
struct World(Vec<Mutex<Script>>);

struct Script {
    does: Does,
    asked: usize,
    /// How long an idle connection lasts.
    idle: Option<Duration>,
    /// Idle connections at the moment.
    held: usize,
    loss: Arc<Notify>,
}

/// Counts an idle connection as ended, also when it is let go.
struct Ended<'w>(&'w Mutex<Script>);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().held -= 1;
    }
}

impl World {
    fn new(does: &[Does]) -> Self {
        let script = |&does: &Does| Script { does, asked: 0, idle: None, held: 0, loss: Arc::default() };
        Self(does.iter().map(|does| Mutex::new(script(does))).collect())
    }

    fn script(&self, member: usize) -> MutexGuard<'_, Script> {
        self.0[member].lock().unwrap()
    }

    fn does(&self, member: usize, does: Does) {
        self.script(member).does = does;
    }

    fn asked(&self, member: usize) -> usize {
        self.script(member).asked
    }

    /// Its idle connections are closed.
    fn lose(&self, member: usize) {
        self.script(member).loss.notify_waiters();
    }
}

impl Ask for World {
    async fn hold(&self, id: ProbeId) -> Held {
        let (idle, loss) = {
            let mut member = self.script(id.index());
            member.held += 1;
            (member.idle.unwrap_or(Duration::MAX), Arc::clone(&member.loss))
        };
        let _ended = Ended(&self.0[id.index()]);
        let _ = timeout(idle, loss.notified()).await;
        Held::Lost
    }

    async fn ask(&self, id: ProbeId) -> Finding {
        let does = {
            let mut member = self.script(id.index());
            member.asked += 1;
            member.does
        };
        let (verdict, took) = match does {
            Does::Pass => (Verdict::Pass, Duration::ZERO),
            Does::PassAfter(took) => (Verdict::Pass, took),
            Does::Refuse => (Verdict::Fail(Reason::Refused), Duration::ZERO),
            Does::CutOff => (Verdict::Fail(Reason::Closed), Duration::ZERO),
            Does::Freeze => (Verdict::Fail(Reason::TlsTimeout), TIMEOUT),
            Does::Hang => pending().await,
            Does::HangFor(time) => (Verdict::Pass, time),
            Does::Panic => panic!("a probe that has a bug"),
            Does::Leave => (Verdict::Leaving(Reason::ServiceState), Duration::ZERO),
        };
        sleep(took).await;
        finding(verdict, took)
    }
}

fn finding(verdict: Verdict, latency: Duration) -> Finding {
    Finding { verdict, detail: String::new(), told: Told::default(), steps: Vec::new(), latency }
}

fn plan() -> Arc<Plan> {
    plan_of(&["172.16.1.10", "172.16.4.26", "172.16.9.7"])
}

/// One pool of these members.
fn plan_of(members: &[impl Display]) -> Arc<Plan> {
    let config = "[[zone]]\nfile = \"zone\"\n[check.tcp]\ntcp = { port = 8140 }\n\
                  [[pool]]\nname = \"puppet.example.org\"\ncheck = \"tcp\"\n";
    let members = members.iter().map(|member| format!("@ A {member}\n")).collect::<Vec<_>>().concat();
    let zone = format!(
        "$ORIGIN puppet.example.org.\n$TTL 30\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n{members}"
    );
    load_site(&[("onstage.toml", config), ("zone", &zone)]).plan
}

/// The daemon without its sockets.
struct Watch {
    world: Arc<World>,
    director: Director,
    events: mpsc::Receiver<Event>,
    reader: Reader,
    began: Instant,
    schedule: Schedule,
}

impl Watch {
    /// After the first round.
    async fn begin(does: [Does; 3]) -> Self {
        Self::begin_with(plan(), &does).await
    }

    async fn begin_with(plan: Arc<Plan>, does: &[Does]) -> Self {
        let state = State::default();
        let world = Arc::new(World::new(does));
        let (sender, mut events) = mpsc::channel(16);
        let schedule = Schedule::start(&plan.probes, &world, &sender);
        let (mut director, began) = (Director::new(plan, &state), Instant::now());
        while !director.is_informed() {
            take(&mut director, events.recv().await.unwrap(), since(began));
        }
        let reader = director.open(&state, since(began)).reader();
        Self { world, director, events, reader, began, schedule }
    }

    fn serial(&mut self) -> Serial {
        self.reader.load().serial(ZoneId(0))
    }

    /// Lets time pass until others are answered; how long that took. `None`: it did not within `most`.
    async fn until_change(&mut self, most: Duration) -> Option<Duration> {
        let answered =
            |director: &Director| director.lineups().iter().map(|l| l.answered.clone()).collect::<Vec<_>>();
        let before = answered(&self.director);
        self.until(most, |director| answered(director) != before).await
    }

    /// Lets time pass until the pool is unsettled, or settled again; how long that took.
    async fn until_outlook(&mut self, outlook: Outlook, most: Duration) -> Option<Duration> {
        self.until(most, |director| director.lineups()[0].outlook == outlook).await
    }

    /// Lets time pass until it is so; how long that took.
    async fn until(&mut self, most: Duration, is_so: impl Fn(&Director) -> bool) -> Option<Duration> {
        let began = Instant::now();
        while began.elapsed() < most {
            let look = self.director.next_look().map_or(began + most, |steady| self.began + steady);
            match timeout_at(look.min(began + most), self.events.recv()).await {
                Ok(Some(event)) => take(&mut self.director, event, since(self.began)),
                Ok(None) => sleep_until(look.min(began + most)).await, // the last probe is dead
                Err(_elapsed) => {}
            }
            self.director.look(since(self.began));
            self.director.publish(since(self.began));
            if is_so(&self.director) {
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
    assert!((299..=302).contains(&asked), "once an interval: {asked} times in ten minutes");
    assert_eq!(watch.serial(), Serial(1), "and nothing was ever unsettled");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_refuses_leaves_within_interval_and_recheck() {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    assert_eq!(watch.until_change(MINUTE).await, None);
    watch.world.does(1, Does::Refuse);
    let took = watch.until_change(MINUTE).await.expect("it leaves");
    assert!(took <= INTERVAL + RECHECK + SLACK, "{took:?}");
}

/// In all places of the interval: never later than the table of the README says, and the half of them sooner than in 4 s.
#[tokio::test(start_paused = true)]
async fn a_frozen_member_leaves_within_interval_and_timeout_and_recheck() {
    let mut took = Vec::new();
    for phase in 0..200 {
        let mut watch = Watch::begin([Does::Pass; 3]).await;
        assert_eq!(watch.until_change(INTERVAL + INTERVAL * phase / 200).await, None);
        watch.world.does(1, Does::Freeze);
        took.push(watch.until_change(MINUTE).await.expect("it leaves"));
    }
    took.sort();
    let (least, median, most) = (took[0], took[took.len() / 2], took[took.len() - 1]);
    println!("frozen: leaves after {least:?} at the least, {median:?} in the middle, {most:?} at the most");
    assert!(least >= TIMEOUT + RECHECK && most <= INTERVAL + TIMEOUT + RECHECK + SLACK, "{least:?} {most:?}");
    assert!(median < Duration::from_secs(4), "{median:?}");
}

/// Whoever is told where a member is must not be told for long, once it seems to be leaving.
#[tokio::test(start_paused = true)]
async fn a_pool_is_unsettled_two_seconds_before_a_frozen_member_leaves() {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    assert_eq!(watch.until_outlook(Outlook::Unsettled, MINUTE).await, None);
    watch.world.does(1, Does::Freeze);
    watch.until_outlook(Outlook::Unsettled, MINUTE).await.expect("its answer is overdue");
    assert_eq!(watch.serial(), Serial(2));
    let left = watch.until_change(MINUTE).await.expect("it leaves");
    assert!(left >= TIMEOUT && left <= TIMEOUT + SLACK, "{left:?}");
    assert_eq!(watch.director.lineups()[0].outlook, Outlook::Settled, "that it is down is certain");
    assert_eq!(watch.until_outlook(Outlook::Unsettled, MINUTE).await, None, "and that it is late no news");
}

#[tokio::test(start_paused = true)]
async fn a_pool_is_unsettled_while_a_fail_or_a_pass_is_pending() {
    let mut watch = Watch::begin([Does::Pass; 3]).await;
    for (does, most) in [(Does::Refuse, INTERVAL), (Does::Pass, INTERVAL), (Does::Refuse, INTERVAL)] {
        watch.world.does(1, does);
        watch.until_outlook(Outlook::Unsettled, most + SLACK).await.expect("one verdict is not enough");
        let left = watch.until_outlook(Outlook::Settled, MINUTE).await.expect("two are");
        assert!(left <= RECHECK + SLACK, "{left:?}");
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
    assert_eq!(watch.serial(), Serial(3), "unsettled, then without it");
    for (state, at_least) in [(watch.director.last_state(), Serial(4)), (watch.director.state(), Serial(5))] {
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
