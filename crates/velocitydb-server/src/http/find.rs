//! `…/find` and `…/count`: documents that a filter lets through.
//!
//! As JSON a page at a time, each of the moment when it is asked for, in an order that is whole
//! (ends in the id), so that pages fit together whatever is written between them. As NDJSON all
//! of them, of one moment, by a thread that goes on while the client takes the lines: it waits
//! for a slow one, which `write_timeout` bounds, and there are at most [`STREAMS_MAX`] such.
//! Tests: tests/it/queries.rs.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use axum::response::Response;
use hyper::Uri;
use hyper::header::HeaderMap;
use velocitydb::query::{Filter, Find, Json, Projection, Projector};
use velocitydb::{CollectionView, Document, Error};

use super::ask::{Ask, JsonText, Params, accepts, query};
use super::describe::{Body, Query, Route, get, post};
use super::json;
use super::list::{NDJSON, PAGE_DOCUMENTS, PAGE_DOCUMENTS_MAX};
use super::problem::Problem;
use super::query::{self, Bounds, PARAMETERS, invalid};
use super::stream::{self, PIECE_BYTES, Pieces};
use crate::app::{STREAMS_MAX, Slot};

const FIND: &str = "/v1/collections/{name}/find";
const COUNT: &str = "/v1/collections/{name}/count";

pub(super) fn routes() -> Vec<Route> {
    let finds = |route: Route, id| {
        let route = route
            .about("Queries", id, "Documents that a filter lets through")
            .detail(
                "A page at a time, by `_id` where no sort is asked for; with `Accept: \
                 application/x-ndjson` all of them in one answer of one moment, a document a line.",
            )
            .answers(200, "A page, or lines", Body::Lines("Found"));
        query::problems(route)
    };
    let counts = |route: Route, id| {
        let route = route.about(
            "Queries",
            id,
            "How many documents it has, or a filter finds",
        );
        query::problems(route.answers(200, "How many", Body::Json("Count")))
    };
    let by_parameters = query::filter_parameters(get(FIND, find_by_parameters));
    let by_parameters = query::part_parameters(by_parameters)
        .query(
            "sort",
            "Paths with commas between; `-` before one whose greatest values come first",
            Query::Text,
        )
        .query(
            "limit",
            "Documents at most: on a page 100 unless it is said, and up to 10,000",
            Query::Number(1, usize::MAX),
        )
        .query("after", "`next` of the page before", Query::Text)
        .query(
            "hint",
            "The name of an index that must be used, or `scan`: none",
            Query::Text,
        )
        .query(
            "count",
            "Counts all documents that the filter lets through, too",
            Query::Flag,
        );
    vec![
        finds(by_parameters, "findDocuments"),
        finds(post(FIND, find_by_body), "findDocumentsByBody").takes_json("Find"),
        counts(
            query::filter_parameters(get(COUNT, count_by_parameters)),
            "countDocuments",
        ),
        counts(post(COUNT, count_by_body), "countDocumentsByBody").takes_json("CountQuery"),
    ]
}

/// A question for documents.
struct Asked {
    find: Find,
    /// Documents of the answer at most; of a page always.
    limit: Option<usize>,
    count: bool,
    timeout: Duration,
}

impl Asked {
    fn read(mut question: Json, bounds: &Bounds, form: Form) -> Result<Asked, Problem> {
        let timeout = bounds.timeout(&mut question)?;
        let count = match question.take("count") {
            None => false,
            Some(Json::Bool(count)) => count,
            Some(_) => return Err(invalid("count: true or false")),
        };
        let find = query::find(&question, bounds)?;
        let limit = match form {
            Form::Lines if count => return Err(invalid("count: lines have no place for it")),
            Form::Lines => find.limit,
            Form::Page => Some(page_limit(&find, PAGE_DOCUMENTS)?),
        };
        Ok(Asked {
            find,
            limit,
            count,
            timeout,
        })
    }
}

/// The form of an answer.
#[derive(Clone, Copy)]
enum Form {
    Page,
    Lines,
}

