//! The way to a running server: HTTP over its control socket, one connection a question.

use std::fmt::{Display, Write as _};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::words::ControlFlags;
use super::{CONFIG, NO, USAGE, complain};
use crate::admin::{Kind, Refused};
use crate::config;

/// The longest that a server takes for a reply.
const PATIENCE: Duration = Duration::from_secs(90);
/// The longest reply that is read.
const LONGEST: usize = 256 << 20;

/// A running server, as far as anybody knows.
pub(super) struct Control {
    socket: PathBuf,
    runtime: Runtime,
    patience: Duration,
}

/// Why there is no answer. Each is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("cannot read `{}`: {why}; `--socket` names the control socket without it", path.display())]
    Config { path: PathBuf, why: String },
    #[error("the config `{}` says that there is no control socket", .0.display())]
    NoSocket(PathBuf),
    #[error("no server answers on the control socket `{}`: is it running?", .0.display())]
    NoServer(PathBuf),
    #[error("you may not use the control socket `{}`: its owner and its group may", .0.display())]
    Forbidden(PathBuf),
    #[error("the server on `{}` did not answer as it should: {why}", socket.display())]
    Strange { socket: PathBuf, why: String },
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Control {
    /// The server that the flags mean.
    pub(super) fn find(flags: &ControlFlags) -> Result<Self, Trouble> {
        let socket = match &flags.socket {
            Some(socket) => socket.clone(),
            None => configured(&flags.config.path)?,
        };
        let strange = |e: io::Error| Trouble::Strange { socket: socket.clone(), why: e.to_string() };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(strange)?;
        Ok(Self { socket, runtime, patience: PATIENCE })
    }

    /// The same for whoever waits no longer than this.
    pub(super) fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What a route tells.
    pub(super) fn get<T: DeserializeOwned>(&self, route: &str, query: &[(&str, &str)]) -> Result<T, Trouble> {
        serde_json::from_slice(&self.read(route, query)?).map_err(|e| self.strange(e))
    }

    /// The same as it is written.
    pub(super) fn read(&self, route: &str, query: &[(&str, &str)]) -> Result<Bytes, Trouble> {
        let mut uri = route.to_owned();
        for (i, (key, value)) in query.iter().enumerate() {
            let mark = if i == 0 { '?' } else { '&' };
            let _ = write!(uri, "{mark}{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        self.ask(Method::GET, &uri, Bytes::new())
    }

    /// What a route does.
    pub(super) fn post<T: DeserializeOwned>(&self, route: &str, body: &impl Serialize) -> Result<T, Trouble> {
        let body = serde_json::to_vec(body).map_err(|e| self.strange(e))?;
        let reply = self.ask(Method::POST, route, body.into())?;
        serde_json::from_slice(&reply).map_err(|e| self.strange(e))
    }

    fn ask(&self, method: Method, uri: &str, body: Bytes) -> Result<Bytes, Trouble> {
        let asking = async { timeout(self.patience, self.exchange(method, uri, body)).await };
        let (code, reply) =
            self.runtime.block_on(asking).map_err(|_| self.strange("it takes too long"))??;
        if code.is_success() {
            return Ok(reply);
        }
        let refused: Refused = serde_json::from_slice(&reply).map_err(|_| self.strange(code))?;
        Err(refused.into())
    }

    async fn exchange(&self, method: Method, uri: &str, body: Bytes) -> Result<(StatusCode, Bytes), Trouble> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| self.no_way(&e))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.strange(e))?;
        let talking = tokio::spawn(connection);
        let request = Request::builder().method(method).uri(uri).header(header::HOST, "localhost");
        let request = request.body(Full::new(body)).map_err(|e| self.strange(e))?;
        let reply = sender.send_request(request).await.map_err(|e| self.strange(e))?;
        let code = reply.status();
        let body = Limited::new(reply.into_body(), LONGEST).collect().await.map_err(|e| self.strange(e))?;
        talking.abort();
        Ok((code, body.to_bytes()))
    }

    fn no_way(&self, e: &io::Error) -> Trouble {
        let socket = self.socket.clone();
        match e.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Trouble::NoServer(socket),
            io::ErrorKind::PermissionDenied => Trouble::Forbidden(socket),
            _ => self.strange(e),
        }
    }

    fn strange(&self, why: impl Display) -> Trouble {
        Trouble::Strange { socket: self.socket.clone(), why: why.to_string() }
    }
}

impl Trouble {
    /// Says it; how the process ends.
    pub(super) fn tell(&self) -> ExitCode {
        complain(&format!("onstage: {self}"));
        let code = match self {
            Self::Config { .. } | Self::NoSocket(_) => CONFIG,
            Self::Refused(refused) => {
                complain(refused.report.as_deref().unwrap_or_default().trim_end());
                match refused.kind {
                    Kind::BadConfig => CONFIG,
                    Kind::BadRequest | Kind::NoSuchMember => USAGE,
                    _ => NO,
                }
            }
            _ => NO,
        };
        ExitCode::from(code)
    }
}

/// The socket that the config at `path` names.
fn configured(path: &Path) -> Result<PathBuf, Trouble> {
    let unreadable = |why: String| Trouble::Config { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
    let socket = config::control_socket(path, &text).map_err(unreadable)?;
    socket.ok_or_else(|| Trouble::NoSocket(path.to_owned()))
}
