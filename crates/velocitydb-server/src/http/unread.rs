//! Bodies that a refused request has left unread.
//!
//! A connection can be used again only when the body of the request before was read to its end:
//! otherwise it is closed, and a client that sends its next request meanwhile sees a failure that
//! has nothing to do with it. So a body is lent to the handlers, and what they leave of it is
//! read and thrown away, when it is short; when it is not, the answer says `Connection: close`.
//! Tests: tests/it/problems.rs.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Announced bytes up to which a body is read only to be thrown away.
const DISCARDED_BYTES_MAX: u64 = 64 << 10;

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Option<Body>,
    back: Option<oneshot::Sender<Body>>,
}

/// Where what is left of a lent body comes back.
pub(super) struct Unread(Option<oneshot::Receiver<Body>>);

/// Lends a body.
pub(super) fn lend(body: Body) -> (Body, Unread) {
    if hyper::body::Body::is_end_stream(&body) {
        return (body, Unread(None));
    }
    let (back, comes_back) = oneshot::channel();
    let lent = Lent {
        body: Some(body),
        back: Some(back),
    };
    (Body::new(lent), Unread(Some(comes_back)))
}

impl Unread {
    /// Makes the connection fit for the next request, or says that there will be none. Waits
    /// for the rest of a short body until `deadline`.
    pub(super) async fn settle(self, response: &mut Response, deadline: Instant) {
        let Some(rest) = self.0.and_then(|mut comes_back| comes_back.try_recv().ok()) else {
            return;
        };
        let announced = hyper::body::Body::size_hint(&rest).upper();
        let short = announced.is_some_and(|bytes| bytes <= DISCARDED_BYTES_MAX);
        let read = match short {
            true => Box::pin(tokio::time::timeout_at(deadline, rest.collect()))
                .await
                .is_ok_and(|r| r.is_ok()),
            false => false,
        };
        if !read {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = frame {
            self.body = None; // nothing is left that could be read
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body
            .as_ref()
            .is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or(SizeHint::with_exact(0), hyper::body::Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let rest = self
            .body
            .take()
            .filter(|body| !hyper::body::Body::is_end_stream(body));
        if let (Some(rest), Some(back)) = (rest, self.back.take()) {
            // When nobody waits for it, the connection has gone.
            let _ = back.send(rest);
        }
    }
}
