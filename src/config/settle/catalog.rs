//! `puppet-catalog`: whose catalog is asked for, and who proves to be that node.

use super::Settler;
use crate::config::schema;
use crate::config::settings::{CatalogCheck, Kind, Located, Pool, VersionFrom};
use crate::report::{Code, Location, Problem};

impl Settler<'_> {
    pub(super) fn puppet_catalog(&mut self, at: &Location, catalog: &schema::PuppetCatalog) -> Kind {
        let trust = self.trust(at, catalog.tls_keys());
        let file = catalog.client_cert.as_ref().and_then(|path| path.get_ref().file_stem());
        let of_file = file.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let of_file = Located { value: of_file, at: at.clone() };
        Kind::Catalog(CatalogCheck {
            port: catalog.port,
            trust,
            certname: catalog.certname.clone().map_or(of_file, |name| self.located(name)),
            environment: catalog.environment.clone(),
            facts: catalog.facts.clone(),
            version_from: match catalog.version_from {
                schema::VersionFrom::Any => VersionFrom::Any,
                schema::VersionFrom::CodeId => VersionFrom::CodeId,
                schema::VersionFrom::ConfigVersion => VersionFrom::ConfigVersion,
                schema::VersionFrom::Nothing => VersionFrom::Nothing,
            },
            version_after: catalog.version_after.clone(),
        })
    }

    /// Catalogs are for nodes that prove who they are.
    pub(super) fn refuse_strangers(&mut self, pools: &[Pool]) {
        for check in pools.iter().flat_map(|pool| pool.check.checks()) {
            let Kind::Catalog(catalog) = &check.kind else { continue };
            let at = &catalog.certname.at;
            if catalog.trust.credentials.is_some() || self.is_told(at.span.clone()) {
                continue;
            }
            let message = format!("the check `{}` needs `client-cert` and `client-key`", check.name);
            let problem = Problem::error(Code::ConfigMissingKey, at.clone(), message);
            self.report.push(problem.label("a master compiles catalogs for nodes that prove who they are"));
        }
    }
}
