//! `/v1/transactions…`: several reads and writes as one.
//!
//! The transaction stands in the path: what comes after it is the path of the document as it is
//! without one. A header would be shorter to describe, but one that is lost on the way (by a proxy,
//! a wrapper, a route that does not know it) would make a write at once and for good; a path that
//! is not known is a 404. Reads see one state and the transaction's own writes; conditions
//! (`If-Match`), keys and levels have no meaning before the commit and are refused.
//! Tests: tests/it/transactions.rs.

use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use velocitydb::{
    Answer, Collection, Document, Effect, Expected, Isolation, Key, Outcome, Update, Value,
    id_must_be, id_of_text, id_of_value, take_metadata,
};

use super::ask::{Ask, JsonText, Params};
use super::describe::{Body, Route, delete, get, patch, post, put};
use super::documents::{named, not_found, read_swap};
use super::headers::answer_write;
use super::problem::Problem;
use super::{ids, json};
use crate::transactions::{About, Ended, Id, Taken, unknown};

const ALL: &str = "/v1/transactions";
const ONE: &str = "/v1/transactions/{transaction}";
const COMMIT: &str = "/v1/transactions/{transaction}/commit";
const DOCUMENTS: &str = "/v1/transactions/{transaction}/collections/{name}/documents";
const DOCUMENT: &str = "/v1/transactions/{transaction}/collections/{name}/documents/{id}";
const SWAP: &str =
    "/v1/transactions/{transaction}/collections/{name}/documents/{id}/compare-and-swap";

pub(super) fn routes() -> Vec<Route> {
    let about = |route: Route, id, what| route.about("Transactions", id, what);
    let within = |route: Route, id, what| {
        let route = about(route, id, what).limited();
        route.headers_out(&["Velocity-Index"]).problems(&[
            "closed",
            "snapshot_too_old",
            "transaction_busy",
            "transaction_ended",
            "transaction_limit",
            "transaction_timed_out",
            "unknown_collection",
            "unknown_transaction",
        ])
    };
    let writes = |route: Route, id, what| within(route, id, what).expires().document_refusals();
    vec![
        about(post(ALL, begin), "beginTransaction", "Begins a transaction")
            .detail(
                "It reads the state of this moment, and keeps its writes to itself until it is \
                 committed. What it wrote must not have been changed by others meanwhile, with \
                 `serializable` nor what it read: the commit says `conflict`, and it is to be begun \
                 again. Without a body: `snapshot`, for as long as the server allows.",
            )
            .limited()
            .headers_out(&["Location", "Velocity-Index"])
            .takes_json("BeginTransaction")
            .body_may_be_left_out()
            .answers(201, "It has begun", Body::Json("OpenTransaction"))
            .problems(&["closed", "too_many_transactions"]),
        within(get(ONE, show), "getTransaction", "An open transaction")
            .answers(200, "It is open", Body::Json("OpenTransaction")),
        about(post(COMMIT, commit), "commitTransaction", "Makes all of it happen, or nothing")
            .detail(
                "However it is answered, the transaction has ended. Repeated within ten minutes, \
                 it gives the same answer again; an `Idempotency-Key` holds for a day and after a \
                 restart, for the whole transaction run again.",
            )
            .writes_documents()
            .answers(200, "It was committed", Body::Json("Committed"))
            .problems(&[
                "conflict",
                "definition_changed",
                "snapshot_too_old",
                "transaction_busy",
                "transaction_ended",
                "transaction_timed_out",
                "unknown_transaction",
            ]),
        about(delete(ONE, roll_back), "rollBackTransaction", "Makes sure that nothing of it happens")
            .limited()
            .answers(204, "Nothing of it happened", Body::Empty)
            .problems(&["transaction_busy", "transaction_ended", "unknown_transaction"]),
        within(get(DOCUMENT, read), "getDocumentInTransaction", "Reads a document")
            .answers(200, "The document", Body::Json("Document"))
            .problems(&["invalid_id", "not_found"]),
        writes(post(DOCUMENTS, insert), "insertDocumentInTransaction", "Inserts a document")
            .takes_json("Fields")
            .headers_out(&["Location"])
            .answers(201, "It is inserted with the commit", Body::Json("Document")),
        writes(put(DOCUMENT, replace), "putDocumentInTransaction", "Replaces a document, or inserts it")
            .takes_json("Fields")
            .headers_out(&["Location"])
            .answers(200, "It is replaced with the commit", Body::Json("Document"))
            .answers(201, "It is inserted with the commit", Body::Json("Document")),
        writes(patch(DOCUMENT, change), "patchDocumentInTransaction", "Changes fields of a document")
            .takes_json("MergePatch")
            .answers(200, "It is changed with the commit", Body::Json("Document")),
        writes(delete(DOCUMENT, remove), "deleteDocumentInTransaction", "Deletes a document")
            .answers(204, "It is gone with the commit", Body::Empty),
        writes(post(SWAP, swap), "compareAndSwapInTransaction", "Changes a document that is as expected")
            .takes_json("CompareAndSwap")
            .answers(200, "It is changed with the commit", Body::Json("Document"))
            .problems(&["condition_failed"]),
    ]
}

