//! `GET /v1/collections/{name}/export` and `GET /v1/export`: collections of one snapshot as text.
//!
//! The answer is made as it is taken (`stream`): a slow client holds its slot, a piece and the
//! snapshot.
//! Tests: tests/it/transfer.rs.

use axum::response::Response;
use hyper::Uri;
use velocitydb_import::{Export, ExportError, Layout};

use super::ask::{Ask, Params, query};
use super::describe::{Body, Query, Route, get};
use super::problem::Problem;
use super::stream::{self, Pieces};

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
    let database = ask.database().clone();
    let begin = move || {
        let all = || database.collections().into_iter().map(|found| found.name);
        let names = names.unwrap_or_else(|| all().collect());
        let export = Export::new(&database.snapshot(), &names, layout).map_err(refused)?;
        Ok((export.index(), Box::new(export)))
    };
    let kind = match layout {
        Layout::Exported | Layout::Ndjson => "application/x-ndjson",
        Layout::Json => "application/json",
        Layout::Csv => "text/csv; charset=utf-8",
    };
    stream::answer(&ask, kind, begin).await
}

fn refused(error: ExportError) -> Problem {
    match error {
        ExportError::Invalid(what) => Problem::new("invalid_query", what),
        ExportError::Database(error) => error.into(),
    }
}

impl Pieces for Box<Export> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        let mut piece = Vec::new();
        let more = self.next_chunk(&mut piece).map_err(refused)?;
        Ok(more.then_some(piece))
    }
}
