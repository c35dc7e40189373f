//! `velocitydb import`: a CSV, JSON or NDJSON file, or an exported one, into a data directory.
//!
//! Works on the directory itself, so no server may use it. Rows are written about a thousand at
//! a time and forced to the disk before the summary: what it counts is kept. The collection, and
//! the directory, are created when the first row is to be written: a wrong name, option or file
//! leaves nothing behind. What was exported is [`restore`]'s.
//! Tests: tests/it/import.rs; velocitydb-import for batches and bad rows.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use velocitydb::{Database, Definition, Error, FieldType, PrimaryKey};
use velocitydb_import::{
    BadRows, Ids, LoadError, LoadOptions, Loader, Met, OnBadRow, Opened, Options as ReaderOptions,
    Present, Progress, Reader, Widening, with_id_type,
};

use crate::config::DATA_DEFAULT;
use crate::database::InDatabase;
use crate::encryption::KeyFiles;
use crate::failure::Failure;
use crate::restore;
use crate::text::{count, thousands};

/// What to import and how.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file: CSV, TSV, NDJSON, a JSON array or what was exported, plain or compressed with
    /// gzip or zstd; - for standard input
    pub file: PathBuf,

    /// Collection that takes the rows, created when it is missing; of an exported file with one
    /// collection the name that it gets, or the collection that takes its documents
    #[arg(long, visible_alias = "into", value_name = "NAME")]
    pub collection: Option<String>,

    /// Directory of the data; created when it is missing
    #[arg(long, value_name = "DIR", env = "VELOCITYDB_DATA", default_value = DATA_DEFAULT)]
    pub data: PathBuf,

    #[command(flatten)]
    pub keys: KeyFiles,

    #[command(flatten)]
    pub database: InDatabase,

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

    /// What happens at a row that cannot be read or kept
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    pub on_error: OnError,

    /// With --on-error skip: stop when there were more bad rows than this
    #[arg(long, value_name = "N")]
    max_errors: Option<u64>,

    /// Put documents in place of those with the same id
    #[arg(long)]
    pub upsert: bool,

    /// Go on with an import that was interrupted: pass over what is there. For rows without an id
    /// give it from the beginning, so that they get the same ids each time
    #[arg(long, conflicts_with = "upsert")]
    pub resume: bool,

    /// Rows of one write
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub batch: u32,
}

/// What happens at a bad row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// The import ends there; what is before it is kept
    Stop,
    /// It is left out, and told with its line
    Skip,
}

impl Arguments {
    /// How rows go into a collection.
    pub fn load_options(&self, collection: &str, ids: Ids) -> LoadOptions {
        let source = || {
            let path = self
                .file
                .canonicalize()
                .unwrap_or_else(|_| self.file.clone());
            path.to_string_lossy().into_owned()
        };
        LoadOptions {
            on_bad_row: match self.on_error {
                OnError::Stop => OnBadRow::Stop,
                OnError::Skip => OnBadRow::Skip {
                    bad_rows_max: self.max_errors.unwrap_or(u64::MAX),
                },
            },
            present: match self.upsert {
                true => Present::Replace,
                false => Present::Refuse,
            },
            resume: self.resume.then(source),
            batch_rows: self.batch as usize,
            ..LoadOptions::new(collection, ids)
        }
    }
}

/// How the file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Values between commas, with a header
    Csv,
    /// Values between tabs, with a header
    Tsv,
    /// One JSON object on each line, or one array of objects
    #[value(alias = "json")]
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
    if arguments.max_errors.is_some() && arguments.on_error == OnError::Stop {
        let what = "--max-errors is for --on-error skip: without it the first bad row ends the \
                    import";
        return Err(Failure::Usage(what.to_owned()));
    }
    let definition = arguments
        .collection
        .as_deref()
        .map(|name| definition(name, arguments));
    let definition = definition.transpose()?;
    let (opened, met) = open(arguments)?;
    match (opened, definition) {
        (Opened::Export(reader), _) => restore::run(arguments, reader, out),
        (Opened::Rows(reader), Some(definition)) => {
            import(arguments, definition, reader, &met, out)
        }
        (Opened::Rows(_), None) => {
            let what = "--collection NAME is missing: the collection that takes the rows";
            Err(Failure::Usage(what.to_owned()))
        }
    }
}

fn import(
    arguments: &Arguments,
    definition: Definition,
    mut reader: Reader,
    met: &Met,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let name = definition.name.clone();
    let opened = match open_database(&arguments.data, &arguments.keys)? {
        Some(db) => Some(arguments.database.of(&db)?),
        None => arguments.database.must_be_in_new().map(|()| None)?,
    };
    let mut loader = loader(arguments, definition, &mut reader, opened.as_ref())?;
    let started = Instant::now();
    let bar = progress_bar(&reader.progress());
    let progress = reader.progress();
    let ended = loader.load(&mut reader, met, || bar.set_position(progress.bytes_read()));
    bar.finish_and_clear();
    let db = loader.database().or(opened.as_ref());
    let closing = |result: Option<Result<(), Error>>| {
        let result = result.unwrap_or(Ok(()));
        result.map_err(|error| Failure::of(&error, &arguments.data))
    };
    closing(db.map(Database::sync))?;
    let told = summary(&loader, &name, arguments, started.elapsed(), out);
    let told = told.and_then(|()| widened(&reader, out));
    let told = told.and_then(|()| tell_bad_rows(&loader, arguments, out));
    let ended = ended.map_err(|error| failed(&error, &loader, arguments));
    let closed = closing(db.map(Database::close));
    ended.and(closed).and(told)
}

