//! `…/indexes`: the indexes of a collection, what they hold, making and dropping them.
//!
//! A definition is the JSON form of [`IndexDefinition`]. Making an index takes as long as it
//! takes, beside other requests, and the request waits for it. Tests: tests/it/indexes.rs.

use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use velocitydb::{CollectionView, IndexDefinition, IndexKind, IndexStats, Partition};

use super::ask::{Ask, JsonText, Params};
use super::collections::{read, to_json};
use super::describe::{Body, Route, delete, get, post};
use super::headers::answer_write;
use super::json;
use super::problem::Problem;

const ALL: &str = "/v1/collections/{name}/indexes";
const ONE: &str = "/v1/collections/{name}/indexes/{index}";
const REBUILD: &str = "/v1/collections/{name}/indexes/{index}/rebuild";

pub(super) fn routes() -> Vec<Route> {
    let about = |route: Route, id, what| {
        let route = route.about("Indexes", id, what);
        route.problems(&["unknown_collection"])
    };
    vec![
        about(get(ALL, list), "listIndexes", "The indexes of a collection")
            .reads()
            .answers(200, "All of them", Body::Json("Indexes")),
        about(get(ONE, get_one), "getIndex", "An index with what it holds")
            .reads()
            .answers(200, "The index", Body::Json("IndexWithFigures"))
            .problems(&["unknown_index"]),
        about(post(ALL, create), "createIndex", "Makes an index")
            .detail(
                "Over the documents that there are, however many, beside reads and writes; it is \
                 answered when the index is built.",
            )
            .writes()
            .headers_out(&["Location"])
            .takes_json("Index")
            .answers(201, "It was made", Body::Json("IndexWithFigures"))
            .problems(&[
                "definition_changed",
                "index_exists",
                "invalid_definition",
                "schema_violation",
                "unique_violation",
            ]),
        about(
            post(REBUILD, rebuild),
            "rebuildIndex",
            "Builds an index anew",
        )
        .detail(
            "From the documents, beside reads and writes, which use the present index until \
                 the new one takes its place; it is answered then.",
        )
        .reads()
        .answers(200, "It is rebuilt", Body::Json("IndexWithFigures"))
        .problems(&["unknown_index"]),
        about(delete(ONE, remove), "dropIndex", "Drops an index")
            .writes()
            .answers(204, "It is gone", Body::Empty)
            .problems(&["invalid_definition", "unknown_index"]),
    ]
}

/// An index with what it holds.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    definition: IndexDefinition,
    entries: usize,
    distinct: Option<usize>,
    bytes: usize,
    uses: u64,
    used_at: Option<String>,
    building: Option<Building>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<Vec<ShownPartition>>,
}

/// So many of a time-series index are shown, the newest ones.
const PARTITIONS_SHOWN: usize = 1000;

/// A partition of a time-series index.
#[derive(Serialize)]
struct ShownPartition {
    from: String,
    to: String,
    entries: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_until: Option<String>,
}

/// How far the making or rebuilding of an index has come.
#[derive(Serialize)]
struct Building {
    done: u32,
    of: u64,
}

fn shown(view: &CollectionView) -> Result<Vec<Shown>, Problem> {
    let documents = view.count()?;
    let show = |(definition, stats): (IndexDefinition, IndexStats)| Shown {
        partitions: partitions(view, &definition),
        definition,
        entries: stats.entries,
        distinct: stats.distinct,
        bytes: stats.bytes,
        uses: stats.uses,
        used_at: stats.used_at.map(|time| time.to_string()),
        building: stats.built.or(stats.rebuilt).map(|done| Building {
            done,
            of: documents,
        }),
    };
    Ok(view.indexes().into_iter().map(show).collect())
}

fn partitions(view: &CollectionView, definition: &IndexDefinition) -> Option<Vec<ShownPartition>> {
    if definition.kind != IndexKind::TimeSeries {
        return None;
    }
    let found = view.partitions(&definition.name, PARTITIONS_SHOWN).ok()?;
    let show = |partition: Partition| ShownPartition {
        from: partition.from.to_string(),
        to: partition.to.to_string(),
        entries: partition.entries,
        kept_until: partition.kept_until.map(|at| at.to_string()),
    };
    Some(found.into_iter().map(show).collect())
}

fn one(view: &CollectionView, index: &str) -> Result<Shown, Problem> {
    let mut all = shown(view)?.into_iter();
    let found = all.find(|one| one.definition.name == index);
    found.ok_or_else(|| Problem::new("unknown_index", format!("there is no index {index:?}")))
}

async fn list(ask: Ask, Params(name): Params<String>) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct List {
        indexes: Vec<Shown>,
        index: u64,
    }
    let collection = ask.collection(&name)?;
    let listed = ask.read(move || {
        let view = collection.view()?;
        let list = List {
            indexes: shown(&view)?,
            index: view.index(),
        };
        Ok((view.index(), to_json(&list)))
    });
    listed.await
}

async fn get_one(
    ask: Ask,
    Params((name, index)): Params<(String, String)>,
) -> Result<Response, Problem> {
    let collection = ask.collection(&name)?;
    let found = ask.read(move || {
        let view = collection.view()?;
        Ok((view.index(), to_json(&one(&view, &index)?)))
    });
    found.await
}

async fn create(
    ask: Ask,
    Params(name): Params<String>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_expiry()?;
    ask.no_idempotency_key()?;
    let collection = ask.database().collection(&name)?;
    let collection = collection.with(ask.asked.call());
    ask.long(move || {
        let example = r#"an index, an object such as {"name": "by_state", "kind": "btree", "fields": ["state"]}"#;
        let definition: IndexDefinition = read(&text, example)?;
        let index = definition.name.clone();
        let answer = collection.create_index(definition)?;
        let body = to_json(&one(&collection.view()?, &index)?);
        let mut response = json::response(StatusCode::CREATED, body);
        let part = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let path = format!(
            "/v1/collections/{}/indexes/{}",
            part(collection.name()),
            part(&index)
        );
        let location = HeaderValue::try_from(path).expect("percent-encoded text is ASCII");
        response.headers_mut().insert(LOCATION, location);
        answer_write(&mut response, &answer);
        Ok(response)
    })
    .await
}

async fn rebuild(
    ask: Ask,
    Params((name, index)): Params<(String, String)>,
) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_idempotency_key()?;
    let collection = ask.collection(&name)?;
    let rebuilt = ask.long(move || {
        collection.rebuild_index(&index)?;
        let view = collection.view()?;
        Ok((view.index(), to_json(&one(&view, &index)?)))
    });
    let (index, body) = rebuilt.await?;
    let mut response = json::response(StatusCode::OK, body);
    ask.asked.answer_read(&mut response, index);
    Ok(response)
}

async fn remove(
    ask: Ask,
    Params((name, index)): Params<(String, String)>,
) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_idempotency_key()?;
    let collection = ask.collection(&name)?;
    ask.blocking(move || {
        let answer = collection.drop_index(&index)?;
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        answer_write(&mut response, &answer);
        Ok(response)
    })
    .await
}
