//! `[check.NAME]`: the kinds that look deeper into a Puppet master.

use super::Settler;
use crate::config::schema;
use crate::config::settings::{Kind, LoadCheck};
use crate::report::{Code, Location, Problem};

impl Settler<'_> {
    pub(super) fn puppet_load(&mut self, at: &Location, load: &schema::PuppetLoad) -> Kind {
        let trust = self.trust(at, load.tls_keys());
        let saturated = self.located(load.saturated.clone());
        if saturated.value.0 < load.busy.0 {
            let message = "`saturated` is shorter than `busy`";
            let problem = Problem::error(Code::ConfigConflict, saturated.at, message);
            self.report.push(problem.label("who waits for so long has waited for that long before"));
        }
        Kind::Load(LoadCheck {
            port: load.port,
            trust,
            busy: load.busy.0,
            saturated: saturated.value.0,
            busy_share: load.busy_share.0,
        })
    }
}
