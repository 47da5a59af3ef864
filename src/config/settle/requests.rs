//! What the kinds of checks that speak HTTP ask, and what they expect.

use super::Settler;
use crate::config::schema;
use crate::config::settings::{
    Body, CaRole, HttpCheck, Kind, PuppetCaCheck, PuppetdbCheck, PuppetserverCheck, Trust,
};
use crate::report::{Code, Location, Problem};

impl Settler<'_> {
    pub(super) fn puppetserver(&mut self, at: &Location, check: &schema::Puppetserver) -> Kind {
        let trust = self.trust(at, check.tls_keys());
        Kind::Puppetserver(PuppetserverCheck { port: check.port, trust, service: check.service.clone() })
    }

    pub(super) fn puppet_ca(&mut self, at: &Location, check: &schema::PuppetCa) -> Kind {
        let keys = check.tls_keys();
        let ca_file = keys.ca_file.clone().map(|file| self.path(file)); // also where no certificate is verified
        let trust = Trust { ca_file, ..self.trust(at, keys) };
        let role = match check.role {
            schema::CaRole::Ca => CaRole::Ca,
            schema::CaRole::Any => CaRole::Any,
        };
        Kind::PuppetCa(PuppetCaCheck { port: check.port, trust, role })
    }

    pub(super) fn puppetdb(&mut self, at: &Location, check: &schema::Puppetdb) -> Kind {
        let trust = if check.plain {
            self.refuse_tls_keys(check.tls_keys());
            None
        } else {
            Some(self.trust(at, check.tls_keys()))
        };
        Kind::Puppetdb(PuppetdbCheck { port: check.port(), trust })
    }

    pub(super) fn puppet3(&mut self, at: &Location, check: &schema::Puppet3) -> Kind {
        let trust = self.trust(at, check.tls_keys());
        let mut http = self.request(at, check.request_keys(), Some(trust));
        if http.path.contains("/status/") {
            http.body = http.body.or(Some(Body::Alive));
        }
        Kind::Http(http)
    }

    pub(super) fn http(&mut self, at: &Location, check: &schema::Http) -> Kind {
        Kind::Http(self.request(at, check.request_keys(), None))
    }

    pub(super) fn https(&mut self, at: &Location, check: &schema::Https) -> Kind {
        let trust = self.trust(at, check.tls_keys());
        Kind::Http(self.request(at, check.request_keys(), Some(trust)))
    }

    fn request(&mut self, at: &Location, keys: schema::RequestKeys, trust: Option<Trust>) -> HttpCheck {
        HttpCheck {
            port: keys.port,
            trust,
            method: keys.method,
            path: keys.path,
            host: keys.host,
            headers: keys.headers.into_iter().collect(),
            status: keys.status.iter().map(|range| (range.0, range.1)).collect(),
            expect_headers: keys.expect_headers.into_iter().collect(),
            body: self.body(at, keys.body, keys.body_contains),
        }
    }

    fn body(&mut self, at: &Location, is: Option<String>, contains: Option<String>) -> Option<Body> {
        if is.is_some() && contains.is_some() {
            let message = "`body` and `body-contains` exclude each other";
            self.report.push(Problem::error(Code::ConfigConflict, at.clone(), message));
        }
        is.map(Body::Is).or(contains.map(Body::Contains))
    }
}
