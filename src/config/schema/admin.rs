//! `[admin]`: where those who run the server see and steer it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use documented::{Documented, DocumentedFields};
use serde::{Deserialize, Serialize};
use serde_spanned::Spanned;

use super::Server;
use crate::config::values::NameText;

/// `[admin]`
#[derive(Debug, Default, Serialize, Deserialize, Documented, DocumentedFields)]
#[serde(rename_all = "kebab-case", default)]
pub(in crate::config) struct Admin {
    /// The control socket, over which `onstage status`, `drain` and their like talk to the server; its folder is made where it
    /// is missing. `""`: none. Left out: `/run/onstage/onstage.sock`; with a `state-dir` of one's own, `onstage.sock` in it.
    pub(in crate::config) socket: Option<PathBuf>,
    /// The address of the dashboard and of what can be read without the socket; left out: none.
    pub(in crate::config) http: Option<Spanned<SocketAddr>>,
    /// The names by which browsers may ask there, besides addresses and `localhost`: a page from elsewhere could make any other
    /// name mean this server.
    pub(in crate::config) names: Vec<NameText>,
    /// A file with one line: who shows it may drain, force and release members and reload the config there. Left out: the
    /// dashboard is for reading.
    pub(in crate::config) token_file: Option<Spanned<PathBuf>>,
}

/// As much of a config as tells where the control socket is, whatever else is wrong with it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct Glimpse {
    server: ServerGlimpse,
    admin: AdminGlimpse,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct ServerGlimpse {
    state_dir: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AdminGlimpse {
    socket: Option<PathBuf>,
}

impl Admin {
    /// What is in force where nothing is written.
    pub(in crate::config) fn usual() -> Self {
        Self { socket: Some(Self::usual_socket()), ..Self::default() }
    }

    fn usual_socket() -> PathBuf {
        "/run/onstage/onstage.sock".into()
    }

    /// Where it is for a server that keeps its state there; `None`: there is none. Who has given a server a folder of its
    /// own wants a second one, or may not write to /run.
    pub(in crate::config) fn socket(socket: Option<&Path>, state_dir: &Path) -> Option<PathBuf> {
        match socket {
            Some(path) if path.as_os_str().is_empty() => None,
            Some(path) => Some(path.to_owned()),
            None if state_dir == Server::default().state_dir => Some(Self::usual_socket()),
            None => Some(state_dir.join("onstage.sock")),
        }
    }
}

impl Glimpse {
    /// Where the socket is.
    pub(in crate::config) fn socket(self) -> Option<PathBuf> {
        let state_dir = self.server.state_dir.unwrap_or_else(|| Server::default().state_dir);
        Admin::socket(self.admin.socket.as_deref(), &state_dir)
    }
}
