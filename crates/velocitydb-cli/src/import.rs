//! `velocitydb import`: the rows of a CSV or NDJSON file into a data directory.
//!
//! Works on the directory itself, so no server may use it. Rows are written about a thousand at
//! a time and forced to the disk before the summary: what it counts is kept. The collection, and
//! the directory, are created when the first row is to be written: a wrong name, option or file
//! leaves nothing behind.
//! Tests: tests/it/import.rs; `load` for batches and bad rows.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use velocitydb::{Database, Definition, Error, Field, FieldType, Openness, Options, Schema};
use velocitydb_import::{BadRows, ImportError, Options as ReaderOptions, Reader, Widening};

use crate::config::DATA_DEFAULT;
use crate::failure::Failure;
use crate::load::{BadRow, Ids, LoadError, LoadOptions, Loader, OnBadRow};
use crate::text::{count, thousands};

/// What to import and how.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file: CSV, TSV or NDJSON, plain or compressed with gzip or zstd; - for standard input
    file: PathBuf,

    /// Collection that takes the rows; created when it is missing
    #[arg(long, value_name = "NAME")]
    collection: String,

    /// Directory of the data; created when it is missing
    #[arg(long, value_name = "DIR", env = "VELOCITYDB_DATA", default_value = DATA_DEFAULT)]
    data: PathBuf,

    /// Format [default: by the file's name, else by its first character]
    #[arg(long)]
    format: Option<Format>,

    /// Field that is the id of a document; of a collection that is created now it becomes the
    /// primary key, declared with the type of its values [default: new ids]
    #[arg(long, value_name = "FIELD")]
    id: Option<String>,

    /// Type of a column that is not to be guessed, such as zip=string; may be given many times
    #[arg(long = "type", value_name = "COLUMN=TYPE")]
    types: Vec<ColumnType>,

    /// Leave out rows that cannot be read or kept, instead of stopping at the first
    #[arg(long)]
    skip_bad_rows: bool,

    /// Rows of one write
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
}

/// How the file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Values between commas, with a header
    Csv,
    /// Values between tabs, with a header
    Tsv,
    /// One JSON object on each line
    Ndjson,
}

