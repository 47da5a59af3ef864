//! Thousands of members: what is bounded, and who waits for whom.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use onstage::daemon::{Clock, Direction, Inbox};
use onstage::health::Pace;
use onstage::plan::Probe;
use tokio_util::sync::CancellationToken;

use super::*;

/// So many probes, each of an address of its own.
fn probes(members: u16) -> Vec<Probe> {
    let probe = plan().probes[0].clone();
    (1..=members).map(|port| Probe { target: ([127, 0, 0, 1], port).into(), ..probe.clone() }).collect()
}

/// Members that are well at first, and freeze then; but for one, which stays well.
#[derive(Default)]
struct Frozen {
    now: AtomicUsize,
    peak: AtomicUsize,
    asked: Vec<AtomicUsize>,
    hang: AtomicBool,
}

impl Frozen {
    const WELL: ProbeId = ProbeId(0);

    fn of(members: u16) -> Arc<Self> {
        Arc::new(Self { asked: (0..members).map(|_| AtomicUsize::new(0)).collect(), ..Self::default() })
    }

    /// How many were in flight at once since the last time.
    fn peak(&self) -> usize {
        self.peak.swap(0, Ordering::Relaxed)
    }
}

/// Counts a probe as ended, also when it is dropped.
struct InFlight<'n>(&'n AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ask for Frozen {
    async fn ask(&self, probe: ProbeId) -> Finding {
        let is_first = self.asked[probe.index()].fetch_add(1, Ordering::Relaxed) == 0;
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(now, Ordering::Relaxed);
        let _in_flight = InFlight(&self.now);
        if is_first || probe == Self::WELL {
            return finding(Verdict::Pass, Duration::ZERO);
        }
        if self.hang.load(Ordering::Relaxed) {
            return pending().await;
        }
        sleep(TIMEOUT).await;
        finding(Verdict::Fail(Reason::TlsTimeout), TIMEOUT)
    }
}

/// A frozen crowd, its schedule, and who listens to it.
struct Crowd {
    frozen: Arc<Frozen>,
    schedule: Schedule,
    events: mpsc::Receiver<Event>,
    fails: Vec<u32>,
    /// Since when nothing was heard of each, and until when something must be.
    silent: Vec<(Instant, Instant)>,
}

impl Crowd {
    const MEMBERS: u16 = 3000;

    fn begin() -> Self {
        let frozen = Frozen::of(Self::MEMBERS);
        let (sender, events) = mpsc::channel(16);
        let schedule = Schedule::start(&probes(Self::MEMBERS), &frozen, &sender);
        let silent = vec![(Instant::now(), Instant::now() + 2 * INTERVAL); Self::MEMBERS.into()];
        Self { frozen, schedule, events, fails: vec![0; Self::MEMBERS.into()], silent }
    }

    /// Listens for so long, and takes care that nobody is silent for so long that it would be thought dead. How many
    /// events there were.
    async fn listen(&mut self, most: Duration) -> usize {
        let (end, mut events) = (Instant::now() + most, 0);
        while let Ok(Some(event)) = timeout_at(end, self.events.recv()).await {
            events += 1;
            let (now, silent) = (Instant::now(), &mut self.silent[event.probe().index()]);
            assert!(now < silent.1, "{:?} was silent for {:?}", event, now - silent.0);
            *silent = match &event {
                Event::Found { .. } => (now, now + 2 * INTERVAL),
                Event::Overdue { .. } => (now, now + INTERVAL + 2 * RECHECK),
            };
            let Event::Found { probe, finding, pace, .. } = event else { continue };
            let fails = &mut self.fails[probe.index()];
            *fails += u32::from(finding.verdict != Verdict::Pass);
            let _ = pace.send(if *fails == 1 { Pace::Recheck } else { Pace::Interval });
        }
        events
    }
}

/// A site where everything is frozen holds no more connections than the prober may have; those that are down leave some
/// to those that are up.
#[tokio::test(start_paused = true)]
async fn probes_in_flight_are_bounded() {
    let mut crowd = Crowd::begin();
    crowd.listen(10 * INTERVAL).await;
    assert_eq!(crowd.frozen.peak(), 1024, "those that were up, and those that are down already");
    crowd.listen(20 * INTERVAL).await;
    let asked = |crowd: &Crowd| crowd.frozen.asked[Frozen::WELL.index()].load(Ordering::Relaxed);
    let before = asked(&crowd);
    crowd.frozen.peak();
    crowd.listen(20 * INTERVAL).await;
    let (peak, asked) = (crowd.frozen.peak(), asked(&crowd) - before);
    assert!((512..=512 + 1).contains(&peak), "once they are down: {peak}");
    assert!((19..=21).contains(&asked), "who is well waits for none of them: {asked}");
    crowd.schedule.stop().await;
    assert_eq!(crowd.frozen.now.load(Ordering::Relaxed), 0, "those under way were ended");
}

