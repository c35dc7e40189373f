//! HTTP: requests into calls of the library, answers into responses.
//!
//! A request's way: `coding` (its answer is compressed) → `observe` (its id, its line in the log, its figures, the body of a problem,
//! what is left of its own body, the slot until the answer is sent) → `coding` again (pages of other
//! origins, where configured) → panics caught → `guard`
//! (Host, Origin, a slot, no parameters that are not known) → the route → `ask` (headers, body) → a handler in `collections`, `documents`, `import`, `export` or `health` → the library. Errors travel as
//! [`Problem`]s.
//!
//! Each group of routes is a module with a `routes()`: path, handler and description in one place
//! (`describe`); `GET /v1/openapi.json` and the page `/docs` show them all.
//!
//! HEAD goes wherever GET goes. An id in a path is written as `velocitydb::Key` reads it
//! (`ids`). Tests: tests/it has a file for each group of routes.

mod admin;
mod aggregate;
mod ask;
mod batch;
mod changes;
mod coding;
mod collections;
mod describe;
mod documents;
mod export;
mod find;
mod guard;
mod headers;
mod health;
mod ids;
mod import;
mod indexes;
mod json;
mod list;
mod near;
mod observe;
mod problem;
mod query;
mod ranked;
mod reference;
mod schemas;
mod search;
mod stream;
mod transactions;
mod unread;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use hyper::Method;
use tower_http::catch_panic::CatchPanicLayer;

use self::describe::{Route, WithQuery};
use crate::app::App;

pub(crate) use problem::Problem;
pub use problem::{PROBLEMS, ProblemRow, problem_table};

/// Who sent a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client(pub(crate) std::net::SocketAddr);

/// Every route, with its description. A group more is a line more here.
fn routes() -> Vec<Route> {
    [
        documents::routes(),
        list::routes(),
        find::routes(),
        search::routes(),
        near::routes(),
        aggregate::routes(),
        batch::routes(),
        collections::routes(),
        indexes::routes(),
        transactions::routes(),
        changes::routes(),
        import::routes(),
        export::routes(),
        schemas::routes(),
        health::routes(),
        admin::routes(),
        reference::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the server's routes are, as OpenAPI 3.1 in JSON.
pub fn openapi() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| describe::document(routes()).to_string());
    &TEXT
}

/// The service behind the HTTP port.
pub(crate) fn router(app: Arc<App>) -> Router {
    let routes = routes();
    let guarded = (Arc::clone(&app), WithQuery::of(&routes));
    let router = describe::router(routes)
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(guarded, guard::guard))
        .layer(CatchPanicLayer::custom(|_| {
            Problem::new("internal", "the work on the request panicked").into_response()
        }));
    let origins = &app.config.cors_origins;
    let router = match origins.is_empty() {
        true => router,
        false => router.layer(coding::cors(origins)),
    };
    router
        .layer(from_fn_with_state(Arc::clone(&app), observe::observe))
        .layer(coding::compression())
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
