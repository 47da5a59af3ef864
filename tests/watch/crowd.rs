//! Thousands of members: what is bounded, and who waits for whom.

use std::sync::atomic::{AtomicUsize, Ordering};

use onstage::health::Pace;
use onstage::plan::Probe;

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
        sleep(TIMEOUT).await;
        finding(Verdict::Fail(Reason::TlsTimeout), TIMEOUT)
    }
}

/// A site where everything is frozen holds no more connections than the prober may have; those that are down leave some
/// to those that are up.
#[tokio::test(start_paused = true)]
async fn probes_in_flight_are_bounded() {
    const MEMBERS: u16 = 3000;
    let frozen = Frozen::of(MEMBERS);
    let (sender, mut events) = mpsc::channel(16);
    let schedule = Schedule::start(&probes(MEMBERS), &frozen, &sender);
    let mut fails = vec![0; MEMBERS.into()];
    let mut listen = async |most: Duration| {
        let end = Instant::now() + most;
        while let Ok(Some(event)) = timeout_at(end, events.recv()).await {
            let Event::Found { probe, finding, pace } = event else { continue };
            fails[probe.index()] += u32::from(finding.verdict != Verdict::Pass);
            let _ = pace.send(if fails[probe.index()] == 1 { Pace::Recheck } else { Pace::Interval });
        }
    };
    listen(10 * INTERVAL).await;
    assert_eq!(frozen.peak(), 1024, "while they were thought to be up");
    listen(20 * INTERVAL).await;
    let well = &frozen.asked[Frozen::WELL.index()];
    let asked = well.load(Ordering::Relaxed);
    frozen.peak();
    listen(20 * INTERVAL).await;
    let (peak, asked) = (frozen.peak(), well.load(Ordering::Relaxed) - asked);
    assert!((768..=768 + 1).contains(&peak), "once they are down: {peak}");
    assert!((19..=21).contains(&asked), "who is well waits for none of them: {asked}");
    schedule.stop().await;
    assert_eq!(frozen.now.load(Ordering::Relaxed), 0, "those under way were ended");
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