/// Most of a frozen site waits for its turn, much longer than a probe may be silent: that is no dead prober. But when
/// nobody gets a turn any more, it is.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_turn_gives_signs_of_life_as_long_as_the_line_moves() {
    let mut crowd = Crowd::begin();
    assert!(crowd.listen(20 * INTERVAL).await > 20 * usize::from(Crowd::MEMBERS));
    let asked = crowd.frozen.asked.iter().map(|asked| asked.load(Ordering::Relaxed)).min().unwrap();
    assert!(asked < 10, "somebody is asked as often as if there was no line: {asked} times");
    crowd.frozen.hang.store(true, Ordering::Relaxed);
    crowd.listen(2 * INTERVAL).await;
    let well = crowd.listen(10 * INTERVAL).await;
    assert!(well <= 11, "only the one that is well is heard, if it gets a turn: {well}");
}

/// Also in the first round, as far as that can be.
#[tokio::test(start_paused = true)]
async fn probes_are_spread_evenly() {
    const MEMBERS: u16 = 10_000;
    const WINDOW: Duration = Duration::from_millis(100);

    /// When each probe was begun.
    #[derive(Default)]
    struct Starts(Mutex<Vec<Instant>>);

    impl Ask for Starts {
        async fn ask(&self, _: ProbeId) -> Finding {
            self.0.lock().unwrap().push(Instant::now());
            finding(Verdict::Pass, Duration::ZERO)
        }
    }

    let starts = Arc::new(Starts::default());
    let (sender, mut events) = mpsc::channel(16);
    let began = Instant::now();
    let _schedule = Schedule::start(&probes(MEMBERS), &starts, &sender);
    while let Ok(Some(event)) = timeout_at(began + 10 * INTERVAL, events.recv()).await {
        let Event::Found { pace, .. } = event else { panic!("nobody is late") };
        let _ = pace.send(Pace::Interval);
    }
    let starts = starts.0.lock().unwrap();
    let crowd = |from: Duration, to: Duration| {
        let windows = from.as_millis() / WINDOW.as_millis()..to.as_millis() / WINDOW.as_millis();
        let of = |start: &Instant| (*start - began).as_millis() / WINDOW.as_millis();
        windows.map(|window| starts.iter().filter(|start| of(start) == window).count()).max().unwrap()
    };
    let even = usize::from(MEMBERS) / (INTERVAL.as_millis() / WINDOW.as_millis()) as usize;
    let (first, later) = (crowd(Duration::ZERO, INTERVAL), crowd(2 * INTERVAL, 10 * INTERVAL));
    println!("in a tenth of a second, at the most: {first} at first, then {later}; on average {even}");
    assert!(first <= 4 * even && later <= even + even / 20, "{first} {later} {even}");
}

/// Members of which every second one flaps, in pools of four.
struct Flapping(Vec<AtomicUsize>);

impl Flapping {
    const POOLS: usize = 2_500;
    const MEMBERS: usize = 4 * Self::POOLS;

    fn plan() -> Arc<Plan> {
        let mut config =
            "[[zone]]\nfile = \"zone\"\n[check.tcp]\ninterval = \"5s\"\ntcp = { port = 8140 }\n".to_owned();
        let mut zone =
            "$ORIGIN p.example.\n$TTL 30\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n"
                .to_owned();
        for pool in 0..Self::POOLS {
            writeln!(config, "[[pool]]\nname = \"{pool}.p.example\"\ncheck = \"tcp\"").unwrap();
            for member in 0..4 {
                writeln!(zone, "{pool} A {}", Ipv4Addr::from(0x0a00_0000 + 4 * pool as u32 + member))
                    .unwrap();
            }
        }
        load_site(&[("onstage.toml", &config), ("zone", &zone)]).plan
    }
}

impl Ask for Flapping {
    /// Twice well, twice refused, and so on: each time just enough to be believed.
    async fn ask(&self, probe: ProbeId) -> Finding {
        let asked = self.0[probe.index()].fetch_add(1, Ordering::Relaxed);
        let is_well = probe.0.is_multiple_of(2) || asked % 4 < 2;
        finding(if is_well { Verdict::Pass } else { Verdict::Fail(Reason::Refused) }, Duration::ZERO)
    }
}

/// Somebody who has heard of each member once, and what it goes on with.
async fn informed(
    plan: &Arc<Plan>,
    ask: &Arc<impl Ask>,
) -> (Schedule, Director, mpsc::Receiver<Event>, Clock) {
    let (sender, mut events) = mpsc::channel(1024);
    let schedule = Schedule::start(&plan.probes, ask, &sender);
    let (clock, mut director) = (Clock::start(), Director::new(Arc::clone(plan), &State::default()));
    while !director.is_informed() {
        take(&mut director, events.recv().await.unwrap(), clock.now());
    }
    (schedule, director, events, clock)
}

