//! Somebody wants to know now: members are asked at once, and what they answer counts.

use futures_util::future::join_all;
use onstage::admin::probed::{Found, Probed};
use onstage::admin::status::Observed;
use onstage::daemon::Inquiry;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

impl Watch {
    /// Has members asked now; `None`: all.
    fn inquire(&mut self, whom: Option<&str>) -> Inquiry {
        let whom = whom.map(|whom| whom.parse().unwrap());
        self.director.inquire(whom.as_ref(), &self.schedule.bells()).unwrap()
    }

    /// What it comes to, and how long that took.
    async fn end_of(&mut self, inquiry: Inquiry) -> (Probed, Duration) {
        let began = Instant::now();
        tokio::select! {
            probed = inquiry.end() => (probed, began.elapsed()),
            _ = self.until(MINUTE, |_| false) => panic!("whoever asks waits for ever"),
        }
    }

    /// In the middle of an interval, some time after the first round.
    async fn in_between() -> Self {
        let mut watch = Self::begin([Does::Pass; 3]).await;
        assert_eq!(watch.until_change(MINUTE).await, None);
        watch
    }
}

fn reasons(probed: &Probed) -> Vec<Option<&str>> {
    probed.findings.iter().map(|found| found.reason.as_deref()).collect()
}

#[tokio::test(start_paused = true)]
async fn who_is_named_is_asked_at_once_and_it_counts() {
    let mut watch = Watch::in_between().await;
    for (whom, members) in
        [(None, 3), (Some("puppet.example.org"), 3), (Some("172.16.4.26"), 1), (Some("172.16.4.26:8140"), 1)]
    {
        let before: Vec<usize> = (0..3).map(|member| watch.world.asked(member)).collect();
        let inquiry = watch.inquire(whom);
        let (probed, took) = watch.end_of(inquiry).await;
        let asked = (0..3).filter(|&member| watch.world.asked(member) == before[member] + 1).count();
        assert_eq!((asked, probed.members.len(), probed.late.len()), (members, members, 0), "{whom:?}");
        assert!(took <= SLACK && probed.members.iter().all(|judged| judged.passes), "{took:?} {probed:?}");
    }
    watch.world.does(1, Does::Refuse);
    let inquiry = watch.inquire(Some("172.16.4.26"));
    let (probed, _) = watch.end_of(inquiry).await;
    let Found { so_far, question, .. } = &probed.findings[0];
    let so_far = so_far.unwrap();
    assert_eq!((so_far.observed, so_far.contradictions, so_far.threshold), (Observed::Up, 1, 2));
    assert_eq!((reasons(&probed), question.label.as_str()), (vec![Some("refused")], "172.16.4.26"));
    assert!(!probed.members[0].passes && probed.members[0].member == "puppet.example.org A 172.16.4.26");
    let left = watch.until_change(MINUTE).await.expect("one more fail takes it down");
    assert!(left <= RECHECK + SLACK, "{left:?}");
}

/// A question that was under way before somebody asked knows nothing of what was mended meanwhile.
#[tokio::test(start_paused = true)]
async fn an_answer_is_never_older_than_its_question() {
    let mut watch = Watch::in_between().await;
    watch.world.does(0, Does::PassAfter(SECOND / 4));
    let first = watch.inquire(Some("172.16.1.10"));
    sleep(SECOND / 8).await;
    watch.world.does(0, Does::Refuse);
    let second = watch.inquire(Some("172.16.1.10"));
    let ((first, _), (second, _)) = {
        let first = watch.end_of(first).await;
        (first, watch.end_of(second).await)
    };
    assert_eq!((reasons(&first), reasons(&second)), (vec![None], vec![Some("refused")]));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_member_is_waited_for_as_long_as_a_probe_takes() {
    let mut watch = Watch::in_between().await;
    watch.world.does(2, Does::Freeze);
    let inquiry = watch.inquire(None);
    let (probed, took) = watch.end_of(inquiry).await;
    assert_eq!(reasons(&probed), [None, None, Some("tls-timeout")]);
    assert!((TIMEOUT..=TIMEOUT + SLACK).contains(&took), "{took:?}");

    watch.world.does(2, Does::Hang);
    let inquiry = watch.inquire(None);
    let (probed, took) = watch.end_of(inquiry).await;
    let late: Vec<&str> = probed.late.iter().map(|question| question.label.as_str()).collect();
    assert_eq!((probed.findings.len(), late), (2, vec!["172.16.9.7"]));
    assert!(took <= RECHECK + 2 * TIMEOUT + SLACK, "{took:?}");
    assert!(!probed.members[2].passes && probed.members[0].passes);
}

/// However many ask, a member has one question at a time.
#[tokio::test(start_paused = true)]
async fn a_hundred_who_ask_share_the_answers() {
    let mut watch = Watch::in_between().await;
    watch.world.does(0, Does::PassAfter(SECOND / 4));
    let asked = watch.world.asked(0);
    let mut all = Vec::new();
    for _ in 0..100 {
        all.push(watch.inquire(Some("172.16.1.10")).end());
        sleep(SECOND / 1000).await;
    }
    let all = tokio::select! {
        all = join_all(all) => all,
        _ = watch.until(MINUTE, |_| false) => panic!("somebody waits for ever"),
    };
    assert!(all.iter().all(|probed| reasons(probed) == [None] && probed.late.is_empty()));
    assert_eq!(watch.world.asked(0), asked + 2, "the first one's, and that of all who came meanwhile");
    drop(watch.inquire(None));
    watch.world.does(0, Does::Pass);
    assert_eq!(watch.until_change(MINUTE).await, None, "who does not wait any more is no trouble");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_one_sentence() {
    let mut watch = Watch::in_between().await;
    let whom = "172.16.1.11".parse().unwrap();
    let refused = watch.director.inquire(Some(&whom), &watch.schedule.bells()).unwrap_err().to_string();
    assert!(refused.starts_with("there is no member `172.16.1.11`"), "{refused}");
}