/// What a transaction is to be.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({ "isolation": "serializable", "timeout_ms": 10_000 }))]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"isolation\": \"serializable\"}"
)]
pub(super) struct BeginTransaction {
    /// What it is protected from.
    #[serde(default)]
    isolation: AskedIsolation,
    /// Milliseconds after which it ends by itself; at most, and unless it is said, what the
    /// server allows.
    #[schema(minimum = 1)]
    timeout_ms: Option<u64>,
}

/// What a transaction is protected from.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum AskedIsolation {
    /// It reads one state, and no other has changed what it writes.
    #[default]
    Snapshot,
    /// As if transactions ran one after the other.
    Serializable,
}

/// An open transaction.
#[derive(Serialize, ToSchema)]
pub(super) struct OpenTransaction {
    /// Its id, for the paths of its requests.
    id: String,
    isolation: AskedIsolation,
    /// The log index of the state that it reads.
    index: u64,
    /// When it ends by itself, used or not.
    #[schema(format = "date-time")]
    expires_at: String,
    /// Milliseconds without a request after which it ends by itself.
    idle_timeout_ms: u64,
}

/// A transaction that was committed.
#[derive(Serialize, ToSchema)]
pub(super) struct Committed {
    /// Its id.
    id: String,
    /// The log index of all its changes.
    index: u64,
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings and numbers are JSON")
}

fn shown(ask: &Ask, about: &About) -> Vec<u8> {
    let idle_ms = ask.app.config.transaction_idle_timeout.as_millis();
    to_json(&OpenTransaction {
        id: about.id.to_string(),
        isolation: match about.isolation {
            Isolation::Serializable => AskedIsolation::Serializable,
            Isolation::Snapshot | Isolation::ReadCommitted => AskedIsolation::Snapshot,
        },
        index: about.index,
        expires_at: about.expires_at.to_string(),
        idle_timeout_ms: u64::try_from(idle_ms).unwrap_or(u64::MAX),
    })
}

fn read_begin(text: &str, timeout_max: Duration) -> Result<(Isolation, Duration), Problem> {
    let invalid = |what: String| Problem::new("invalid_request", what);
    if text.trim_start().starts_with('[') {
        return Err(invalid(
            "expected an object such as {\"isolation\": \"serializable\"}".into(),
        ));
    }
    let asked: BeginTransaction = serde_json::from_str(text).map_err(|error| {
        let problem = match error.is_data() {
            true => invalid(error.to_string()),
            false => Problem::new("invalid_json", error.to_string()),
        };
        problem.place(error.line(), error.column())
    })?;
    let timeout = asked.timeout_ms.map_or(timeout_max, Duration::from_millis);
    if timeout.is_zero() || timeout > timeout_max {
        let max = timeout_max.as_millis();
        return Err(invalid(format!(
            "timeout_ms: a whole number from 1 to {max}"
        )));
    }
    let isolation = match asked.isolation {
        AskedIsolation::Snapshot => Isolation::Snapshot,
        AskedIsolation::Serializable => Isolation::Serializable,
    };
    Ok((isolation, timeout))
}