/// Five thousand members that come and go with each verdict: publications, states and what waits are bounded, and each
/// answer has the members that are always well.
#[tokio::test(start_paused = true)]
async fn when_half_of_ten_thousand_members_flap_answers_stay_right() {
    const SECONDS: u32 = 10;
    let plan = Flapping::plan();
    let flapping = Arc::new(Flapping((0..Flapping::MEMBERS).map(|_| AtomicUsize::new(0)).collect()));
    let (schedule, mut director, events, clock) = informed(&plan, &flapping).await;
    let mut reader = director.open(&State::default(), clock.now()).reader();
    let (mut views, stop) = (director.views(), CancellationToken::new());
    let direction = Direction::new(director, Inbox::of_events(events), clock);
    let mut states = direction.states();
    let running = tokio::spawn(async move { direction.run(&stop).await });
    sleep(Duration::from_secs(10)).await; // until all of them do
    states.mark_unchanged();
    let (mut serials, mut kept, mut moves) = (reader.load().serial(ZoneId(0)).0, 0, 0);
    let first = serials;
    for _ in 0..SECONDS * 1000 {
        sleep(Duration::from_millis(1)).await;
        let snapshot = reader.load();
        let serial = snapshot.serial(ZoneId(0)).0;
        assert!(serial - serials <= 1, "{serial} after {serials} within a millisecond");
        serials = serial;
        kept += u32::from(states.has_changed().unwrap());
        moves += u32::from(views.has_changed().unwrap());
        states.mark_unchanged();
        views.mark_unchanged();
        let name = format!("{}.p.example", fastrand::usize(..Flapping::POOLS));
        let peer = peer("127.0.0.1", Via::Datagram);
        let reply = ask(snapshot, &peer, &mut Rotation::new(0), &query(&name, RecordType::A)).unwrap();
        assert!((2..=4).contains(&reply[7]), "{name}: {} answers", reply[7]);
    }
    println!(
        "in {SECONDS} s: {} serials, {moves} publications with a transition, {kept} states",
        serials - first
    );
    assert!((900..=1001).contains(&(serials - first)), "{}", serials - first);
    assert!((9..=11).contains(&kept), "{kept}");
    drop(schedule);
    running.abort();
}

/// Members that are all refused, and come back.
#[derive(Default)]
struct Returning(AtomicBool);

impl Ask for Returning {
    async fn ask(&self, _: ProbeId) -> Finding {
        let is_well = self.0.load(Ordering::Relaxed);
        finding(if is_well { Verdict::Pass } else { Verdict::Fail(Reason::Refused) }, Duration::ZERO)
    }
}

/// Each step of a ramp takes a serial. A crash at whatever moment must not let one be answered again, and however many rise,
/// what is published is bounded.
#[tokio::test(start_paused = true)]
async fn while_a_crowd_rises_no_serial_is_answered_that_the_state_does_not_cover() {
    const MEMBERS: u32 = 400;
    let mut zone =
        "$ORIGIN p.example.\n$TTL 30\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n".to_owned();
    for member in 0..MEMBERS {
        writeln!(zone, "@ A {}", Ipv4Addr::from(0x0a00_0000 + member)).unwrap();
    }
    let config = "[[zone]]\nfile = \"zone\"\n[check.tcp]\ninterval = \"5s\"\nrise = 1\ntcp = { port = 8140 }\n\
                  [[pool]]\nname = \"p.example\"\ncheck = \"tcp\"\nramp = \"30s\"\n";
    let plan = load_site(&[("onstage.toml", config), ("zone", &zone)]).plan;
    let returning = Arc::<Returning>::default();
    let (schedule, mut director, events, clock) = informed(&plan, &returning).await;
    let mut reader = director.open(&State::default(), clock.now()).reader();
    let stop = CancellationToken::new();
    let direction = Direction::new(director, Inbox::of_events(events), clock);
    let states = direction.states();
    let running = tokio::spawn(async move { direction.run(&stop).await });
    returning.0.store(true, Ordering::Relaxed);
    let (first, mut before) = (reader.load().serial(ZoneId(0)), 0);
    for _ in 0..8_000 {
        sleep(Duration::from_millis(5)).await;
        let serial = reader.load().serial(ZoneId(0));
        let leased = states.borrow().state.serials["p.example"];
        assert!(!serial.is_after(leased), "{serial:?} is answered, and {leased:?} is in the state");
        assert!(serial.0 - first.0 - before <= 1, "more than one publication in 5 ms");
        before = serial.0 - first.0;
    }
    println!("{MEMBERS} members came back in {before} publications");
    assert!(before > 1024, "more than one lease: {before}");
    drop(schedule);
    running.abort();
}
