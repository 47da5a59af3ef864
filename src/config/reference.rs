//! The config as its manual tells it: each table with its keys, what they mean, and their defaults. All of it is read off the
//! schema.

use std::num::NonZeroU32;

use documented::{Documented, DocumentedFields};
use serde::Serialize;
use toml::Value;

use super::schema::{self, Pacing};

/// A table of the config.
#[derive(Debug)]
pub struct Table {
    /// As it is written, `[server]`.
    pub heading: &'static str,
    /// What it is.
    pub about: &'static str,
    /// What is usual beside it: keys of the table around it, with values.
    pub usual: Vec<(String, String)>,
    /// What may stand in it.
    pub keys: Vec<Key>,
}

/// A key of a table.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: String,
    /// What it means.
    pub about: &'static str,
    /// What it is where it is left out, as TOML.
    pub default: Option<String>,
    /// The words that it may be, with their meanings; none where it is no choice among words.
    pub words: Vec<(String, &'static str)>,
}

/// Every table that a config may have.
pub fn tables() -> Vec<Table> {
    let mut tables = vec![
        table::<schema::Server>("[server]", &schema::Server::default()),
        table::<schema::RateLimit>("[server.rate-limit]", &schema::RateLimit::default()),
        table::<schema::Tcp>("[server.tcp]", &schema::Tcp::default()),
        table::<schema::Tls>("[server.tls]", &Nothing {}),
        table::<schema::Dnstap>("[server.dnstap]", &Sampling::default()),
        table::<schema::QueryLog>("[server.query-log]", &Sampling::default()),
        table::<schema::Admin>("[admin]", &schema::Admin::usual()),
        table::<schema::Guard>("[guard]", &schema::Guard::default()),
        table::<schema::Zone>("[[zone]]", &Nothing {}),
        table::<schema::Pool>("[[pool]]", &schema::PoolDefaults::default())
            .choice::<schema::Policy>("policy")
            .choice::<schema::FailOpen>("fail-open"),
        table::<schema::Member>("[pool.member.\"MEMBER\"]", &schema::Member::default()),
        table::<schema::Check>("[check.NAME]", &Nothing {}),
    ];
    tables.extend(kinds());
    tables
}

/// The tables of the kinds of checks.
fn kinds() -> [Table; 12] {
    [
        kind("puppetserver", &schema::Puppetserver::default(), Pacing::USUAL),
        kind("puppet-load", &schema::PuppetLoad::default(), Pacing::LOAD),
        kind("puppet-catalog", &schema::PuppetCatalog::default(), Pacing::CATALOG)
            .choice::<schema::VersionFrom>("version-from"),
        kind("puppet-ca", &schema::PuppetCa::default(), Pacing::USUAL).choice::<schema::CaRole>("role"),
        kind("puppetdb", &schema::Puppetdb::usual(), Pacing::PUPPETDB),
        kind("http", &schema::Http::default(), Pacing::USUAL),
        kind("https", &schema::Https::default(), Pacing::USUAL),
        kind("puppet3", &schema::Puppet3::default(), Pacing::USUAL),
        kind("tls", &schema::TlsHandshake::default(), Pacing::USUAL),
        paced(table::<schema::TcpConnect>("tcp", &Nothing {}), Pacing::USUAL),
        kind("postgres", &schema::Postgres::default(), Pacing::SESSION)
            .choice::<schema::Role>("role")
            .choice::<schema::Encryption>("tls"),
        paced(table::<schema::Exec>("exec", &ExecDefaults::default()), Pacing::SESSION)
            .choice::<schema::Warning>("warning"),
    ]
}

/// Defaults of a table whose keys have none.
#[derive(Serialize)]
struct Nothing {}

/// What of those who listen in has a default: they hear all.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Sampling {
    one_of: NonZeroU32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { one_of: schema::every() }
    }
}

/// What of `exec` has a default.
#[derive(Default, Serialize)]
struct ExecDefaults {
    warning: schema::Warning,
}

fn table<T: Documented + DocumentedFields>(heading: &'static str, defaults: &impl Serialize) -> Table {
    let defaults = Value::try_from(defaults).ok();
    let keys = T::FIELD_NAMES.iter().zip(T::FIELD_DOCS).map(|(name, about)| {
        let name = name.replace('_', "-");
        let default = defaults.as_ref().and_then(|defaults| defaults.get(&name)).map(Value::to_string);
        Key { name, about, default, words: Vec::new() }
    });
    Table { heading, about: T::DOCS, usual: Vec::new(), keys: keys.collect() }
}

fn kind<T: Documented + DocumentedFields + Serialize>(
    heading: &'static str,
    defaults: &T,
    pacing: Pacing,
) -> Table {
    paced(table::<T>(heading, defaults), pacing).choice::<schema::Verify>("verify")
}

/// A kind of check, and what is usual for it.
fn paced(table: Table, pacing: Pacing) -> Table {
    let Ok(usual) = Value::try_from(schema::Check::paced(pacing)) else { return table };
    let names = schema::Check::FIELD_NAMES.iter();
    let usual = names.filter_map(|name| Some(((*name).to_owned(), usual.get(name)?.to_string()))).collect();
    Table { usual, ..table }
}

impl Table {
    /// Its key `name` is one of the words of `E`.
    fn choice<E: DocumentedFields>(mut self, name: &str) -> Self {
        let words = || E::FIELD_NAMES.iter().map(|word| kebab(word)).zip(E::FIELD_DOCS.iter().copied());
        for key in self.keys.iter_mut().filter(|key| key.name == name) {
            key.words = words().collect();
        }
        self
    }
}

/// `RoundRobin` as it is written.
pub(crate) fn kebab(word: &str) -> String {
    let mut kebab = String::new();
    for c in word.chars() {
        if c.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(c.to_lowercase());
    }
    kebab
}
