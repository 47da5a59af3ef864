//! `puppetdb`: `PuppetDB` says how it is, and how its databases are.

use hyper::StatusCode;
use serde_json::Value;

use super::judge_state;
use crate::health::{Reason, Verdict};
use crate::probe::Failure;
use crate::probe::expect::unexpected;
use crate::probe::http::{Reply, Request};
use crate::probe::prober::Line;

/// What is asked.
#[derive(Debug)]
pub(in crate::probe) struct Database(Request);

impl Database {
    pub(in crate::probe) fn new() -> Self {
        Self(Request::get("/status/v1/services/puppetdb-status"))
    }

    pub(in crate::probe) async fn ask(&self, line: &mut Line<'_>) -> Result<(), Failure> {
        judge(&line.ask(&self.0).await?)
    }
}

/// What it says counts before its status code, which is 503 for all that is not `running`.
fn judge(reply: &Reply) -> Result<(), Failure> {
    let said: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let status = &said["status"]; // no table, where even asking failed
    if status["maintenance_mode?"] == true {
        let detail = "it is under maintenance: its database is being migrated, or not reached yet".to_owned();
        return Err(Failure { verdict: Verdict::Leaving(Reason::Maintenance), detail });
    }
    if let Some(which) = ["read_db_up?", "write_db_up?"].into_iter().find(|&which| status[which] == false) {
        return Err(Failure::new(Reason::DatabaseDown, format!("`{which}` is false")));
    }
    judge_state(said["state"].as_str().unwrap_or_default())?;
    let is_up = |which| status[which] == true;
    match reply.status {
        StatusCode::OK if said["state"] == "running" && is_up("read_db_up?") && is_up("write_db_up?") => {
            Ok(())
        }
        StatusCode::OK => Err(Failure::new(Reason::HttpBody, reply)),
        _ => Err(unexpected(reply)),
    }
}
