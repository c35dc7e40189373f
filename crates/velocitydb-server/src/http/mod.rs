//! HTTP: requests into calls of the library, answers into responses.
//!
//! A request's way: `observe` (its id, its line in the log, its figures, the body of a problem,
//! what is left of its own body, the slot until the answer is sent) → panics caught → `guard`
//! (Host, Origin, a slot, no parameters that are not known) → the route → `ask` (headers, body) → a handler in `collections`, `documents`, `import`, `export` or `health` → the library. Errors travel as
//! [`Problem`]s.
//!
//! | route | methods |
//! | --- | --- |
//! | `/health`, `/health/live`, `/health/ready` | GET |
//! | `/metrics` | GET |
//! | `/v1/admin/slow` | GET |
//! | `/v1/admin/reload` | POST |
//! | `/v1/collections` | GET, POST |
//! | `/v1/collections/{name}` | GET, DELETE |
//! | `/v1/collections/{name}/count` | GET |
//! | `/v1/collections/{name}/alter` | POST |
//! | `/v1/collections/{name}/import` | POST |
//! | `/v1/collections/{name}/export`, `/v1/export` | GET |
//! | `/v1/schemas` | GET |
//! | `/v1/schemas/{name}` | GET, PUT |
//! | `/v1/collections/{name}/documents` | GET, POST |
//! | `/v1/collections/{name}/documents/{id}` | GET, PUT, PATCH, DELETE |
//! | `/v1/collections/{name}/documents/{id}/compare-and-swap` | POST |
//!
//! HEAD goes wherever GET goes. An id in a path is written as `velocitydb::Key` reads it
//! (`ids`). Tests: tests/it has a file for each group of routes.

mod admin;
mod ask;
mod collections;
mod documents;
mod export;
mod guard;
mod headers;
mod health;
mod ids;
mod import;
mod json;
mod observe;
mod problem;
mod schemas;
mod unread;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::Method;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;

pub(crate) use problem::Problem;
pub use problem::{PROBLEMS, ProblemRow, problem_table};

/// Who sent a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client(pub(crate) std::net::SocketAddr);

const LIST: &str = "/v1/collections/{name}/documents";
const SLOW: &str = "/v1/admin/slow";
const EXPORT: &str = "/v1/export";
const EXPORT_ONE: &str = "/v1/collections/{name}/export";
/// The routes whose GET takes parameters behind the question mark.
const WITH_PARAMETERS: [&str; 4] = [LIST, SLOW, EXPORT, EXPORT_ONE];
/// The route whose POST takes them.
const IMPORT: &str = "/v1/collections/{name}/import";

/// The route whose PUT takes them.
const SCHEMA: &str = "/v1/schemas/{name}";

/// The service behind the HTTP port.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/health", get(health::summary))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route(
            "/v1/collections",
            get(collections::list).post(collections::create),
        )
        .route(
            "/v1/collections/{name}",
            get(collections::get).delete(collections::remove),
        )
        .route("/v1/collections/{name}/count", get(collections::count))
        .route("/v1/collections/{name}/alter", post(collections::alter))
        .route("/v1/schemas", get(schemas::list))
        .route(SCHEMA, get(schemas::get).put(schemas::load))
        .route(IMPORT, post(import::import))
        .route(EXPORT_ONE, get(export::one))
        .route(EXPORT, get(export::many))
        .route(LIST, get(documents::list).post(documents::insert))
        .route(
            "/v1/collections/{name}/documents/{id}",
            get(documents::get)
                .put(documents::put)
                .patch(documents::patch)
                .delete(documents::delete),
        )
        .route(
            "/v1/collections/{name}/documents/{id}/compare-and-swap",
            post(documents::compare_and_swap),
        )
        .route(SLOW, get(admin::slow))
        .route("/v1/admin/reload", post(admin::reload))
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(&app), guard::guard))
        .layer(CatchPanicLayer::custom(|_| {
            Problem::new("internal", "the work on the request panicked").into_response()
        }))
        .layer(from_fn_with_state(Arc::clone(&app), observe::observe))
        .with_state(app)
}

async fn no_such_route(uri: hyper::Uri) -> Response {
    let detail = format!("there is nothing at {}", uri.path());
    Problem::new("no_such_route", detail).into_response()
}

async fn method_not_allowed(method: Method, uri: hyper::Uri) -> Response {
    let detail = format!(
        "{} does not take {method}: see the header Allow",
        uri.path()
    );
    Problem::new("method_not_allowed", detail).into_response()
}
