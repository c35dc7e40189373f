//! `/v1/databases…`: which databases there are, and each of them.
//!
//! What is under `/v1` for the database `velocity` is under `/v1/databases/{database}` for every one:
//! [`within`] hands such a request to the same routes, which find the name beside it
//! ([`InDatabase`]). Tests: tests/it/databases.rs.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::response::{IntoResponse, Response};
use hyper::header::{HeaderValue, LOCATION};
use hyper::http::Extensions;
use hyper::{StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use tower::ServiceExt;
use velocitydb::DatabaseDefinition;

use super::ask::{Ask, JsonText, Params};
use super::describe::{self, Route, delete, get, post};
use super::headers::answer_write;
use super::problem::Problem;
use super::{Client, json};

const ALL: &str = "/v1/databases";
const ONE: &str = "/v1/databases/{database}";
/// What is in one of them.
pub(super) const WITHIN: &str = "/v1/databases/{database}/{*rest}";

/// The database that a request is about.
#[derive(Clone)]
pub(super) struct InDatabase {
    pub(super) name: String,
    /// The path that was asked for.
    pub(super) asked: Uri,
}

pub(super) fn routes() -> Vec<Route> {
    let about = |route: Route, id, what| route.about("Databases", id, what);
    vec![
        about(get(ALL, list), "listDatabases", "All databases")
            .detail(
                "What is under `/v1` for the database `velocity` is under \
                 `/v1/databases/{database}` for each of them: `/v1/databases/shop/collections`.",
            )
            .limited()
            .answers(200, "All of them", describe::Body::Json("Databases"))
            .problems(&["closed"]),
        about(post(ALL, create), "createDatabase", "Makes a database")
            .writes()
            .headers_out(&["Location"])
            .takes_json("Database")
            .answers(201, "It was made", describe::Body::Json("Database"))
            .problems(&["database_exists", "invalid_definition"]),
        about(
            delete(ONE, remove),
            "dropDatabase",
            "Drops a database with all that is in it",
        )
        .writes()
        .answers(204, "It is gone", describe::Body::Empty)
        .problems(&["database_in_use", "invalid_definition", "unknown_database"]),
    ]
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("names are strings and memory takes all bytes")
}

async fn list(ask: Ask) -> Response {
    #[derive(Serialize)]
    struct List {
        databases: Vec<Listed>,
    }
    #[derive(Serialize)]
    struct Listed {
        #[serde(flatten)]
        definition: DatabaseDefinition,
        collections: usize,
    }
    let view = ask.app.database.snapshot();
    let databases = view.databases().into_iter();
    let databases = databases.map(|(id, definition)| Listed {
        collections: view.of_database(id).collection_names().len(),
        definition,
    });
    let databases = databases.collect();
    json::response(StatusCode::OK, to_json(&List { databases }))
}

async fn create(ask: Ask, JsonText(text): JsonText) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_expiry()?;
    ask.no_idempotency_key()?;
    let (database, call) = (ask.app.database.clone(), ask.call());
    ask.blocking(move || {
        let example = r#"a database, an object such as {"name": "shop"}"#;
        let definition: DatabaseDefinition = super::collections::read(&text, example)?;
        let answer = database.create_database(definition.clone(), &call)?;
        let mut response = json::response(StatusCode::CREATED, to_json(&definition));
        let name = utf8_percent_encode(&definition.name, NON_ALPHANUMERIC);
        let location = HeaderValue::try_from(format!("{ALL}/{name}"));
        let location = location.expect("percent-encoded text is ASCII");
        response.headers_mut().insert(LOCATION, location);
        answer_write(&mut response, &answer);
        Ok(response)
    })
    .await
}

async fn remove(ask: Ask, Params(name): Params<String>) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_idempotency_key()?;
    let (database, call) = (ask.app.database.clone(), ask.call());
    ask.blocking(move || {
        let answer = database.drop_database(&name, &call)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        answer_write(&mut response, &answer);
        Ok(response)
    })
    .await
}

/// Answers a request for what is in a database by the routes that are under `/v1`.
pub(super) async fn within(
    routes: Router,
    Path((name, _)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (mut parts, body) = request.into_parts();
    // As it was asked: percent-encoded.
    let path = parts.uri.path().strip_prefix(ALL).unwrap_or_default();
    let after = path.trim_start_matches('/');
    let Some((encoded, rest)) = after.split_once('/') else {
        return Problem::new("no_such_route", "a name is missing").into_response();
    };
    let query = parts.uri.query().map(|query| format!("?{query}"));
    let inner = format!("/v1/{rest}{}", query.unwrap_or_default());
    let base = format!("{ALL}/{encoded}");
    let mut uri = parts.uri.clone().into_parts();
    uri.path_and_query = inner.parse().ok();
    let Ok(uri) = Uri::from_parts(uri) else {
        return Problem::new("invalid_request", "the path cannot be read").into_response();
    };
    let asked = std::mem::replace(&mut parts.uri, uri);
    // What the outer route has found is not for the inner one.
    let outer = std::mem::replace(&mut parts.extensions, Extensions::new());
    if let Some(client) = outer.get::<Client>() {
        parts.extensions.insert(*client);
    }
    parts.extensions.insert(InDatabase { name, asked });
    let Ok(mut response) = routes.oneshot(Request::from_parts(parts, body)).await;
    if let Some(location) = response.headers_mut().get_mut(LOCATION) {
        let inner = location.to_str().unwrap_or_default();
        let inner = inner.strip_prefix("/v1").unwrap_or(inner);
        if let Ok(outer) = HeaderValue::try_from(format!("{base}{inner}")) {
            *location = outer;
        }
    }
    response
}
