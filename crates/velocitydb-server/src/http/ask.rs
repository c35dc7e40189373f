//! What a request asks for, taken from its head and its body.
//!
//! [`Ask`] is the door from handlers to the database: it has the request's options and slot.
//! Tests: tests/it, by way of the routes.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::HeaderMap;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::http::request::Parts;
use serde::de::DeserializeOwned;
use velocitydb::{Call, Collection, Timestamp};

use super::headers::{Asked, Preconditions};
use super::problem::Problem;
use crate::app::{App, Slot};

/// A request's options, and the way to the database.
pub(super) struct Ask {
    pub(super) app: Arc<App>,
    pub(super) slot: Slot,
    pub(super) asked: Asked,
    pub(super) preconditions: Preconditions,
}

impl Ask {
    /// The options of the library's calls.
    pub(super) fn call(&self) -> Call {
        let left_us = i64::try_from(self.slot.left().as_micros()).unwrap_or(i64::MAX);
        let now = self.app.database.now();
        self.asked
            .call()
            .deadline(Timestamp(now.0.saturating_add(left_us)))
    }

    /// A collection whose calls have the request's options.
    pub(super) fn collection(&self, name: &str) -> Result<Collection, Problem> {
        Ok(self.app.database.collection(name)?.with(self.call()))
    }

    /// Makes a write of about `bytes`, where it is best made.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.app
            .write(&self.slot, self.asked.durability, bytes, work)
            .await?
    }

    /// Does work that may take long.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.slot.blocking(work).await?
    }

    /// Refuses `If-Match` and `If-None-Match` where they have no meaning.
    pub(super) fn no_preconditions(&self) -> Result<(), Problem> {
        if self.preconditions == Preconditions::default() {
            return Ok(());
        }
        let what = "If-Match and If-None-Match are for reads and writes of one named document";
        Err(Problem::new("invalid_header", what))
    }

    /// Refuses an idempotency key where the library keeps no outcomes.
    pub(super) fn no_idempotency_key(&self) -> Result<(), Problem> {
        if self.asked.idempotency_key.is_none() {
            return Ok(());
        }
        let what = "idempotency-key: only for changes of documents; a definition is refused the \
                    second time anyway";
        Err(Problem::new("invalid_header", what))
    }
}

impl FromRequestParts<Arc<App>> for Ask {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Ask, Problem> {
        Ok(Ask {
            app: Arc::clone(app),
            slot: slot(parts)?,
            asked: Asked::read(&parts.headers)?,
            preconditions: Preconditions::read(&parts.headers)?,
        })
    }
}

fn slot(parts: &Parts) -> Result<Slot, Problem> {
    let slot = parts.extensions.get::<Slot>().cloned();
    slot.ok_or_else(|| Problem::new("internal", "the request came past the guard"))
}

/// The parameters in the path.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Params<T>, Problem> {
        let path = Path::<T>::from_request_parts(parts, app).await;
        path.map(|Path(params)| Params(params))
            .map_err(|rejection| Problem::new("invalid_request", rejection.body_text()))
    }
}

/// The parameters behind the question mark.
pub(super) struct Queried<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Queried<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Queried<T>, Problem> {
        let query = Query::<T>::from_request_parts(parts, app).await;
        query
            .map(|Query(params)| Queried(params))
            .map_err(|rejection| Problem::new("invalid_query", rejection.body_text()))
    }
}

/// A whole body of JSON text, not yet read as such.
pub(super) struct JsonText(pub(super) String);

impl FromRequest<Arc<App>> for JsonText {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<JsonText, Problem> {
        let (parts, body) = request.into_parts();
        let slot = slot(&parts)?;
        check_type(&parts.headers)?;
        let bytes_max = app.config.body_bytes_max;
        let too_large = || {
            Problem::new(
                "body_too_large",
                format!("the server takes bodies of {bytes_max} bytes"),
            )
        };
        let announced = parts
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok());
        if announced
            .and_then(|length| length.parse().ok())
            .is_some_and(|bytes: u64| bytes > bytes_max as u64)
        {
            return Err(too_large());
        }
        let reading = Limited::new(body, bytes_max).collect();
        let read = tokio::time::timeout_at(slot.deadline, reading)
            .await
            .map_err(|_| {
                Problem::new(
                    "body_timeout",
                    "the body did not arrive within the request's time",
                )
            })?;
        let bytes = read.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => too_large(),
            None => Problem::new(
                "invalid_request",
                format!("the body cannot be read: {error}"),
            ),
        })?;
        String::from_utf8(bytes.to_bytes().into())
            .map(JsonText)
            .map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                let line = error.as_bytes()[..at]
                    .iter()
                    .filter(|byte| **byte == b'\n')
                    .count()
                    + 1;
                let column = error.as_bytes()[..at]
                    .iter()
                    .rev()
                    .take_while(|b| **b != b'\n')
                    .count();
                Problem::new(
                    "invalid_json",
                    format!("byte {at} of the body is not UTF-8"),
                )
                .place(line, column + 1)
            })
    }
}

/// `application/json`, or a type built on JSON; in UTF-8.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |what: String| Err(Problem::new("unsupported_media_type", what));
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return refused("the body needs the header content-type: application/json".into());
    };
    let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let (kind, parameters) = value.split_once(';').unwrap_or((&value, ""));
    let kind = kind.trim();
    if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json"))
    {
        return refused(format!("the body is {kind:?}; expected application/json"));
    }
    let charset = parameters
        .split(';')
        .find_map(|one| one.trim().strip_prefix("charset="));
    match charset.map(|charset| charset.trim_matches('"')) {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(()),
        Some(other) => refused(format!("the body is in {other:?}; JSON is UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_bodies() {
        let check = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
            check_type(&headers)
        };
        for good in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/merge-patch+json",
            "application/json;charset=\"utf-8\"",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "text/plain",
            "application/jsonp",
            "text/json",
            "",
            "application/json; charset=utf-16",
        ] {
            assert_eq!(check(bad).unwrap_err().row.status, 415, "{bad}");
        }
        assert_eq!(check_type(&HeaderMap::new()).unwrap_err().row.status, 415);
    }
}
