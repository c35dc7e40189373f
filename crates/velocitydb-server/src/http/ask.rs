//! What a request asks for, taken from its head and its body.
//!
//! [`Ask`] is the door from handlers to the database: it has the request's options and slot.
//! Tests: tests/it, by way of the routes.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use velocitydb::{Call, Collection, Database, Durability, Expiry};

use super::coding::Coding;
use super::databases::InDatabase;
use super::headers::{Asked, Preconditions};
use super::json;
use super::problem::Problem;
use crate::app::{App, Slot};

/// A request's options, and the way to the database.
pub(super) struct Ask {
    pub(super) app: Arc<App>,
    /// `None`: `velocity`.
    other: Option<Database>,
    pub(super) slot: Slot,
    pub(super) asked: Asked,
    pub(super) preconditions: Preconditions,
    /// Dropped with the request, when its client has gone.
    pub(super) waiting: Arc<()>,
}

impl Ask {
    /// The database that the request is about.
    pub(super) fn database(&self) -> &Database {
        self.other.as_ref().unwrap_or(&self.app.database)
    }

    /// The options of the library's calls.
    pub(super) fn call(&self) -> Call {
        self.asked.call().deadline(self.slot.until)
    }

    /// A collection whose calls have the request's options.
    pub(super) fn collection(&self, name: &str) -> Result<Collection, Problem> {
        Ok(self.database().collection_with(name, self.call())?)
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

    /// Answers JSON that work reads which may take long: the log index that it shows, and the body.
    pub(super) async fn read(
        &self,
        work: impl FnOnce() -> Result<(u64, Vec<u8>), Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let (index, body) = self.blocking(work).await?;
        let mut response = json::response(StatusCode::OK, body);
        self.asked.answer_read(&mut response, index);
        Ok(response)
    }

    /// Does work that takes as long as it takes, such as an import: without the request's
    /// deadline, which is for requests whose work is short.
    pub(super) async fn long<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let syncing = (self.asked.durability == Some(Durability::Full)).then(|| self.app.syncing());
        let slot = self.slot.clone();
        let work = tokio::task::spawn_blocking(move || {
            let (_slot, _syncing) = (slot, syncing);
            work()
        });
        let done = work.await;
        done.map_err(|_| Problem::new("internal", "the work on the request panicked"))?
    }

    /// Refuses `If-Match` and `If-None-Match` where they have no meaning.
    pub(super) fn no_preconditions(&self) -> Result<(), Problem> {
        if self.preconditions == Preconditions::default() {
            return Ok(());
        }
        let what = "If-Match and If-None-Match are for reads and writes of one named document";
        Err(Problem::new("invalid_header", what))
    }

    /// Refuses an expiry where no document is written.
    pub(super) fn no_expiry(&self) -> Result<(), Problem> {
        if self.asked.expires == Expiry::Default {
            return Ok(());
        }
        let what = "velocity-expires: only for writes of documents; a collection's own time to \
                    live is \"ttl\" of its definition";
        Err(Problem::new("invalid_header", what))
    }

    /// Refuses headers of writes on a POST that only reads.
    pub(super) fn reads_only(&self) -> Result<(), Problem> {
        self.no_preconditions()?;
        self.no_expiry()?;
        match (&self.asked.idempotency_key, self.asked.durability) {
            (None, None) => Ok(()),
            _ => {
                let what = "idempotency-key and velocity-durability: this only reads";
                Err(Problem::new("invalid_header", what))
            }
        }
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
        let other = parts.extensions.get::<InDatabase>();
        let other = other.map(|other| app.database.database(&other.name));
        let ask = Ask {
            app: Arc::clone(app),
            other: other.transpose()?,
            slot: slot(parts)?,
            asked: Asked::read(&parts.headers)?,
            preconditions: Preconditions::read(&parts.headers)?,
            waiting: Arc::default(),
        };
        if !matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) {
            ask.no_expiry()?;
        }
        Ok(ask)
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

/// Takes the parameters behind the question mark, of which only `known` there may be, each once.
/// The answer has them in the order of `known`.
pub(super) fn query<const N: usize>(
    uri: &Uri,
    known: [&str; N],
) -> Result<[Option<String>; N], Problem> {
    let mut found = [const { None }; N];
    query_into(uri, &known, &mut found)?;
    Ok(found)
}

/// The same into a slice, which has a `None` for each of `known`.
pub(super) fn query_into(
    uri: &Uri,
    known: &[&str],
    found: &mut [Option<String>],
) -> Result<(), Problem> {
    let refused = |what: String| Err(Problem::new("invalid_query", what));
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        let text = percent_decode_str(&text).decode_utf8();
        text.map(std::borrow::Cow::into_owned).map_err(|_| {
            Problem::new(
                "invalid_query",
                "the parameters are not UTF-8, percent-encoded",
            )
        })
    };
    let parts = uri.query().unwrap_or_default().split('&');
    for part in parts.filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decoded(name)?, decoded(value)?);
        let Some(at) = known.iter().position(|known| *known == name) else {
            return refused(match known {
                [] => format!("{name:?}: nothing takes parameters here"),
                known => format!(
                    "there is no parameter {name:?} here: only {}",
                    known.join(", ")
                ),
            });
        };
        if found[at].replace(value).is_some() {
            return refused(format!("{name}: given more than once"));
        }
    }
    Ok(())
}

/// Whether the client names a media type among what it takes.
pub(super) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let values = headers.get_all(ACCEPT).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case(wanted)
    })
}

/// A whole body of JSON text, not yet read as such.
pub(super) struct JsonText(pub(super) String);

