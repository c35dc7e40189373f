//! `GET /v1/collections/{name}/documents`: the documents of a collection, about in the order of
//! insertion.
//!
//! As JSON a page at a time: a page is of the moment when it is asked for. As NDJSON, for clients
//! whose `Accept` names it, all of them in one answer, of one moment, made as it is taken.
//! Tests: tests/it/documents.rs.

use axum::response::Response;
use hyper::Uri;
use hyper::header::HeaderMap;
use velocitydb::{CollectionView, Page, PageRequest};

use super::ask::{Ask, Params, accepts, query};
use super::describe::{Body, Query, Route, get};
use super::documents::ALL;
use super::json;
use super::problem::Problem;
use super::stream::{self, PIECE_BYTES, Pieces};
use crate::app::Slot;

/// Documents on a page when the request does not say.
pub(super) const PAGE_DOCUMENTS: usize = 100;
/// Documents on a page at most.
pub(super) const PAGE_DOCUMENTS_MAX: usize = 10_000;
/// Documents that are looked at for one piece of NDJSON.
const PIECE_DOCUMENTS: usize = 1_000;

pub(super) const NDJSON: &str = "application/x-ndjson";

pub(super) fn routes() -> Vec<Route> {
    vec![
        get(ALL, list)
            .about(
                "Documents",
                "listDocuments",
                "Documents, about in the order of insertion",
            )
            .detail(
                "A page at a time; with `Accept: application/x-ndjson` all of them, or `limit`, in \
                 one answer of one moment, a document a line.",
            )
            .reads()
            .query(
                "limit",
                "Documents at most: on a page 100 unless it is said, and up to 10,000",
                Query::Number(1, usize::MAX),
            )
            .query("after", "`next` of the page before", Query::Text)
            .answers(200, "A page, or lines", Body::Lines("Page"))
            .problems(&["stale_cursor", "unknown_collection"]),
    ]
}

async fn list(
    ask: Ask,
    Params(name): Params<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [limit, after] = query(&uri, ["limit", "after"])?;
    let streamed = accepts(&headers, NDJSON);
    let (default, max) = match streamed {
        true => (usize::MAX, usize::MAX),
        false => (PAGE_DOCUMENTS, PAGE_DOCUMENTS_MAX),
    };
    let limit = match limit.map(|limit| limit.parse()) {
        None => default,
        Some(Ok(limit)) if (1..=max).contains(&limit) => limit,
        Some(_) => {
            let detail = format!("limit: a whole number from 1 to {max}");
            return Err(Problem::new("invalid_query", detail));
        }
    };
    let run = ask.app.run;
    let after = after.map(|cursor| read_cursor(run, &cursor)).transpose()?;
    let collection = ask.collection(&name)?;
    let request = PageRequest { limit, after };
    if streamed {
        let begin = move || {
            let view = collection.view()?;
            let lines = Lines {
                rest: Some(request),
                view,
            };
            Ok((Some(lines.view.index()), lines))
        };
        return stream::answer(&ask, NDJSON, begin).await;
    }
    let (bytes_max, slot) = (ask.app.config.page_bytes_max, ask.slot.clone());
    let page = move || page(&collection.view()?, &request, bytes_max, run, &slot);
    ask.read(page).await
}

/// A page of at most so many bytes, but of one document at least.
fn fitting(
    view: &CollectionView,
    request: &PageRequest,
    bytes_max: usize,
) -> Result<Page, Problem> {
    let page = view.list(request)?;
    let mut bytes = 0_usize;
    let fits = page.documents.iter().take_while(|document| {
        bytes += document.fields().as_bytes().len();
        bytes <= bytes_max
    });
    let limit = fits.count().max(1);
    match limit < page.documents.len() {
        false => Ok(page),
        true => Ok(view.list(&PageRequest {
            limit,
            after: request.after,
        })?),
    }
}

/// A page as JSON, and the log index that it shows.
fn page(
    view: &CollectionView,
    request: &PageRequest,
    bytes_max: usize,
    run: u32,
    slot: &Slot,
) -> Result<(u64, Vec<u8>), Problem> {
    let page = fitting(view, request, bytes_max)?;
    slot.room(page.documents.iter().map(json::bytes_about).sum())?;
    let mut body = b"{\"documents\":[".to_vec();
    for (at, document) in page.documents.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        json::write_document(document, &mut body);
    }
    let next = page
        .next
        .map_or("null".into(), |next| format!("\"{run:08x}.{next}\""));
    body.extend_from_slice(format!("],\"next\":{next},\"index\":{}}}", page.index).as_bytes());
    Ok((page.index, body))
}

/// Documents as lines.
struct Lines {
    view: CollectionView,
    /// What is still to come; `None` after the last.
    rest: Option<PageRequest>,
}

impl Pieces for Lines {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        let Some(PageRequest { limit: left, after }) = self.rest.take() else {
            return Ok(None);
        };
        let limit = left.min(PIECE_DOCUMENTS);
        let page = fitting(&self.view, &PageRequest { limit, after }, PIECE_BYTES)?;
        let left = left - page.documents.len();
        self.rest = page.next.filter(|_| left > 0).map(|next| PageRequest {
            limit: left,
            after: Some(next),
        });
        let mut piece = Vec::new();
        for document in &page.documents {
            json::write_document(document, &mut piece);
            piece.push(b'\n');
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

/// The position in a `next`. Positions of another run of the server mean nothing in this one.
fn read_cursor(run: u32, cursor: &str) -> Result<u32, Problem> {
    let parts = cursor.split_once('.').and_then(|(run, position)| {
        Some((u32::from_str_radix(run, 16).ok()?, position.parse().ok()?))
    });
    match parts {
        Some((found, position)) if found == run => Ok(position),
        Some(_) => Err(Problem::new(
            "stale_cursor",
            "\"next\" is of an earlier run of the server",
        )),
        None => {
            let detail = format!("after: {cursor:?} is not the \"next\" of a page");
            Err(Problem::new("invalid_query", detail))
        }
    }
}
