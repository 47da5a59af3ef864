//! `puppet-catalog`: the check that asks a master for what agents come for.

use std::num::NonZeroU16;
use std::path::PathBuf;

use documented::{Documented, DocumentedFields};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use serde_spanned::Spanned;

use super::encrypted::{TlsKeys, Verify, encrypted};
use super::puppet::{PUPPET_PORT, puppet_ca};

encrypted! {
    /// `puppet-catalog = {…}`: HTTPS, `/puppet/v3/catalog/CERTNAME`, which must be compiled. One member is asked at a time.
    /// Where it is used, `client-cert` and `client-key` must be given.
    PuppetCatalog {
        /// The port, where no SRV record tells it.
        port: NonZeroU16 = PUPPET_PORT,
        /// The node whose catalog is asked for; left out: the name of the file `client-cert`, which Puppet names after it.
        certname: Option<Spanned<String>> = None,
        /// The environment that it is in, unless the site says otherwise.
        environment: String = "production".to_owned(),
        /// What it says of itself, besides `clientcert`.
        facts: Map<String, Value> = debian(),
        /// What tells the version of the site's code.
        version_from: VersionFrom = VersionFrom::default(),
        /// Only what stands after the last of these is the version; left out: all of it.
        version_after: Option<String> = None,
    }
    ca_file = Some(puppet_ca())
}

/// `version-from`
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Documented, DocumentedFields,
)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum VersionFrom {
    /// `code_id`, or else `version` where the site sets it with `config_version`.
    #[default]
    Any,
    /// `code_id`, which the site sets with `code-id-command`.
    CodeId,
    /// `version`, which the site sets with `config_version`.
    ConfigVersion,
    /// Nothing: members are not compared.
    Nothing,
}

/// What most code asks for before anything else.
fn debian() -> Map<String, Value> {
    let release = json!({ "full": "12.0", "major": "12", "minor": "0" });
    let os = json!({ "name": "Debian", "family": "Debian", "architecture": "amd64", "release": release });
    [("kernel".to_owned(), json!("Linux")), ("os".to_owned(), os)].into_iter().collect()
}
