//! `POST /v1/batch`: many changes of documents in one request, and one entry of the log.
//!
//! The documents within are read as bodies of their own (`json`), so that each may be as deep as
//! one that comes alone. A body that cannot be read is refused whole; what becomes of each
//! operation then is as its mode says. Tests: tests/it/batch.rs.

use std::collections::HashMap;

use axum::response::Response;
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use velocitydb::{
    Batch, BatchOutcome, Database, Definition, Effect, Error, Expected, Input, Key, Update, Value,
    id_must_be, id_of_value, take_metadata,
};

use super::ask::{Ask, JsonText};
use super::describe::{Body, Route, post};
use super::headers::answer_write;
use super::json;
use super::problem::Problem;

/// Operations of one batch at most.
const OPERATIONS_MAX: usize = 10_000;
/// What an operation may take of the answer.
const RESULT_BYTES: usize = 160;

pub(super) fn routes() -> Vec<Route> {
    vec![
        post("/v1/batch", batch)
            .about("Documents", "batch", "Makes many changes at once")
            .detail(
                "Later operations see earlier ones. `atomic`: all or nothing, the first refusal \
                 refuses the batch and names its `operation`, from 0. `each`: every operation by \
                 itself, with its own place in the answer.",
            )
            .writes_documents()
            .expires()
            .takes_json("BatchRequest")
            .answers(200, "What became of each", Body::Json("BatchAnswer"))
            .problems(&["condition_failed", "conflict"]),
    ]
}

/// Many changes of documents.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "mode": "atomic", "operations": [
    { "op": "put", "collection": "airports", "id": "JFK", "document": { "alt": 13 } },
    { "op": "patch", "collection": "airports", "id": "LGA", "patch": { "alt": 21 }, "expected": { "alt": 22 } },
    { "op": "delete", "collection": "airports", "id": "EWR" },
] }))]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"operations\": […]}"
)]
pub(super) struct BatchRequest<'a> {
    #[serde(default)]
    mode: BatchMode,
    /// 1 to 10,000 of them.
    #[serde(borrow)]
    #[schema(min_items = 1, max_items = 10_000)]
    operations: Vec<BatchOperation<'a>>,
}

/// What one refusal means to the others.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum BatchMode {
    /// All or nothing.
    #[default]
    Atomic,
    /// Nothing.
    Each,
}

/// One change of a document.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an operation, an object")]
pub(super) struct BatchOperation<'a> {
    op: BatchOp,
    /// The collection's name.
    collection: String,
    /// The document's id, as `_id` has it; an insertion may have none.
    #[serde(borrow, default)]
    #[schema(value_type = Value, required = false)]
    id: Option<&'a RawValue>,
    /// The fields, of `insert`, `put` and `replace`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    document: Option<&'a RawValue>,
    /// The merge patch, of `patch`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    patch: Option<&'a RawValue>,
    /// What the document must be for `patch`: `_version`, or paths with values.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    expected: Option<&'a RawValue>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum BatchOp {
    /// Inserts a document.
    Insert,
    /// Replaces a document, or inserts it.
    Put,
    /// Replaces a document that is there.
    Replace,
    /// Changes fields of a document.
    Patch,
    /// Deletes a document.
    Delete,
}

/// What became of each operation, in their order.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchAnswer {
    results: Vec<BatchResult>,
    /// The log index of all changes.
    index: u64,
}

/// What became of an operation.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum BatchResult {
    /// It was made.
    Made {
        /// 201: inserted; 200: changed, or deleted.
        status: u16,
        /// The document's id.
        #[schema(value_type = Value)]
        id: serde_json::Value,
        /// The document's version now; the last one, of a document that was deleted.
        version: u64,
    },
    /// It was refused.
    Refused {
        /// As a request of its own would be answered.
        status: u16,
        /// What went wrong, for programs.
        code: String,
        /// What went wrong, for people.
        detail: String,
    },
}

