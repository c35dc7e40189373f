//! `GET /v1/collections/{name}/export` and `GET /v1/export`: collections of one snapshot as text.
//!
//! The answer is made as it is taken: a piece of it on a thread where blocking is allowed, the next
//! when the connection wants it. So a slow client holds its slot, a piece and the snapshot, and no
//! thread; one that takes nothing loses its connection (`progress`), and what can no longer be read
//! ends the answer before its end, which every client sees.
//! Tests: tests/it/transfer.rs.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use axum::response::Response;
use hyper::Uri;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use tokio::task::JoinHandle;
use velocitydb_import::{Export, ExportError, Layout};

use super::ask::{Ask, Params, query};
use super::describe::{Body, Query, Route, get};
use super::problem::Problem;
use crate::app::Slot;

/// Room for a piece of the answer that is made while another is sent.
const ROOM_BYTES: usize = 512 << 10;

/// What an answer may be.
const KINDS: &[&str] = &["application/x-ndjson", "application/json", "text/csv"];

pub(super) fn routes() -> Vec<Route> {
    let common = |route: Route| {
        let format = Query::OneOf(&["ndjson", "json", "csv"]);
        route
            .reads()
            .query("format", "The form of the text", format)
            .query(
                "plain",
                "NDJSON of documents alone, which import cannot check",
                Query::Flag,
            )
            .answers(200, "The text, made as it is taken", Body::Of(KINDS))
            .problems(&["unknown_collection"])
    };
    let one = get("/v1/collections/{name}/export", one);
    let one = one.about(
        "Import and export",
        "exportCollection",
        "A collection as text",
    );
    let many = get("/v1/export", many)
        .about(
            "Import and export",
            "export",
            "Collections of one moment as text",
        )
        .query(
            "collections",
            "Their names with commas between; all unless it is said",
            Query::Text,
        );
    vec![common(one), common(many)]
}

async fn one(ask: Ask, Params(name): Params<String>, uri: Uri) -> Result<Response, Problem> {
    let [format, plain] = query(&uri, ["format", "plain"])?;
    export(ask, Some(vec![name]), layout(format, plain)?).await
}

async fn many(ask: Ask, uri: Uri) -> Result<Response, Problem> {
    let [format, plain, names] = query(&uri, ["format", "plain", "collections"])?;
    let names = names.map(|names| names.split(',').map(str::to_owned).collect());
    export(ask, names, layout(format, plain)?).await
}

fn layout(format: Option<String>, plain: Option<String>) -> Result<Layout, Problem> {
    let invalid = |what: &str| Err(Problem::new("invalid_query", what.to_owned()));
    let plain = match plain.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return invalid("plain: true or false"),
    };
    match (format.as_deref(), plain) {
        (None | Some("ndjson"), false) => Ok(Layout::Exported),
        (None | Some("ndjson"), true) => Ok(Layout::Ndjson),
        (Some("json"), _) => Ok(Layout::Json),
        (Some("csv"), _) => Ok(Layout::Csv),
        (Some(_), _) => invalid("format: ndjson, json or csv"),
    }
}

/// Exports these collections, or all.
async fn export(ask: Ask, names: Option<Vec<String>>, layout: Layout) -> Result<Response, Problem> {
    ask.slot.room(ROOM_BYTES)?;
    let database = ask.app.database.clone();
    let first = ask.blocking(move || {
        let all = || database.collections().into_iter().map(|found| found.name);
        let names = names.unwrap_or_else(|| all().collect());
        let export = Export::new(&database.snapshot(), &names, layout).map_err(refused)?;
        let index = export.index();
        let (export, chunk) = next(Box::new(export));
        Ok((index, export, chunk.map_err(refused)?))
    });
    let (index, export, chunk) = first.await?;
    let text = Text {
        slot: ask.slot.clone(),
        chunk,
        state: State::Idle(export),
    };
    let mut response = Response::new(axum::body::Body::new(text));
    let kind = match layout {
        Layout::Exported | Layout::Ndjson => "application/x-ndjson",
        Layout::Json => "application/json",
        Layout::Csv => "text/csv; charset=utf-8",
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(index) = index {
        ask.asked.answer_read(&mut response, index);
    }
    Ok(response)
}

fn refused(error: ExportError) -> Problem {
    match error {
        ExportError::Invalid(what) => Problem::new("invalid_query", what),
        ExportError::Database(error) => error.into(),
    }
}

/// A piece of the text; `None` after the last.
type Chunk = Option<Bytes>;

fn next(mut export: Box<Export>) -> (Box<Export>, Result<Chunk, ExportError>) {
    let mut chunk = Vec::new();
    let more = export.next_chunk(&mut chunk);
    (export, more.map(|more| more.then(|| chunk.into())))
}

/// The body of the answer.
struct Text {
    /// Held until the last byte was taken.
    slot: Slot,
    /// Made before the head of the answer was sent: what is wrong from the start has a status.
    chunk: Chunk,
    state: State,
}

enum State {
    Idle(Box<Export>),
    Working(JoinHandle<(Box<Export>, Result<Chunk, ExportError>)>),
    Ended,
}

impl hyper::body::Body for Text {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(chunk) = self.chunk.take() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Idle(export) => {
                    let slot = self.slot.clone();
                    self.state = State::Working(tokio::task::spawn_blocking(move || {
                        let _slot = slot;
                        next(export)
                    }));
                }
                State::Working(mut work) => {
                    let Poll::Ready(made) = Pin::new(&mut work).poll(context) else {
                        self.state = State::Working(work);
                        return Poll::Pending;
                    };
                    let (export, chunk) = made.map_err(io::Error::other)?;
                    let Some(chunk) = chunk.map_err(io::Error::other)? else {
                        return Poll::Ready(None);
                    };
                    // Documents may be larger than a piece should be.
                    let room = self.slot.room(2 * chunk.len());
                    room.map_err(|problem| io::Error::other(problem.detail))?;
                    self.state = State::Idle(export);
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
            }
        }
    }
}
