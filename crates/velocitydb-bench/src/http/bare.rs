//! The other side: an axum route without layers, on the same runtime and allocator as the server.
//!
//! Its answers have the status, the type and the body of ours, and nothing else. The body of an
//! insert is read whole and thrown away.

use std::net::Ipv4Addr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use crate::BenchError;

/// The bodies of the bare routes' answers.
#[derive(Debug)]
pub struct Answers {
    /// For every document that is read.
    pub read: String,
    /// For every insert.
    pub written: String,
}

/// Serves the bare routes until the process ends. `listening` is told their address.
///
/// # Errors
/// No port or no thread is to be had.
pub fn serve_bare(answers: Answers, listening: impl FnOnce(&str)) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (read, written) = (Bytes::from(answers.read), Bytes::from(answers.written));
    let answer_read = move || std::future::ready(answer(StatusCode::OK, &read));
    let answer_written = move |_: Bytes| std::future::ready(answer(StatusCode::CREATED, &written));
    let router = Router::new()
        .route("/v1/collections/{name}/documents/{id}", get(answer_read))
        .route("/v1/collections/{name}/documents", post(answer_written));
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        listening(&format!("http://{}", listener.local_addr()?));
        Ok(axum::serve(listener, router).await?)
    })
}

fn answer(status: StatusCode, body: &Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body.clone()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
