//! A catalog, asked for as an agent does: only this tells whether a master can compile the site's code, and which.
//!
//! ```text
//!  200 ─▶ pass, and which version of the code answered
//!  500 ─▶ catalog-failed: the code does not parse, a function fails, PuppetDB is gone
//!  404 ─▶ catalog-failed: it does not have the environment
//!  403 ─▶ forbidden: auth.conf lets each node have its own catalog alone
//!  503 ─▶ overloaded: too many wait for a JRuby instance; or leaving: it is shutting down
//! ```

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::{Failure, http};
use crate::config::{CatalogCheck, VersionFrom};
use crate::health::{Reason, Told, Verdict};

/// The most of a catalog that is read; one is held at a time, since one master is asked at a time.
const BODY: usize = 16 * 1024 * 1024;
/// What agents say they are. Those before 5.3.1 do not know `Retry-After`, so that a master lets them wait for as long as
/// it takes instead of saying that it is overloaded.
const AGENT_VERSION: &str = "7.23.0";
/// The longest version that is believed to be one.
const LONGEST_VERSION: usize = 256;
/// How much of an error is shown.
const GLIMPSE: usize = 400;
/// Unreserved characters need no encoding (RFC 3986 §2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The request for a catalog.
///
/// # Errors
/// See [`http::Request::new`].
pub(super) fn request(check: &CatalogCheck) -> Result<http::Request, String> {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = [
        header("accept", "application/json"),
        header("content-type", "application/x-www-form-urlencoded"),
        header("x-puppet-version", AGENT_VERSION),
    ];
    let request = http::Request::new("POST", &path(check), None, &headers);
    Ok(request?.reading(BODY).sending(form(check)))
}

fn path(check: &CatalogCheck) -> String {
    let (node, environment) = (encoded(&check.certname.value), encoded(&check.environment));
    format!("/puppet/v3/catalog/{node}?environment={environment}")
}

/// Puppet decodes the facts twice.
fn form(check: &CatalogCheck) -> String {
    let mut values = check.facts.clone();
    values.insert("clientcert".to_owned(), json!(check.certname.value));
    let facts = json!({ "name": check.certname.value, "values": values }).to_string();
    let (environment, facts) = (encoded(&check.environment), encoded(&encoded(&facts)));
    format!("environment={environment}&facts_format=application%2Fjson&facts={facts}")
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// What a reply means.
pub(super) fn judge(check: &CatalogCheck, reply: &http::Reply) -> Result<Told, Failure> {
    judge_parts(check, reply.status.as_u16(), reply.whole()?)
}

fn judge_parts(check: &CatalogCheck, status: u16, body: &[u8]) -> Result<Told, Failure> {
    match status {
        200 => {
            let catalog: Catalog = serde_json::from_slice(body)
                .map_err(|e| Failure::new(Reason::BadReply, format!("no catalog: {e}")))?;
            Ok(Told { version: catalog.told(check), ..Told::default() })
        }
        503 => Err(unavailable(&complaint(body))),
        403 => {
            let hint = format!(
                "a node gets its own catalog alone, by auth.conf: `{}` is to be the name in \
                                the certificate that is shown",
                check.certname.value
            );
            Err(Failure::new(Reason::Forbidden, format!("{}: {hint}", complaint(body))))
        }
        404 | 500 => Err(Failure::new(Reason::CatalogFailed, complaint(body))),
        _ => Err(Failure::new(Reason::HttpStatus, format!("{status}: {}", complaint(body)))),
    }
}

/// A master that shuts down says so to whoever needs an instance, while its status goes on saying `running`.
fn unavailable(complaint: &str) -> Failure {
    let verdict = if complaint.contains("during a shutdown") {
        Verdict::Leaving(Reason::ServiceState)
    } else {
        Verdict::Fail(Reason::Overloaded)
    };
    Failure { verdict, detail: complaint.to_owned() }
}

/// The first line of what Puppet says is wrong.
fn complaint(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Complaint {
        message: String,
    }
    let text = match serde_json::from_slice(body) {
        Ok(Complaint { message }) => message,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(GLIMPSE)]).into_owned(),
    };
    let line = text.trim().lines().next().unwrap_or_default();
    let line: String = line.chars().filter(|c| !c.is_control()).take(GLIMPSE).collect();
    if line.is_empty() { "without a word".to_owned() } else { line }
}

/// What is wanted of a catalog. The rest of it is read over.
#[derive(Deserialize)]
struct Catalog {
    version: Version,
    code_id: Option<String>,
}

/// `config_version` is text; where the site does not set it, it is the second in which this master read the code, which
/// no two masters agree on.
#[derive(Deserialize)]
#[serde(untagged)]
enum Version {
    Site(String),
    Puppet(IgnoredAny),
}

