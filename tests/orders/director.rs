//! What orders do to what is answered, on time that the test moves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use onstage::daemon::{Consent, Director, Effect, Kept, Refusal, State};
use onstage::health::{Reason, Remark, Told, Verdict, Word};
use onstage::plan::{Plan, Whom};
use onstage::probe::Finding;
use onstage::snapshot::{Mode, Reader};
use onstage::units::{Moment, ProbeId};

use super::draft;
use crate::harness::{NOW, at, load_site, logged};

const HOUR: Duration = Duration::from_secs(3600);

fn plan(pool: &str) -> Arc<Plan> {
    let config = format!(
        "[[zone]]\nfile = \"zone\"\n[check.tcp]\nfall = 1\nrise = 1\ntcp = {{ port = 8140 }}\n[[pool]]\nname = \"p.example\"\n\
         check = \"tcp\"\n{pool}\n[[pool]]\nname = \"_x-puppet._tcp.p.example\"\ncheck = \"tcp\"\n"
    );
    let zone = "$ORIGIN p.example.\n$TTL 30\n@ SOA ns.example.net. h 1 2 3 4 5\n@ NS ns.example.net.\n\
                @ A 192.0.2.1\n@ A 192.0.2.2\none A 192.0.2.1\n_x-puppet._tcp SRV 0 5 8140 one\n";
    load_site(&[("onstage.toml", &config), ("zone", zone)]).plan
}

/// A director whose members have all passed.
struct Stage {
    director: Director,
    reader: Reader,
}

impl Stage {
    fn open(plan: &Arc<Plan>, state: &State) -> Self {
        let mut director = Director::new(Arc::clone(plan), state);
        for probe in 0..plan.probes.len() {
            director.judge(ProbeId(probe as u32), &finding(Verdict::Pass), at(0));
        }
        let reader = director.open(state, at(0)).reader();
        Self { director, reader }
    }

    fn judge(&mut self, probe: u32, verdict: Verdict, now: Moment) {
        self.director.judge(ProbeId(probe), &finding(verdict), now);
    }

    fn order(
        &mut self,
        whom: &str,
        word: Word,
        lasts: Option<Duration>,
        now: Moment,
    ) -> Result<Effect, Refusal> {
        self.director.order(&whom.parse().unwrap(), &draft(word, lasts), Consent::Asked, now)
    }

    /// What is told of a pool.
    fn told(&mut self, pool: usize) -> Vec<String> {
        self.reader.load().all_accounts()[pool].lines.iter().map(|line| line.text.clone()).collect()
    }
}

fn finding(verdict: Verdict) -> Finding {
    let (detail, told) = (String::new(), Told::default());
    Finding { verdict, detail, told, steps: Vec::new(), latency: Duration::ZERO }
}

fn whom(text: &str) -> Whom {
    text.parse().unwrap()
}

const REFUSED: Verdict = Verdict::Fail(Reason::Refused);

#[test]
fn a_drained_member_is_left_out_and_watched_on() {
    let mut stage = Stage::open(&plan(""), &State::default());
    let effect = stage.order("192.0.2.2", Word::Drain, Some(2 * HOUR), at(10)).unwrap();
    assert_eq!(effect.members, ["p.example A 192.0.2.2"]);
    let until = "until 2027-01-15T10:00:10Z";
    let drained = format!("192.0.2.2 up, drained by root: kernel update, {until}");
    assert_eq!(stage.told(0), ["A 1/2 answered", "192.0.2.1 up", &drained]);
    stage.judge(1, REFUSED, at(20));
    let drained = format!("192.0.2.2 down (refused), drained by root: kernel update, {until}");
    assert_eq!(stage.told(0), ["A 1/2 answered", "192.0.2.1 up", &drained]);
    stage.director.release(&whom("192.0.2.2"), &Remark::new("root").unwrap(), at(30)).unwrap();
    assert_eq!(stage.told(0), ["A 1/2 answered", "192.0.2.1 up", "192.0.2.2 down (refused)"]);
    stage.judge(1, Verdict::Pass, at(40));
    assert_eq!(stage.told(0), ["A 2/2 answered", "192.0.2.1 up", "192.0.2.2 up"]);
}

