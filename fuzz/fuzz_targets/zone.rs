//! Any bytes as a zone file. What stands behind the first byte 0xff is the file that it can `$INCLUDE` as `included`.
//!
//! It is loaded twice: as the zone `example.org`, and as whatever its SOA says, with the apex as a pool. Loading must end
//! in a report that renders, and what loads must answer for its names.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use onstage_fuzz::{ask_for_records, loaded};

const NAMED: &str = "[[zone]]\nfile = \"zone\"\nname = \"example.org\"\n";

const POOLED: &str = r#"
[[zone]]
file = "zone"

[[pool]]
name = "example.org"
check = "tcp"
policy = "weighted"
max-answers = 2

[check.tcp]
tcp = { port = 8140 }
"#;

fuzz_target!(|text: &[u8]| {
    let (zone, included) = match text.iter().position(|&byte| byte == 0xff) {
        Some(end) => (&text[..end], Some(&text[end + 1..])),
        None => (text, None),
    };
    for config in [NAMED, POOLED] {
        let site = loaded(|path: &Path| match path.to_str()? {
            "onstage.toml" => Some(config.into()),
            "zone" => Some(zone.into()),
            "included" => included.map(Into::into),
            _ => None,
        });
        if let Some(site) = site {
            ask_for_records(&site.plan);
        }
    }
});