impl Catalog {
    /// The version of the code, if it tells one.
    fn told(self, check: &CatalogCheck) -> Option<String> {
        let config_version = match self.version {
            Version::Site(version) => Some(version),
            Version::Puppet(_) => None,
        };
        let version = match check.version_from {
            VersionFrom::Any => self.code_id.or(config_version),
            VersionFrom::CodeId => self.code_id,
            VersionFrom::ConfigVersion => config_version,
            VersionFrom::Nothing => None,
        }?;
        let separator = check.version_after.as_deref();
        let version =
            separator.and_then(|separator| version.rsplit_once(separator)).map_or(&*version, |(_, v)| v);
        let version = version.trim().lines().next().unwrap_or_default().trim();
        let fits = (1..=LONGEST_VERSION).contains(&version.len()) && !version.contains(char::is_control);
        fits.then(|| version.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Located, Trust, Verify};
    use crate::report::{Location, Sources};

    /// As Puppet Server 7.9.5 answered: with and without `config_version`, and with code that does not parse.
    const SITE_VERSION: &str = include_str!("../../tests/fixtures/puppet/catalog-config-version.json");
    const TIME: &str = include_str!("../../tests/fixtures/puppet/catalog-time.json");
    const BROKEN: &str = include_str!("../../tests/fixtures/puppet/catalog-broken.json");

    fn check(version_from: VersionFrom, version_after: Option<&str>) -> CatalogCheck {
        let mut sources = Sources::new(|_: &std::path::Path| Ok(Vec::new()));
        let at = Location { source: sources.open("config".as_ref()).unwrap(), span: 0..0 };
        CatalogCheck {
            port: std::num::NonZeroU16::MIN,
            trust: Trust { server_name: None, verify: Verify::Full, ca_file: None, credentials: None },
            certname: Located { value: "onstage.example.org".to_owned(), at },
            environment: "production".to_owned(),
            facts: [("role".to_owned(), json!("R&D 100%"))].into_iter().collect(),
            version_from,
            version_after: version_after.map(str::to_owned),
        }
    }

    fn told(status: u16, body: &str) -> Result<Told, Failure> {
        judge_parts(&check(VersionFrom::Any, None), status, body.as_bytes())
    }

    #[test]
    fn the_facts_are_encoded_twice() {
        let form = form(&check(VersionFrom::Any, None));
        let (_, facts) =
            form.split_once("environment=production&facts_format=application%2Fjson&facts=").unwrap();
        let decode =
            |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let facts: serde_json::Value = serde_json::from_str(&decode(&decode(facts))).unwrap();
        let values = json!({ "clientcert": "onstage.example.org", "role": "R&D 100%" });
        assert_eq!(facts, json!({ "name": "onstage.example.org", "values": values }));
    }

    #[test]
    fn the_version_is_what_the_site_says_it_is() {
        use VersionFrom::{Any, CodeId, ConfigVersion, Nothing};
        let with_id = TIME.replace("\"code_id\":null", "\"code_id\":\"urn:1:abc\"");
        let both = SITE_VERSION.replace("\"code_id\":null", "\"code_id\":\"urn:1:abc\"");
        let odd = |version: &str| SITE_VERSION.replace("\"v2-a1b2c3d\"", version);
        for (body, from, after, version) in [
            (SITE_VERSION, Any, None, Some("v2-a1b2c3d")),
            (SITE_VERSION, ConfigVersion, None, Some("v2-a1b2c3d")),
            (SITE_VERSION, CodeId, None, None),
            (SITE_VERSION, Nothing, None, None),
            (SITE_VERSION, Any, Some("-"), Some("a1b2c3d")),
            (SITE_VERSION, Any, Some("/"), Some("v2-a1b2c3d")),
            (TIME, Any, None, None),
            (TIME, ConfigVersion, None, None),
            (&with_id, Any, None, Some("urn:1:abc")),
            (&with_id, ConfigVersion, None, None),
            (&both, Any, None, Some("urn:1:abc")),
            (&both, ConfigVersion, None, Some("v2-a1b2c3d")),
            (&odd("\" v3 \\n and more\""), Any, None, Some("v3")),
            (&odd("\"\""), Any, None, None),
            (&odd("\"\\u0007\""), Any, None, None),
            (&odd(&format!("\"{}\"", "x".repeat(257))), Any, None, None),
            (&odd("null"), Any, None, None),
        ] {
            let told = judge_parts(&check(from, after), 200, body.as_bytes()).unwrap();
            assert_eq!(told.version.as_deref(), version, "{from:?} {after:?} of {body:.90}");
        }
    }

    #[test]
    fn each_reply_has_its_reason() {
        let queue = "The number of requests waiting for a JRuby instance has exceeded the limit allowed by the \
                     max-queued-requests setting.";
        let shutdown =
            "Attempted to borrow a JRubyInstance from the pool during a shutdown. Please try again.";
        let forbidden = "Forbidden request: /puppet/v3/catalog/onstage.example.org (method :post). Please see \
                         the server logs for details.";
        let missing =
            r#"{"message":"Not Found: Could not find environment 'x'","issue_kind":"RESOURCE_NOT_FOUND"}"#;
        for (status, body, verdict, detail) in [
            (
                500,
                BROKEN,
                Verdict::Fail(Reason::CatalogFailed),
                "Server Error: Could not parse for environment",
            ),
            (500, "<html>\nJetty", Verdict::Fail(Reason::CatalogFailed), "<html>"),
            (500, "", Verdict::Fail(Reason::CatalogFailed), "without a word"),
            (404, missing, Verdict::Fail(Reason::CatalogFailed), "Could not find environment"),
            (403, forbidden, Verdict::Fail(Reason::Forbidden), "`onstage.example.org` is to be the name"),
            (503, queue, Verdict::Fail(Reason::Overloaded), "max-queued-requests"),
            (503, shutdown, Verdict::Leaving(Reason::ServiceState), "during a shutdown"),
            (400, "{}", Verdict::Fail(Reason::HttpStatus), "400: {}"),
            (200, "{}", Verdict::Fail(Reason::BadReply), "missing field `version`"),
            (200, &SITE_VERSION[..300], Verdict::Fail(Reason::BadReply), "EOF"),
        ] {
            let failure = told(status, body).unwrap_err();
            assert_eq!(failure.verdict, verdict, "{status} {body:.60}");
            assert!(failure.detail.contains(detail), "{status}: {}", failure.detail);
            assert!(!failure.detail.contains('\n'), "{}", failure.detail);
        }
    }
}