/// The body; an empty object for a request that has none, and need not say of what type.
async fn body_or_none(mut request: Request, ask: &Ask) -> Result<String, Problem> {
    let json = HeaderValue::from_static("application/json");
    let typed = request.headers().contains_key(CONTENT_TYPE);
    request.headers_mut().entry(CONTENT_TYPE).or_insert(json);
    let text = JsonText::read(request, &ask.app).await?;
    match typed {
        true => Ok(text),
        false if text.is_empty() => Ok("{}".to_owned()),
        false => {
            let what = "the body needs the header content-type: application/json";
            Err(Problem::new("unsupported_media_type", what))
        }
    }
}

async fn begin(ask: Ask, request: Request) -> Result<Response, Problem> {
    ask.no_expiry()?;
    plain(&ask)?;
    let text = body_or_none(request, &ask).await?;
    let timeout_max = ask.app.config.transaction_timeout;
    let (isolation, timeout) = read_begin(&text, timeout_max)?;
    let about = ask
        .app
        .transactions
        .begin(ask.database(), isolation, timeout)?;
    let mut response = json::response(StatusCode::CREATED, shown(&ask, &about));
    let location = HeaderValue::try_from(format!("{ALL}/{}", about.id));
    let location = location.expect("hexadecimal digits are ASCII");
    response.headers_mut().insert(LOCATION, location);
    index(&mut response, &about);
    Ok(response)
}

fn index(response: &mut Response, about: &About) {
    let value = HeaderValue::from(about.index);
    response.headers_mut().insert("velocity-index", value);
}

/// Refuses headers that mean something only where there is no transaction, or at its commit.
fn plain(ask: &Ask) -> Result<(), Problem> {
    let refused = |what: &str| Err(Problem::new("invalid_header", what.to_owned()));
    if ask.preconditions != super::headers::Preconditions::default() {
        return refused("if-match and if-none-match: a transaction is itself the condition");
    }
    if ask.asked.idempotency_key.is_some() {
        return refused("idempotency-key: give it to the commit");
    }
    match ask.asked.durability {
        Some(_) => refused("velocity-durability: give it to the commit"),
        None => Ok(()),
    }
}

/// Takes the transaction that a path names, or says how it ended.
fn take(ask: &Ask, id: &str) -> Result<Result<Taken, Ended>, Problem> {
    let read = Id::read(id).ok_or_else(|| unknown(format_args!("{id:?}")))?;
    ask.app.transactions.take(ask.database().id(), read)
}

/// Takes it to go on with it.
fn open(ask: &Ask, id: &str) -> Result<Taken, Problem> {
    plain(ask)?;
    take(ask, id)?.map_err(ended)
}

/// Why a transaction cannot be gone on with.
fn ended(how: Ended) -> Problem {
    let ended = |what: &str| Problem::new("transaction_ended", what.to_owned());
    match how {
        Ended::Committed(_) => ended("the transaction was committed"),
        Ended::Refused(problem) => ended(&format!(
            "the commit of the transaction was refused: {}",
            problem.detail
        )),
        Ended::RolledBack => ended("the transaction was rolled back"),
        Ended::TimedOut(why) => {
            let what = format!("{why}: nothing of the transaction was done, begin again");
            Problem::new("transaction_timed_out", what)
        }
    }
}

async fn show(ask: Ask, Params(id): Params<String>) -> Result<Response, Problem> {
    let taken = open(&ask, &id)?;
    let mut response = json::response(StatusCode::OK, shown(&ask, &taken.about));
    index(&mut response, &taken.about);
    Ok(response)
}

