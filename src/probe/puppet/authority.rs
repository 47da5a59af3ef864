//! `puppet-ca`: the CA runs, and what it hands out is the site's.
//!
//! A new agent takes the CA certificate from whoever answers first, and trusts it for good: a master with a CA of its
//! own, set up by accident, keeps every agent that meets it first. So a member that hands out another CA than the site's
//! must not be answered, whether it is meant to be a CA or not.
//!
//! ```text
//!              simple/ca          certificate/ca
//!  role ca     running            the site's
//!  role any    running or 404     the site's or 404
//! ```

use hyper::StatusCode;

use super::judge_simple;
use crate::config::{Authorities, CaRole, PuppetCaCheck};
use crate::health::Reason;
use crate::probe::Failure;
use crate::probe::expect::unexpected;
use crate::probe::http::{Reply, Request};
use crate::probe::prober::Line;

/// What is asked, and what may be handed out.
#[derive(Debug)]
pub(in crate::probe) struct Authority {
    status: Request,
    certificate: Request,
    role: CaRole,
    site: Authorities,
}

impl Authority {
    /// `site`: the bundle of the site's CA.
    pub(in crate::probe) fn new(check: &PuppetCaCheck, site: &Authorities) -> Self {
        Self {
            status: Request::get("/status/v1/simple/ca"),
            certificate: Request::get("/puppet-ca/v1/certificate/ca"),
            role: check.role,
            site: site.clone(),
        }
    }

    pub(in crate::probe) async fn ask(&self, line: &mut Line<'_>) -> Result<(), Failure> {
        self.judge_status(&line.ask(&self.status).await?)?;
        self.judge_certificate(&line.ask(&self.certificate).await?)
    }

    fn judge_status(&self, reply: &Reply) -> Result<(), Failure> {
        match (self.role, reply.status) {
            (CaRole::Any, StatusCode::NOT_FOUND) => Ok(()),
            (CaRole::Ca, StatusCode::NOT_FOUND) => Err(no_ca(reply)),
            _ => judge_simple(reply),
        }
    }

    fn judge_certificate(&self, reply: &Reply) -> Result<(), Failure> {
        match (self.role, reply.status) {
            (_, StatusCode::OK) => {}
            (CaRole::Any, StatusCode::NOT_FOUND) => return Ok(()),
            (CaRole::Ca, StatusCode::NOT_FOUND) => return Err(no_ca(reply)),
            _ => return Err(unexpected(reply)),
        }
        if reply.cut {
            return Err(Failure::new(Reason::HttpBody, "the CA certificates that it hands out do not end"));
        }
        let handed_out = Authorities::from_pem(&reply.body)
            .map_err(|e| Failure::new(Reason::HttpBody, format!("what it hands out is no CA: {e}")))?;
        match self.site.first_stranger(&handed_out) {
            None => Ok(()),
            Some(number) => {
                let detail = format!("CA certificate {number} that it hands out is not in the site's bundle");
                Err(Failure::new(Reason::WrongCa, detail))
            }
        }
    }
}

fn no_ca(reply: &Reply) -> Failure {
    Failure::new(Reason::WrongRole, format!("the member is no CA: {reply}"))
}
