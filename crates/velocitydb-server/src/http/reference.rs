//! `/v1/openapi.json` and `/docs`: what the routes are, for programs and for people.
//!
//! The page is three files of this directory (`page/`), in the program: it needs no network, and
//! the policy that is sent with it lets it load and ask nothing but this server.
//! Tests: tests/it/described.rs.

use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};

use super::describe::{Body, Route, get};
use super::json;

/// Scripts, styles and requests: of this server, and no others. No other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn routes() -> Vec<Route> {
    let page = |route: Route, id, what, kinds| {
        let route = route.about("Operation", id, what);
        route.limited().answers(200, "The file", Body::Of(kinds))
    };
    vec![
        get("/v1/openapi.json", openapi)
            .about("Operation", "openapi", "This description, OpenAPI 3.1")
            .limited()
            .answers(200, "The description", Body::Of(&["application/json"])),
        page(
            get("/docs", html),
            "docs",
            "This description as a page",
            &["text/html"],
        ),
        page(
            get("/docs/page.js", script),
            "docsScript",
            "The page's script",
            &["text/javascript"],
        ),
        page(
            get("/docs/page.css", style),
            "docsStyle",
            "The page's style",
            &["text/css"],
        ),
    ]
}

async fn openapi() -> Response {
    json::response(StatusCode::OK, super::openapi().into())
}

async fn html() -> Response {
    file("text/html; charset=utf-8", include_str!("page/page.html"))
}

async fn script() -> Response {
    file(
        "text/javascript; charset=utf-8",
        include_str!("page/page.js"),
    )
}

async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("page/page.css"))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(axum::body::Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}
