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
            &["--id", "code", "--type", "alt=int", "--on-error=skip"],
        )
        .succeeds();
    assert!(out.starts_with("Imported 3 rows into airports"), "{out}");
    let (_, bad_rows) = out.split_once("Left out 3 bad rows:\n").unwrap();
    let starts = [
        "  line 3: 1 field,",
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
    assert!(error.contains("The 1 row before it is in"), "{error}");
    assert!(error.contains("--on-error skip"), "{error}");
    assert!(out.starts_with("Imported 1 row into airports"), "{out}");
    assert_eq!(place.documents().len(), 1);
}

#[test]
fn a_damaged_file_says_where_it_ends() {
    let place = Place::new();
    let whole = zstd::encode_all(CSV.repeat(50_000).as_bytes(), 1).unwrap();
    let file = place.write("a.csv.zst", &whole[..whole.len() / 2]);
    let (error, _) = place.import(&file, &["--on-error=skip"]).fails(1);
    assert!(error.contains("the compressed input ends early"), "{error}");
}

#[test]
fn what_is_wrong_from_the_start_leaves_nothing_behind() {
    let place = Place::new();
    let csv = place.write("a.csv", CSV);
    let ndjson = place.write("a.ndjson", NDJSON);
    let image = place.write("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0");
    let short = place.write("short.csv", "a,b\n1\n");
    let nothing = "No row was imported.";
    for (file, more, status, what) in [
        (
            "no such file.csv",
            &[][..],
            1,
            "no such file.csv: cannot read the input: No such file",
        ),
        (
            &csv,
            &["--id", "cod"],
            2,
            "no column `cod`, which is the id; its columns are code, name, alt",
        ),
        (
            &ndjson,
            &["--id", "cod"],
            1,
            "it has no field `cod`, which is the id",
        ),
        (&csv, &["--id", "_x"], 2, "the primary key \"_x\""),
        (
            &csv,
            &["--collection", "a b"],
            2,
            "the collection name \"a b\"",
        ),
        (
            &csv,
            &["--collection", ".."],
            2,
            "the collection name \"..\"",
        ),
        (&image, &[], 1, "a.png: line 1: "),
        (&short, &[], 1, nothing),
    ] {
        let mut arguments = place.arguments(file, more);
        if more.first() == Some(&"--collection") {
            arguments.drain(2..4);
        }
        let (error, _) = velocitydb(&arguments).fails(status);
        assert!(error.contains(what), "{what}: {error}");
        assert!(!error.contains("line 0"), "{error}");
        assert!(!place.path("data").exists(), "{error}");
    }
    let header = place.write("header.csv", "a,b\n");
    let out = place.import(&header, &[]).succeeds();
    assert!(out.ends_with("Nothing was created.\n"), "{out}");
    assert!(!place.path("data").exists());

    // A directory of data is there: no collection is left in it.
    place.import(&csv, &["--id", "code"]).succeeds();
    let mut arguments = place.arguments(&ndjson, &["--collection", "others", "--id", "cod"]);
    arguments.drain(2..4);
    velocitydb(&arguments).fails(1);
    let db = Database::open(Options::at(place.path("data"))).unwrap();
    let names: Vec<_> = db
        .collections()
        .into_iter()
        .map(|found| found.name)
        .collect();
    assert_eq!(names, ["airports"]);
}

/// The field that is the id is declared: a URL names a document by the text of its id.
#[test]
fn ids_of_any_type_are_found_by_their_text() {
    let csv = "day,code,n,u\n2013-01-01,JFK,1,0191e0a4-7b7c-7000-8000-000000000001\n";
    let ndjson = r#"{"day":"2013-01-01","n":1}"#;
    for (name, text, id, found) in [
        ("a.csv", csv, "day", "2013-01-01"),
        ("a.csv", csv, "code", "JFK"),
        ("a.csv", csv, "n", "1"),
        ("a.csv", csv, "u", "0191e0a4-7b7c-7000-8000-000000000001"),
        ("a.ndjson", ndjson, "day", "2013-01-01"),
        ("a.ndjson", ndjson, "n", "1"),
    ] {
        let place = Place::new();
        let file = place.write(name, text);
        place.import(&file, &["--id", id]).succeeds();
        let data = place.path("data");
        let served = crate::process::Served::start(&["--data", data.to_str().unwrap()]);
        let base = format!(
            "http://{}/v1/collections/airports/documents",
            served.address
        );
        let answer = crate::http::get(&format!("{base}/{found}"));
        assert_eq!(answer.status, 200, "{name} {id}: {}", answer.body);
        served.stop();
    }
}

