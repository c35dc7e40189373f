//! `/v1/collections/{name}/documents…`: reading and changing documents.
//!
//! | method | does | answers |
//! | --- | --- | --- |
//! | POST | inserts; the id is `_id`, the primary key, or a new UUIDv7 | 201, 409 when it exists |
//! | GET | reads | 200, 304, 404 |
//! | PUT | replaces, or creates | 200, 201 |
//! | PATCH | RFC 7396 | 200, 404 |
//! | DELETE | deletes | 204, 404 |
//! | POST compare-and-swap | changes it if it is as expected | 200, 409 with the document |
//!
//! `If-Match` and `If-None-Match: *` on a write are conditions of the write itself, judged when
//! it is applied: nothing can come between. Tests: tests/it/documents.rs, conditions.rs.

use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{ETAG, HeaderValue, LOCATION};
use velocitydb::{
    Answer, Collection, Document, Effect, Error, Expected, Input, Key, Outcome, Read, Refusal,
    Swap, Update, Value, id_must_be, id_of_text, id_of_value, take_metadata,
};

use super::ask::{Ask, JsonText, Params};
use super::describe::{self, Body, Route, post};
use super::headers::{Comparison, Tags, answer_write, etag};
use super::problem::Problem;
use super::{ids, json};
use crate::app::QUICK_BYTES_MAX;

pub(super) const ALL: &str = "/v1/collections/{name}/documents";
const ONE: &str = "/v1/collections/{name}/documents/{id}";
const SWAP: &str = "/v1/collections/{name}/documents/{id}/compare-and-swap";

pub(super) fn routes() -> Vec<Route> {
    let about = |route: Route, id, what| route.about("Documents", id, what);
    vec![
        about(post(ALL, insert), "insertDocument", "Inserts a document")
            .detail("Its id is `_id`, the primary key, or a new UUID.")
            .writes_documents()
            .expires()
            .headers_out(&["ETag", "Location"])
            .takes_json("Fields")
            .answers(201, "It was inserted", Body::Json("Document")),
        about(describe::get(ONE, get), "getDocument", "Reads a document")
            .reads()
            .conditional()
            .answers(200, "The document", Body::Json("Document"))
            .answers(304, "It is as `If-None-Match` has it", Body::Empty)
            .problems(&["invalid_id", "not_found", "unknown_collection"]),
        about(
            describe::put(ONE, put),
            "putDocument",
            "Replaces a document, or inserts it",
        )
        .writes_documents()
        .expires()
        .conditional()
        .headers_out(&["Location"])
        .takes_json("Fields")
        .answers(200, "It was replaced", Body::Json("Document"))
        .answers(201, "It was inserted", Body::Json("Document")),
        about(
            describe::patch(ONE, patch),
            "patchDocument",
            "Changes fields of a document",
        )
        .writes_documents()
        .expires()
        .conditional()
        .takes_json("MergePatch")
        .answers(200, "It was changed", Body::Json("Document")),
        about(
            describe::delete(ONE, delete),
            "deleteDocument",
            "Deletes a document",
        )
        .writes_documents()
        .conditional()
        .answers(204, "It is gone", Body::Empty),
        about(
            post(SWAP, compare_and_swap),
            "compareAndSwap",
            "Changes a document that is as expected",
        )
        .writes_documents()
        .expires()
        .headers_out(&["ETag"])
        .takes_json("CompareAndSwap")
        .answers(200, "It was changed", Body::Json("Document"))
        .problems(&["condition_failed"]),
    ]
}

