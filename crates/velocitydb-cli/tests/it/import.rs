//! `velocitydb import`: formats, compression, ids, bad rows.

use std::io::Write;
use std::path::{Path, PathBuf};

use velocitydb::{Database, Options};

use crate::process::{Ended, velocitydb, velocitydb_with_input};

const CSV: &str = "code,name,alt\nJFK,John F Kennedy,13\nLGA,La Guardia,22\nEWR,Newark,18\n";
const NDJSON: &str = r#"{"code":"JFK","name":"John F Kennedy","alt":13}
{"code":"LGA","name":"La Guardia","alt":22}
{"code":"EWR","name":"Newark","alt":18}
"#;

/// A directory with a file to import and a place for data.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn arguments(&self, file: &str, more: &[&str]) -> Vec<String> {
        let data = self.path("data");
        let fixed = [
            "import",
            file,
            "--collection",
            "airports",
            "--data",
            data.to_str().unwrap(),
        ];
        fixed
            .iter()
            .chain(more)
            .map(|argument| (*argument).to_owned())
            .collect()
    }

    fn import(&self, file: &str, more: &[&str]) -> Ended {
        velocitydb(&self.arguments(file, more))
    }

    /// What is in the collection: id and fields, sorted.
    fn documents(&self) -> Vec<String> {
        documents(&self.path("data"))
    }
}

fn documents(data: &Path) -> Vec<String> {
    let db = Database::open(Options::at(data)).unwrap();
    let mut found = Vec::new();
    let view = db.snapshot().collection("airports").unwrap();
    view.scan(|document| {
        found.push(format!("{} {}", document.id(), document.fields().to_json()));
        true
    })
    .unwrap();
    found.sort();
    found
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn three() -> Vec<String> {
    [
        r#"EWR {"alt":18,"code":"EWR","name":"Newark"}"#,
        r#"JFK {"alt":13,"code":"JFK","name":"John F Kennedy"}"#,
        r#"LGA {"alt":22,"code":"LGA","name":"La Guardia"}"#,
    ]
    .map(str::to_owned)
    .into()
}

#[test]
fn every_format_and_compression_gives_the_same_documents() {
    let files: [(&str, Vec<u8>); 6] = [
        ("a.csv", CSV.into()),
        ("a.csv.gz", gzip(CSV)),
        ("a.csv.zst", zstd::encode_all(CSV.as_bytes(), 1).unwrap()),
        ("a.ndjson", NDJSON.into()),
        ("a.jsonl.gz", gzip(NDJSON)),
        (
            "a.ndjson.zst",
            zstd::encode_all(NDJSON.as_bytes(), 1).unwrap(),
        ),
    ];
    for (name, bytes) in files {
        let place = Place::new();
        let file = place.write(name, bytes);
        let out = place.import(&file, &["--id", "code"]).succeeds();
        assert!(
            out.starts_with("Imported 3 rows into airports in "),
            "{name}: {out}"
        );
        assert!(out.contains(" rows/s)"), "{out}");
        assert_eq!(place.documents(), three(), "{name}");
    }
}

#[test]
fn standard_input_is_a_file_too() {
    for (text, more) in [
        (CSV, &["--id", "code", "--batch", "2"][..]),
        (NDJSON, &["--id", "code", "--format", "ndjson"]),
    ] {
        let place = Place::new();
        velocitydb_with_input(&place.arguments("-", more), text.as_bytes()).succeeds();
        assert_eq!(place.documents(), three());
    }
}

#[test]
fn ids_are_new_when_nothing_names_them() {
    let place = Place::new();
    let file = place.write("a.csv", CSV);
    place.import(&file, &[]).succeeds();
    place.import(&file, &[]).succeeds();
    let documents = place.documents();
    assert_eq!(documents.len(), 6);
    assert!(
        documents
            .iter()
            .all(|document| document.find(' ') == Some(36)),
        "{documents:?}"
    );
}

#[test]
fn types_are_guessed_unless_they_are_said() {
    let place = Place::new();
    let file = place.write("a.csv", "zip,day\n10115,2013-01-02\n");
    place.import(&file, &["--type", "zip=string"]).succeeds();
    let documents = place.documents();
    assert!(
        documents[0].ends_with(r#"{"day":"2013-01-02","zip":"10115"}"#),
        "{documents:?}"
    );
    let (error, _) = place.import(&file, &["--type", "zip=text"]).fails(2);
    assert!(error.contains("zip=text"), "{error}");
}

/// Line 3 is short, line 5 has a word for a number, line 6 has an id that was there.
const BAD: &str = "code,alt\nA,1\nB\nC,3\nD,high\nA,5\nE,6\n";

#[test]
fn bad_rows_are_left_out_and_told_with_their_lines() {
    let place = Place::new();
    let file = place.write("a.csv", BAD);
    let out = place
        .import(
            &file,
            &["--id", "code", "--type", "alt=int", "--skip-bad-rows"],
        )
        .succeeds();
    assert!(out.starts_with("Imported 3 rows into airports"), "{out}");
    let (_, bad_rows) = out.split_once("Left out 3 bad rows:\n").unwrap();
    let starts = [
        "  line 3: 1 fields",
        "  line 5: column `alt`: `high`",
        "  line 6: a document with",
    ];
    assert_eq!(bad_rows.lines().count(), 3, "{bad_rows}");
    for (line, start) in bad_rows.lines().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
    let ids: Vec<String> = place
        .documents()
        .iter()
        .map(|document| document[..1].to_owned())
        .collect();
    assert_eq!(ids, ["A", "C", "E"]);
}

#[test]
fn without_that_it_stops_at_the_first_and_keeps_what_is_before() {
    let place = Place::new();
    let file = place.write("a.csv", BAD);
    let (error, out) = place
        .import(&file, &["--id", "code", "--type", "alt=int"])
        .fails(1);
    assert!(error.contains("line 3: "), "{error}");
    assert!(error.contains("The 1 row before it"), "{error}");
    assert!(error.contains("--skip-bad-rows"), "{error}");
    assert!(out.starts_with("Imported 1 row into airports"), "{out}");
    assert_eq!(place.documents().len(), 1);
}

#[test]
fn a_damaged_file_says_where_it_ends() {
    let place = Place::new();
    let whole = zstd::encode_all(CSV.repeat(50_000).as_bytes(), 1).unwrap();
    let file = place.write("a.csv.zst", &whole[..whole.len() / 2]);
    let (error, _) = place.import(&file, &["--skip-bad-rows"]).fails(1);
    assert!(error.contains("the compressed input ends early"), "{error}");
}

#[test]
fn a_file_that_is_not_there_leaves_no_directory_behind() {
    let place = Place::new();
    let (error, _) = place.import("no such file.csv", &[]).fails(1);
    assert!(error.contains("cannot import no such file.csv"), "{error}");
    assert!(!place.path("data").exists());
}

#[test]
fn an_id_that_is_not_the_primary_key_is_refused() {
    let place = Place::new();
    let file = place.write("a.csv", CSV);
    place.import(&file, &["--id", "code"]).succeeds();
    let (error, _) = place.import(&file, &["--id", "name"]).fails(2);
    assert!(
        error.contains("the primary key of the collection airports is `code`"),
        "{error}"
    );
}
