//! `/v1/collections…`: which collections there are, and what each is.
//!
//! A definition is the JSON form of [`Definition`], with everything but the name left to its
//! default. Definitions wait for the log, and counts may scan: all of it runs where blocking is
//! allowed. Tests: tests/it/collections.rs.

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use serde::{Deserialize, Serialize};
use velocitydb::{
    Collection, CollectionStats, Definition, Error, IndexDefinition, Kind, Persistence, Schema,
    TimeToLive,
};

use super::ask::{Ask, JsonText, Params};
use super::headers::answer_write;
use super::json;
use super::problem::Problem;

/// What creates a collection.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a definition, an object")]
struct NewCollection {
    name: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    persistence: Persistence,
    #[serde(default)]
    primary_key: Option<String>,
    #[serde(default)]
    schema: Schema,
    #[serde(default)]
    indexes: Vec<IndexDefinition>,
    #[serde(default)]
    ttl: Option<TimeToLive>,
}

impl NewCollection {
    fn read(text: &str) -> Result<Definition, Problem> {
        if text.trim_start().starts_with('[') {
            let what = "expected a definition, an object such as {\"name\": \"tasks\"}";
            return Err(Problem::new("invalid_definition", what).place(1, 1));
        }
        let new: NewCollection = serde_json::from_str(text).map_err(|error| {
            let code = if error.is_data() {
                "invalid_definition"
            } else {
                "invalid_json"
            };
            Problem::new(code, error.to_string()).place(error.line(), error.column())
        })?;
        let mut definition = Definition::new(new.name);
        definition.kind = new.kind;
        definition.persistence = new.persistence;
        definition.primary_key = new.primary_key;
        definition.schema = new.schema;
        definition.indexes = new.indexes;
        definition.ttl = new.ttl;
        Ok(definition)
    }
}

/// What a collection is and has.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    definition: Definition,
    documents: u64,
    bytes: Bytes,
}

/// What a collection takes from memory.
#[derive(Serialize)]
struct Bytes {
    total: usize,
    documents: usize,
    old_versions: usize,
    primary: usize,
    indexes: usize,
}

impl Shown {
    fn of(collection: &Collection) -> Result<Shown, Error> {
        let CollectionStats { documents, bytes } = collection.stats()?;
        let bytes = Bytes {
            total: bytes.total(),
            documents: bytes.documents,
            old_versions: bytes.old_versions,
            primary: bytes.primary,
            indexes: bytes.indexes,
        };
        Ok(Shown {
            definition: collection.definition()?,
            documents,
            bytes,
        })
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("names are strings and memory takes all bytes")
}

pub(super) async fn list(ask: Ask) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct List {
        collections: Vec<Shown>,
    }
    let (database, call) = (ask.app.database.clone(), ask.call());
    let body = ask.blocking(move || {
        let mut collections = Vec::new();
        for definition in database.collections() {
            let collection = database.collection(&definition.name);
            match collection.and_then(|found| Shown::of(&found.with(call.clone()))) {
                Ok(shown) => collections.push(shown),
                Err(Error::UnknownCollection(_)) => {} // dropped meanwhile
                Err(error) => return Err(error.into()),
            }
        }
        Ok(to_json(&List { collections }))
    });
    Ok(json::response(StatusCode::OK, body.await?))
}

pub(super) async fn create(ask: Ask, JsonText(text): JsonText) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_expiry()?;
    ask.no_idempotency_key()?;
    let (database, call) = (ask.app.database.clone(), ask.call());
    ask.blocking(move || {
        let answer = database.create_collection_with(NewCollection::read(&text)?, &call)?;
        let collection = &answer.value;
        let mut response = json::response(StatusCode::CREATED, to_json(&Shown::of(collection)?));
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

pub(super) async fn get(ask: Ask, Params(name): Params<String>) -> Result<Response, Problem> {
    let collection = ask.collection(&name)?;
    let body = ask
        .blocking(move || Ok(to_json(&Shown::of(&collection)?)))
        .await?;
    Ok(json::response(StatusCode::OK, body))
}

pub(super) async fn remove(ask: Ask, Params(name): Params<String>) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_idempotency_key()?;
    let (database, call) = (ask.app.database.clone(), ask.call());
    ask.blocking(move || {
        let answer = database.drop_collection_with(&name, &call)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        answer_write(&mut response, &answer);
        Ok(response)
    })
    .await
}

pub(super) async fn count(ask: Ask, Params(name): Params<String>) -> Result<Response, Problem> {
    let collection = ask.collection(&name)?;
    let counted = ask.blocking(move || {
        let view = collection.view()?;
        Ok((view.count()?, view.index()))
    });
    let (count, index) = counted.await?;
    let body = format!("{{\"count\":{count},\"index\":{index}}}");
    let mut response = json::response(StatusCode::OK, body.into_bytes());
    ask.asked.answer_read(&mut response, index);
    Ok(response)
}
