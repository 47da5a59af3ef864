//! Masters that serve other code than most of their pool.

use onstage::demo::{Code, SiteCa};

use super::{NAME, Site, identity};

fn config() -> String {
    format!(
        "[check.puppetserver]\ninterval = \"100ms\"\npuppetserver = {{ ca-file = \"ca.pem\" }}\n\
         [check.catalog]\ninterval = \"50ms\"\nrecheck = \"20ms\"\n\
         puppet-catalog = {{ ca-file = \"ca.pem\", client-cert = \"own.crt\", client-key = \"own.key\" }}\n\
         [check.master]\nall = [\"puppetserver\", \"catalog\"]\n\
         [[pool]]\nname = \"{NAME}\"\ncheck = \"master\"\nversion-grace = \"0s\"\n"
    )
}

fn version(text: &str) -> Code {
    Code::Version(text.to_owned())
}

#[tokio::test]
async fn a_stale_master_leaves_the_answer_until_it_is_deployed_to() {
    let ca = SiteCa::new("Site CA").unwrap();
    let identities = (0..3).map(|place| identity(&ca, place)).collect();
    let site = Site::start(&ca, identities, &config()).await;
    for master in &site.masters {
        master.deploy(version("v1"));
    }
    site.until(|site, answered| answered == [0, 1, 2] && (0..3).all(|place| site.is_up(place))).await;
    site.masters[0].deploy(version("v2"));
    site.until(|_, answered| answered == [1, 2]).await;
    site.masters[1].deploy(version("v2"));
    site.until(|_, answered| answered == [0, 1]).await;
    site.masters[2].deploy(version("v2"));
    site.until(|_, answered| answered == [0, 1, 2]).await;
    site.masters[2].deploy(Code::Broken("Could not parse".to_owned()));
    site.until(|_, answered| answered == [0, 1]).await;
}
