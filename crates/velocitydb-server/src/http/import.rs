//! `POST /v1/collections/{name}/import`: a body of many documents.
//!
//! The body is CSV, NDJSON, a JSON array or what was exported, plain or compressed; it is never
//! whole in memory: parts of it go to a thread that reads rows and writes them a thousand at a
//! time, which takes as long as it takes. Only a body of which nothing arrives for the time of a
//! request ends it. What was written before a failure stays.
//! Tests: tests/it/transfer.rs.

use std::io::{self, Read};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use hyper::{StatusCode, Uri};
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;
use velocitydb::{Call, Database, Definition, Error, PrimaryKey};
use velocitydb_import::{
    BadRow, BadRows, ExportReader, Format, Ids, Item, LoadError, LoadOptions, Loader, Met,
    OnBadRow, Opened, Options, with_id_type,
};

use super::ask::{Ask, Params, query};
use super::describe::{Body, Query, Route, post};
use super::json;
use super::problem::Problem;

/// Parts of a body that wait to be read.
const PARTS_WAITING: usize = 4;
/// A window of zstd may have 2 to the power of this many bytes.
const WINDOW_LOG_MAX: u32 = 23;
/// The longest row, and what a reader and a batch take besides.
const ROW_BYTES_MAX: usize = 16 << 20;
const ROOM_BYTES: usize = 2 * ROW_BYTES_MAX + (1 << WINDOW_LOG_MAX) + (4 << 20);

/// What is asked for behind the question mark.
struct Wanted {
    on_bad_row: OnBadRow,
    create: bool,
    id: Option<String>,
}

impl Wanted {
    fn read(uri: &Uri) -> Result<Wanted, Problem> {
        let invalid = |what: &str| Problem::new("invalid_query", what.to_owned());
        let [on_error, max_errors, create, id] =
            query(uri, ["on_error", "max_errors", "create", "id"])?;
        let bad_rows_max = match max_errors.map(|max| max.parse()) {
            None => None,
            Some(Ok(max)) => Some(max),
            Some(Err(_)) => return Err(invalid("max_errors: a whole number")),
        };
        let on_bad_row = match (on_error.as_deref(), bad_rows_max) {
            (None | Some("stop"), None) => OnBadRow::Stop,
            (None | Some("stop"), Some(_)) => {
                return Err(invalid("max_errors: only with on_error=skip"));
            }
            (Some("skip"), max) => OnBadRow::Skip {
                bad_rows_max: max.unwrap_or(u64::MAX),
            },
            (Some(_), _) => return Err(invalid("on_error: stop or skip")),
        };
        let create = match create.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(invalid("create: true or false")),
        };
        Ok(Wanted {
            on_bad_row,
            create,
            id,
        })
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        post("/v1/collections/{name}/import", import)
            .about(
                "Import and export",
                "importDocuments",
                "Takes many documents",
            )
            .detail(
                "The body is CSV, NDJSON, a JSON array or what was exported, plain or compressed \
                 with gzip or zstd. It may be of any length: it is written a thousand rows at a \
                 time, and what was written before a failure stays.",
            )
            .writes()
            .expires()
            .query(
                "on_error",
                "What becomes of a bad row",
                Query::OneOf(&["stop", "skip"]),
            )
            .query(
                "max_errors",
                "With skip: how many, at most",
                Query::Number(0, usize::MAX),
            )
            .query(
                "create",
                "Creates the collection if it is not there",
                Query::Flag,
            )
            .query("id", "The field that is the id", Query::Text)
            .takes(&[
                "application/x-ndjson",
                "application/json",
                "text/csv",
                "text/tab-separated-values",
            ])
            .answers(200, "What was taken", Body::Json("Imported"))
            .document_refusals()
            .problems(&[
                "collection_exists",
                "definition_changed",
                "invalid_definition",
                "invalid_row",
            ]),
    ]
}

/// What an import took.
#[derive(Serialize, ToSchema)]
pub(super) struct Imported {
    /// Rows that are in the collection now.
    rows: u64,
    /// Rows that were left out.
    bad_rows: u64,
    /// The first of them.
    bad: Vec<Bad>,
}

/// A row that was left out.
#[derive(Serialize, ToSchema)]
pub(super) struct Bad {
    /// The line where it begins, from 1.
    line: u64,
    /// What is wrong with it.
    what: String,
}