/// One change, read.
enum Step {
    Insert(Option<Key>, Input<'static>),
    Put(Key, Input<'static>),
    Replace(Key, Input<'static>),
    Patch(Key, Update, Option<Expected>),
    Delete(Key),
}

async fn batch(ask: Ask, JsonText(text): JsonText) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    let (database, call) = (ask.database().clone(), ask.call());
    let (expires, slot) = (ask.asked.expires, ask.slot.clone());
    ask.write(text.len(), move || {
        let request = read_request(&text)?;
        slot.room(text.len() + RESULT_BYTES * request.operations.len())?;
        let steps = read_steps(&database, &request)?;
        let mut batch = match request.mode {
            BatchMode::Atomic => Batch::atomic(),
            BatchMode::Each => Batch::each(),
        }
        .expires(expires);
        for (operation, step) in request.operations.iter().zip(steps) {
            batch = add(batch, &operation.collection, step)?;
        }
        let answer = database.batch_with(batch, &call).map_err(refused)?;
        let results = answer.value.iter().map(shown).collect();
        let body = BatchAnswer {
            results,
            index: answer.index,
        };
        let body = serde_json::to_vec(&body).expect("strings and numbers are JSON");
        let mut response = json::response(StatusCode::OK, body);
        answer_write(&mut response, &answer);
        Ok(response)
    })
    .await
}

fn read_request(text: &str) -> Result<BatchRequest<'_>, Problem> {
    let invalid = |what: String| Problem::new("invalid_request", what);
    if text.trim_start().starts_with('[') {
        return Err(invalid(
            "expected an object such as {\"operations\": […]}".into(),
        ));
    }
    let request: BatchRequest<'_> = serde_json::from_str(text).map_err(|error| {
        let problem = match error.is_data() {
            true => invalid(error.to_string()),
            false => Problem::new("invalid_json", error.to_string()),
        };
        problem.place(error.line(), error.column())
    })?;
    match request.operations.len() {
        1..=OPERATIONS_MAX => Ok(request),
        _ => Err(invalid(format!(
            "operations: 1 to {OPERATIONS_MAX} of them"
        ))),
    }
}

/// Reads the operations under the definitions of their collections.
fn read_steps(database: &Database, request: &BatchRequest<'_>) -> Result<Vec<Step>, Problem> {
    let mut definitions: HashMap<&str, Definition> = HashMap::new();
    let mut steps = Vec::with_capacity(request.operations.len());
    for (at, operation) in request.operations.iter().enumerate() {
        let name = operation.collection.as_str();
        let definition = match definitions.get(name) {
            Some(known) => known,
            None => {
                let found = database
                    .collection(name)
                    .and_then(|found| found.definition());
                let found = match found {
                    // The batch itself says so, each operation for itself.
                    Err(Error::UnknownCollection(_)) => Definition::new(name),
                    found => found?,
                };
                definitions.entry(name).or_insert(found)
            }
        };
        let step = read_step(operation, definition);
        steps.push(step.map_err(|problem| at_operation(problem, at))?);
    }
    Ok(steps)
}

fn at_operation(mut problem: Problem, at: usize) -> Problem {
    problem.detail = format!("operation {at}: {}", problem.detail);
    problem.member("operation", at.to_string().into())
}

