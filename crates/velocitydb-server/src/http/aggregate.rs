//! `…/aggregate`, `…/distinct` and `…/explain`: rows and values made of documents, and how
//! documents are found. Tests: tests/it/queries.rs.

use std::mem;
use std::time::Duration;

use axum::response::Response;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{StatusCode, Uri};
use velocitydb::query::{Find, Json, Pipeline};
use velocitydb::{CollectionView, Path};

use super::ask::{Ask, JsonText, Params, accepts, query};
use super::describe::{Body, Query, Route, post};
use super::find::page_limit;
use super::headers::answer_write;
use super::json;
use super::list::PAGE_DOCUMENTS;
use super::problem::Problem;
use super::query::{self, Bounds, invalid};
use crate::app::Slot;

const TEXT: &str = "text/plain";

pub(super) fn routes() -> Vec<Route> {
    let about = |route: Route, id, what, schema, answer| {
        let route = route.about("Queries", id, what).takes_json(schema);
        query::problems(route.answers(200, "The answer", answer))
    };
    vec![
        about(
            post("/v1/collections/{name}/aggregate", aggregate),
            "aggregate",
            "Rows that a pipeline makes of documents",
            "Aggregate",
            Body::Json("Rows"),
        )
        .detail(
            "The body is the stages, or an object with them as `pipeline`. With `$out` at the end \
             the rows replace the content of a collection, which is created where it is not \
             there; the answer is one row: `collection`, and `documents` that were written. With \
             `$merge` each row goes into a collection by its `_id`; the answer says how many were \
             `inserted`, `replaced`, `merged` and `left`.",
        )
        .header_in("Velocity-Durability")
        .headers_out(&["Velocity-Durability"])
        .expires()
        .document_refusals()
        .problems(&[
            "collection_exists",
            "damaged",
            "definition_changed",
            "disk_full",
            "invalid_definition",
            "io",
            "memory_limit",
            "outcome_unknown",
        ]),
        about(
            post("/v1/collections/{name}/distinct", distinct),
            "distinct",
            "The different values of a path",
            "Distinct",
            Body::Json("Values"),
        ),
        about(
            post("/v1/collections/{name}/explain", explain),
            "explain",
            "How documents are found",
            "Explain",
            Body::Explained,
        )
        .detail(
            "The body is that of `find`, or an object with a `pipeline`, of which it is told how \
             its documents are reached. As text for clients whose `Accept` names text/plain.",
        )
        .query(
            "analyze",
            "Finds them, too, and tells how many there were at each step and how long it took",
            Query::Flag,
        ),
    ]
}

/// What is made of a view: a body.
type Work = fn(Json, &Bounds, CollectionView, &Slot) -> Result<Vec<u8>, Problem>;

async fn answer(ask: Ask, name: String, text: String, work: Work) -> Result<Response, Problem> {
    ask.reads_only()?;
    let (bounds, slot) = (Bounds::of(&ask), ask.slot.clone());
    let collection = ask.collection(&name)?;
    let answered = ask.read(move || {
        let question = query::read_body(&text, &slot)?;
        let view = collection.view()?;
        Ok((view.index(), work(question, &bounds, view, &slot)?))
    });
    answered.await
}

/// Writes a list of JSON texts by this name, and the index.
fn list_of(
    name: &str,
    items: impl Iterator<Item = String>,
    index: u64,
    slot: &Slot,
) -> Result<Vec<u8>, Problem> {
    let mut body = format!("{{\"{name}\":[").into_bytes();
    for (at, item) in items.enumerate() {
        if at > 0 {
            body.push(b',');
        }
        slot.room(body.len() + item.len())?;
        body.extend_from_slice(item.as_bytes());
    }
    body.extend_from_slice(format!("],\"index\":{index}}}").as_bytes());
    Ok(body)
}

fn read_pipeline(json: &Json, bounds: &Bounds) -> Result<Pipeline, Problem> {
    let pipeline = Pipeline::from_tree(json).map_err(query::wrong)?;
    Ok(pipeline.limits(bounds.limits))
}

/// Reads stages, or an object with them, and how long they may take.
fn read_stages(mut question: Json, bounds: &Bounds) -> Result<(Pipeline, Duration), Problem> {
    let (stages, timeout) = match &mut question {
        Json::Array(_) => {
            let timeout = bounds.timeout(&mut Json::Null)?;
            (question, timeout)
        }
        members => {
            let timeout = bounds.timeout(members)?;
            let stages = members.take("pipeline");
            let stages = stages.ok_or_else(|| {
                invalid("expected stages such as [{\"$match\": {…}}], or {\"pipeline\": […]}")
            })?;
            query::no_more(members, "pipeline, timeout_ms")?;
            (stages, timeout)
        }
    };
    Ok((read_pipeline(&stages, bounds)?, timeout))
}

/// What became of a pipeline when its end was known.
enum Begun {
    /// It only reads: the index that its rows show, and the answer.
    Read(u64, Vec<u8>),
    /// It ends with `$out` or `$merge`, and nothing is done yet.
    Writes(CollectionView, Pipeline),
}

