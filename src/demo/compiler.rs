//! The compiler of a simulated master: what becomes of a request for a catalog.

use serde_json::{Value, json};

/// What its code is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// It compiles, and the site's `config_version` says this of it.
    Version(String),
    /// It compiles, and the site's `code-id-command` says this of it.
    Id(String),
    /// It compiles, and nobody says which it is: Puppet tells when it read it, in seconds of Unix time.
    ReadAt(u32),
    /// Its catalogs have at least so many bytes, and are of the version `large`.
    Large(usize),
    /// It does not compile; this is what Puppet says.
    Broken(String),
}

/// The path that catalogs are asked for at, before the name of the node.
pub(super) const PATH: &str = "/puppet/v3/catalog/";

impl Default for Code {
    fn default() -> Self {
        Self::ReadAt(1_795_477_020)
    }
}

impl Code {
    /// Status and body of the reply to this node.
    pub(super) fn compiled(&self, node: &str) -> (u16, String) {
        let (version, id): (Value, Value) = match self {
            Self::Version(version) => (json!(version), Value::Null),
            Self::Id(id) => (json!(1_795_477_020), json!(id)),
            Self::ReadAt(time) => (json!(time), Value::Null),
            Self::Large(_) => (json!("large"), Value::Null),
            Self::Broken(message) => {
                let body =
                    json!({ "message": format!("Server Error: {message}"), "issue_kind": "RUNTIME_ERROR" });
                return (500, body.to_string());
            }
        };
        let padding = if let Self::Large(size) = self { "x".repeat(*size) } else { "main".to_owned() };
        let catalog = json!({
            "tags": ["settings"],
            "name": node,
            "version": version,
            "code_id": id,
            "catalog_uuid": "827a74c8-cf98-44da-9ff7-18c5e4bee41e",
            "catalog_format": 2,
            "environment": "production",
            "resources": [{ "type": "Stage", "title": "main", "parameters": { "name": padding } }],
            "edges": [],
            "classes": ["settings"],
        });
        (200, catalog.to_string())
    }
}