async fn import(
    ask: Ask,
    Params(name): Params<String>,
    uri: Uri,
    request: Request,
) -> Result<Response, Problem> {
    ask.no_preconditions()?;
    ask.no_idempotency_key()?;
    let wanted = Wanted::read(&uri)?;
    let format = format(request.headers())?;
    // Refused before the body is read, where that can be.
    if !wanted.create {
        ask.collection(&name)?;
    }
    ask.slot.room(ROOM_BYTES)?;
    let (parts, waiting) = mpsc::channel(PARTS_WAITING);
    let source = Source {
        parts: waiting,
        current: Bytes::new(),
        ended: false,
    };
    let within = ask.app.config.request_timeout;
    let pump = tokio::spawn(pump(request.into_body(), parts, within));
    let (database, call) = (ask.database().clone(), ask.asked.call());
    let work = move || load(&database, name, call, wanted, format, source);
    let imported = ask.long(work).await;
    pump.abort();
    Ok(json::response(StatusCode::OK, to_json(&imported?)))
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("names are strings and memory takes all bytes")
}

/// The format that the headers name. Compression is seen in the bytes; the header must be one
/// that there is.
fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let refused = |what: String| Err(Problem::new("unsupported_media_type", what));
    for coding in headers.get_all(CONTENT_ENCODING) {
        let coding = String::from_utf8_lossy(coding.as_bytes()).to_ascii_lowercase();
        if !matches!(coding.trim(), "identity" | "gzip" | "zstd") {
            return refused(format!(
                "the body is encoded as {coding:?}; an import takes gzip and zstd"
            ));
        }
    }
    let kind = headers.get(CONTENT_TYPE).map_or_else(String::new, |kind| {
        String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase()
    });
    match kind.split(';').next().unwrap_or_default().trim() {
        "text/csv" => Ok(Format::Csv),
        "text/tab-separated-values" => Ok(Format::Tsv),
        "application/json"
        | "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl" => Ok(Format::Ndjson),
        other => refused(format!(
            "the body is {other:?}; an import takes text/csv, text/tab-separated-values, \
             application/x-ndjson and application/json"
        )),
    }
}

/// A part of a body; an empty one is the end of the whole.
type Part = io::Result<Bytes>;

/// Hands on the parts of a body, each of which must arrive within a time.
async fn pump(mut body: axum::body::Body, parts: mpsc::Sender<Part>, within: Duration) {
    loop {
        let part = match tokio::time::timeout(within, body.frame()).await {
            Err(_) => {
                let what = format!("nothing of the body arrived for {} s", within.as_secs());
                Err(io::Error::new(io::ErrorKind::TimedOut, what))
            }
            Ok(None) => Ok(Bytes::new()),
            Ok(Some(Err(error))) => Err(io::Error::other(error)),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if !data.is_empty() => Ok(data),
                _ => continue, // trailers
            },
        };
        let last = part.as_ref().map_or(true, Bytes::is_empty);
        if parts.send(part).await.is_err() || last {
            return;
        }
    }
}

/// A body as a source of bytes, on a thread where waiting is allowed.
struct Source {
    parts: mpsc::Receiver<Part>,
    current: Bytes,
    ended: bool,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() && !self.ended {
            self.current = self.parts.blocking_recv().unwrap_or_else(|| {
                let what = "the body ended before it was whole";
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, what))
            })?;
            self.ended = self.current.is_empty();
        }
        let count = self.current.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

fn load(
    database: &Database,
    name: String,
    call: Call,
    wanted: Wanted,
    format: Format,
    source: Source,
) -> Result<Imported, Problem> {
    let met = Met::default();
    let options = Options {
        bad_rows: match wanted.on_bad_row {
            OnBadRow::Stop => BadRows::Stop,
            OnBadRow::Skip { .. } => met.skip(),
        },
        row_bytes_max: ROW_BYTES_MAX,
        window_log_max: WINDOW_LOG_MAX,
        ..Options::default()
    };
    let opened = velocitydb_import::open(source, format, options);
    let opened = opened.map_err(|error| refused(LoadError::Input(error), None))?;
    let options = LoadOptions {
        on_bad_row: wanted.on_bad_row,
        call,
        ..LoadOptions::new(&name, Ids::ExportedOrNew)
    };
    let (loader, ended) = match opened {
        Opened::Export(reader) => restore(database, options, &wanted, reader)?,
        Opened::Rows(mut reader) => {
            let mut definition = Definition::new(&name);
            definition.primary_key = wanted.id.clone().map(PrimaryKey::from);
            let mut loader = loader(database, definition, options, &wanted)?;
            let ended = loader.load(&mut reader, &met, || ());
            (loader, ended)
        }
    };
    ended.map_err(|error| refused(error, Some(&loader)))?;
    Ok(imported(&loader))
}