async fn commit(ask: Ask, Params(id): Params<String>) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_expiry()?;
    let (how, again) = match take(&ask, &id)? {
        Err(how) => (how, true),
        Ok(taken) => {
            let call = ask.asked.call();
            let work = move || {
                Ok(
                    taken.end(|transaction| match transaction.commit_with(&call) {
                        Ok(answer) => Ended::Committed(answer),
                        Err(error) => Ended::Refused(error.into()),
                    }),
                )
            };
            // Never in place, however small it may be. It goes on when its request does not wait for it any more: ask again.
            (ask.write(usize::MAX, work).await?, false)
        }
    };
    match how {
        Ended::Committed(answer) => {
            let answer = Answer {
                repeated: answer.repeated || again,
                ..answer
            };
            let body = to_json(&Committed {
                id,
                index: answer.index,
            });
            let mut response = json::response(StatusCode::OK, body);
            answer_write(&mut response, &answer);
            Ok(response)
        }
        Ended::Refused(problem) => Err(problem),
        other => Err(ended(other)),
    }
}

async fn roll_back(ask: Ask, Params(id): Params<String>) -> Result<Response, Problem> {
    plain(&ask)?;
    match take(&ask, &id)? {
        Err(how @ Ended::Committed(_)) => return Err(ended(how)),
        Err(_) => {}
        Ok(taken) => {
            let undo = move || {
                taken.end(|transaction| {
                    drop(transaction);
                    Ended::RolledBack
                });
                Ok(())
            };
            ask.blocking(undo).await?;
        }
    }
    Ok(no_content())
}

fn no_content() -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The collection and the document that a path names, and the transaction.
fn target(
    ask: &Ask,
    transaction: &str,
    name: &str,
    id: &str,
) -> Result<(Taken, Collection, Key), Problem> {
    let taken = open(ask, transaction)?;
    let collection = ask.collection(name)?;
    let key = id_of_text(&collection.definition()?, id)?;
    Ok((taken, collection, key))
}

async fn read(
    ask: Ask,
    Params((transaction, name, id)): Params<(String, String, String)>,
) -> Result<Response, Problem> {
    let (mut taken, collection, key) = target(&ask, &transaction, &name, &id)?;
    let slot = ask.slot.clone();
    ask.blocking(move || {
        // Serializable ones remember what they read.
        if taken.about.isolation == Isolation::Serializable {
            taken.room(key.as_bytes().len())?;
            taken.count(key.as_bytes().len());
        }
        let found = taken.transaction().get(collection.name(), &key)?;
        let document = found.ok_or_else(|| not_found(collection.name(), &key))?;
        slot.room(json::bytes_about(&document))?;
        let mut response = json::response(StatusCode::OK, json::document(&document));
        index(&mut response, &taken.about);
        Ok(response)
    })
    .await
}

/// Counts a write, and answers it: the document as it is in the transaction.
fn written(taken: &Taken, collection: &Collection, key: &Key, outcome: &Outcome) -> Response {
    let fields = outcome.document.as_ref().map(Document::fields);
    taken.count(key.as_bytes().len() + fields.map_or(0, |fields| fields.as_bytes().len()));
    let mut response = match &outcome.document {
        _ if outcome.effect == Effect::Deleted => no_content(),
        Some(document) => json::response(StatusCode::OK, json::document(document)),
        None => json::response(StatusCode::OK, json::metadata_only(key, outcome.version)),
    };
    if outcome.effect == Effect::Inserted {
        *response.status_mut() = StatusCode::CREATED;
        let location = format!(
            "{ALL}/{}{}",
            taken.about.id,
            &ids::location(collection.name(), key)[3..]
        );
        let location = HeaderValue::try_from(location).expect("percent-encoded text is ASCII");
        response.headers_mut().insert(LOCATION, location);
    }
    index(&mut response, &taken.about);
    response
}