fn read_step(operation: &BatchOperation<'_>, definition: &Definition) -> Result<Step, Problem> {
    let op = operation.op;
    let name = format!("{op:?}").to_ascii_lowercase();
    let needs = |what: &str| Problem::new("invalid_request", format!("{name} needs {what:?}"));
    let (takes_document, takes_patch) = (
        matches!(op, BatchOp::Insert | BatchOp::Put | BatchOp::Replace),
        op == BatchOp::Patch,
    );
    for (what, there, taken) in [
        ("document", operation.document.is_some(), takes_document),
        ("patch", operation.patch.is_some(), takes_patch),
        ("expected", operation.expected.is_some(), takes_patch),
    ] {
        if there && !taken {
            let detail = format!("{name} takes no {what:?}");
            return Err(Problem::new("invalid_request", detail));
        }
    }
    let id = operation
        .id
        .map(|id| json::read_value(id.get()))
        .transpose()?;
    let id = id.map(|id| id_of_value(definition, id)).transpose()?;
    let document = |id: Option<Key>| -> Result<(Option<Key>, Input<'static>), Problem> {
        let text = operation.document.ok_or_else(|| needs("document"))?;
        let (named, input) = json::read_document(text.get())?;
        match (id, named) {
            (Some(id), Some(named)) => {
                id_must_be(definition, named, &id)?;
                Ok((Some(id), input))
            }
            (None, Some(named)) => Ok((Some(id_of_value(definition, named)?), input)),
            (id, None) => Ok((id, input)),
        }
    };
    let must = |id: Option<Key>| id.ok_or_else(|| needs("id"));
    Ok(match op {
        BatchOp::Insert => {
            let (id, input) = document(id)?;
            Step::Insert(id, input)
        }
        BatchOp::Put | BatchOp::Replace => {
            let (id, input) = document(id)?;
            match op {
                BatchOp::Put => Step::Put(must(id)?, input),
                _ => Step::Replace(must(id)?, input),
            }
        }
        BatchOp::Delete => Step::Delete(must(id)?),
        BatchOp::Patch => {
            let id = must(id)?;
            let text = operation.patch.ok_or_else(|| needs("patch"))?;
            let mut patch = json::read_value(text.get())?;
            if let Value::Map(patch) = &mut patch
                && let Some(named) = take_metadata(patch)
            {
                id_must_be(definition, named, &id)?;
            }
            let expected = operation.expected.map(|text| read_expected(text.get()));
            Step::Patch(id, Update::merge(&patch), expected.transpose()?)
        }
    })
}

fn read_expected(text: &str) -> Result<Expected, Problem> {
    let invalid = |what: String| Problem::new("invalid_request", what);
    match json::read_value(text)? {
        Value::Map(expected) => {
            Expected::read(expected).map_err(|error| invalid(error.to_string()))
        }
        other => Err(invalid(format!(
            "expected: an object, got {}",
            other.type_name()
        ))),
    }
}

fn add<'a>(batch: Batch<'a>, collection: &'a str, step: Step) -> Result<Batch<'a>, Problem> {
    Ok(match step {
        Step::Insert(None, input) => batch.insert(collection, input),
        Step::Insert(Some(id), input) => batch.insert_with_id(collection, id, input),
        Step::Put(id, input) => batch.upsert(collection, id, input),
        Step::Replace(id, input) => batch.replace(collection, id, input),
        Step::Patch(id, update, None) => batch.update(collection, id, update),
        Step::Patch(id, update, Some(expected)) => {
            batch.update_if(collection, id, &expected, update)?
        }
        Step::Delete(id) => batch.delete(collection, id),
    })
}

/// Why all of it was refused, and because of which operation.
fn refused(error: Error) -> Problem {
    match &error {
        Error::Refused { operation, .. } => {
            let at = operation.to_string();
            Problem::from(error).member("operation", at.into())
        }
        _ => error.into(),
    }
}

fn shown(result: &Result<BatchOutcome, Error>) -> BatchResult {
    match result {
        Ok(BatchOutcome { id, outcome }) => BatchResult::Made {
            status: match outcome.effect {
                Effect::Inserted => 201,
                Effect::Checked | Effect::Updated | Effect::Deleted => 200,
            },
            id: serde_json::from_str(&id.to_value().to_json()).unwrap_or_default(),
            version: outcome.version,
        },
        Err(error) => {
            let (row, detail) = Problem::told(error);
            BatchResult::Refused {
                status: row.status,
                code: row.code.to_owned(),
                detail,
            }
        }
    }
}