/// How many documents a page may have; `default` when the question does not say.
pub(super) fn page_limit(find: &Find, default: usize) -> Result<usize, Problem> {
    match find.limit.unwrap_or(default) {
        limit @ 1..=PAGE_DOCUMENTS_MAX => Ok(limit),
        _ => {
            let what = format!("limit: a whole number from 1 to {PAGE_DOCUMENTS_MAX}");
            Err(invalid(what))
        }
    }
}

async fn find_by_parameters(
    ask: Ask,
    Params(name): Params<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let given = PARAMETERS.into_iter().zip(query(&uri, PARAMETERS)?);
    let read = |_: &Slot| query::from_parameters(given, query::parameter);
    find(ask, name, headers, read).await
}

async fn find_by_body(
    ask: Ask,
    Params(name): Params<String>,
    headers: HeaderMap,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    ask.reads_only()?;
    let example = r#"{"filter": {"state": "waiting"}, "limit": 10}"#;
    let read = move |slot: &Slot| query::read_object(&text, slot, example);
    find(ask, name, headers, read).await
}

async fn find(
    ask: Ask,
    name: String,
    headers: HeaderMap,
    read: impl FnOnce(&Slot) -> Result<Json, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let (bounds, slot) = (Bounds::of(&ask), ask.slot.clone());
    let collection = ask.collection(&name)?;
    if accepts(&headers, NDJSON) {
        let app = Arc::clone(&ask.app);
        let begin = move || {
            let asked = Asked::read(read(&slot)?, &bounds, Form::Lines)?;
            let permit = Arc::clone(&app.answers).try_acquire_owned();
            let permit = permit.map_err(|_| {
                let what = format!("{STREAMS_MAX} answers as lines are being sent: try again");
                Problem::new("overloaded", what)
            })?;
            let view = collection.view()?;
            let index = view.index();
            let (sender, made) = sync_channel(1);
            tokio::task::spawn_blocking(move || {
                let _held = (slot, permit);
                produce(view, &asked, &sender);
            });
            Ok((Some(index), Lines { made }))
        };
        return stream::answer(&ask, NDJSON, begin).await;
    }
    let bytes_max = ask.app.config.page_bytes_max;
    let page = move || {
        let asked = Asked::read(read(&slot)?, &bounds, Form::Page)?;
        let view = bounds.bound(collection.view()?, asked.timeout);
        let body = page(&view, asked, bytes_max, &slot)?;
        Ok((view.index(), body))
    };
    ask.read(page).await
}

/// Writes the documents of an answer.
pub(super) struct Writer<'f> {
    projector: Option<Projector<'f>>,
}

