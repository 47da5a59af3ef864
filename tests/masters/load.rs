//! A master whose JRuby instances are all taken goes on saying that it is running.

use std::time::Duration;

use onstage::demo::{Jrubies, SiteCa};

use super::{Site, identity};

const CONFIG: &str = "[check.load]\ninterval = \"50ms\"\nrecheck = \"1s\"\n\
                      puppet-load = { ca-file = \"ca.pem\" }\n\
                      [[pool]]\nname = \"puppet.example.org\"\ncheck = \"load\"\n";

#[tokio::test]
async fn a_saturated_master_leaves_the_answer_and_returns_when_it_is_calm() {
    let ca = SiteCa::new("Site CA").unwrap();
    let site = Site::start(&ca, vec![identity(&ca, 0), identity(&ca, 1)], CONFIG).await;
    site.until(|_, answered| answered == [0, 1]).await;
    site.masters[0].occupy(Jrubies::all_taken(Duration::from_secs(60)));
    site.until(|_, answered| answered == [1]).await;
    assert!(site.observed(0).is_up(), "it answers as ever");
    site.masters[0].occupy(Jrubies::default());
    site.until(|_, answered| answered == [0, 1]).await;
}
