//! The config: what the operator decided, checked as far as the file alone can tell.
//!
//! ```text
//!  text ──decode──▶ schema (as it is written, with defaults) ──settle──▶ settings (as it is used)
//!            └──────────── problems, all of them ────────────────┘
//! ```
//!
//! Whether the names in it exist in the zones is the plan's question.

mod authorities;
mod decode;
mod identity;
mod password;
mod pem;
pub mod reference;
mod schema;
mod settings;
mod settle;
mod shown;
mod token;
mod validity;
mod values;

use std::path::{Path, PathBuf};

use crate::report::{Code, Problem, Report, Sources};

pub use authorities::{Authorities, BadBundle};
pub use identity::{BadIdentity, Identity};
pub use password::{BadPassword, Password};
pub use settings::{
    Admin, Body, CaRole, CatalogCheck, Check, Config, Credentials, Demand, Dnstap, ExecCheck, FailOpen,
    Guard, HttpCheck, Kind, LoadCheck, Located, Member, MemberKey, Policy, Pool, PoolRules, PostgresCheck,
    PuppetCaCheck, PuppetdbCheck, PuppetserverCheck, RateLimit, Role, Server, Tcp, TcpCheck, Tls, TlsCheck,
    Tripwire, Trust, Verify, VersionFrom, Warning, ZoneFile,
};
pub use shown::{Shown, Watched};
pub use token::{BadToken, Token};
pub use validity::valid_until;

/// Reads the config at `path`. `None` where `report` has got an error; every problem is in it.
pub fn read(path: &Path, sources: &mut Sources<'_>, report: &mut Report) -> Option<Config> {
    let source = match sources.open(path) {
        Ok(source) => source,
        Err(e) => {
            report.push(Problem::nowhere(
                Code::FileUnreadable,
                format!("cannot read `{}`: {e}", path.display()),
            ));
            return None;
        }
    };
    let mut problems = Report::default();
    let text = &sources.get(source).text;
    let folder = path.parent().unwrap_or(Path::new(""));
    let config = decode::decode(source, text, &mut problems)
        .map(|file| settle::settle(file, folder, source, &mut problems));
    let config = config.filter(|_| !problems.has_errors());
    report.extend_in_order(problems);
    config
}

/// Where the control socket of the server with this config is, whatever else may be wrong with it: a server that runs can
/// be asked while its config is being edited. `None`: it has none.
///
/// # Errors
/// It is no TOML.
pub fn control_socket(path: &Path, text: &str) -> Result<Option<PathBuf>, String> {
    let glimpse: schema::Glimpse = toml::from_str(text).map_err(|e| e.message().to_owned())?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(glimpse.socket().map(|socket| folder.join(socket)))
}

/// Every key that has a default, with it, as TOML.
pub fn defaults() -> String {
    settle::defaults()
}
