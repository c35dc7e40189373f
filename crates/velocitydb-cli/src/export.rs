//! `velocitydb export`: collections of one snapshot into a file, or to standard output.
//!
//! From a data directory that no server uses, or from a server. The text streams: memory is
//! bounded whatever the size. A file is written under another name beside it, forced to the disk
//! and then renamed: under its own name it is whole, or is what it was before.
//! Tests: tests/it/export.rs.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use velocitydb::{Database, Value};
use velocitydb_import::{Compression, Compressor, Export, ExportError, Layout};
use velocitydb_shell::{Http, Target, base_path, segment};

use crate::config::DATA_DEFAULT;
use crate::database::InDatabase;
use crate::encryption::KeyFiles;
use crate::failure::Failure;
use crate::import::open_database;
use crate::output::say_error;
use crate::shell::failed;
use crate::text::count;

/// Bytes that are read from a server at a time.
const COPY_BYTES: usize = 128 << 10;

/// What to export and how.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory of the data
    #[arg(long, value_name = "DIR", env = "VELOCITYDB_DATA", default_value = DATA_DEFAULT)]
    data: PathBuf,

    #[command(flatten)]
    keys: KeyFiles,

    #[command(flatten)]
    database: InDatabase,

    /// A server, such as http://127.0.0.1:7480, instead of a directory
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Collection to export; may be given many times
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present_any = ["all", "all_databases"],
        conflicts_with_all = ["all", "all_databases"]
    )]
    collection: Vec<String>,

    /// Export every collection of the database
    #[arg(long, conflicts_with = "all_databases")]
    all: bool,

    /// Export every collection of every database; imported again, each is in its database
    #[arg(long, conflicts_with = "database")]
    all_databases: bool,

    /// The file, replaced when it is there; - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,

    /// Format [default: by the file's ending, else ndjson]
    #[arg(long)]
    format: Option<Format>,

    /// Plain NDJSON for people and other programs, without definitions and types
    #[arg(long)]
    plain: bool,

    /// Compression [default: by the file's ending, .gz or .zst]
    #[arg(long)]
    compress: Option<Compress>,
}

/// How the text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Definitions and documents with all their types, to be imported again
    Ndjson,
    /// One plain JSON array, of one collection
    Json,
    /// Values between commas, of one collection
    Csv,
}

/// How the file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Compress {
    /// gzip
    Gzip,
    /// zstd
    Zstd,
    /// Not at all
    None,
}

impl Arguments {
    fn to_stdout(&self) -> bool {
        self.out == Path::new("-")
    }

    fn layout(&self) -> Layout {
        let name = self.out.to_string_lossy().to_ascii_lowercase();
        let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
        let by_name = match name.rsplit_once('.') {
            Some((_, "csv")) => Format::Csv,
            Some((_, "json")) => Format::Json,
            _ => Format::Ndjson,
        };
        match self.format.unwrap_or(by_name) {
            Format::Ndjson if self.plain => Layout::Ndjson,
            Format::Ndjson => Layout::Exported,
            Format::Json => Layout::Json,
            Format::Csv => Layout::Csv,
        }
    }

    fn compression(&self) -> Compression {
        match self.compress {
            Some(Compress::Gzip) => Compression::Gzip,
            Some(Compress::Zstd) => Compression::Zstd,
            Some(Compress::None) => Compression::None,
            None => Compression::from_name(&self.out.to_string_lossy()),
        }
    }