async fn insert(
    ask: Ask,
    Params((transaction, name)): Params<(String, String)>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    let mut taken = open(&ask, &transaction)?;
    let (collection, expires) = (ask.collection(&name)?, ask.asked.expires);
    ask.blocking(move || {
        let (id, input) = json::read_document(&text)?;
        taken.room(text.len())?;
        taken.transaction().expires(expires);
        let name = collection.name();
        let (key, outcome) = match id {
            Some(id) => {
                let key = id_of_value(&collection.definition()?, id)?;
                let made = taken.transaction().insert_with_id(name, &key, input);
                let made = made.map_err(|error| named(error, &collection, &key))?;
                (key, made)
            }
            None => {
                let key = taken.transaction().insert(name, input)?;
                let document = taken.transaction().get(name, &key)?;
                let outcome = Outcome {
                    effect: Effect::Inserted,
                    version: 1,
                    document,
                    earlier_id: None,
                };
                (key, outcome)
            }
        };
        Ok(written(&taken, &collection, &key, &outcome))
    })
    .await
}

async fn replace(
    ask: Ask,
    Params((transaction, name, id)): Params<(String, String, String)>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    let (mut taken, collection, key) = target(&ask, &transaction, &name, &id)?;
    let expires = ask.asked.expires;
    ask.blocking(move || {
        let (named, input) = json::read_document(&text)?;
        if let Some(named) = named {
            id_must_be(&collection.definition()?, named, &key)?;
        }
        taken.room(text.len())?;
        taken.transaction().expires(expires);
        let outcome = taken.transaction().upsert(collection.name(), &key, input)?;
        Ok(written(&taken, &collection, &key, &outcome))
    })
    .await
}

async fn change(
    ask: Ask,
    Params((transaction, name, id)): Params<(String, String, String)>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    let (taken, collection, key) = target(&ask, &transaction, &name, &id)?;
    update(
        ask,
        taken,
        collection,
        key,
        text,
        |text, collection, key| {
            let mut patch = json::read_value(text)?;
            if let Value::Map(patch) = &mut patch
                && let Some(named) = take_metadata(patch)
            {
                id_must_be(&collection.definition()?, named, key)?;
            }
            Ok((None, Update::merge(&patch)))
        },
    )
    .await
}

async fn swap(
    ask: Ask,
    Params((transaction, name, id)): Params<(String, String, String)>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    let (taken, collection, key) = target(&ask, &transaction, &name, &id)?;
    update(ask, taken, collection, key, text, |text, _, _| {
        let (expected, update) = read_swap(text)?;
        Ok((Some(expected), update))
    })
    .await
}

type ReadUpdate = fn(&str, &Collection, &Key) -> Result<(Option<Expected>, Update), Problem>;

/// Changes a document by what `read` makes of a body: an update, and what the document must be.
async fn update(
    ask: Ask,
    mut taken: Taken,
    collection: Collection,
    key: Key,
    text: String,
    read: ReadUpdate,
) -> Result<Response, Problem> {
    let (expires, slot) = (ask.asked.expires, ask.slot.clone());
    ask.blocking(move || {
        let (expected, update) = read(&text, &collection, &key)?;
        let name = collection.name();
        let present = taken.transaction().get(name, &key)?;
        let present = present.map_or(0, |present| json::bytes_about(&present));
        slot.room(present + text.len())?;
        taken.room(present + text.len())?;
        taken.transaction().expires(expires);
        let outcome = match expected {
            Some(expected) => taken.transaction().update_if(name, &key, &expected, update),
            None => taken.transaction().update(name, &key, update),
        };
        let outcome = outcome.map_err(|error| named(error, &collection, &key))?;
        Ok(written(&taken, &collection, &key, &outcome))
    })
    .await
}

async fn remove(
    ask: Ask,
    Params((transaction, name, id)): Params<(String, String, String)>,
) -> Result<Response, Problem> {
    let (mut taken, collection, key) = target(&ask, &transaction, &name, &id)?;
    ask.blocking(move || {
        taken.room(key.as_bytes().len())?;
        let outcome = taken.transaction().delete(collection.name(), &key);
        let outcome = outcome.map_err(|error| named(error, &collection, &key))?;
        Ok(written(&taken, &collection, &key, &outcome))
    })
    .await
}
