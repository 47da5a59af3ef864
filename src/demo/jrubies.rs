//! The JRuby instances of a simulated master, as Puppet Server tells of them.

use std::time::Duration;

use serde_json::{Value, json};

/// What its JRuby instances are at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jrubies {
    /// How many there are.
    pub instances: u32,
    /// How long each request that has one has had it.
    pub taken: Vec<Duration>,
    /// How long each request that waits for one has waited.
    pub waiting: Vec<Duration>,
    /// How many requests were sent away.
    pub turned_away: u64,
}

impl Default for Jrubies {
    /// Nobody asks.
    fn default() -> Self {
        Self { instances: 4, taken: Vec::new(), waiting: Vec::new(), turned_away: 0 }
    }
}

impl Jrubies {
    /// The path that they are told at.
    pub(super) const PATH: &str = "/status/v1/services/jruby-metrics";

    /// All taken, and two in line, the first for so long.
    pub fn all_taken(oldest_wait: Duration) -> Self {
        let taken = vec![oldest_wait + Duration::from_secs(5); 4];
        Self { taken, waiting: vec![oldest_wait, oldest_wait / 2], ..Self::default() }
    }

    /// Its status at the level `debug`.
    pub(super) fn told(&self) -> String {
        let free = (self.instances as usize).saturating_sub(self.taken.len());
        let metrics = json!({
            "num-jrubies": self.instances,
            "num-free-jrubies": free,
            "requested-instances": requests(&self.waiting),
            "borrowed-instances": requests(&self.taken),
            "queue-limit-hit-count": self.turned_away,
            "queue-limit-hit-rate": 0.0,
            "average-wait-time": 0,
        });
        let lock = json!({ "current-state": ":not-in-use", "last-change-time": "2026-11-24T00:51:10.570Z" });
        json!({
            "service_version": "7.9.5",
            "service_status_version": 1,
            "detail_level": "debug",
            "state": "running",
            "status": { "experimental": { "jruby-pool-lock-status": lock, "metrics": metrics } },
            "active_alerts": [],
            "service_name": "jruby-metrics",
        })
        .to_string()
    }
}

fn requests(since: &[Duration]) -> Vec<Value> {
    let request = json!({ "uri": "/puppet/v3/catalog/agent1.example.org", "request-method": "post" });
    let told = |since: &Duration| json!({ "duration-millis": since.as_millis() as u64, "reason": { "request": request } });
    since.iter().map(told).collect()
}
