//! What a master says of its JRuby instances: the debug level of `/status/v1/services/jruby-metrics`.
//!
//! It answers at once and asks for no certificate while every instance is taken, which nothing else at a master does.
//! Puppet calls the numbers experimental, so that what is missing is told by its name.

use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;

use super::expect::unexpected;
use super::{Failure, http};
use crate::health::{Access, Load, Reason, Told};

/// The path and query to ask for.
const PATH: &str = "/status/v1/services/jruby-metrics?level=debug";
/// The most of a reply that is read: each request that waits is some 200 bytes of it.
const BODY: usize = 384 * 1024;

/// The request for it.
pub(super) fn request() -> http::Request {
    http::Request::get(PATH).reading(BODY)
}

/// What a reply tells of it.
pub(super) fn judge(reply: &http::Reply) -> Result<Told, Failure> {
    if reply.status != StatusCode::OK {
        return Err(unexpected(reply));
    }
    Ok(Told { load: Some(read(reply.whole()?)?), ..Told::default() })
}

/// Reads the body of a reply.
fn read(body: &[u8]) -> Result<Load, Failure> {
    let service: Service = serde_json::from_slice(body)
        .map_err(|e| Failure::new(Reason::BadReply, format!("no metrics of JRuby: {e}")))?;
    let Experimental { lock, metrics } = service.status.experimental;
    let oldest = |requests: &[Request]| {
        let oldest = requests.iter().map(|request| request.duration_millis.max(0)).max();
        Duration::from_millis(oldest.unwrap_or_default().cast_unsigned())
    };
    Ok(Load {
        instances: metrics.num_jrubies,
        free: metrics.num_free_jrubies,
        waiting: metrics.requested_instances.len() as u32,
        oldest_wait: oldest(&metrics.requested_instances),
        longest_run: oldest(&metrics.borrowed_instances),
        turned_away: metrics.queue_limit_hit_count,
        pool: if lock.current_state == ":not-in-use" { Access::Open } else { Access::Locked },
    })
}

#[derive(Deserialize)]
struct Service {
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    experimental: Experimental,
}

#[derive(Deserialize)]
struct Experimental {
    #[serde(rename = "jruby-pool-lock-status")]
    lock: Lock,
    metrics: Metrics,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Lock {
    /// A Clojure keyword: `:not-in-use`, `:requested` or `:acquired`.
    current_state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metrics {
    num_jrubies: u32,
    num_free_jrubies: u32,
    requested_instances: Vec<Request>,
    borrowed_instances: Vec<Request>,
    queue_limit_hit_count: u64,
}

/// A request that waits for an instance, or has one.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Request {
    /// By the master's clock on the wall: it may be negative after that was set.
    duration_millis: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Puppet Server 7.9.5 answered: idle, one JRuby compiling, and that with two requests in line and two sent away.
    const IDLE: &str = include_str!("../../tests/fixtures/puppet/jruby-idle.json");
    const TAKEN: &str = include_str!("../../tests/fixtures/puppet/jruby-taken.json");
    const QUEUE: &str = include_str!("../../tests/fixtures/puppet/jruby-queue.json");

    #[test]
    fn real_replies_are_read() {
        let idle = Load {
            instances: 1,
            free: 1,
            waiting: 0,
            oldest_wait: Duration::ZERO,
            longest_run: Duration::ZERO,
            turned_away: 0,
            pool: Access::Open,
        };
        let taken = Load { free: 0, longest_run: Duration::from_millis(2150), ..idle };
        let queue = Load {
            waiting: 2,
            oldest_wait: Duration::from_millis(5203),
            longest_run: Duration::from_millis(7158),
            turned_away: 2,
            ..taken
        };
        let locked = IDLE.replace(":not-in-use", ":acquired");
        for (reply, load) in
            [(IDLE, idle), (TAKEN, taken), (QUEUE, queue), (&locked, Load { pool: Access::Locked, ..idle })]
        {
            assert_eq!(read(reply.as_bytes()).unwrap(), load);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let without = IDLE.replace("num-free-jrubies", "num-spare-jrubies");
        let info = r#"{"service_version":"7.9.5","detail_level":"info","state":"running","status":{}}"#;
        for (reply, why) in [
            ("running", "expected value"),
            (info, "missing field `experimental`"),
            (&without, "missing field `num-free-jrubies`"),
            (&IDLE[..200], "EOF"),
            (&QUEUE.replace(":5203", ":\"long\""), "invalid type: string \"long\""),
        ] {
            let failure = read(reply.as_bytes()).unwrap_err();
            assert!(failure.detail.contains(why), "{why}: {}", failure.detail);
            assert_eq!(failure.verdict.reason(), Some(Reason::BadReply));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_wait() {
        let reply = QUEUE.replace(":5203", ":-5203").replace(":3088", ":-7");
        assert_eq!(read(reply.as_bytes()).unwrap().oldest_wait, Duration::ZERO);
    }
}