/// The sample that types are guessed from ends before the value that does not fit.
fn with_late_value(late: &str) -> String {
    let rows: String = (1..=1_500).map(|n| format!("{n},{n}\n")).collect();
    format!("id,n\n{rows}{late}\n")
}

#[test]
fn a_later_value_of_another_type_is_told() {
    let place = Place::new();
    let file = place.write("a.csv", with_late_value("1501,x"));
    let out = place.import(&file, &["--id", "id"]).succeeds();
    let told = "Column `n`: a value in line 1502 is no int; from there on its values are of type \
                string. To have one type, say --type n=string.\n";
    assert!(out.contains(told), "{out}");
    // An id keeps its type.
    let place = Place::new();
    let file = place.write("a.csv", with_late_value("x,1501"));
    let (error, _) = place.import(&file, &["--id", "id"]).fails(1);
    let told = "line 1502: column `id`: `x` is not of type int";
    assert!(error.contains(told), "{error}");
    assert!(error.contains("The 1,500 rows before it are in"), "{error}");
    let out = place
        .import(&place.write("b.csv", "id,n\n1501,1\n"), &["--id", "id"])
        .succeeds();
    assert!(out.starts_with("Imported 1 row "), "{out}");
}

#[test]
fn what_follows_the_compressed_data_is_not_called_a_cut() {
    let place = Place::new();
    let file = place.write("a.csv.gz", [&gzip(CSV)[..], b"junk"].concat());
    let (error, _) = place.import(&file, &["--id", "code"]).fails(1);
    assert!(error.contains("behind the end of the gzip data"), "{error}");
    assert!(!error.contains("truncated"), "{error}");
}

/// Whoever reads the summary may have gone: the exit status says what became of the rows.
#[test]
fn a_failure_is_one_without_a_reader_too() {
    let place = Place::new();
    let file = place.write("a.csv", BAD);
    let mut import = crate::process::command(&place.arguments(&file, &["--id", "code"]));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = import
        .stdout(writer)
        .stderr(std::process::Stdio::null())
        .status();
    assert_eq!(status.unwrap().code(), Some(1));
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

#[test]
fn an_array_of_documents_is_a_file_too() {
    let place = Place::new();
    let array = format!("[\n{}]\n", NDJSON.replace("}\n{", "},\n{"));
    let file = place.write("a.json", &array);
    place.import(&file, &["--id", "code"]).succeeds();
    assert_eq!(place.documents(), three());
    let cut = Place::new();
    let file = cut.write("a.json", &array[..array.len() - 4]);
    let (error, _) = cut.import(&file, &["--id", "code"]).fails(1);
    assert!(
        error.contains("line 4: the input ends before the array does"),
        "{error}"
    );
}

#[test]
fn there_may_be_only_so_many_bad_rows() {
    let place = Place::new();
    let file = place.write("a.csv", BAD);
    let arguments = [
        "--id",
        "code",
        "--type",
        "alt=int",
        "--on-error",
        "skip",
        "--max-errors",
    ];
    let (error, out) = place
        .import(&file, &[&arguments[..], &["1"]].concat())
        .fails(1);
    assert!(error.contains("more than 1 bad row"), "{error}");
    assert!(out.contains("line 5: column `alt`"), "{out}");
    let other = Place::new();
    let file = other.write("a.csv", BAD);
    other
        .import(&file, &[&arguments[..], &["3"]].concat())
        .succeeds();
    let (error, _) = other.import(&file, &["--max-errors", "3"]).fails(2);
    assert!(error.contains("--on-error skip"), "{error}");
}

#[test]
fn an_import_goes_on_over_ids_of_a_declared_type() {
    let place = Place::new();
    let csv = place.write("a.csv", "day,n\n2013-01-01,1\n2013-01-02,2\n");
    place.import(&csv, &["--id", "day"]).succeeds();
    let more = place.write(
        "a.ndjson",
        "{\"day\":\"2013-01-02\",\"n\":5}\n{\"day\":\"2013-01-03\"}\n",
    );
    place.import(&more, &["--id", "day"]).fails(1);
    let told = place.import(&more, &["--id", "day", "--resume"]).succeeds();
    assert!(told.contains("Passed over 1 row that"), "{told}");
    assert_eq!(
        place.documents()[1],
        "date:2013-01-02 {\"day\":\"2013-01-02\",\"n\":2}"
    );
}
