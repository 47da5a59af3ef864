//! What a master tells of its JRuby instances, over real sockets.

use std::time::Duration;

use onstage::demo::{Jrubies, Say};
use onstage::health::{Access, Load, Reason, Verdict};

use super::site::found;
use super::{Site, fail};

const KIND: &str = "puppet-load = { ca-file = \"ca.pem\" }";

#[tokio::test]
async fn how_busy_a_master_is_comes_with_the_verdict() {
    let (site, wait) = (Site::new(), Duration::from_millis(5203));
    let master = site.master();
    let idle = Load {
        instances: 4,
        free: 4,
        waiting: 0,
        oldest_wait: Duration::ZERO,
        longest_run: Duration::ZERO,
        turned_away: 0,
        pool: Access::Open,
    };
    let busy =
        Load { free: 0, waiting: 2, oldest_wait: wait, longest_run: wait + Duration::from_secs(5), ..idle };
    for (jrubies, load) in [(Jrubies::default(), idle), (Jrubies::all_taken(wait), busy)] {
        master.occupy(jrubies);
        let finding = found(master.addr(), KIND, &[("ca.pem", &site.ca.pem())]).await;
        assert_eq!((finding.verdict, finding.told.load), (Verdict::Pass, Some(load)), "{}", finding.detail);
    }
}

#[tokio::test]
async fn a_long_line_is_read_to_its_end() {
    let site = Site::new();
    let master = site.master();
    let waiting: Vec<Duration> = (1..=2000).map(Duration::from_millis).collect();
    master.occupy(Jrubies { waiting, ..Jrubies::all_taken(Duration::ZERO) });
    let finding = found(master.addr(), KIND, &[("ca.pem", &site.ca.pem())]).await;
    let load = finding.told.load.expect("it is read");
    assert_eq!((load.waiting, load.oldest_wait), (2000, Duration::from_secs(2)));
}

#[tokio::test]
async fn what_is_no_such_reply_is_told() {
    let site = Site::new();
    let master = site.master();
    for (say, verdict, why) in [
        (Say::Http(200, "{}"), fail(Reason::BadReply), "missing field `status`"),
        (Say::Http(200, "running"), fail(Reason::BadReply), "no metrics of JRuby"),
        (Say::Endless, fail(Reason::BadReply), "longer than"),
        (Say::Http(404, "not found: jruby-metrics"), fail(Reason::HttpStatus), "404"),
        (Say::Http(403, "Forbidden"), fail(Reason::Forbidden), "403"),
    ] {
        master.say([say]);
        let finding = found(master.addr(), KIND, &[("ca.pem", &site.ca.pem())]).await;
        assert_eq!((finding.verdict, finding.told.load), (verdict, None), "{say:?}");
        assert!(finding.detail.contains(why), "{say:?}: {}", finding.detail);
    }
}