impl<'f> Writer<'f> {
    pub(super) fn of(find: &'f Find) -> Writer<'f> {
        let all = find.projection == Projection::All;
        Writer {
            projector: (!all).then(|| find.projector()),
        }
    }

    pub(super) fn write(&self, document: &Document, out: &mut Vec<u8>) {
        match &self.projector {
            None => json::write_document(document, out),
            Some(projector) => json::write_row(projector.row(document), out),
        }
    }
}

/// A page as JSON.
fn page(
    view: &CollectionView,
    asked: Asked,
    bytes_max: usize,
    slot: &Slot,
) -> Result<Vec<u8>, Problem> {
    let Asked {
        mut find,
        limit,
        count,
        ..
    } = asked;
    let limit = limit.unwrap_or(PAGE_DOCUMENTS);
    let after = find.after.take();
    // One more tells whether there is another page.
    let find = view.typed(find).page(after).limit(limit + 1);
    let writer = Writer::of(&find);
    let mut body = b"{\"documents\":[".to_vec();
    let (mut written, mut last, mut more, mut full) = (0, None, false, Ok(()));
    view.find_each(&find, |document| {
        more = written == limit
            || (written > 0 && body.len() + json::bytes_about(document) > bytes_max);
        if more {
            return false;
        }
        full = slot.room(body.len() + json::bytes_about(document));
        if full.is_err() {
            return false;
        }
        if written > 0 {
            body.push(b',');
        }
        writer.write(document, &mut body);
        written += 1;
        last = Some(document.clone());
        true
    })?;
    full?;
    let next = match last.filter(|_| more) {
        Some(last) => format!("\"{}\"", find.cursor_at(&last)),
        None => "null".to_owned(),
    };
    body.extend_from_slice(format!("],\"next\":{next}").as_bytes());
    if count {
        let count = view.count_where(&find.filter)?;
        body.extend_from_slice(format!(",\"count\":{count}").as_bytes());
    }
    body.extend_from_slice(format!(",\"index\":{}}}", view.index()).as_bytes());
    Ok(body)
}

/// A piece of the lines, their end, or why they end early.
type Made = Result<Option<Vec<u8>>, Problem>;

/// Makes the lines, for as long as they are taken.
fn produce(view: CollectionView, asked: &Asked, made: &SyncSender<Made>) {
    let (began, timeout) = (Instant::now(), asked.timeout);
    // Nanoseconds for which the client was waited for: they are not the query's.
    let waited = Arc::new(AtomicU64::new(0));
    let pause = Arc::clone(&waited);
    let view = view.interrupted_by(move || {
        let waited = Duration::from_nanos(pause.load(Ordering::Relaxed));
        match began.elapsed().saturating_sub(waited) < timeout {
            true => Ok(()),
            false => Err(Error::QueryTimeout),
        }
    });
    let send = |piece: Vec<u8>| {
        let since = Instant::now();
        let taken = made.send(Ok(Some(piece))).is_ok();
        let waited_ns = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        waited.fetch_add(waited_ns, Ordering::Relaxed);
        taken
    };
    let find = view.typed(asked.find.clone());
    let writer = Writer::of(&find);
    let mut piece = Vec::new();
    let outcome = view.find_each(&find, |document| {
        writer.write(document, &mut piece);
        piece.push(b'\n');
        piece.len() < PIECE_BYTES || send(mem::take(&mut piece))
    });
    // Whoever does not take it any more needs not be told.
    let _gone = match outcome {
        Err(error) => made.send(Err(error.into())),
        Ok(()) => {
            if !piece.is_empty() {
                send(piece);
            }
            made.send(Ok(None))
        }
    };
}

/// Documents as lines.
struct Lines {
    made: Receiver<Made>,
}

impl Pieces for Lines {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        let gone = |_| Problem::new("internal", "the work on the request panicked");
        self.made.recv().map_err(gone)?
    }
}

async fn count_by_parameters(
    ask: Ask,
    Params(name): Params<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let known = ["filter", "timeout_ms"];
    let given = known.into_iter().zip(query(&uri, known)?);
    let read = |_: &Slot| query::from_parameters(given, query::parameter);
    count(ask, name, read).await
}

async fn count_by_body(
    ask: Ask,
    Params(name): Params<String>,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    ask.reads_only()?;
    let example = r#"{"filter": {"state": "waiting"}}"#;
    let read = move |slot: &Slot| query::read_object(&text, slot, example);
    count(ask, name, read).await
}

async fn count(
    ask: Ask,
    name: String,
    read: impl FnOnce(&Slot) -> Result<Json, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let (bounds, slot) = (Bounds::of(&ask), ask.slot.clone());
    let collection = ask.collection(&name)?;
    let counted = ask.read(move || {
        let mut question = read(&slot)?;
        let timeout = bounds.timeout(&mut question)?;
        let filter = question.take("filter").unwrap_or(Json::Object(Vec::new()));
        query::no_more(&question, "filter, timeout_ms")?;
        let filter = Filter::from_tree(&filter).map_err(query::wrong)?;
        let view = bounds.bound(collection.view()?, timeout);
        let filter = view.typed(Find::new(filter)).filter;
        let (count, index) = (view.count_where(&filter)?, view.index());
        let body = format!("{{\"count\":{count},\"index\":{index}}}");
        Ok((index, body.into_bytes()))
    });
    counted.await
}
