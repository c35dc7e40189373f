//! What [`search`](super::search) and [`near`](super::near) share: a question whose answer is
//! documents in an order of its own, each with what it was found for.
//!
//! Which part of them, in which form and for how long is asked and bounded as by `find`. A page
//! goes on by number (`next` is the `offset` of the page behind it), since the order is not that of
//! anything that a cursor could name; so pages fit together as long as nothing is written. As
//! NDJSON the same documents come as lines. Tests: tests/it/search.rs.

use std::vec::IntoIter;

use axum::response::Response;
use hyper::Uri;
use hyper::header::HeaderMap;
use velocitydb::query::{Find, Json};
use velocitydb::{CollectionView, Document};

use super::ask::{Ask, JsonText, Params, accepts, query_into};
use super::describe::{Body, Query, Route};
use super::find::{Writer, page_limit};
use super::json;
use super::list::{NDJSON, PAGE_DOCUMENTS_MAX};
use super::problem::Problem;
use super::query::{self, Bounds};
use super::stream::{self, PIECE_BYTES, Pieces};
use crate::app::Slot;

/// Documents of an answer when the question does not say.
const LIMIT: usize = 10;

/// The members of every such question that stand in a find, too.
const OF_FIND: [&str; 4] = ["filter", "project", "offset", "limit"];

/// A document that was found.
pub(super) struct Hit {
    pub(super) document: Document,
    /// For what: members of JSON, each with a comma behind it.
    pub(super) about: String,
}

/// A question of one kind.
pub(super) trait Question: Sized + Send + 'static {
    /// The names of its own members.
    const MEMBERS: &'static [&'static str];
    /// A body.
    const EXAMPLE: &'static str;

    /// Reads one of its own members from behind the question mark.
    fn parameter(name: &str, text: String) -> Result<Json, Problem>;

    /// Takes what is its own out of a question.
    fn take(question: &mut Json) -> Result<Self, Problem>;

    /// The documents that a find's filter lets through, from its offset on, `limit` at most.
    fn hits(self, view: &CollectionView, find: &Find, limit: usize) -> Result<Vec<Hit>, Problem>;
}

/// The names of all members.
fn members<Q: Question>() -> Vec<&'static str> {
    [Q::MEMBERS, &OF_FIND, &["timeout_ms"]].concat()
}

/// The description of such a route.
pub(super) fn described(route: Route, schema: &'static str) -> Route {
    let route = route.answers(200, "A page, or lines", Body::Lines(schema));
    query::problems(route)
}

/// The parameters that every such question has, described.
pub(super) fn parameters(route: Route) -> Route {
    query::part_parameters(query::filter_parameters(route)).query(
        "limit",
        "Documents at most: 10 unless it is said",
        Query::Number(1, PAGE_DOCUMENTS_MAX),
    )
}

/// What was found, and how it is shown.
struct Found {
    find: Find,
    hits: Vec<Hit>,
    /// How many of them the answer has at most; there may be one more, which tells that.
    limit: usize,
    offset: usize,
    index: u64,
}

fn ask_for<Q: Question>(
    mut question: Json,
    bounds: &Bounds,
    view: CollectionView,
) -> Result<Found, Problem> {
    let timeout = bounds.timeout(&mut question)?;
    let own = Q::take(&mut question)?;
    let taken = OF_FIND
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), question.take(name)?)));
    let find = Json::Object(taken.collect());
    query::no_more(&question, &members::<Q>().join(", "))?;
    let find = query::find(&find, bounds)?;
    let limit = page_limit(&find, LIMIT)?;
    let find = view.typed(find);
    let view = bounds.bound(view, timeout);
    Ok(Found {
        hits: own.hits(&view, &find, limit + 1)?,
        limit,
        offset: find.offset,
        index: view.index(),
        find,
    })
}

/// Answers a question behind the question mark.
pub(super) async fn by_parameters<Q: Question>(
    ask: Ask,
    Params(name): Params<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let names = members::<Q>();
    let mut given = vec![None; names.len()];
    query_into(&uri, &names, &mut given)?;
    let parameter = |name: &str, text| match Q::MEMBERS.contains(&name) {
        true => Q::parameter(name, text),
        false => query::parameter(name, text),
    };
    let read = move |_: &Slot| query::from_parameters(names.into_iter().zip(given), parameter);
    answer::<Q>(ask, name, headers, read).await
}

/// Answers a question in a body.
pub(super) async fn by_body<Q: Question>(
    ask: Ask,
    Params(name): Params<String>,
    headers: HeaderMap,
    JsonText(text): JsonText,
) -> Result<Response, Problem> {
    ask.reads_only()?;
    let read = move |slot: &Slot| query::read_object(&text, slot, Q::EXAMPLE);
    answer::<Q>(ask, name, headers, read).await
}

async fn answer<Q: Question>(
    ask: Ask,
    name: String,
    headers: HeaderMap,
    read: impl FnOnce(&Slot) -> Result<Json, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let (bounds, slot) = (Bounds::of(&ask), ask.slot.clone());
    let collection = ask.collection(&name)?;
    if accepts(&headers, NDJSON) {
        let begin = move || {
            let found = ask_for::<Q>(read(&slot)?, &bounds, collection.view()?)?;
            Ok((Some(found.index), Lines::of(found)))
        };
        return stream::answer(&ask, NDJSON, begin).await;
    }
    let bytes_max = ask.app.config.page_bytes_max;
    let page = move || {
        let found = ask_for::<Q>(read(&slot)?, &bounds, collection.view()?)?;
        Ok((found.index, page(found, bytes_max, &slot)?))
    };
    ask.read(page).await
}

fn write(hit: &Hit, writer: &Writer<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    out.extend_from_slice(hit.about.as_bytes());
    out.extend_from_slice(b"\"document\":");
    writer.write(&hit.document, out);
    out.push(b'}');
}

/// A page as JSON.
fn page(found: Found, bytes_max: usize, slot: &Slot) -> Result<Vec<u8>, Problem> {
    let writer = Writer::of(&found.find);
    let mut body = b"{\"found\":[".to_vec();
    let mut written = 0;
    for hit in found.hits.iter().take(found.limit) {
        let bytes = body.len() + json::bytes_about(&hit.document) + hit.about.len();
        if written > 0 && bytes > bytes_max {
            break;
        }
        slot.room(bytes)?;
        if written > 0 {
            body.push(b',');
        }
        write(hit, &writer, &mut body);
        written += 1;
    }
    let next = match written < found.hits.len() {
        true => found.offset.saturating_add(written).to_string(),
        false => "null".to_owned(),
    };
    body.extend_from_slice(format!("],\"next\":{next},\"index\":{}}}", found.index).as_bytes());
    Ok(body)
}

/// What was found as lines.
struct Lines {
    find: Find,
    hits: IntoIter<Hit>,
}

impl Lines {
    fn of(mut found: Found) -> Lines {
        found.hits.truncate(found.limit);
        Lines {
            find: found.find,
            hits: found.hits.into_iter(),
        }
    }
}

impl Pieces for Lines {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        let writer = Writer::of(&self.find);
        let mut piece = Vec::new();
        while piece.len() < PIECE_BYTES
            && let Some(hit) = self.hits.next()
        {
            write(&hit, &writer, &mut piece);
            piece.push(b'\n');
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}