#[test]
fn a_forced_member_is_answered_whatever_is_observed() {
    let mut stage = Stage::open(&plan(""), &State::default());
    stage.order("192.0.2.2", Word::Force, None, at(10)).unwrap();
    stage.judge(1, REFUSED, at(20));
    let forced = "192.0.2.2 down (refused), forced by root: kernel update";
    assert_eq!(stage.told(0), ["A 2/2 answered", "192.0.2.1 up", forced]);
    stage.director.release(&whom("192.0.2.2"), &Remark::new("root").unwrap(), at(30)).unwrap();
    assert_eq!(stage.told(0), ["A 1/2 answered", "192.0.2.1 up", "192.0.2.2 down (refused)"]);
}

#[test]
fn an_order_ends_when_its_time_is_over() {
    let mut stage = Stage::open(&plan(""), &State::default());
    assert_eq!(stage.director.wakes_in(at(10)), None);
    stage.order("192.0.2.2", Word::Drain, Some(Duration::from_secs(90)), at(10)).unwrap();
    for (now, wakes_in, answered) in [
        (at(10), Some(60), 1), // the clock may be set meanwhile
        (at(70), Some(30), 1),
        (at(99), Some(1), 1),
        (Moment { unix: NOW, ..at(100) }, Some(60), 1), // it was set back
        (at(100), None, 2),
    ] {
        let kept = stage.director.wake(now);
        stage.director.publish(now);
        assert_eq!(kept, if answered == 2 { Kept::Changed } else { Kept::Same });
        assert_eq!(stage.director.wakes_in(now), wakes_in.map(Duration::from_secs), "{now:?}");
        assert_eq!(stage.told(0)[0], format!("A {answered}/2 answered"), "{now:?}");
    }
}

/// Clocks are set to nonsense; orders then last for too long or too short, and nothing else happens.
#[test]
fn a_clock_that_jumps_breaks_nothing() {
    for unix in [0, 1, NOW - 1, NOW + 3599, NOW + 3600, u32::MAX] {
        let mut stage = Stage::open(&plan(""), &State::default());
        stage.order("192.0.2.2", Word::Drain, Some(HOUR), at(0)).unwrap();
        let now = Moment { unix, ..at(1) };
        stage.director.wake(now);
        stage.director.publish(now);
        let is_over = unix >= NOW + 3600;
        assert_eq!(stage.told(0)[0], if is_over { "A 2/2 answered" } else { "A 1/2 answered" }, "{unix}");
        stage.judge(0, REFUSED, now);
        assert!(stage.director.wakes_in(now).is_none_or(|pause| pause <= Duration::from_secs(60)));
    }
    let mut stage = Stage::open(&plan(""), &State::default());
    let end = Moment { unix: u32::MAX - 1, ..at(0) };
    stage.order("192.0.2.2", Word::Drain, Some(Duration::MAX), end).unwrap();
    assert_eq!(stage.told(0)[0], "A 1/2 answered");
}

#[test]
fn an_order_that_leaves_nobody_asks_for_consent() {
    let mut stage = Stage::open(&plan(""), &State::default());
    let effect = stage.director.preview(&whom("192.0.2.1"), Some(Word::Drain), at(0)).unwrap();
    let left: Vec<_> = effect.pools.iter().map(|left| (left.live, left.members, left.mode)).collect();
    assert_eq!(left, [(1, 2, Mode::Live), (0, 1, Mode::FailingOpen)]);
    let then: Vec<_> = effect.pools.iter().map(|left| (left.answered.join(" "), left.is_bared)).collect();
    assert_eq!(then, [("192.0.2.2".to_owned(), false), ("one.p.example:8140".to_owned(), true)]);
    let refusal = stage.order("192.0.2.1", Word::Drain, None, at(0)).unwrap_err();
    let why = "too few would be live: 0 of 1 in `_x-puppet._tcp.p.example` (SRV)";
    assert_eq!(refusal.to_string(), why);
    assert_eq!(stage.told(0)[0], "A 2/2 answered", "nothing has changed");
    stage.order("192.0.2.1@p.example", Word::Drain, None, at(0)).unwrap();
    for (word, consent, is_taken) in [
        (Word::Drain, Consent::Asked, false),
        (Word::Force, Consent::Asked, true),
        (Word::Drain, Consent::Given, true),
    ] {
        let taken = stage.director.order(&whom("192.0.2.2"), &draft(word, None), consent, at(0));
        assert_eq!(taken.is_ok(), is_taken, "{word:?} {consent:?}: {taken:?}");
    }
    let drained = |member| format!("{member} up, answered, drained by root: kernel update");
    let told = ["A 2/2 answered, failing open".to_owned(), drained("192.0.2.1"), drained("192.0.2.2")];
    assert_eq!(stage.told(0), told, "nobody is no answer");
}