/// Opens the database, if there is one.
pub fn open_database(dir: &Path, keys: &KeyFiles) -> Result<Option<Database>, Failure> {
    match is_database(dir) {
        false => Ok(None),
        true => {
            let opened = Database::open(keys.options(dir)?);
            opened.map(Some).map_err(|error| Failure::of(&error, dir))
        }
    }
}

/// Whether a database was opened in a directory before.
pub fn is_database(dir: &Path) -> bool {
    ["LOCK", "wal", "checkpoints"]
        .iter()
        .any(|name| dir.join(name).exists())
}

/// The collection as it is created when it is missing. The id of an exported document is no
/// field.
fn definition(name: &str, arguments: &Arguments) -> Result<Definition, Failure> {
    let mut definition = Definition::new(name);
    let id = arguments.id.clone().filter(|id| id != "_id");
    definition.primary_key = id.map(PrimaryKey::from);
    definition
        .check()
        .map_err(|refusal| Failure::Usage(refusal.to_string()))?;
    Ok(definition)
}

fn open(arguments: &Arguments) -> Result<(Opened, Met), Failure> {
    let met = Met::default();
    let types: BTreeMap<String, FieldType> = arguments
        .types
        .iter()
        .map(|ColumnType(name, kind)| (name.clone(), *kind))
        .collect();
    let bad_rows = match arguments.on_error {
        OnError::Skip => met.skip(),
        OnError::Stop => BadRows::Stop,
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
    let by_name = |name: String| {
        format
            .clone()
            .unwrap_or(velocitydb_import::Format::Auto { name })
    };
    let opened = if file == Path::new("-") {
        velocitydb_import::open(std::io::stdin(), by_name(String::new()), options)
    } else {
        let unread = |error| failed(&format!("cannot read the input: {error}"));
        let opened = std::fs::File::open(file).map_err(unread)?;
        options.bytes_total = opened.metadata().ok().map(|metadata| metadata.len());
        let name = file.to_string_lossy().into_owned();
        velocitydb_import::open(opened, by_name(name), options)
    };
    Ok((opened.map_err(|error| failed(&error))?, met))
}

/// Says how rows go into the collection, and how it is created when it is missing.
fn loader(
    arguments: &Arguments,
    definition: Definition,
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
        (Some(field), _) | (None, Some(field)) => Ids::Fields(field.clone()),
        (None, None) => Ids::ExportedOrNew,
    };
    if let Ids::Fields(fields) = &ids {
        for field in fields.fields() {
            check_columns(reader, field, arguments)?;
        }
    }
    let options = arguments.load_options(name, ids);
    if let (Some(db), Some(_)) = (opened, &present) {
        return Ok(Loader::new(db, options));
    }
    if let Some(id) = id.as_ref().and_then(PrimaryKey::only) {
        // It is declared with its type, to which later rows are held.
        reader.keep_type(id);
    }
    let opened = opened.cloned();
    let options_of_new = arguments.keys.options(&arguments.data)?;
    let database = arguments.database.name().to_owned();
    let create = move |id_type: Option<FieldType>| {
        let new = || Database::open(options_of_new)?.database(&database);
        let db = opened.map_or_else(new, Ok)?;
        let definition = with_id_type(definition, id_type)?;
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

/// A bar on a terminal, nothing elsewhere.
pub fn progress_bar(progress: &Progress) -> ProgressBar {
    let (bar, template) = match progress.bytes_total() {
        Some(total) => (
            ProgressBar::new(total),
            "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {bytes} {bytes_per_sec}",
        ),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.with_style(ProgressStyle::with_template(template).expect("the template is well formed"))
}

/// What ended an import early, and what was kept.
pub fn failed(error: &LoadError, loader: &Loader, arguments: &Arguments) -> Failure {
    let failure = Failure::new(format!("{}: {error}", arguments.file.display()));
    let kept = match loader.rows() {
        0 => "No row was imported.".to_owned(),
        1 => "The 1 row before it is in the collection; nothing after it is.".to_owned(),
        rows => format!(
            "The {} before it are in the collection; nothing after it is.",
            count(rows, "row")
        ),
    };
    match error {
        LoadError::BadRow(_) => failure.help(format!(
            "{kept} --on-error skip leaves out such rows and goes on."
        )),
        LoadError::TooManyBadRows { .. } | LoadError::Input(_) | LoadError::Database(_) => {
            failure.help(kept)
        }
    }
}

/// What was imported into a collection, and how fast.
pub fn summary(
    loader: &Loader,
    collection: &str,
    arguments: &Arguments,
    took: Duration,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let rows = loader.rows();
    let per_second = rows as f64 / took.as_secs_f64().max(1e-6);
    writeln!(
        out,
        "Imported {} into {collection} in {:.2} s ({} rows/s).",
        count(rows, "row"),
        took.as_secs_f64(),
        thousands(per_second as u64),
    )?;
    if arguments.resume {
        let passed = count(loader.passed(), "row");
        writeln!(out, "Passed over {passed} that were there already.")?;
    }
    if loader.database().is_none() && loader.passed() == 0 {
        writeln!(out, "Nothing was created.")?;
    }
    Ok(())
}

fn widened(reader: &Reader, out: &mut dyn Write) -> Result<(), Failure> {
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
    Ok(())
}

/// The rows that were left out, with their lines.
pub fn tell_bad_rows(
    loader: &Loader,
    arguments: &Arguments,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (bad_count, bad_rows) = loader.bad_rows();
    if arguments.on_error == OnError::Stop || bad_count == 0 {
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