/// Says where the ids of rows come from, and creates the collection with the first of them.
fn loader(
    database: &Database,
    definition: Definition,
    mut options: LoadOptions,
    wanted: &Wanted,
) -> Result<Loader, Problem> {
    let present = match database.collection(&definition.name) {
        Ok(collection) => Some(collection.definition()?),
        Err(Error::UnknownCollection(_)) if wanted.create => None,
        Err(error) => return Err(error.into()),
    };
    let present_key = present.as_ref().and_then(|found| found.primary_key.clone());
    let wanted_key = wanted.id.clone().map(PrimaryKey::from);
    if let (Some(key), Some(id)) = (&present_key, &wanted_key)
        && key != id
    {
        let what = format!(
            "id: the primary key of the collection is {:?}",
            key.to_string()
        );
        return Err(Problem::new("invalid_query", what));
    }
    if let Some(id) = present_key.or(wanted_key) {
        options.ids = Ids::Fields(id);
    }
    if present.is_some() {
        return Ok(Loader::new(database, options));
    }
    let checked = definition.check();
    checked.map_err(|refusal| Problem::new("invalid_definition", refusal.to_string()))?;
    let (database, call) = (database.clone(), options.call.clone());
    let create = move |id_type| {
        database.create_collection_with(with_id_type(definition, id_type)?, &call)?;
        Ok(database)
    };
    Ok(Loader::creating(Box::new(create), options))
}

/// Takes the one collection of an exported body.
fn restore(
    database: &Database,
    options: LoadOptions,
    wanted: &Wanted,
    mut reader: ExportReader,
) -> Result<(Loader, Result<(), LoadError>), Problem> {
    let name = options.collection.clone();
    let first = reader.next_item();
    let first = first.map_err(|error| refused(LoadError::Input(error), None))?;
    if let Some(Item::Database(_)) = first {
        let what = "the body holds all databases of a server: `velocitydb import` takes it";
        return Err(Problem::new("invalid_request", what));
    }
    let Some(Item::Collection(mut definition)) = first else {
        return Err(Problem::new(
            "invalid_request",
            "the body holds no collection",
        ));
    };
    if let (true, Err(Error::UnknownCollection(_))) = (wanted.create, database.collection(&name)) {
        definition.name = name;
        database.create_collection_with(*definition, &options.call)?;
    }
    let mut loader = Loader::new(database, options);
    let mut ended = loader.load_exported(&mut reader, || ());
    if ended.is_ok() {
        match reader.next_item() {
            Ok(None) => {}
            Err(error) => ended = Err(LoadError::Input(error)),
            Ok(Some(_)) => {
                let what = "the body holds several collections: the first one was imported";
                return Err(Problem::new("invalid_request", what));
            }
        }
    }
    Ok((loader, ended))
}

fn imported(loader: &Loader) -> Imported {
    let (bad_rows, first) = loader.bad_rows();
    let bad = first.iter().map(|BadRow { line, what }| Bad {
        line: *line,
        what: what.clone(),
    });
    Imported {
        rows: loader.rows(),
        bad_rows,
        bad: bad.collect(),
    }
}

/// Why an import ended early, with what was written before.
fn refused(error: LoadError, loader: Option<&Loader>) -> Problem {
    let problem = match error {
        LoadError::Database(error) => error.into(),
        LoadError::Input(input) if input.class() == velocitydb::ErrorClass::Io => {
            Problem::new("invalid_request", input.to_string())
        }
        error @ (LoadError::BadRow(_) | LoadError::TooManyBadRows { .. } | LoadError::Input(_)) => {
            Problem::new("invalid_row", error.to_string())
        }
    };
    match loader {
        None => problem,
        Some(loader) => {
            let Imported {
                rows,
                bad_rows,
                bad,
            } = imported(loader);
            problem
                .member("rows", to_json(&rows))
                .member("bad_rows", to_json(&bad_rows))
                .member("bad", to_json(&bad))
        }
    }
}
