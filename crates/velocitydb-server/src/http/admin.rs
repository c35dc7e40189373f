//! `/v1/admin/…`: for those who run the server. Answered however busy it is.
//! Tests: tests/it/reload.rs, slow_operations.rs.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Response;
use hyper::{StatusCode, Uri};
use serde::Serialize;
use utoipa::ToSchema;

use super::ask::query;
use super::describe::{Body, Query, Route, get, post};
use super::json;
use super::problem::Problem;
use crate::app::{App, Slot};
use crate::reload::{ReloadError, Reloader};
use crate::slow::{KEPT, SlowOperation};

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/v1/admin/slow", slow)
            .about(
                "Operation",
                "listSlowOperations",
                "The newest slow operations",
            )
            .query("limit", "How many at most", Query::Number(1, KEPT))
            .answers(200, "The newest first", Body::Json("Slow")),
        post("/v1/admin/reload", reload)
            .about(
                "Operation",
                "reloadConfiguration",
                "Reads the configuration file again",
            )
            .answers(200, "What is different", Body::Json("Reloaded"))
            .problems(&["no_configuration_file", "invalid_configuration", "timeout"]),
    ]
}

/// The newest slow operations.
#[derive(Serialize, ToSchema)]
pub(super) struct Slow {
    /// From which duration on an operation is slow; 0 while none is.
    slow_operation_us: u64,
    /// The newest first.
    operations: Vec<SlowOperation>,
}

/// Reads the configuration file again.
async fn reload(
    State(app): State<Arc<App>>,
    Extension(slot): Extension<Slot>,
) -> Result<Response, Problem> {
    let reloaded = slot.blocking(move || Reloader(app).reload()).await?;
    let reloaded = reloaded.map_err(|error| {
        let code = match error {
            ReloadError::NoFile => "no_configuration_file",
            ReloadError::Wrong(_) => "invalid_configuration",
        };
        Problem::new(code, error.to_string())
    })?;
    let body = serde_json::to_vec(&reloaded).expect("strings are JSON");
    Ok(json::response(StatusCode::OK, body))
}

/// The newest slow operations, newest first.
async fn slow(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let [limit] = query(&uri, ["limit"])?;
    let limit = match limit.map(|limit| limit.parse()) {
        None => KEPT,
        Some(Ok(limit @ 1..=KEPT)) => limit,
        Some(_) => {
            let detail = format!("limit: a whole number from 1 to {KEPT}");
            return Err(Problem::new("invalid_query", detail));
        }
    };
    let slow = Slow {
        slow_operation_us: u64::try_from(app.live().slow_operation.as_micros()).unwrap_or(u64::MAX),
        operations: app.slow.newest(limit),
    };
    let body = serde_json::to_vec(&slow).expect("strings and numbers are JSON");
    Ok(json::response(StatusCode::OK, body))
}
