//! Scripted members and guards, and the daemon without its sockets.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onstage::daemon::{Director, State};
use onstage::health::{Reason, Told, Verdict};
use onstage::probe::Finding;
use onstage::probe::guard::{Vouch, stand};
use onstage::probe::schedule::{Ask, Event, Schedule};
use onstage::snapshot::Reader;
use onstage::units::{ProbeId, Serial, ZoneId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::harness::{load_site, since, take};

const TIMEOUT: Duration = Duration::from_secs(2);

/// What a member does when it is asked.
#[derive(Debug, Clone, Copy)]
pub enum Does {
    Pass,
    Refuse,
    Leave,
    /// Nothing, until the prober gives up for this reason.
    Time(Reason),
    /// It answers, and says that it cannot serve.
    Say(Reason),
}

/// What is outside.
pub struct World(Mutex<Outside>);

struct Outside {
    members: Vec<Does>,
    guards_answer: bool,
    /// How often all guards were asked.
    asked_guards: usize,
}

impl World {
    pub fn does(&self, member: usize, does: Does) {
        self.0.lock().unwrap().members[member] = does;
    }

    pub fn all(&self, does: Does) {
        self.0.lock().unwrap().members.fill(does);
    }

    pub fn guards(&self, answer: bool) {
        self.0.lock().unwrap().guards_answer = answer;
    }

    pub fn asked_guards(&self) -> usize {
        self.0.lock().unwrap().asked_guards
    }
}

impl Ask for World {
    async fn ask(&self, id: ProbeId) -> Finding {
        let does = self.0.lock().unwrap().members[id.index()];
        let (verdict, took) = match does {
            Does::Pass => (Verdict::Pass, Duration::ZERO),
            Does::Refuse => (Verdict::Fail(Reason::Refused), Duration::ZERO),
            Does::Leave => (Verdict::Leaving(Reason::ServiceState), Duration::ZERO),
            Does::Time(reason) => (Verdict::Fail(reason), TIMEOUT),
            Does::Say(reason) => (Verdict::Fail(reason), Duration::ZERO),
        };
        sleep(took).await;
        Finding { verdict, detail: String::new(), told: Told::default(), steps: Vec::new(), latency: took }
    }
}

impl Vouch for World {
    /// The second guard never answers.
    async fn vouches(&self, guard: SocketAddr) -> bool {
        let is_first = guard.to_string() == "192.0.2.253:53";
        let answers = {
            let mut outside = self.0.lock().unwrap();
            outside.asked_guards += usize::from(is_first);
            outside.guards_answer && is_first
        };
        if !answers {
            sleep(10 * TIMEOUT).await;
        }
        answers
    }
}

/// The daemon without its sockets.
pub struct Watch {
    pub world: Arc<World>,
    director: Director,
    events: mpsc::Receiver<Event>,
    answers: mpsc::Receiver<SocketAddr>,
    reader: Reader,
    began: Instant,
    _schedule: Schedule,
}

impl Watch {
    /// After the first round: so many members, all of which passed. `more`: of the config.
    pub async fn begin(members: u8, more: &str) -> Self {
        Self::begin_pool(members, more, "").await
    }

    /// The same with more in the table of the pool.
    pub async fn begin_pool(members: u8, more: &str, pool: &str) -> Self {
        let check = if more.contains("[check.tcp]") { "" } else { "[check.tcp]\ntcp = { port = 8140 }\n" };
        let config = format!(
            "[[zone]]\nfile = \"zone\"\n[[pool]]\nname = \"p.example\"\ncheck = \"tcp\"\n{pool}\n{check}{more}"
        );
        let mut zone =
            "$ORIGIN p.example.\n$TTL 30\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n"
                .to_owned();
        for member in 1..=members {
            writeln!(zone, "@ A 192.0.2.{member}").unwrap();
        }
        zone.push_str("local A 192.0.2.99\n");
        let plan = load_site(&[("onstage.toml", &config), ("zone", &zone)]).plan;
        let outside = Outside {
            members: vec![Does::Pass; usize::from(members) + 1],
            guards_answer: true,
            asked_guards: 0,
        };
        let (world, began) = (Arc::new(World(Mutex::new(outside))), Instant::now());
        let (sender, mut events) = mpsc::channel(16);
        let schedule = Schedule::start(&plan.probes, &world, &sender);
        let (guards, interval) = (plan.guard.addresses.clone(), Director::guard_interval(&plan));
        let mut director = Director::new(plan, &State::default());
        while !director.is_informed() {
            take(&mut director, events.recv().await.unwrap(), since(began));
        }
        let reader = director.open(&State::default(), since(began)).reader();
        let (told, answers) = mpsc::channel(1);
        tokio::spawn(stand(guards, Arc::clone(&world), interval, director.suspicion(), told));
        Self { world, director, events, answers, reader, began, _schedule: schedule }
    }

    /// Lets so much time pass.
    pub async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let now = since(self.began);
            let pause = self.director.wakes_in(now).unwrap_or(time).min(end - Instant::now());
            tokio::select! {
                Some(event) = self.events.recv() => take(&mut self.director, event, since(self.began)),
                Some(_) = self.answers.recv() => self.director.vouched(since(self.began)),
                () = sleep(pause) => {
                    let now = since(self.began);
                    self.director.wake(now);
                    self.director.publish(now);
                }
            }
        }
    }

    /// Since the start.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn serial(&mut self) -> Serial {
        self.reader.load().serial(ZoneId(0))
    }

    /// What is told of the pool.
    pub fn told(&mut self) -> Vec<String> {
        self.reader.load().all_accounts()[0].lines.iter().map(|line| line.text.clone()).collect()
    }

    /// How many members are answered.
    pub fn answered(&mut self) -> usize {
        let head = self.told().swap_remove(0);
        head.split([' ', '/']).nth(1).unwrap().parse().unwrap()
    }

    /// How many are observed to be up.
    pub fn up(&self) -> usize {
        self.director.views().borrow().iter().filter(|observed| observed.is_up()).count()
    }
}