impl From<Format> for velocitydb_import::Format {
    fn from(format: Format) -> velocitydb_import::Format {
        match format {
            Format::Csv => velocitydb_import::Format::Csv,
            Format::Tsv => velocitydb_import::Format::Tsv,
            Format::Ndjson => velocitydb_import::Format::Ndjson,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ColumnType(String, FieldType);

impl FromStr for ColumnType {
    type Err = String;

    fn from_str(text: &str) -> Result<ColumnType, String> {
        let (column, kind) = text
            .rsplit_once('=')
            .ok_or("write COLUMN=TYPE, as in zip=string")?;
        let kind = kind.parse().map_err(|error| format!("{error}"))?;
        Ok(ColumnType(column.to_owned(), kind))
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let definition = definition(arguments)?;
    let (mut reader, bad_rows) = open(arguments)?;
    let dir = &arguments.data;
    let opened = match is_database(dir) {
        true => Some(Database::open(Options::at(dir)).map_err(|error| Failure::of(&error, dir))?),
        false => None,
    };
    let mut loader = loader(arguments, definition, &mut reader, opened.as_ref())?;
    let started = Instant::now();
    let bar = progress_bar(&reader);
    let ended = load(&mut reader, &bad_rows, &mut loader, &bar);
    bar.finish_and_clear();
    let db = loader.database().or(opened.as_ref());
    let synced = db.map_or(Ok(()), Database::sync);
    synced.map_err(|error| Failure::of(&error, dir))?;
    let told = summary(&loader, &reader, arguments, started.elapsed(), out);
    let ended = ended.map_err(|error| failed(&error, &loader, arguments));
    let closed = db.map_or(Ok(()), Database::close);
    let closed = closed.map_err(|error| Failure::of(&error, dir));
    ended.and(closed).and(told)
}

/// Whether a database was opened in a directory before.
fn is_database(dir: &Path) -> bool {
    ["LOCK", "wal", "checkpoints"]
        .iter()
        .any(|name| dir.join(name).exists())
}

/// The collection as it is created when it is missing. The id of an exported document is no
/// field.
fn definition(arguments: &Arguments) -> Result<Definition, Failure> {
    let mut definition = Definition::new(&arguments.collection);
    definition.primary_key = arguments.id.clone().filter(|id| id != "_id");
    definition
        .check()
        .map_err(|refusal| Failure::Usage(refusal.to_string()))?;
    Ok(definition)
}

/// Bad rows that the reader has met since they were last taken.
type Met = Arc<Mutex<Vec<BadRow>>>;

fn open(arguments: &Arguments) -> Result<(Reader, Met), Failure> {
    let met = Met::default();
    let types: BTreeMap<String, FieldType> = arguments
        .types
        .iter()
        .map(|ColumnType(name, kind)| (name.clone(), *kind))
        .collect();
    let bad_rows = if arguments.skip_bad_rows {
        let met = Arc::clone(&met);
        BadRows::Skip(Box::new(move |error| {
            met.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(bad_row(error));
        }))
    } else {
        BadRows::Stop
    };
    let mut options = ReaderOptions {
        types,
        bad_rows,
        ..ReaderOptions::default()
    };
    let file = &arguments.file;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(format!("cannot import {}: {error}", file.display()))
    };
    let format = arguments.format.map(velocitydb_import::Format::from);
    let reader = if file == Path::new("-") {
        let format = format.unwrap_or_else(|| velocitydb_import::Format::Auto {
            name: String::new(),
        });
        Reader::open(std::io::stdin(), format, options)
    } else if let Some(format) = format {
        let file = std::fs::File::open(file).map_err(|error| failed(&error))?;
        options.bytes_total = file.metadata().ok().map(|metadata| metadata.len());
        Reader::open(file, format, options)
    } else {
        Reader::open_file(file, options)
    };
    Ok((reader.map_err(|error| failed(&error))?, met))
}

fn bad_row(error: &ImportError) -> BadRow {
    BadRow {
        line: error.line,
        what: error.kind.to_string(),
    }
}

/// Says how rows go into the collection, and how it is created when it is missing.
fn loader(
    arguments: &Arguments,
    mut definition: Definition,
    reader: &mut Reader,
    opened: Option<&Database>,
) -> Result<Loader, Failure> {
    let (name, id) = (&definition.name, &definition.primary_key);
    let present = opened.and_then(|db| {
        let mut definitions = db.collections().into_iter();
        definitions.find(|present| present.name == *name)
    });
    let primary_key = present.as_ref().map_or(id, |present| &present.primary_key);
    let ids = match (primary_key, id) {
        (Some(field), Some(id)) if field != id => {
            return Err(Failure::Usage(format!(
                "the primary key of the collection {name} is `{field}`: leave out --id {id}"
            )));
        }
        (Some(field), _) | (None, Some(field)) => Ids::Field(field.clone()),
        (None, None) => Ids::ExportedOrNew,
    };
    if let Ids::Field(field) = &ids {
        check_columns(reader, field, arguments)?;
    }
    let on_bad_row = if arguments.skip_bad_rows {
        OnBadRow::Skip
    } else {
        OnBadRow::Stop
    };
    let options = LoadOptions {
        collection: name.clone(),
        ids,
        on_bad_row,
        batch_rows: arguments.batch as usize,
    };
    if let (Some(db), Some(_)) = (opened, &present) {
        return Ok(Loader::new(db, options));
    }
    if let Some(id) = id {
        // It is declared with its type, to which later rows are held.
        reader.keep_type(id);
    }
    let (opened, dir) = (opened.cloned(), arguments.data.clone());
    let create = move |id_type: Option<FieldType>| {
        let db = opened.map_or_else(|| Database::open(Options::at(dir)), Ok)?;
        if let (Some(id), Some(kind)) = (&definition.primary_key, id_type) {
            let fields = vec![Field::new(id, kind)];
            definition.schema = Schema::new(Openness::Open, fields)
                .map_err(|error| Error::Invalid(error.to_string()))?;
        }
        db.create_collection(definition)?;
        Ok(db)
    };
    Ok(Loader::creating(Box::new(create), options))
}

/// Refuses an id that is no column of a CSV, before anything is written.
fn check_columns(reader: &Reader, id: &str, arguments: &Arguments) -> Result<(), Failure> {
    let columns = reader.columns();
    if columns.is_empty() || columns.iter().any(|column| &*column.name == id) {
        return Ok(());
    }
    let names: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
    Err(Failure::Usage(format!(
        "{} has no column `{id}`, which is the id; its columns are {}",
        arguments.file.display(),
        names.join(", ")
    )))
}

/// Why the import ended early.
enum Ended {
    Load(LoadError),
    Input(ImportError),
}

impl From<LoadError> for Ended {
    fn from(error: LoadError) -> Ended {
        Ended::Load(error)
    }
}

fn load(
    reader: &mut Reader,
    met: &Met,
    loader: &mut Loader,
    bar: &ProgressBar,
) -> Result<(), Ended> {
    let progress = reader.progress();
    for row in reader.by_ref() {
        for bad_row in met.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            loader.bad(bad_row)?;
        }
        match row {
            Ok(row) => loader.push(row)?,
            Err(error) if error.is_bad_row() => loader.bad(bad_row(&error))?,
            Err(error) => {
                loader.flush()?;
                return Err(Ended::Input(error));
            }
        }
        bar.set_position(progress.bytes_read());
    }
    for bad_row in met.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        loader.bad(bad_row)?;
    }
    loader.flush()?;
    Ok(())
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(reader: &Reader) -> ProgressBar {
    let template = match reader.progress().bytes_total() {
        Some(_) => "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        None => "{spinner} {bytes} {bytes_per_sec}",
    };
    let bar = match reader.progress().bytes_total() {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.with_style(ProgressStyle::with_template(template).expect("the template is well formed"))
}

fn failed(error: &Ended, loader: &Loader, arguments: &Arguments) -> Failure {
    let what = match error {
        Ended::Load(LoadError::BadRow(bad_row)) => bad_row.to_string(),
        Ended::Load(LoadError::Database(error)) => error.to_string(),
        Ended::Input(error) => error.to_string(),
    };
    let failure = Failure::new(format!("{}: {what}", arguments.file.display()));
    let kept = match loader.rows() {
        0 => "No row was imported.".to_owned(),
        1 => "The 1 row before it is in the collection; nothing after it is.".to_owned(),
        rows => format!(
            "The {} before it are in the collection; nothing after it is.",
            count(rows, "row")
        ),
    };
    match error {
        Ended::Load(LoadError::BadRow(_)) => failure.help(format!(
            "{kept} --skip-bad-rows leaves out such rows and goes on."
        )),
        Ended::Load(LoadError::Database(_)) | Ended::Input(_) => failure.help(kept),
    }
}

fn summary(
    loader: &Loader,
    reader: &Reader,
    arguments: &Arguments,
    took: Duration,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let rows = loader.rows();
    let per_second = rows as f64 / took.as_secs_f64().max(1e-6);
    writeln!(
        out,
        "Imported {} into {} in {:.2} s ({} rows/s).",
        count(rows, "row"),
        arguments.collection,
        took.as_secs_f64(),
        thousands(per_second as u64),
    )?;
    if loader.database().is_none() {
        writeln!(out, "Nothing was created.")?;
    }
    for Widening {
        column,
        line,
        from,
        to,
    } in reader.widened()
    {
        writeln!(
            out,
            "Column `{column}`: a value in line {line} is no {from}; from there on its values are \
             of type {to}. To have one type, say --type {column}={to}."
        )?;
    }
    let (bad_count, bad_rows) = loader.bad_rows();
    if !arguments.skip_bad_rows || bad_count == 0 {
        return Ok(());
    }
    writeln!(out, "Left out {}:", count(bad_count, "bad row"))?;
    let mut bad_rows = bad_rows.to_vec();
    bad_rows.sort_by_key(|bad_row| bad_row.line);
    for bad_row in &bad_rows {
        writeln!(out, "  {bad_row}")?;
    }
    let more = bad_count - bad_rows.len() as u64;
    if more > 0 {
        writeln!(out, "  and {} more", thousands(more))?;
    }
    Ok(())
}