    fn failed(&self, error: &io::Error) -> Failure {
        match self.to_stdout() && error.kind() == io::ErrorKind::BrokenPipe {
            true => Failure::OutputClosed,
            false => Failure::new(format!("cannot write {}: {error}", self.out.display())),
        }
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    if arguments.all_databases && arguments.layout() != Layout::Exported {
        let what =
            "--all-databases writes the exported form: plain JSON and CSV hold one collection";
        return Err(Failure::Usage(what.to_owned()));
    }
    if arguments.to_stdout() {
        let target = io::stdout();
        let (mut target, told) = write(arguments, target)?;
        target.flush().map_err(|error| arguments.failed(&error))?;
        // Standard output is the export's own.
        eprint!("{told}");
        return Ok(());
    }
    let failed = |error| arguments.failed(&error);
    let part = Part::create(&arguments.out).map_err(failed)?;
    let target = part.file.try_clone().map_err(failed)?;
    let (_, told) = write(arguments, target)?;
    part.finish(&arguments.out).map_err(failed)?;
    Ok(out.write_all(told.as_bytes())?)
}

/// Writes the export, and gives the target back with what there is to say.
fn write<W: Write>(arguments: &Arguments, target: W) -> Result<(W, String), Failure> {
    let failed = |error| arguments.failed(&error);
    let mut target = Compressor::new(target, arguments.compression()).map_err(failed)?;
    let told = match &arguments.url {
        Some(url) => from_server(arguments, url, &mut target)?,
        None => from_directory(arguments, &mut target)?,
    };
    Ok((target.finish().map_err(failed)?, told))
}

fn from_directory(arguments: &Arguments, target: &mut dyn Write) -> Result<String, Failure> {
    let dir = &arguments.data;
    let Some(db) = open_database(dir, &arguments.keys)? else {
        return Err(Failure::new(format!(
            "there is no database in {}",
            dir.display()
        )));
    };
    let told = arguments.database.of(&db);
    let told = told.and_then(|db| of_database(arguments, &db, target));
    let closed = db.close().map_err(|error| Failure::of(&error, dir));
    let told = told?;
    closed.map(|()| told)
}

fn of_database(
    arguments: &Arguments,
    db: &Database,
    target: &mut dyn Write,
) -> Result<String, Failure> {
    let of_export = |error: ExportError| match error {
        ExportError::Invalid(what) => Failure::Usage(what),
        ExportError::Database(error) => Failure::of(&error, &arguments.data),
    };
    let view = db.snapshot();
    let export = match (arguments.all_databases, arguments.all) {
        (true, _) => Export::of_all_databases(&view),
        (false, true) => Export::new(&view, &view.collection_names(), arguments.layout()),
        (false, false) => Export::new(&view, &arguments.collection, arguments.layout()),
    };
    let mut export = export.map_err(of_export)?;
    let bar = bar("{wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
    bar.set_length(export.written().documents_total);
    let mut chunk = Vec::new();
    while export.next_chunk(&mut chunk).map_err(of_export)? {
        let written = target.write_all(&chunk);
        written.map_err(|error| arguments.failed(&error))?;
        chunk.clear();
        bar.set_position(export.written().documents);
    }
    bar.finish_and_clear();
    let written = export.written();
    let databases = view.databases();
    let of = match arguments.all_databases {
        true => format!(" of {}", count(databases.len() as u64, "database")),
        false => String::new(),
    };
    let mut told = format!(
        "Exported {} of {}{of}.\n",
        count(written.documents, "document"),
        count(written.collections, "collection"),
    );
    if arguments.all {
        let others = databases.into_iter().map(|(id, definition)| {
            let collections = view.of_database(id).collection_names().len();
            (definition.name, collections as u64)
        });
        tell_others(arguments, others);
    }
    for (name, digest) in &written.digests {
        told += &format!("  {name}: data digest {digest}\n");
    }
    Ok(told)
}

/// Says which collections of other databases an export of all collections of one leaves out.
fn tell_others(arguments: &Arguments, databases: impl Iterator<Item = (String, u64)>) {
    let here = arguments.database.name();
    let left = databases.filter(|(name, collections)| name != here && *collections > 0);
    let left: Vec<_> = left
        .map(|(name, collections)| format!("{} of {name}", count(collections, "collection")))
        .collect();
    if !left.is_empty() {
        say_error(&format!(
            "note: only the database {here} was exported, without {}; --all-databases exports all",
            left.join(", ")
        ));
    }
}

/// The databases of a server, with how many collections they have.
fn databases_of(server: &mut Http) -> Result<Vec<(String, u64)>, Failure> {
    let all = server.databases().map_err(|error| failed(&error))?;
    let read = |one: &Value| {
        let one = one.as_map()?;
        let collections = one.get("collections")?.as_int()?;
        let name = one.get("name")?.as_str()?;
        Some((name.to_owned(), u64::try_from(collections).ok()?))
    };
    Ok(all.iter().filter_map(read).collect())
}

fn from_server(
    arguments: &Arguments,
    url: &str,
    target: &mut dyn Write,
) -> Result<String, Failure> {
    let format = match arguments.layout() {
        Layout::Exported => "ndjson",
        Layout::Ndjson => "ndjson&plain=true",
        Layout::Json => "json",
        Layout::Csv => "csv",
    };
    let names = arguments.collection.iter().map(|name| segment(name));
    let names: Vec<_> = names.collect();
    let names = match (arguments.all_databases, arguments.all) {
        (true, _) => "&all_databases=true".to_owned(),
        (false, true) => String::new(),
        (false, false) => format!("&collections={}", names.join(",")),
    };
    let mut server = Http::at(url).map_err(|error| Failure::Usage(format!("--url {error}")))?;
    arguments.database.enter(&mut server)?;
    if arguments.all {
        tell_others(arguments, databases_of(&mut server)?.into_iter());
    }
    let base = base_path(arguments.database.name());
    let url = url.trim_end_matches('/');
    let failed = |what: &dyn std::fmt::Display| Failure::new(format!("{url}: {what}"));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(10)))
        .build()
        .into();
    let asked = agent.get(format!("{url}{base}/export?format={format}{names}"));
    let mut answer = asked.call().map_err(|error| failed(&error))?;
    if !answer.status().is_success() {
        let status = answer.status();
        let problem = answer.body_mut().read_to_string().unwrap_or_default();
        return Err(failed(&format!("{status}: {problem}")));
    }
    let bar = bar("{spinner} {bytes} {bytes_per_sec}");
    let mut body = answer.into_body().into_reader();
    let (mut chunk, mut total) = (vec![0; COPY_BYTES], 0);
    loop {
        // A server that fails in the middle ends the answer before its end, which is an error.
        let count = match body.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(|error| failed(&format!("the answer was cut: {error}")))?,
        };
        if count == 0 {
            break;
        }
        let written = target.write_all(&chunk[..count]);
        written.map_err(|error| arguments.failed(&error))?;
        total += count as u64;
        bar.set_position(total);
    }
    bar.finish_and_clear();
    Ok(format!("Exported {}.\n", count(total, "byte")))
}

/// A bar on a terminal, nothing elsewhere.
fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.with_style(ProgressStyle::with_template(template).expect("the template is well formed"))
}

/// A file that is not whole yet. Removed when it does not become so.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn create(whole: &Path) -> io::Result<Part> {
        let mut name = whole.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let path = whole.with_file_name(name);
        let file = File::create_new(&path)?;
        Ok(Part { path, file })
    }

    /// Forces it to the disk and gives it its name.
    fn finish(self, whole: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, whole)?;
        let dir = whole.parent().filter(|dir| !dir.as_os_str().is_empty());
        File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After the renaming there is nothing under this name.
        let _ = fs::remove_file(&self.path);
    }
}
