//! The outermost part of a request's way: its id, its line in the log, its figures, the body of a problem,
//! and that its slot is kept until its answer is sent.
//!
//! Every response has `X-Request-Id`: the client's, or one that was made. Tests: tests/it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::Route as Handler;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use hyper::header::HeaderValue;
use hyper::http::uri::PathAndQuery;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use super::databases::InDatabase;
use super::guard::ADMIN;
use super::headers::{self, REQUEST_ID, REQUEST_ID_BYTES_MAX};
use super::problem::{self, Problem};
use super::{Client, Door, unread};
use crate::app::{App, Slot};
use crate::metrics::MethodLabel;
use crate::slow::SlowOperation;

/// What the log and the figures call requests that no route took.
pub(super) const NO_ROUTE: &str = "none";

/// Has a request answered, and sees to what all requests have.
pub(super) async fn observe(door: &Door, request: Request, handler: &Handler) -> Response {
    let started = Instant::now();
    let (app, live) = (&door.app, door.app.live());
    let _in_flight = InFlight::new(&app.metrics.in_flight);
    let method = request.method().clone();
    let within = request.extensions().get::<InDatabase>();
    let uri = within.map_or(request.uri(), |within| &within.asked);
    let path = uri.path_and_query().cloned();
    let figures = door.figures(&request);
    let route = figures.route;
    let client = request.extensions().get::<Client>().copied();
    let given = headers::single(request.headers(), &REQUEST_ID, REQUEST_ID_BYTES_MAX);
    let given = given.map(|_| request.headers().get(&REQUEST_ID).cloned());
    let (parts, body) = request.into_parts();
    let (body, unread) = unread::lend(body);
    let request = Request::from_parts(parts, body);
    let mut slot = OnceLock::new();
    let (request_id, mut response) = match given {
        Ok(given) => {
            let request_id = given.unwrap_or_else(|| fresh_id(app));
            let response = super::answer(door, (started, &live), request, handler, &slot).await;
            (request_id, response)
        }
        Err(problem) => {
            drop(request);
            (fresh_id(app), problem.into_response())
        }
    };
    unread
        .settle(&mut response, started + live.request_timeout)
        .await;
    let id = request_id.to_str().unwrap_or_default();
    let problem = problem::write(&mut response, id);
    if let Some(slot) = slot.take() {
        hold_until_sent(slot, &mut response).await;
    }
    let took = started.elapsed();
    let status = response.status().as_u16();
    app.metrics
        .request(figures, MethodLabel::of(&method), status, took);
    let line = Line {
        method: method.as_str(),
        path: path.as_ref().map_or("", PathAndQuery::path),
        route,
        status,
        duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        request_id: id,
        problem: problem.as_ref(),
    };
    line.log();
    let limit = live.slow_operation;
    if !limit.is_zero() && took >= limit && is_operation(route) {
        app.metrics.slow_operations.inc();
        app.slow.add(line.slow(app, client));
    }
    response.headers_mut().insert(REQUEST_ID, request_id);
    response
}

/// Whether a route is about data: the others are asked when something is slow.
fn is_operation(route: &str) -> bool {
    route.starts_with("/v1/") && !route.starts_with(ADMIN)
}

/// Answers up to this size go into the connection's buffer at once.
const SENT_AT_ONCE_BYTES_MAX: u64 = 4 << 10;

/// Ties the request's slot to the bytes of the answer: it is given back when the connection has
/// taken them all, or has gone.
async fn hold_until_sent(_slot: Slot, response: &mut Response) {
    struct Holding {
        bytes: Bytes,
        _slot: Slot,
    }
    impl AsRef<[u8]> for Holding {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }
    if response.body().size_hint().lower() <= SENT_AT_ONCE_BYTES_MAX {
        return;
    }
    // Every body is in memory already: nothing is waited for, and nothing copied.
    if let Ok(body) = std::mem::take(response.body_mut()).collect().await {
        let bytes = body.to_bytes();
        *response.body_mut() = Body::from(Bytes::from_owner(Holding { bytes, _slot }));
    }
}

/// An id that no other request of this run has, nor, in all likelihood, one of another run.
fn fresh_id(app: &App) -> HeaderValue {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    headers::short(format_args!("{:08x}-{number:x}", app.run))
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
    fn slow(&self, app: &App, client: Option<Client>) -> SlowOperation {
        let (collection, id) = SlowOperation::target(self.path);
        SlowOperation {
            at: app.database.now().to_string(),
            operation: format!("{} {}", self.method, self.route),
            collection,
            id,
            status: self.status,
            duration_us: self.duration_us,
            request_id: self.request_id.to_owned(),
            client: client.map(|Client(address)| address.to_string()),
        }
    }

    fn log(&self) {
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
            _ => line!(tracing::Level::DEBUG),
        }
    }
}