async fn aggregate(
    ask: Ask,
    Params(name): Params<String>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    let (bounds, slot, reads_only) = (Bounds::of(&ask), ask.slot.clone(), ask.reads_only());
    let collection = ask.collection(&name)?;
    let begun = ask.blocking(move || {
        let (pipeline, timeout) = read_stages(query::read_body(&text, &slot)?, &bounds)?;
        let view = collection.view()?;
        let pipeline = view.typed_pipeline(pipeline);
        let view = bounds.bound(view, timeout);
        if pipeline.out().is_some() {
            return Ok(Begun::Writes(view, pipeline));
        }
        reads_only?;
        let rows = view.aggregate(&pipeline)?.into_iter().map(json::row);
        let body = list_of("rows", rows, view.index(), &slot)?;
        Ok(Begun::Read(view.index(), body))
    });
    match begun.await? {
        Begun::Writes(view, pipeline) => out(ask, name, view, pipeline).await,
        Begun::Read(index, body) => {
            let mut response = json::response(StatusCode::OK, body);
            ask.asked.answer_read(&mut response, index);
            Ok(response)
        }
    }
}

/// A pipeline that ends with `$out` or `$merge`. Reading has the time of a query; the writes take as long as
/// they take, since half of them would be worse.
async fn out(
    ask: Ask,
    name: String,
    view: CollectionView,
    pipeline: Pipeline,
) -> Result<Response, Problem> {
    if let Some(output) = pipeline
        .out()
        .filter(|_| ask.asked.idempotency_key.is_some())
    {
        let what = format!(
            "idempotency-key: {} makes several writes, and a key is for one; a pipeline that is run \
             again writes the same anew",
            output.stage()
        );
        return Err(Problem::new("invalid_header", what));
    }
    let collection = ask.database().collection(&name)?;
    let (collection, slot) = (collection.with(ask.asked.call()), ask.slot.clone());
    ask.long(move || {
        let mut answer = collection.aggregate_out(view, &pipeline)?;
        let rows = mem::take(&mut answer.value).into_iter().map(json::row);
        let body = list_of("rows", rows, answer.index, &slot)?;
        let mut response = json::response(StatusCode::OK, body);
        answer_write(&mut response, &answer);
        Ok(response)
    })
    .await
}

async fn distinct(
    ask: Ask,
    Params(name): Params<String>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    answer(ask, name, text, |mut question, bounds, view, slot| {
        let timeout = bounds.timeout(&mut question)?;
        let path = match question.take("path") {
            Some(Json::String(path)) => path,
            _ => return Err(invalid("expected a path: {\"path\": \"state\"}")),
        };
        let path: Path = path
            .parse()
            .map_err(|error| invalid(format!("path: {path:?} is no path: {error}")))?;
        let filter = question.take("filter").unwrap_or(Json::Object(Vec::new()));
        query::no_more(&question, "path, filter, timeout_ms")?;
        let find = query::find(&Json::Object(vec![("filter".into(), filter)]), bounds)?;
        let view = bounds.bound(view, timeout);
        let values = view.distinct(&path, &view.typed(find))?.into_iter();
        list_of(
            "values",
            values.map(|value| value.to_json()),
            view.index(),
            slot,
        )
    })
    .await
}

/// What is to be explained.
enum Explained {
    Find(Box<Find>),
    Pipeline(Pipeline),
}

async fn explain(
    ask: Ask,
    Params(name): Params<String>,
    uri: Uri,
    headers: HeaderMap,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    ask.reads_only()?;
    let [analyze] = query(&uri, ["analyze"])?;
    let analyze = match analyze.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(invalid("analyze: true or false")),
    };
    let (bounds, slot) = (Bounds::of(&ask), ask.slot.clone());
    let collection = ask.collection(&name)?;
    let explained = ask.blocking(move || {
        let example = r#"{"filter": {"state": "waiting"}}"#;
        let mut question = query::read_object(&text, &slot, example)?;
        let timeout = bounds.timeout(&mut question)?;
        let asked = read_explained(question, &bounds)?;
        let view = bounds.bound(collection.view()?, timeout);
        let explained = match asked {
            Explained::Find(find) => {
                let find = view.typed(*find);
                match analyze {
                    false => view.explain(&find),
                    true => view.explain_analyze(&find),
                }
            }
            Explained::Pipeline(pipeline) => {
                let pipeline = view.typed_pipeline(pipeline);
                match analyze {
                    false => view.explain_aggregate(&pipeline),
                    true => view.explain_analyze_aggregate(&pipeline),
                }
            }
        };
        Ok((view.index(), explained?))
    });
    let (index, explained) = explained.await?;
    let mut response = match accepts(&headers, TEXT) {
        true => {
            let body = explained.to_string().into_bytes();
            let mut response = json::response(StatusCode::OK, body);
            let kind = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        false => json::response(StatusCode::OK, explained.to_json().into_bytes()),
    };
    ask.asked.answer_read(&mut response, index);
    Ok(response)
}

/// A question, as `find` or `aggregate` would run it.
fn read_explained(mut question: Json, bounds: &Bounds) -> Result<Explained, Problem> {
    if let Some(stages) = question.take("pipeline") {
        query::no_more(&question, "pipeline, timeout_ms")?;
        return read_pipeline(&stages, bounds).map(Explained::Pipeline);
    }
    let mut find = query::find(&question, bounds)?;
    let limit = page_limit(&find, PAGE_DOCUMENTS)?;
    let after = find.after.take();
    Ok(Explained::Find(Box::new(find.page(after).limit(limit))))
}