/// A pool with fewer live members than it wants answers dead ones: that is worth a question, too.
#[test]
fn an_order_that_makes_a_pool_fail_open_asks_for_consent() {
    let mut stage = Stage::open(&plan("min-live = 2"), &State::default());
    assert!(stage.order("192.0.2.2", Word::Drain, None, at(0)).is_err());
    stage.judge(0, REFUSED, at(1));
    stage.order("192.0.2.2", Word::Drain, None, at(2)).expect("it fails open already");
    assert_eq!(stage.told(0)[0], "A 1/2 answered, failing open");
}

#[test]
fn what_cannot_be_ordered_is_refused_in_a_sentence() {
    let mut stage = Stage::open(&plan(""), &State::default());
    let nobody = stage.order("192.0.2.9", Word::Drain, None, at(0)).unwrap_err();
    assert_eq!(nobody.to_string(), "there is no member `192.0.2.9`; is it `192.0.2.1` or `192.0.2.2`?");
    let over = stage.order("192.0.2.2", Word::Drain, Some(Duration::ZERO), at(0)).unwrap_err();
    assert_eq!(over.to_string(), "the order would be over at once");
    let root = Remark::new("root").unwrap();
    let none = stage.director.release(&whom("192.0.2.2"), &root, at(0)).unwrap_err();
    assert_eq!(none.to_string(), "there is no order on `192.0.2.2`");
    let nobody = stage.director.release(&whom("192.0.2.9@p.example"), &root, at(0)).unwrap_err();
    assert_eq!(
        nobody.to_string(),
        "there is no member `192.0.2.9@p.example`; is it `192.0.2.1` or `192.0.2.2`?"
    );
}

#[test]
fn orders_outlive_the_run_and_the_plan() {
    let mut stage = Stage::open(&plan(""), &State::default());
    stage.order("one.p.example", Word::Force, None, at(0)).unwrap();
    stage.order("192.0.2.2", Word::Drain, Some(HOUR), at(0)).unwrap();
    let mut left = stage.director.last_state();
    let keys: Vec<&str> = left.orders.keys().map(String::as_str).collect();
    let forced = ["_x-puppet._tcp.p.example SRV one.p.example:8140", "p.example A 192.0.2.1"];
    assert_eq!(keys, [&forced[..], &["p.example A 192.0.2.2"]].concat());

    let gone = left.orders["p.example A 192.0.2.2"].clone();
    left.orders.insert("p.example A 192.0.2.99".to_owned(), gone.clone());
    left.orders.insert("old.example SRV three.example:8140".to_owned(), gone);
    let mut next = Stage::open(&plan(""), &left);
    assert_eq!(next.told(0)[0], "A 1/2 answered", "from the first answer");
    assert_eq!(next.director.state().orders, left.orders, "those of members that are gone are kept");

    let root = Remark::new("root").unwrap();
    let effect = next.director.release(&whom("three.example"), &root, at(10)).unwrap();
    assert_eq!(effect.members, ["old.example SRV three.example:8140"]);
    assert_eq!(next.director.wake(at(3600)), Kept::Changed);
    let forced: BTreeMap<_, _> =
        left.orders.into_iter().filter(|(key, _)| forced.contains(&key.as_str())).collect();
    assert_eq!(next.director.state().orders, forced, "the others are over");
}