async fn get(ask: Ask, Params((name, id)): Params<(String, String)>) -> Result<Response, Problem> {
    let Read {
        key,
        document: found,
        index,
    } = ask.database().read(&name, &ask.call(), |definition| {
        Ok::<_, Problem>(id_of_text(definition, &id)?)
    })?;
    let conditions = &ask.preconditions;
    if conditions
        .matches
        .as_ref()
        .is_some_and(|tags| !tags.contain(found.as_ref(), Comparison::Strong))
    {
        return Err(precondition_failed());
    }
    let document = found.ok_or_else(|| not_found(&name, &key))?;
    let tag = etag(&document);
    let same = conditions
        .differs
        .as_ref()
        .is_some_and(|tags| tags.contain(Some(&document), Comparison::Weak));
    ask.slot.room(json::bytes_about(&document))?;
    let mut response = if same {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else if document.fields().as_bytes().len() <= QUICK_BYTES_MAX {
        json::response(StatusCode::OK, json::document(&document))
    } else {
        let body = ask.blocking(move || Ok(json::document(&document))).await?;
        json::response(StatusCode::OK, body)
    };
    response.headers_mut().insert(ETAG, tag);
    ask.asked.answer_read(&mut response, index);
    Ok(response)
}

pub(super) fn not_found(name: &str, key: &Key) -> Problem {
    let id = key.to_value().to_json();
    Problem::new("not_found", format!("there is no document {id} in {name}"))
}

/// The refusal of a write of one named document, which the detail names.
pub(super) fn named(error: Error, collection: &Collection, key: &Key) -> Problem {
    let (id, name) = (key.to_value().to_json(), collection.name());
    match &error {
        Error::Refused {
            refusal: Refusal::NotFound,
            ..
        } => not_found(name, key),
        Error::Refused {
            refusal: Refusal::AlreadyExists(_),
            ..
        } => {
            let detail = format!("there is a document {id} in {name} already");
            Problem::new("already_exists", detail)
        }
        _ => error.into(),
    }
}

fn precondition_failed() -> Problem {
    let what = "the document is not in the state that If-Match or If-None-Match asks for: read it \
                and decide again";
    Problem::new("precondition_failed", what)
}

async fn insert(
    ask: Ask,
    Params(name): Params<String>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    let collection = ask.collection(&name)?;
    ask.write(text.len(), move || {
        let (id, input) = json::read_document(&text)?;
        let made = match id {
            Some(id) => {
                let key = id_of_value(&collection.definition()?, id)?;
                let made = collection.insert_with_id(&key, input);
                let made = made.map_err(|error| named(error, &collection, &key))?;
                Made::of(key, made)
            }
            None => {
                let answer = collection.insert_returning(input)?;
                let key = answer.value.0.clone();
                Made::of(key, answer.map(|(_, outcome)| outcome))
            }
        };
        made.response(&collection)
    })
    .await
}

async fn put(
    ask: Ask,
    Params((name, id)): Params<(String, String)>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    let (collection, key, when) = target(&ask, &name, &id)?;
    ask.write(text.len(), move || {
        let (named, input) = json::read_document(&text)?;
        if let Some(named) = named {
            id_must_be(&collection.definition()?, named, &key)?;
        }
        when.put(&collection, key, input)?.response(&collection)
    })
    .await
}

async fn patch(
    ask: Ask,
    Params((name, id)): Params<(String, String)>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    let (collection, key, when) = target(&ask, &name, &id)?;
    room_for_present(&ask, &collection, &key)?;
    ask.write(text.len(), move || {
        let mut patch = json::read_value(&text)?;
        if let Value::Map(patch) = &mut patch
            && let Some(named) = take_metadata(patch)
        {
            id_must_be(&collection.definition()?, named, &key)?;
        }
        let update = Update::merge(&patch);
        when.patch(&collection, key, update)?.response(&collection)
    })
    .await
}

async fn delete(
    ask: Ask,
    Params((name, id)): Params<(String, String)>,
) -> Result<Response, Problem> {
    let (collection, key, when) = target(&ask, &name, &id)?;
    ask.write(0, move || {
        let answer = when.delete(&collection, key)?;
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        answer_write(&mut response, &answer);
        Ok(response)
    })
    .await
}

/// What a write of one named document is about.
fn target(ask: &Ask, name: &str, id: &str) -> Result<(Collection, Key, When), Problem> {
    let collection = ask.collection(name)?;
    let key = id_of_text(&collection.definition()?, id)?;
    Ok((collection, key, When::read(ask)?))
}

/// Makes sure of room for an answer with the document as it is now, before it is changed.
fn room_for_present(ask: &Ask, collection: &Collection, key: &Key) -> Result<(), Problem> {
    let present = collection.get_by_key(key)?;
    ask.slot.room(present.as_ref().map_or(0, json::bytes_about))
}

/// In which state a document may be written.
enum When {
    /// In any.
    Always,
    /// When it is there.
    Present,
    /// When it is not there.
    Absent,
    /// When its last change is the entry of this log index.
    At(u64),
    /// Its tag is none that this server makes.
    Never,
}

impl When {
    fn read(ask: &Ask) -> Result<When, Problem> {
        let invalid = |what| Err(Problem::new("invalid_header", what));
        let conditions = &ask.preconditions;
        match (&conditions.matches, &conditions.differs) {
            (None, None) => Ok(When::Always),
            (Some(Tags::Any), None) => Ok(When::Present),
            (Some(Tags::These(tags)), None) => {
                // Weak tags never match here.
                let mut strong = tags.iter().filter(|tag| !tag.weak);
                match (strong.next(), strong.next()) {
                    (None, _) => Ok(When::Never),
                    (Some(tag), None) => Ok(When::At(tag.index)),
                    _ => invalid("if-match: a write takes one entity tag, or *"),
                }
            }
            (None, Some(Tags::Any)) => Ok(When::Absent),
            (None, Some(Tags::These(_))) => invalid("if-none-match: a write takes * alone"),
            (Some(_), Some(_)) => invalid("if-match and if-none-match: a write takes one of them"),
        }
    }

    fn put(self, collection: &Collection, key: Key, input: Input) -> Result<Made, Problem> {
        let made = |answer| Made::of(key.clone(), answer);
        match self {
            When::Always => Ok(made(collection.upsert(&key, input)?)),
            When::Present => collection.replace(&key, input).map(made).map_err(unmet),
            When::Absent => collection
                .insert_with_id(&key, input)
                .map(made)
                .map_err(unmet),
            When::At(index) => {
                let expected = Expected::Index(index);
                Made::swapped(collection.compare_and_replace(&key, &expected, input))
            }
            When::Never => Err(precondition_failed()),
        }
    }

    fn patch(self, collection: &Collection, key: Key, update: Update) -> Result<Made, Problem> {
        let made = |answer| Made::of(key.clone(), answer);
        match self {
            When::Always => collection
                .update(&key, update)
                .map(made)
                .map_err(|error| named(error, collection, &key)),
            When::Present => collection.update(&key, update).map(made).map_err(unmet),
            When::Absent => Err(creates_only()),
            When::At(index) => {
                let expected = Expected::Index(index);
                Made::swapped(collection.compare_and_swap(&key, &expected, update))
            }
            When::Never => Err(precondition_failed()),
        }
    }

    fn delete(self, collection: &Collection, key: Key) -> Result<Answer<()>, Problem> {
        match self {
            When::Always => collection
                .delete(&key)
                .map(|gone| gone.map(|_| ()))
                .map_err(|error| named(error, collection, &key)),
            When::Present => collection
                .delete(key)
                .map(|gone| gone.map(|_| ()))
                .map_err(unmet),
            When::Absent => Err(creates_only()),
            When::At(index) => {
                let swap = collection.compare_and_delete(key, &Expected::Index(index));
                won(swap).map(|answer| answer.map(|_| ()))
            }
            When::Never => Err(precondition_failed()),
        }
    }
}

fn creates_only() -> Problem {
    Problem::new(
        "invalid_header",
        "if-none-match: * is for writes that create, such as PUT",
    )
}

/// A condition of the request's headers was not met, or something else is wrong.
fn unmet(error: Error) -> Problem {
    match &error {
        Error::Refused {
            refusal: Refusal::NotFound | Refusal::Conflict | Refusal::AlreadyExists(_),
            ..
        } => precondition_failed(),
        _ => error.into(),
    }
}

/// The document after a swap on its index. It is refused as a conflict, never with a document.
fn won(swap: Result<Answer<Swap>, Error>) -> Result<Answer<Document>, Problem> {
    let answer = swap.map_err(unmet)?;
    match answer.value.clone() {
        Swap::Won(document) => Ok(answer.map(|_| document)),
        Swap::Refused { .. } => Err(precondition_failed()),
    }
}

/// A document that was written.
struct Made {
    answer: Answer<()>,
    key: Key,
    effect: Effect,
    version: u64,
    /// `None` when the library no longer has it.
    document: Option<Document>,
}

impl Made {
    fn of(key: Key, answer: Answer<Outcome>) -> Made {
        let Outcome {
            effect,
            version,
            document,
            ..
        } = answer.value.clone();
        Made {
            answer: answer.map(|_| ()),
            key,
            effect,
            version,
            document,
        }
    }

    fn swapped(swap: Result<Answer<Swap>, Error>) -> Result<Made, Problem> {
        Ok(Made::updated(won(swap)?))
    }

    fn updated(answer: Answer<Document>) -> Made {
        let document = answer.value.clone();
        Made {
            answer: answer.map(|_| ()),
            key: document.id(),
            effect: Effect::Updated,
            version: document.meta().version,
            document: Some(document),
        }
    }

    /// The document, where the library did not hand it out: as it is now, if nobody has changed
    /// it since.
    fn look_up(&mut self, collection: &Collection) -> Result<(), Problem> {
        if self.document.is_none() {
            let now = collection.get_by_key(&self.key)?;
            self.document = now.filter(|now| match self.answer.repeated {
                true => now.meta().version == self.version,
                false => now.meta().index == self.answer.index,
            });
        }
        Ok(())
    }

    fn response(mut self, collection: &Collection) -> Result<Response, Problem> {
        self.look_up(collection)?;
        let status = match self.effect {
            Effect::Inserted => StatusCode::CREATED,
            Effect::Checked | Effect::Updated | Effect::Deleted => StatusCode::OK,
        };
        let body = match &self.document {
            Some(document) => json::document(document),
            None => json::metadata_only(&self.key, self.version),
        };
        let mut response = json::response(status, body);
        if let Some(document) = &self.document {
            response.headers_mut().insert(ETAG, etag(document));
        }
        if status == StatusCode::CREATED {
            let location = ids::location(collection.name(), &self.key);
            let location = HeaderValue::try_from(location).expect("percent-encoded text is ASCII");
            response.headers_mut().insert(LOCATION, location);
        }
        answer_write(&mut response, &self.answer);
        Ok(response)
    }
}

async fn compare_and_swap(
    ask: Ask,
    Params((name, id)): Params<(String, String)>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    let collection = ask.collection(&name)?;
    let key = id_of_text(&collection.definition()?, &id)?;
    room_for_present(&ask, &collection, &key)?;
    ask.write(text.len(), move || {
        let (expected, update) = read_swap(&text)?;
        let answer = collection.compare_and_swap(&key, &expected, update);
        let answer = answer.map_err(|error| named(error, &collection, &key))?;
        match answer.value.clone() {
            Swap::Won(document) => Made::updated(answer.map(|_| document)).response(&collection),
            Swap::Refused { current, reason } => {
                let current = json::document(&current);
                Err(Problem::new("condition_failed", reason).member("current", current))
            }
        }
    })
    .await
}

/// `{"expected": {"_version": n} | {path: value, …}, "update": {a merge patch}}`.
pub(super) fn read_swap(text: &str) -> Result<(Expected, Update), Problem> {
    let invalid = |what: &str| Problem::new("invalid_request", what.to_owned());
    let shape = "expected {\"expected\": {…}, \"update\": {…}}";
    let Value::Map(mut body) = json::read_value(text)? else {
        return Err(invalid(shape));
    };
    let (expected, update) = (body.remove("expected"), body.remove("update"));
    let (Some(Value::Map(expected)), Some(update @ Value::Map(_)), true) =
        (expected, update, body.is_empty())
    else {
        return Err(invalid(shape));
    };
    let expected = Expected::read(expected).map_err(|error| invalid(&error.to_string()))?;
    Ok((expected, Update::merge(&update)))
}
