//! `puppetserver`: a service of Puppet Server says that it runs.

use hyper::StatusCode;

use super::judge_simple;
use crate::config::PuppetserverCheck;
use crate::probe::Failure;
use crate::probe::http::Request;
use crate::probe::prober::Line;

/// What is asked.
#[derive(Debug)]
pub(in crate::probe) struct Server {
    service: Request,
    /// What the service was called before, where it had another name.
    formerly: Option<Request>,
}

impl Server {
    /// # Errors
    /// The service has no name that can be asked for.
    pub(in crate::probe) fn new(check: &PuppetserverCheck) -> Result<Self, String> {
        let service = Request::new("GET", &format!("/status/v1/simple/{}", check.service), None, &[])?;
        let formerly = (check.service == "server").then(|| Request::get("/status/v1/simple/master"));
        Ok(Self { service, formerly })
    }

    /// Older masters know `master` alone, and agents ask in this order. Which one answered is not remembered: the member
    /// may be replaced by one of another age at any time.
    pub(in crate::probe) async fn ask(&self, line: &mut Line<'_>) -> Result<(), Failure> {
        let mut reply = line.ask(&self.service).await?;
        if let (StatusCode::NOT_FOUND, Some(formerly)) = (reply.status, &self.formerly) {
            reply = line.ask(formerly).await?;
        }
        judge_simple(&reply)
    }
}
