//! `postgres = {…}`: its TLS keys, which hang together.

use super::Settler;
use crate::config::schema::{self, Encryption};
use crate::config::settings::{Kind, PostgresCheck, Role, Trust};
use crate::report::{Code, Location, Problem};

impl Settler<'_> {
    pub(super) fn postgres(&mut self, at: &Location, postgres: &schema::Postgres) -> Kind {
        let trust = self.encryption(at, postgres);
        Kind::Postgres(PostgresCheck {
            port: postgres.port,
            trust,
            user: postgres.user.clone(),
            database: postgres.database.clone(),
            password_file: postgres.password_file.clone().map(|file| self.path(file)),
            role: match postgres.role {
                schema::Role::Any => None,
                schema::Role::Primary => Some(Role::Primary),
                schema::Role::Replica => Some(Role::Replica),
            },
        })
    }

    fn encryption(&mut self, at: &Location, postgres: &schema::Postgres) -> Option<Trust> {
        let keys = postgres.tls_keys();
        match postgres.tls {
            Encryption::Require => Some(self.trust(at, keys)),
            Encryption::Off => {
                for (key, at) in self.written(keys) {
                    let message = format!("`{key}` has no effect without TLS");
                    let problem = Problem::error(Code::ConfigConflict, at, message);
                    self.report.push(problem.help("add tls = \"require\""));
                }
                None
            }
        }
    }
}
