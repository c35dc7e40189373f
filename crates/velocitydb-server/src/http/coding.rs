//! Compression of bodies, both ways, and which pages of other origins may ask.
//!
//! Answers that are whole in memory are compressed with zstd or gzip for clients that take it,
//! from [`COMPRESSED_BYTES_MIN`] on. What is made as it is taken (exports) never is: nothing of it
//! waits in a compressor. Bodies of requests that are read whole may come compressed; the limits
//! are on what they are when they are not. Imports read theirs themselves.
//! Tests: tests/it/coding.rs.

use std::convert::Infallible;
use std::future::ready;
use std::io::Read;
use std::time::Duration;

use axum::response::Response;
use hyper::body::Body;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue};
use hyper::{Method, Request};
use tower::{ServiceExt, service_fn};
use tower_http::CompressionLevel;
use tower_http::compression::{Compression, Predicate};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::describe;
use super::problem::Problem;

/// Shorter answers are sent as they are.
const COMPRESSED_BYTES_MIN: u64 = 1 << 10;
/// A window of zstd may have 2 to the power of this many bytes.
const WINDOW_LOG_MAX: u32 = 23;
/// How long a browser may keep what it was told of an origin.
const CORS_KEPT: Duration = Duration::from_secs(3600);

/// The encodings of an answer that a client takes.
pub(super) struct Accepted(Vec<HeaderValue>);

impl Accepted {
    pub(super) fn of(headers: &HeaderMap) -> Accepted {
        Accepted(headers.get_all(ACCEPT_ENCODING).iter().cloned().collect())
    }

    /// Whether there is anything to do for an answer.
    pub(super) fn are_of_use(&self, response: &Response) -> bool {
        !self.0.is_empty() || Whole.should_compress(response)
    }

    /// Compresses an answer, when it is worth it.
    pub(super) async fn compress(self, response: Response) -> Response {
        let mut request = Request::new(());
        for value in self.0 {
            request.headers_mut().append(ACCEPT_ENCODING, value);
        }
        let mut response = Some(response);
        let answered =
            service_fn(|_| ready(Ok::<_, Infallible>(response.take().unwrap_or_default())));
        let compressing = Compression::new(answered)
            .quality(CompressionLevel::Fastest)
            .compress_when(Whole);
        let Ok(response) = compressing.oneshot(request).await;
        response.map(axum::body::Body::new)
    }
}

/// Answers that are in memory whole, and not short.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole;

impl Predicate for Whole {
    fn should_compress<B: Body>(&self, response: &hyper::Response<B>) -> bool {
        let bytes = response.body().size_hint().exact();
        bytes.is_some_and(|bytes| bytes >= COMPRESSED_BYTES_MIN)
    }
}

/// Tells browsers what pages of these origins may ask, and see of the answers. There are no
/// cookies, and none are allowed.
pub(super) fn cors(origins: &[String]) -> CorsLayer {
    let values = origins
        .iter()
        .filter_map(|origin| HeaderValue::try_from(origin).ok());
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(values))
        .allow_methods(methods)
        .allow_headers(describe::headers_in())
        .expose_headers(describe::headers_out())
        .max_age(CORS_KEPT)
}

/// How a request's body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    pub(super) fn of(headers: &HeaderMap) -> Result<Coding, Problem> {
        let mut found = Coding::Identity;
        for coding in headers.get_all(CONTENT_ENCODING) {
            let coding = String::from_utf8_lossy(coding.as_bytes()).to_ascii_lowercase();
            let next = match coding.trim() {
                "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "zstd" => Coding::Zstd,
                _ => return Err(refused(&coding)),
            };
            if found != Coding::Identity {
                return Err(refused("several, one upon the other"));
            }
            found = next;
        }
        Ok(found)
    }

    /// What was encoded. `admit` judges each length before memory is taken for it.
    pub(super) fn decode(
        self,
        bytes: Vec<u8>,
        admit: impl Fn(usize) -> Result<(), Problem>,
    ) -> Result<Vec<u8>, Problem> {
        let name = match self {
            Coding::Identity => return Ok(bytes),
            Coding::Gzip => "gzip",
            Coding::Zstd => "zstd",
        };
        let wrong = |error: std::io::Error| {
            let what = format!("the body cannot be read as {name}: {error}");
            Problem::new("invalid_request", what)
        };
        let mut gzip = flate2::read::MultiGzDecoder::new(&bytes[..]);
        let mut zstd = zstd::Decoder::with_buffer(&bytes[..]).map_err(wrong)?;
        zstd.window_log_max(WINDOW_LOG_MAX).map_err(wrong)?;
        let reader: &mut dyn Read = match self {
            Coding::Zstd => &mut zstd,
            _ => &mut gzip,
        };
        let (mut text, mut part) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            let count = reader.read(&mut part).map_err(wrong)?;
            if count == 0 {
                return Ok(text);
            }
            admit(text.len() + count)?;
            text.extend_from_slice(&part[..count]);
        }
    }
}

fn refused(coding: &str) -> Problem {
    let what = format!("the body is encoded as {coding:?}: the server takes gzip and zstd");
    Problem::new("unsupported_media_type", what)
}
