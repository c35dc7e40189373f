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
        )
        .query(
            "all_databases",
            "All collections of all databases, whichever of them the path names",
            Query::Flag,
        );
    vec![common(one), common(many)]
}

/// What is exported.
enum Wanted {
    Collections(Vec<String>),
    /// Every collection of the database.
    All,
    AllDatabases,
}

async fn one(ask: Ask, Params(name): Params<String>, uri: Uri) -> Result<Response, Problem> {
    let [format, plain] = query(&uri, ["format", "plain"])?;
    export(ask, Wanted::Collections(vec![name]), layout(format, plain)?).await
}

async fn many(ask: Ask, uri: Uri) -> Result<Response, Problem> {
    let names = ["format", "plain", "collections", "all_databases"];
    let [format, plain, names, databases] = query(&uri, names)?;
    let layout = layout(format, plain)?;
    let names = names.map(|names| names.split(',').map(str::to_owned).collect());
    let wanted = match (names, flag("all_databases", databases)?) {
        (None, false) => Wanted::All,
        (Some(names), false) => Wanted::Collections(names),
        (None, true) if layout == Layout::Exported => Wanted::AllDatabases,
        (_, true) => {
            let what = "all_databases: only without collections, format and plain";
            return Err(Problem::new("invalid_query", what));
        }
    };
    export(ask, wanted, layout).await
}

fn flag(name: &str, value: Option<String>) -> Result<bool, Problem> {
    match value.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => {
            let what = format!("{name}: true or false");
            Err(Problem::new("invalid_query", what))
        }
    }
}

fn layout(format: Option<String>, plain: Option<String>) -> Result<Layout, Problem> {
    let plain = flag("plain", plain)?;
    match (format.as_deref(), plain) {
        (None | Some("ndjson"), false) => Ok(Layout::Exported),
        (None | Some("ndjson"), true) => Ok(Layout::Ndjson),
        (Some("json"), _) => Ok(Layout::Json),
        (Some("csv"), _) => Ok(Layout::Csv),
        (Some(_), _) => {
            let what = "format: ndjson, json or csv";
            Err(Problem::new("invalid_query", what))
        }
    }
}

async fn export(ask: Ask, wanted: Wanted, layout: Layout) -> Result<Response, Problem> {
    let database = ask.database().clone();
    let begin = move || {
        let view = database.snapshot();
        let export = match wanted {
            Wanted::Collections(names) => Export::new(&view, &names, layout),
            Wanted::All => Export::new(&view, &view.collection_names(), layout),
            Wanted::AllDatabases => Export::of_all_databases(&view),
        };
        let export = export.map_err(refused)?;
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
