//! What can be asked over HTTP.
//!
//! | route | does | where |
//! |---|---|---|
//! | `GET /v1/status` | a [`Status`](super::status::Status); with `?member=` what there is of that member | everywhere |
//! | `GET /metrics` | the same for Prometheus ([`metrics`](super::metrics)) | everywhere |
//! | `GET /v1/events` | the same, again and again, as server-sent events | everywhere |
//! | `GET /v1/preview?member=&order=` | what an order would do | everywhere |
//! | `GET /v1/access` | whether a token steers the server here | TCP |
//! | `GET /` | the [dashboard](page) | TCP |
//! | `POST /v1/orders`, `POST /v1/release` | orders members, ends orders | the socket; TCP with the token |
//! | `POST /v1/probes` | has members asked now, and tells what they answer | the socket; TCP with the token |
//! | `POST /v1/reload` | config and zones anew | the socket; TCP with the token |
//! | `POST /v1/takeover` | the connection becomes a way to hand the server over | the socket |
//!
//! What is refused is JSON with one sentence in `error`. Request bodies are JSON, whatever their type is said to be.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Extension, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::caller::Caller;
use super::events::{Feed, stream};
use super::gate::{Gates, by_known_name, with_token};
use super::metrics::{Format, Process, View, render};
use super::page;
use super::taken::Taken;
use super::{Kind, OrderRequest, Preview, ProbeRequest, Refused, ReleaseRequest, Running, TAKEOVER};
use crate::health::{Consent, Draft, Remark};
use crate::plan::Whom;

/// The most bytes in a request's body.
const LONGEST_BODY: usize = 16 << 10;

/// Who answers.
#[derive(Debug)]
pub(super) struct Desk<R> {
    pub(super) running: Arc<R>,
    pub(super) feed: Feed,
}

impl<R> Clone for Desk<R> {
    fn clone(&self) -> Self {
        Self { running: Arc::clone(&self.running), feed: self.feed.clone() }
    }
}

type Answer = Result<Response, Refused>;

/// What is there over TCP: the dashboard, what can be read, and for those who have the token what steers.
pub(super) fn public<R: Running>(desk: Desk<R>, gate: &Gates) -> Router {
    let asked = gate.clone();
    let access = get(move || async move { json(&Access { token: asked.borrow().token.is_some() }) });
    let steered = steering().route_layer(from_fn_with_state(gate.clone(), with_token));
    let routes = reading().merge(page::routes()).route("/v1/access", access).merge(steered);
    dressed(routes.with_state(desk)).layer(from_fn_with_state(gate.clone(), by_known_name))
}

/// All of it: for those who may open the control socket.
pub(super) fn whole<R: Running>(desk: Desk<R>) -> Router {
    let routes = reading().merge(steering()).route("/v1/takeover", post(take_over));
    dressed(routes.with_state(desk))
}

fn reading<R: Running>() -> Router<Desk<R>> {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/events", get(events))
        .route("/v1/preview", get(preview))
        .route("/metrics", get(metrics))
}

fn steering<R: Running>() -> Router<Desk<R>> {
    let routes = Router::new().route("/v1/orders", post(order)).route("/v1/release", post(release));
    routes.route("/v1/probes", post(probe)).route("/v1/reload", post(reload))
}

fn dressed(routes: Router) -> Router {
    let no_route = || async { Refused::new(Kind::NoSuchRoute, "there is no such route") };
    let no_method = || async { Refused::new(Kind::WrongMethod, "this route has another method") };
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
}

/// What a browser may do here.
#[derive(Serialize)]
struct Access {
    token: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    member: Option<String>,
}

async fn status<R: Running>(
    State(desk): State<Desk<R>>,
    which: Result<Query<Which>, QueryRejection>,
) -> Answer {
    let whom = query(which)?.member.map(|member| whom(&member)).transpose()?;
    Ok(json(&desk.running.status(whom).await?))
}

async fn metrics<R: Running>(State(desk): State<Desk<R>>, headers: HeaderMap) -> Answer {
    let status = desk.running.status(None).await?;
    let view = View { status, counters: desk.running.counters(), process: Process::read() };
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept);
    Ok(([(header::CONTENT_TYPE, format.content_type())], render(Arc::new(view), format)).into_response())
}

async fn events<R: Running>(State(desk): State<Desk<R>>) -> Response {
    stream(&desk.feed)
}

async fn preview<R: Running>(
    State(desk): State<Desk<R>>,
    asked: Result<Query<Preview>, QueryRejection>,
) -> Answer {
    let Preview { member, order } = query(asked)?;
    Ok(json(&desk.running.preview(whom(&member)?, order).await?))
}

async fn order<R: Running>(
    State(desk): State<Desk<R>>,
    Extension(caller): Extension<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let OrderRequest { member, order, reason, seconds, yes } = read(body)?;
    let why = Remark::new(&reason).map_err(|e| bad(format!("the reason makes no sense: {e}")))?;
    let draft = Draft { word: order, who: caller.name().await, why, lasts: seconds.map(Duration::from_secs) };
    let consent = if yes { Consent::Given } else { Consent::Asked };
    Ok(json(&desk.running.order(whom(&member)?, draft, consent).await?))
}

async fn release<R: Running>(
    State(desk): State<Desk<R>>,
    Extension(caller): Extension<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let ReleaseRequest { member } = read(body)?;
    Ok(json(&desk.running.release(whom(&member)?, caller.name().await).await?))
}

async fn probe<R: Running>(
    State(desk): State<Desk<R>>,
    Extension(caller): Extension<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let ProbeRequest { member } = read(body)?;
    let whom = member.map(|member| whom(&member)).transpose()?;
    Ok(json(&desk.running.probe(whom, caller.name().await).await?))
}

async fn reload<R: Running>(State(desk): State<Desk<R>>, Extension(caller): Extension<Caller>) -> Answer {
    Ok(json(&desk.running.reload(caller.name().await).await?))
}

/// After 101 the connection is no HTTP any more, but what the two processes make of it.
async fn take_over<R: Running>(State(desk): State<Desk<R>>, mut request: Request) -> Answer {
    let wanted = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if !wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(TAKEOVER)) {
        return Err(bad(format!("this route wants `Connection: Upgrade` and `Upgrade: {TAKEOVER}`")));
    }
    desk.running.may_hand_over()?;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return }; // who left does not take over
        let Ok(parts) = upgraded.downcast::<TokioIo<Taken<UnixStream>>>() else { return };
        desk.running.hand_over(parts.io.into_inner().into_inner(), parts.read_buf.to_vec()).await;
    });
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, TAKEOVER)];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

fn whom(member: &str) -> Result<Whom, Refused> {
    member.parse().map_err(bad)
}

fn query<T>(asked: Result<Query<T>, QueryRejection>) -> Result<T, Refused> {
    asked.map(|Query(asked)| asked).map_err(|e| bad(format!("the query makes no sense: {}", e.body_text())))
}

fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Refused> {
    let body = body.map_err(|e| bad(format!("the body cannot be read: {}", e.body_text())))?;
    serde_json::from_slice(&body).map_err(|e| bad(format!("the body makes no sense: {e}")))
}

fn bad(sentence: impl Display) -> Refused {
    Refused::new(Kind::BadRequest, sentence)
}

/// A value as a reply, on one line.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => {
            ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], text + "\n")
                .into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