impl JsonText {
    /// For routes that decide themselves whether there is a body.
    pub(super) async fn read(request: Request, app: &Arc<App>) -> Result<String, Problem> {
        text(request, app, "application/json", is_json).await
    }
}

impl FromRequest<Arc<App>> for JsonText {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<JsonText, Problem> {
        let text = JsonText::read(request, app).await?;
        match text.is_empty() {
            true => Err(Problem::new(
                "invalid_json",
                "there is no body: expected JSON",
            )),
            false => Ok(JsonText(text)),
        }
    }
}

/// A whole body of YAML or JSON text, not yet read as such.
pub(super) struct YamlText(pub(super) String);

impl FromRequest<Arc<App>> for YamlText {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<YamlText, Problem> {
        let known = [
            "application/yaml",
            "application/x-yaml",
            "text/yaml",
            "application/json",
        ];
        let check = |kind: &str| known.contains(&kind);
        let text = text(request, app, "application/yaml or application/json", check).await;
        text.map(YamlText)
    }
}

/// Reads the whole of a body whose type `check` lets through.
async fn text(
    request: Request,
    app: &Arc<App>,
    expected: &str,
    check: impl Fn(&str) -> bool,
) -> Result<String, Problem> {
    let (parts, body) = request.into_parts();
    let slot = slot(&parts)?;
    check_type(&parts.headers, expected, check)?;
    let coding = Coding::of(&parts.headers)?;
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
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(too_large());
    }
    let announced = announced.and_then(|bytes| usize::try_from(bytes).ok());
    slot.room(announced.unwrap_or(0))?;
    let reading = read_body(body, announced.unwrap_or(0), |bytes| {
        match bytes > bytes_max {
            true => Err(too_large()),
            false => slot.room(bytes),
        }
    });
    let bytes = tokio::time::timeout_at(slot.deadline, reading)
        .await
        .map_err(|_| {
            Problem::new(
                "body_timeout",
                "the body did not arrive within the request's time",
            )
        })??;
    let bytes = match coding {
        Coding::Identity => bytes,
        coding => decode(coding, bytes, bytes_max, &slot).await?,
    };
    String::from_utf8(bytes).map_err(|error| {
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

/// What was encoded; the limit of bodies is on that.
async fn decode(
    coding: Coding,
    bytes: Vec<u8>,
    bytes_max: usize,
    slot: &Slot,
) -> Result<Vec<u8>, Problem> {
    let (held, encoded) = (slot.clone(), bytes.len());
    let admit = move |bytes: usize| match bytes > bytes_max {
        true => Err(Problem::new(
            "body_too_large",
            format!("the server takes bodies of {bytes_max} bytes, when they are not compressed"),
        )),
        false => held.room(encoded + bytes),
    };
    slot.blocking(move || coding.decode(bytes, admit)).await?
}

/// Reads a body whole. `admit` judges each length before memory is taken for it.
async fn read_body(
    mut body: Body,
    announced: usize,
    admit: impl Fn(usize) -> Result<(), Problem>,
) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(
                "invalid_request",
                format!("the body cannot be read: {error}"),
            )
        })?;
        if let Ok(data) = frame.into_data() {
            admit(bytes.len() + data.len())?;
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// `application/json`, or a type built on JSON.
fn is_json(kind: &str) -> bool {
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// A type that `known` lets through; in UTF-8.
fn check_type(
    headers: &HeaderMap,
    expected: &str,
    known: impl Fn(&str) -> bool,
) -> Result<(), Problem> {
    let refused = |what: String| Err(Problem::new("unsupported_media_type", what));
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return refused(format!(
            "the body needs the header content-type: {expected}"
        ));
    };
    if value == "application/json" && known("application/json") {
        return Ok(()); // as most say it
    }
    let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let (kind, parameters) = value.split_once(';').unwrap_or((&value, ""));
    let kind = kind.trim();
    if !known(kind) {
        return refused(format!("the body is {kind:?}; expected {expected}"));
    }
    let charset = parameters
        .split(';')
        .find_map(|one| one.trim().strip_prefix("charset="));
    match charset.map(|charset| charset.trim_matches('"')) {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(()),
        Some(other) => refused(format!("the body is in {other:?}; expected UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_known_and_stand_once() {
        let read = |text: &str| {
            let uri = format!("/x?{text}").parse().unwrap();
            query(&uri, ["a", "b"])
        };
        assert_eq!(read("").unwrap(), [None, None]);
        let both = [Some("ö +".to_owned()), Some(String::new())];
        assert_eq!(read("&b&a=%C3%B6+%2B&").unwrap(), both);
        for bad in ["a=1&a=2", "c=1", "=1", "a=%FF", "A=1"] {
            assert_eq!(read(bad).unwrap_err().row.code, "invalid_query", "{bad}");
        }
        let none: Uri = "/x".parse().unwrap();
        assert!(query(&none, []).is_ok());
        assert!(query(&"/x?a=1".parse().unwrap(), []).is_err());
    }

    #[test]
    fn types_of_bodies() {
        let check = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
            check_type(&headers, "JSON", is_json)
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
        for (coding, taken) in [
            ("identity", true),
            ("Identity", true),
            ("gzip", true),
            ("ZSTD", true),
            ("br", false),
            ("gzip, zstd", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            let value = hyper::header::HeaderValue::from_static;
            headers.insert(hyper::header::CONTENT_ENCODING, value(coding));
            assert_eq!(Coding::of(&headers).is_ok(), taken, "{coding}");
        }
        assert_eq!(
            check_type(&HeaderMap::new(), "JSON", is_json)
                .unwrap_err()
                .row
                .status,
            415
        );
    }
}
