//! `/health…` and `/metrics`: for those who run the server.
//!
//! *Live* means that the process answers; *ready*, that it takes writes. None of these routes
//! counts against the limit of requests. Tests: tests/it/health.rs.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use super::json;
use super::problem::Problem;
use crate::app::{App, Slot};
use crate::metrics;

#[derive(Serialize)]
struct Summary<'a> {
    live: bool,
    ready: bool,
    reads: bool,
    /// `ok`, or why writes are refused.
    writes: &'a str,
    /// Something worth an eye.
    warning: Option<&'a str>,
    /// The newest visible log index.
    index: u64,
    storage_mode: &'static str,
    durability: &'static str,
    version: &'static str,
}

pub(super) async fn summary(State(app): State<Arc<App>>) -> Response {
    let health = app.database.health();
    let summary = Summary {
        live: true,
        ready: health.writes.is_ok(),
        reads: health.reads,
        writes: health.writes.as_ref().err().map_or("ok", String::as_str),
        warning: health.warning.as_deref(),
        index: app.database.stats().visible_index,
        storage_mode: app.database.mode().name(),
        durability: app.database.default_durability().name(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let body = serde_json::to_vec(&summary).expect("strings and numbers are JSON");
    json::response(StatusCode::OK, body)
}

pub(super) async fn live() -> Response {
    json::response(StatusCode::OK, br#"{"live":true}"#.to_vec())
}

pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    app.database
        .health()
        .writes
        .map_err(|why| Problem::new("not_ready", why))?;
    Ok(json::response(
        StatusCode::OK,
        br#"{"ready":true}"#.to_vec(),
    ))
}

pub(super) async fn metrics(
    State(app): State<Arc<App>>,
    Extension(slot): Extension<Slot>,
) -> Result<Response, Problem> {
    let text = slot.blocking(move || app.metrics.encode()).await?;
    let text = text.map_err(|_| Problem::new("internal", "the figures cannot be written"))?;
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
