//! Any bytes as `onstage.toml`. What stands behind the first byte 0xff is the file of cookie secrets.
//!
//! The other files that a config can name are good ones: `*.pem` is a CA bundle, all else the zone below. Loading must
//! end in a report that renders, and what loads must answer for its names.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onstage::demo::SiteCa;
use onstage_fuzz::{ask_for_records, loaded};

static BUNDLE: LazyLock<String> = LazyLock::new(|| SiteCa::new("Site CA").expect("a CA").pem());

const ZONE: &str = r"
$ORIGIN example.org.
$TTL 30
@ SOA ns1 hostmaster 7 3600 600 86400 30
@ NS ns1
ns1 A 172.16.1.53
a A 172.16.1.10
a A 172.16.4.26
a AAAA 2001:db8::10
b CNAME a
_s._tcp SRV 0 5 8140 a
";

fuzz_target!(|text: &[u8]| {
    let (config, secrets) = match text.iter().position(|&byte| byte == 0xff) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &b"00112233445566778899aabbccddeeff"[..]),
    };
    let site = loaded(|path: &Path| {
        Some(match path.extension().and_then(|extension| extension.to_str()) {
            _ if path == Path::new("onstage.toml") => config.into(),
            Some("pem") => BUNDLE.as_bytes().into(),
            Some("secret") => secrets.into(),
            _ => ZONE.into(),
        })
    });
    if let Some(site) = site {
        ask_for_records(&site.plan);
    }
});
