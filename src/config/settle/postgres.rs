//! `postgres = {…}`: its TLS keys, which hang together.

use serde_spanned::Spanned;

use super::Settler;
use crate::config::schema::{self, Encryption, TlsKeys, Verify};
use crate::config::settings::{Kind, PostgresCheck, Role, Trust};
use crate::report::{Code, Location, Problem};

impl Settler<'_> {
    pub(super) fn postgres(&mut self, postgres: Spanned<schema::Postgres>) -> Kind {
        let at = self.at(&postgres);
        let mut postgres = postgres.into_inner();
        let trust = self.encryption(at, &mut postgres);
        Kind::Postgres(PostgresCheck {
            port: postgres.port,
            trust,
            user: postgres.user,
            database: postgres.database,
            password_file: postgres.password_file.map(|file| self.path(file)),
            role: match postgres.role {
                schema::Role::Any => None,
                schema::Role::Primary => Some(Role::Primary),
                schema::Role::Replica => Some(Role::Replica),
            },
        })
    }

    fn encryption(&mut self, at: Location, postgres: &mut schema::Postgres) -> Option<Trust> {
        let (name, ca_file) = (postgres.server_name.take(), postgres.ca_file.take());
        match (postgres.tls, ca_file) {
            (Encryption::Require, Some(ca_file)) => {
                let (client_cert, client_key) = (None, None);
                let (ca_file, verify) = (Some(ca_file), Spanned::new(0..0, Verify::Full));
                let keys = TlsKeys { server_name: name, ca_file, verify, client_cert, client_key };
                return Some(self.trust(&at, keys));
            }
            (Encryption::Require, None) if !self.is_told(at.span.clone()) => {
                let message = "TLS needs a `ca-file` to check the server's certificate against";
                self.report.push(Problem::error(Code::ConfigMissingKey, at, message).label("in this table"));
            }
            (Encryption::Require, None) => {}
            (Encryption::Off, ca_file) => {
                let idle = [
                    ("ca-file", ca_file.map(|file| self.at(&file))),
                    ("server-name", name.map(|name| self.at(&name))),
                ];
                for (key, at) in idle.into_iter().filter_map(|(key, at)| Some((key, at?))) {
                    let message = format!("`{key}` has no effect without TLS");
                    let problem = Problem::error(Code::ConfigConflict, at, message);
                    self.report.push(problem.help("add tls = \"require\""));
                }
            }
        }
        None
    }
}
