//! `/v1/admin/…`: for those who run the server. Answered however busy it is.
//! Tests: tests/it/reload.rs, slow_operations.rs.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Response;
use hyper::{StatusCode, Uri};
use serde::Serialize;

use super::ask::query;
use super::json;
use super::problem::Problem;
use crate::app::{App, Slot};
use crate::reload::{ReloadError, Reloader};
use crate::slow::{KEPT, SlowOperation};

/// Reads the configuration file again.
pub(super) async fn reload(
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
pub(super) async fn slow(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Slow {
        /// From which duration on an operation is slow; 0 while none is.
        slow_operation_us: u128,
        operations: Vec<SlowOperation>,
    }
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
        slow_operation_us: app.live().slow_operation.as_micros(),
        operations: app.slow.newest(limit),
    };
    let body = serde_json::to_vec(&slow).expect("strings and numbers are JSON");
    Ok(json::response(StatusCode::OK, body))
}
