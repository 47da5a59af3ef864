//! A master with the certificate of another CA, or without the name that agents use.

use onstage::demo::{SiteCa, Validity};
use onstage::health::Reason;

use super::{NAME, Site, identity, names};

const CONFIG: &str = "[check.quick]\ninterval = \"100ms\"\nrecheck = \"50ms\"\n\
                      puppetserver = { ca-file = \"ca.pem\" }\n\
                      [[pool]]\nname = \"puppet.example.org\"\ncheck = \"quick\"\n";

/// A new agent that meets one of another CA trusts it for good, so that an answer without anybody who lives is better.
#[tokio::test]
async fn it_is_not_answered_even_when_all_others_are_dead() {
    let (ca, rogue) = (SiteCa::new("Site CA").unwrap(), SiteCa::new("Another CA").unwrap());
    let nameless = ca.issue(&names(3)[..1], Validity::Current).unwrap();
    let identities = vec![identity(&ca, 0), identity(&ca, 1), identity(&rogue, 2), nameless];
    let mut site = Site::start(&ca, identities, CONFIG).await;
    assert_eq!(site.answered().await, [0, 1]);
    assert_eq!(site.observed(2).reason(), Some(Reason::TlsUntrusted));
    assert_eq!(site.observed(3).reason(), Some(Reason::TlsWrongName));
    for place in [0, 1] {
        site.masters[place].crash().await;
    }
    let both_are_down = |site: &Site, answered: &[usize]| {
        [0, 1].iter().all(|&place| site.observed(place).reason().is_some()) && answered == [0, 1]
    };
    let seen = site.until(both_are_down).await;
    assert!(seen.iter().flatten().all(|&place| place < 2), "{NAME}: {seen:?}");
}

/// That all of them changed sides is less likely than that the site has a new CA.
#[tokio::test]
async fn where_all_are_so_all_are_answered() {
    let (ca, new_ca) = (SiteCa::new("Site CA").unwrap(), SiteCa::new("The new CA").unwrap());
    let mut site = Site::start(&ca, vec![identity(&ca, 0), identity(&ca, 1)], CONFIG).await;
    site.masters[0].present(identity(&new_ca, 0));
    site.until(|_, answered| answered == [1]).await;
    site.masters[1].crash().await;
    site.until(|site, _| site.observed(1).reason().is_some()).await;
    assert_eq!(site.answered().await, [1], "the dead one");
    site.masters[1].present(identity(&new_ca, 1));
    site.masters[1].come_back().unwrap();
    site.until(|_, answered| answered == [0, 1]).await;
}
