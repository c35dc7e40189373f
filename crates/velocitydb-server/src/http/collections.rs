//! `/v1/collections…`: which collections there are, and what each is.
//!
//! A definition is the JSON form of [`Definition`], with everything but the name left to its
//! default. Definitions wait for the log: all of it runs where blocking is
//! allowed. Tests: tests/it/collections.rs.

use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use serde::Serialize;
use serde::de::DeserializeOwned;
use velocitydb::{AskedAlteration, Definition, Described, Error};

use super::ask::{Ask, JsonText, Params};
use super::describe::{Body, Route, delete, get, post};
use super::headers::answer_write;
use super::json;
use super::problem::Problem;

pub(super) fn routes() -> Vec<Route> {
    let about = |route: Route, id, what| route.about("Collections", id, what);
    vec![
        about(
            get("/v1/collections", list),
            "listCollections",
            "All collections",
        )
        .limited()
        .answers(200, "All of them", Body::Json("Collections"))
        .problems(&["closed", "deadline_exceeded"]),
        about(
            post("/v1/collections", create),
            "createCollection",
            "Makes a collection",
        )
        .writes()
        .headers_out(&["Location"])
        .takes_json("Definition")
        .answers(201, "It was made", Body::Json("Collection"))
        .problems(&[
            "collection_exists",
            "invalid_definition",
            "unknown_collection",
        ]),
        about(
            get(ONE, get_one),
            "getCollection",
            "A collection with what it holds and takes",
        )
        .limited()
        .answers(200, "The collection", Body::Json("Collection"))
        .problems(&["closed", "deadline_exceeded", "unknown_collection"]),
        about(
            delete(ONE, remove),
            "dropCollection",
            "Drops a collection with its documents",
        )
        .writes()
        .answers(204, "It is gone", Body::Empty)
        .problems(&[
            "reference_violation",
            "unknown_collection",
            "invalid_definition",
        ]),
        about(
            post(ALTER, alter),
            "alterCollection",
            "Gives a collection another definition",
        )
        .detail(
            "Its documents are brought to it, however many they are, whole or not at all: \
                 see docs/schemas.md.",
        )
        .writes()
        .takes_json("Alteration")
        .answers(200, "It was altered", Body::Json("Collection"))
        .document_refusals()
        .problems(&[
            "collection_exists",
            "definition_changed",
            "invalid_definition",
            "migration_refused",
        ]),
    ]
}

const ONE: &str = "/v1/collections/{name}";
const ALTER: &str = "/v1/collections/{name}/alter";

/// Reads a definition, or what is built on one. `example` is one to copy.
pub(super) fn read<T: DeserializeOwned>(text: &str, example: &str) -> Result<T, Problem> {
    // An array of its parts in their order, which serde would take.
    if text.trim_start().starts_with('[') {
        let what = format!("expected {example}");
        return Err(Problem::new("invalid_definition", what).place(1, 1));
    }
    serde_json::from_str(text).map_err(|error| {
        let code = match error.is_data() {
            true => "invalid_definition",
            false => "invalid_json",
        };
        Problem::new(code, error.to_string()).place(error.line(), error.column())
    })
}

fn definition(text: &str) -> Result<Definition, Problem> {
    read(
        text,
        "a definition, an object such as {\"name\": \"tasks\"}",
    )
}

pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("names are strings and memory takes all bytes")
}

async fn list(ask: Ask) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct List {
        collections: Vec<Described>,
    }
    let (database, call) = (ask.database().clone(), ask.call());
    let body = ask.blocking(move || {
        let mut collections = Vec::new();
        for definition in database.collections() {
            let collection = database.collection(&definition.name);
            match collection.and_then(|found| found.with(call.clone()).describe()) {
                Ok(shown) => collections.push(shown),
                Err(Error::UnknownCollection(_)) => {} // dropped meanwhile
                Err(error) => return Err(error.into()),
            }
        }
        Ok(to_json(&List { collections }))
    });
    Ok(json::response(StatusCode::OK, body.await?))
}

async fn create(ask: Ask, JsonText(text): JsonText) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_expiry()?;
    ask.no_idempotency_key()?;
    let (database, call) = (ask.database().clone(), ask.call());
    ask.blocking(move || {
        let answer = database.create_collection_with(definition(&text)?, &call)?;
        let collection = &answer.value;
        let mut response = json::response(StatusCode::CREATED, to_json(&collection.describe()?));
        let path = percent_encoding::utf8_percent_encode(
            collection.name(),
            percent_encoding::NON_ALPHANUMERIC,
        );
        let location = HeaderValue::try_from(format!("/v1/collections/{path}"));
        let location = location.expect("percent-encoded text is ASCII");
        response.headers_mut().insert(LOCATION, location);
        answer_write(&mut response, &answer);
        Ok(response)
    })
    .await
}

async fn get_one(ask: Ask, Params(name): Params<String>) -> Result<Response, Problem> {
    let collection = ask.collection(&name)?;
    let body = ask
        .blocking(move || Ok(to_json(&collection.describe()?)))
        .await?;
    Ok(json::response(StatusCode::OK, body))
}

async fn remove(ask: Ask, Params(name): Params<String>) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_idempotency_key()?;
    let (database, call) = (ask.database().clone(), ask.call());
    ask.blocking(move || {
        let answer = database.drop_collection_with(&name, &call)?;
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        answer_write(&mut response, &answer);
        Ok(response)
    })
    .await
}

/// Gives a collection another definition. Its documents are brought to it, however many they are.
async fn alter(
    ask: Ask,
    Params(name): Params<String>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_expiry()?;
    ask.no_idempotency_key()?;
    let collection = ask.database().collection(&name)?;
    let collection = collection.with(ask.asked.call());
    let database = ask.database().clone();
    ask.long(move || {
        let example = "an alteration, an object such as {\"definition\": {\"name\": \"tasks\"}}";
        let asked: AskedAlteration = read(&text, example)?;
        let name = asked.definition.name.clone();
        let answer = collection.alter(asked.into())?;
        let described = database.collection(&name)?.describe()?;
        let mut response = json::response(StatusCode::OK, to_json(&described));
        answer_write(&mut response, &answer);
        Ok(response)
    })
    .await
}