#[test]
fn who_gave_an_order_is_in_the_log() {
    let plan = plan("");
    let stray = |plan: &Arc<Plan>| {
        let mut stage = Stage::open(plan, &State::default());
        stage.order("192.0.2.2", Word::Drain, Some(HOUR), at(0)).unwrap();
        let mut left = stage.director.last_state();
        let order = left.orders["p.example A 192.0.2.2"].clone();
        left.orders = BTreeMap::from([("p.example A 192.0.2.9".to_owned(), order)]);
        left
    };
    let left = stray(&plan);
    let log = logged(|| {
        let mut stage = Stage::open(&plan, &left);
        stage.order("192.0.2.2", Word::Drain, None, at(10)).unwrap();
        stage.director.release(&whom("192.0.2.2"), &Remark::new("jo").unwrap(), at(20)).unwrap();
        stage.director.wake(at(3600));
    });
    let orders: Vec<&str> = log.iter().filter(|line| line.contains("order")).map(String::as_str).collect();
    let wanted = [
        "WARN there is no such member: its order is kept member=\"p.example A 192.0.2.9\" order=\"drained\" who=root",
        "INFO order member=\"p.example A 192.0.2.2\" order=\"drained\" who=root why=kernel update",
        "INFO order member=\"p.example A 192.0.2.2\" order=\"released\" who=jo",
        "INFO order member=\"p.example A 192.0.2.9\" order=\"over\" was=\"drained\" who=root",
    ];
    assert_eq!(orders, wanted);
}

/// The time of an order goes on while nobody watches it.
#[test]
fn an_order_that_ended_meanwhile_does_not_begin_again() {
    let mut stage = Stage::open(&plan(""), &State::default());
    stage.order("192.0.2.2", Word::Drain, Some(HOUR), Moment { unix: NOW - 3600, ..at(0) }).unwrap();
    let mut next = Stage::open(&plan(""), &stage.director.last_state());
    assert_eq!(next.told(0)[0], "A 2/2 answered");
    assert_eq!(next.director.state().orders, BTreeMap::new());
}

#[test]
fn a_member_that_was_drained_comes_back_on_its_ramp() {
    let mut stage = Stage::open(&plan("ramp = \"90s\""), &State::default());
    assert_eq!(stage.told(0), ["A 2/2 answered", "192.0.2.1 up", "192.0.2.2 up"], "who was there is warm");
    stage.order("192.0.2.2", Word::Drain, Some(Duration::from_secs(10)), at(0)).unwrap();
    let mut now = Duration::from_secs(10);
    let mut rising = Vec::new();
    for _ in 0..20 {
        let moment = Moment { steady: now, unix: NOW + now.as_secs() as u32 };
        stage.director.wake(moment);
        stage.director.publish(moment);
        rising.push(stage.told(0)[2].clone());
        let moment = Moment { steady: now, unix: NOW };
        let Some(pause) = stage.director.wakes_in(moment) else { break };
        now += pause;
    }
    let part = |percent| format!("192.0.2.2 up, {percent} % answered");
    let mut wanted: Vec<String> = (1..10).map(|step| part(10 * step)).collect();
    wanted.push("192.0.2.2 up".to_owned());
    assert_eq!((rising, now), (wanted, Duration::from_secs(100)));
}

#[test]
fn a_member_that_was_down_comes_back_on_its_ramp_unless_it_is_forced() {
    let mut stage = Stage::open(&plan("ramp = \"90s\""), &State::default());
    stage.judge(1, REFUSED, at(5));
    stage.judge(1, Verdict::Pass, at(10));
    assert_eq!(stage.told(0)[2], "192.0.2.2 up, 10 % answered");
    stage.order("192.0.2.2", Word::Force, None, at(11)).unwrap();
    assert_eq!(stage.told(0)[2], "192.0.2.2 up, forced by root: kernel update");
    assert_eq!(stage.director.wakes_in(at(11)), None);
    let root = Remark::new("root").unwrap();
    stage.director.release(&whom("192.0.2.2"), &root, at(12)).unwrap();
    assert_eq!(stage.told(0)[2], "192.0.2.2 up", "it was there all the time");
}
