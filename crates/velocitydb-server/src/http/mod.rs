//! HTTP: requests into calls of the library, answers into responses.
//!
//! A request's way, all of it in one layer (`Entrance`): `observe` (its id, its line in the log, its
//! figures, the body of a problem, what is left of its own body, the slot until the answer is sent) →
//! `coding` (pages of other origins, where configured) → panics caught → `guard` (Host, Origin, a slot,
//! no parameters that are not known) → the route → `ask` (headers, body) → a handler in `collections`,
//! `documents`, `import`, `export` or `health` → the library. What comes back is compressed at the very
//! end (`coding` again). Errors travel as [`Problem`]s.
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
mod databases;
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

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{Route as Handler, any};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, layer::layer_fn, service_fn};
use tower_http::cors::CorsLayer;

use self::coding::Accepted;
use self::describe::{Route, WithoutQuery};
use crate::app::{App, Slot};
use crate::metrics::RouteFigures;
use crate::reload::Live;

pub(crate) use problem::Problem;
pub use problem::{PROBLEMS, ProblemRow, problem_table};

/// Who sent a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client(pub(crate) std::net::SocketAddr);

/// The routes of a database, with their descriptions. A group more is a line more here.
fn routes_of_a_database() -> Vec<Route> {
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
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Every route, but that of what is in another database.
fn routes() -> Vec<Route> {
    [
        routes_of_a_database(),
        databases::routes(),
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
    let origins = &app.config.cors_origins;
    let door = Arc::new(Door {
        without_query: WithoutQuery::of(&routes),
        figures: routes
            .iter()
            .map(|route| (route.path, RouteFigures::of(route.path)))
            .collect(),
        figures_of_none: RouteFigures::of(observe::NO_ROUTE),
        cors: (!origins.is_empty()).then(|| coding::cors(origins)),
        app: Arc::clone(&app),
    });
    let within = served(routes_of_a_database(), &door, &app);
    let within = move |path, request| databases::within(within.clone(), path, request);
    served(routes, &door, &app).route(databases::WITHIN, any(within))
}

fn served(routes: Vec<Route>, door: &Arc<Door>, app: &Arc<App>) -> Router {
    let door = Arc::clone(door);
    describe::router(routes)
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layer_fn(move |handler| Entrance {
            door: Arc::clone(&door),
            handler: Arc::new(handler),
        }))
        .with_state(Arc::clone(app))
}

/// What every request passes.
struct Door {
    app: Arc<App>,
    without_query: WithoutQuery,
    /// By the path of the route.
    figures: HashMap<&'static str, RouteFigures>,
    /// Of requests that no route took.
    figures_of_none: RouteFigures,
    /// `None` when no pages of other origins may ask.
    cors: Option<CorsLayer>,
}

impl Door {
    /// The figures of the route that takes a request.
    fn figures(&self, request: &Request) -> &RouteFigures {
        let path = request.extensions().get::<MatchedPath>();
        path.and_then(|path| self.figures.get(path.as_str()))
            .unwrap_or(&self.figures_of_none)
    }
}

/// The only layer around the routes: a request clones and boxes every layer that there is.
#[derive(Clone)]
struct Entrance {
    door: Arc<Door>,
    handler: Arc<Handler>,
}

impl Service<Request> for Entrance {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Entrance { door, handler } = self.clone();
        Box::pin(async move {
            let accepted = Accepted::of(request.headers());
            let response = observe::observe(&door, request, &handler).await;
            match accepted.are_of_use(&response) {
                true => Ok(Box::pin(accepted.compress(response)).await),
                false => Ok(response),
            }
        })
    }
}

/// The part of the way that `observe` watches. `slot` gets what is kept until the answer is sent.
async fn answer(
    door: &Door,
    live: (Instant, &Live),
    request: Request,
    handler: &Handler,
    slot: &OnceLock<Slot>,
) -> Response {
    let Some(cors) = &door.cors else {
        return caught(pin!(guard::guard(door, live, request, handler, slot))).await;
    };
    let guarded = service_fn(|request| {
        let mut answer = Box::pin(guard::guard(door, live, request, handler, slot));
        async move { Ok::<_, Infallible>(caught(answer.as_mut()).await) }
    });
    let Ok(response) = Box::pin(cors.layer(guarded).oneshot(request)).await;
    response
}

/// Answers a panic as a problem.
async fn caught(mut work: Pin<&mut impl Future<Output = Response>>) -> Response {
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            let problem = Problem::new("internal", "the work on the request panicked");
            Poll::Ready(problem.into_response())
        })
    })
    .await
}

/// The path of a request as it was asked.
fn path_of(request: &Request) -> &str {
    let within = request.extensions().get::<databases::InDatabase>();
    within.map_or(request.uri(), |within| &within.asked).path()
}

async fn no_such_route(request: Request) -> Response {
    let detail = format!("there is nothing at {}", path_of(&request));
    Problem::new("no_such_route", detail).into_response()
}

async fn method_not_allowed(request: Request) -> Response {
    let (path, method) = (path_of(&request), request.method());
    let detail = format!("{path} does not take {method}: see the header Allow");
    Problem::new("method_not_allowed", detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_and_no_more() {
        let response = caught(pin!(async { panic!("of a route") })).await;
        let problem = response.extensions().get::<Problem>().unwrap();
        assert_eq!(problem.row.code, "internal");
        let response = caught(pin!(async { Response::default() })).await;
        assert_eq!(response.status(), 200);
    }
}
