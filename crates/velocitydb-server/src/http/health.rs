//! `/health…` and `/metrics`: for those who run the server.
//!
//! *Live* means that the process answers; *ready*, that it takes writes. None of these routes
//! counts against the limit of requests. Tests: tests/it/health.rs.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::describe::{Body, Route, get};
use super::json;
use super::problem::Problem;
use crate::app::{App, Slot};
use crate::metrics;

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/health", summary)
            .about("Operation", "health", "How the server is")
            .answers(200, "How it is", Body::Json("Summary")),
        get("/health/live", live)
            .about("Operation", "healthLive", "Whether the process answers")
            .answers(200, "It does", Body::Json("Live")),
        get("/health/ready", ready)
            .about(
                "Operation",
                "healthReady",
                "Whether the server takes writes",
            )
            .answers(200, "It does", Body::Json("Ready"))
            .problems(&["not_ready"]),
        get("/metrics", metrics)
            .about("Operation", "metrics", "The figures, for Prometheus")
            .answers(
                200,
                "The figures",
                Body::Of(&["application/openmetrics-text"]),
            )
            .problems(&["timeout"]),
    ]
}

/// How the server is.
#[derive(Serialize, ToSchema)]
pub(super) struct Summary<'a> {
    /// It answers.
    live: bool,
    /// It takes writes.
    ready: bool,
    /// It answers reads.
    reads: bool,
    /// `ok`, or why writes are refused.
    writes: &'a str,
    /// Something worth an eye.
    warning: Option<&'a str>,
    /// The newest visible log index.
    index: u64,
    /// How much of the data lives where.
    storage_mode: &'static str,
    /// The durability of writes that name none.
    durability: &'static str,
    /// Of the program.
    version: &'static str,
}

async fn summary(State(app): State<Arc<App>>) -> Response {
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

async fn live() -> Response {
    json::response(StatusCode::OK, br#"{"live":true}"#.to_vec())
}

async fn ready(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    app.database
        .health()
        .writes
        .map_err(|why| Problem::new("not_ready", why))?;
    Ok(json::response(
        StatusCode::OK,
        br#"{"ready":true}"#.to_vec(),
    ))
}

async fn metrics(
    State(app): State<Arc<App>>,
    Extension(slot): Extension<Slot>,
) -> Result<Response, Problem> {
    let text = slot.blocking(move || app.metrics.encode()).await?;
    let text = text.map_err(|_| Problem::new("internal", "the figures cannot be written"))?;
    let mut response = Response::new(axum::body::Body::from(text));
    let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
