//! What a check asks over HTTP, one request after another.

use super::expect::Expectation;
use super::http::Request;
use super::prober::Line;
use super::puppet::{Authority, Database, Server};
use super::{Failure, catalog, load};
use crate::config::{Authorities, CatalogCheck, HttpCheck, Kind};
use crate::health::Told;

/// A question, ready to be asked of any member.
#[derive(Debug)]
pub(super) enum Question {
    /// Any one request.
    Page(Request, Expectation),
    /// How busy the member is.
    Load(Request),
    /// Whether it compiles catalogs, and from which code.
    Catalog(Request, CatalogCheck),
    Server(Server),
    Authority(Authority),
    Database(Database),
}

impl Question {
    /// What this kind asks; `None`: nothing over HTTP.
    ///
    /// # Errors
    /// What cannot be asked, and why.
    pub(super) fn new(kind: &Kind, authorities: Option<&Authorities>) -> Result<Option<Self>, String> {
        let question = match kind {
            Kind::Tcp(_) | Kind::Tls(_) | Kind::Postgres(_) | Kind::Exec(_) => return Ok(None),
            Kind::Load(_) => Self::Load(load::request()),
            Kind::Catalog(check) => Self::Catalog(catalog::request(check)?, check.clone()),
            Kind::Http(check) => Self::page(check)?,
            Kind::Puppetserver(check) => Self::Server(Server::new(check)?),
            Kind::PuppetCa(check) => {
                let site = authorities.ok_or("there is no bundle of the site's CA")?;
                Self::Authority(Authority::new(check, site))
            }
            Kind::Puppetdb(_) => Self::Database(Database::new()),
        };
        Ok(Some(question))
    }

    fn page(check: &HttpCheck) -> Result<Self, String> {
        let request = Request::new(&check.method, &check.path, check.host.as_deref(), &check.headers)?;
        Ok(Self::Page(request, Expectation::new(check)?))
    }

    pub(super) async fn ask(&self, line: &mut Line<'_>) -> Result<Told, Failure> {
        match self {
            Self::Load(request) => return load::judge(&line.ask(request).await?),
            Self::Catalog(request, check) => return catalog::judge(check, &line.ask(request).await?),
            Self::Page(request, expectation) => expectation.judge(&line.ask(request).await?)?,
            Self::Server(server) => server.ask(line).await?,
            Self::Authority(authority) => authority.ask(line).await?,
            Self::Database(database) => database.ask(line).await?,
        }
        Ok(Told::default())
    }
}
