//! The outermost layer: a request's id, its line in the log, its figures, the body of a problem.
//!
//! Every response has `X-Request-Id`: the client's, or one that was made. Tests: tests/it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::header::HeaderValue;
use prometheus_client::metrics::gauge::Gauge;

use super::headers::{self, REQUEST_ID, REQUEST_ID_BYTES_MAX};
use super::problem::{self, Problem};
use super::unread;
use crate::app::App;
use crate::metrics::MethodLabel;

/// What the log and the figures call requests that no route took.
const NO_ROUTE: &str = "none";

pub(super) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let _in_flight = InFlight::new(&app.metrics.in_flight);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let given = headers::single(request.headers(), &REQUEST_ID, REQUEST_ID_BYTES_MAX);
    let given = given.map(|id| id.map(str::to_owned));
    let (parts, body) = request.into_parts();
    let (body, unread) = unread::lend(body);
    let request = Request::from_parts(parts, body);
    let (request_id, mut response) = match given {
        Ok(given) => {
            let request_id = given.unwrap_or_else(|| fresh_id(&app));
            (request_id, next.run(request).await)
        }
        Err(problem) => {
            drop(request);
            (fresh_id(&app), problem.into_response())
        }
    };
    unread
        .settle(&mut response, (started + app.config.request_timeout).into())
        .await;
    let problem = problem::write(&mut response, &request_id);
    if let Ok(value) = HeaderValue::try_from(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let took = started.elapsed();
    let status = response.status().as_u16();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    app.metrics
        .request(route, MethodLabel::of(&method), status, took);
    let line = Line {
        method: method.as_str(),
        path: &path,
        route,
        status,
        duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        request_id: &request_id,
        problem: problem.as_ref(),
    };
    line.log(took >= app.config.slow_request);
    response
}

/// An id that no other request of this run has, nor, in all likelihood, one of another run.
fn fresh_id(app: &App) -> String {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    format!(
        "{:08x}-{:x}",
        app.run,
        REQUESTS.fetch_add(1, Ordering::Relaxed)
    )
}

struct InFlight<'g>(&'g Gauge);

impl InFlight<'_> {
    fn new(gauge: &Gauge) -> InFlight<'_> {
        gauge.inc();
        InFlight(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A request's line in the log.
struct Line<'r> {
    method: &'r str,
    path: &'r str,
    route: &'r str,
    status: u16,
    duration_us: u64,
    request_id: &'r str,
    problem: Option<&'r Problem>,
}

impl Line<'_> {
    fn log(&self, slow: bool) {
        let Line {
            method,
            path,
            route,
            status,
            duration_us,
            request_id,
            problem,
        } = self;
        let code = problem.map(|problem| problem.row.code);
        // A refusal's detail may quote a document: only the server's own troubles are told.
        let own = problem.filter(|problem| problem.row.status >= 500);
        let detail = own.map(|problem| problem.detail.as_str());
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    target: "velocitydb_server::http", $level,
                    method, path, route, status, duration_us, request_id, code, detail, "request"
                )
            };
        }
        match status {
            500.. => line!(tracing::Level::WARN),
            400.. => line!(tracing::Level::INFO),
            _ if slow => line!(tracing::Level::INFO),
            _ => line!(tracing::Level::DEBUG),
        }
    }
}
