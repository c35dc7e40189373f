//! Whole inputs of every kind, faulty ones, the sample data, and arbitrary bytes.

use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use velocitydb_types::FieldType;

use super::*;
use crate::input::tests::{gzip, zstd};
use crate::{Header, Missing, TypeOrigin};

fn open(text: &[u8], options: Options) -> Result<Reader, ImportError> {
    Reader::open(
        Cursor::new(text.to_vec()),
        Format::Auto {
            name: String::new(),
        },
        options,
    )
}

/// A row as `line: name=value, …`, its values as Rust prints them: types and all.
fn show(row: Result<Row, ImportError>) -> String {
    match row {
        Ok(row) => {
            let fields: Vec<String> = row
                .fields
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"))
                .collect();
            format!("{}: {}", row.line, fields.join(", "))
        }
        Err(error) => format!("error: {error}"),
    }
}

fn all(text: &[u8], options: Options) -> Vec<String> {
    match open(text, options) {
        Ok(reader) => reader.map(show).collect(),
        Err(error) => vec![format!("error: {error}")],
    }
}

/// What the reader gives, and what it skips.
fn skipping(text: &[u8], mut options: Options) -> (Vec<String>, Vec<String>) {
    let skipped = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&skipped);
    options.bad_rows = BadRows::Skip(Box::new(move |error| {
        sink.lock().unwrap().push(error.to_string())
    }));
    let mut reader = open(text, options).unwrap();
    let rows = reader.by_ref().map(show).collect();
    let skipped = skipped.lock().unwrap().clone();
    assert_eq!(reader.skipped(), skipped.len() as u64);
    (rows, skipped)
}

fn typed(types: &[(&str, FieldType)]) -> Options {
    let types = types
        .iter()
        .map(|(name, field_type)| ((*name).to_owned(), *field_type));
    Options {
        types: types.collect(),
        ..Options::default()
    }
}

fn sampled(sample_rows: usize) -> Options {
    Options {
        sample_rows,
        ..Options::default()
    }
}

const SMALL: &str = "id,n,f,b,d,t,s\n\
    1,,1.5,true,2013-01-31,2013-01-31T10:00:00Z,x\n\
    \n\
    2,NA,2,FALSE,,2013-01-31T10:00:00+01:00,\"a \"\"b\"\",\nc\"\n\
    -3,,-2e3,,,,007\n";

#[test]
fn values_have_the_types_of_their_columns() {
    let expected = [
        "2: b=Bool(true), d=Date(Date(15736)), f=Float(1.5), id=Int(1), n=Null, s=String(\"x\"), \
         t=Time(Timestamp(1359626400000000))",
        "4: b=Bool(false), d=Null, f=Float(2.0), id=Int(2), n=Null, \
         s=String(\"a \\\"b\\\",\\nc\"), t=Time(Timestamp(1359622800000000))",
        "6: b=Null, d=Null, f=Float(-2000.0), id=Int(-3), n=Null, s=String(\"007\"), t=Null",
    ];
    for bytes in [SMALL.into(), gzip(SMALL.as_bytes()), zstd(SMALL.as_bytes())] {
        assert_eq!(all(&bytes, Options::default()), expected);
    }
    let with_mark = format!("\u{feff}{}", SMALL.replace('\n', "\r\n"));
    let expected = expected.map(|row| row.replace("\\n", "\\r\\n"));
    assert_eq!(all(with_mark.as_bytes(), Options::default()), expected);
}

#[test]
fn columns_and_progress_are_told() {
    let bytes = gzip(SMALL.as_bytes());
    let options = Options {
        bytes_total: Some(bytes.len() as u64),
        ..Options::default()
    };
    let mut reader = open(&bytes, options).unwrap();
    let types: Vec<_> = reader
        .columns()
        .iter()
        .map(|c| (&*c.name, c.field_type))
        .collect();
    assert_eq!(
        types[..3],
        [
            ("id", Some(FieldType::Int)),
            ("n", None),
            ("f", Some(FieldType::Float)),
        ]
    );
    assert_eq!(reader.by_ref().filter(Result::is_ok).count(), 3);
    assert!(reader.next().is_none());
    let progress = reader.progress();
    assert_eq!(progress.bytes_read(), bytes.len() as u64);
    assert_eq!(progress.bytes_total(), Some(bytes.len() as u64));
}

#[test]
fn a_column_that_was_inferred_widens() {
    // The sample is one row; each later one does not fit the type before it.
    let rows = all(b"a\n1\n2.5\n3\nx\n4\n", sampled(1));
    assert_eq!(
        rows,
        [
            "2: a=Int(1)",
            "3: a=Float(2.5)",
            "4: a=Float(3.0)",
            "5: a=String(\"x\")",
            "6: a=String(\"4\")",
        ]
    );
    let rows = all(b"a,b\n,true\n2013-01-01,\n1,0\n", sampled(1));
    assert_eq!(
        rows,
        [
            "2: a=Null, b=Bool(true)",
            "3: a=Date(Date(15706)), b=Null",
            "4: a=String(\"1\"), b=String(\"0\")",
        ]
    );
    // All in the sample: one type from the first row on.
    assert_eq!(
        all(b"a\n1\n2.5\n", sampled(2)),
        ["2: a=Float(1.0)", "3: a=Float(2.5)"]
    );
    let mut reader = open(b"a\n1\nx\n", sampled(1)).unwrap();
    assert_eq!(reader.columns()[0].field_type, Some(FieldType::Int));
    assert_eq!(reader.by_ref().count(), 2);
    assert_eq!(reader.columns()[0].field_type, Some(FieldType::String));
    assert_eq!(reader.columns()[0].origin, TypeOrigin::Inferred);
}

#[test]
fn where_a_column_widened_is_known_and_a_kept_type_stays() {
    let text = b"a,b\n1,1\n2.5,2\nx,y\n";
    let mut reader = open(text, sampled(1)).unwrap();
    assert_eq!(reader.by_ref().count(), 3);
    let widened = reader.widened().iter();
    let told: Vec<_> = widened
        .map(|w| format!("{} {} {}->{}", w.line, w.column, w.from, w.to))
        .collect();
    assert_eq!(
        told,
        ["3 a int->float", "4 a float->string", "4 b int->string"]
    );

    let mut reader = open(text, sampled(1)).unwrap();
    reader.keep_type("b");
    reader.keep_type("no such column");
    let error = reader.by_ref().last().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 4: column `b`: `y` is not of type int"
    );
}

#[test]
fn integers_that_a_float_would_round_make_a_column_of_strings() {
    for text in ["a\n9007199254740993\n0.5\n", "a\n0.5\n9007199254740993\n"] {
        assert!(
            all(text.as_bytes(), Options::default())
                .iter()
                .all(|row| row.contains("String"))
        );
    }
    assert_eq!(
        all(b"a\n9223372036854775808\n", Options::default()),
        ["2: a=String(\"9223372036854775808\")"]
    );
}

#[test]
fn a_declared_column_does_not_widen() {
    let text = b"a,b\n1,5\n2.5,6\n3,7\n";
    let error = "line 3: column `a`: `2.5` is not of type int";
    let options = || typed(&[("a", FieldType::Int), ("b", FieldType::String)]);
    let rows = all(text, options());
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0], "2: a=Int(1), b=String(\"5\")");
    assert!(rows[1].starts_with(&format!("error: {error}")), "{rows:?}");
    let (rows, skipped) = skipping(text, options());
    assert_eq!(
        rows,
        [
            "2: a=Int(1), b=String(\"5\")",
            "4: a=Int(3), b=String(\"7\")"
        ]
    );
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].starts_with(error), "{skipped:?}");
}

#[test]
fn bad_rows_stop_the_reader_or_are_skipped() {
    for sample_rows in [0, 2, 1000] {
        let text = b"a,b\n1,2\n3\n4,5,6\n\xff,7\n8,9\n";
        let faults = [
            "line 3: 1 field, the header has 2",
            "line 4: 3 fields, the header has 2",
            "line 5: the text is not UTF-8",
        ];
        let stopped = all(text, sampled(sample_rows));
        assert_eq!(
            stopped,
            ["2: a=Int(1), b=Int(2)", &format!("error: {}", faults[0])]
        );
        let (rows, skipped) = skipping(text, sampled(sample_rows));
        assert_eq!(rows, ["2: a=Int(1), b=Int(2)", "6: a=Int(8), b=Int(9)"]);
        assert_eq!(skipped, faults);
    }
}

#[test]
fn long_rows_are_bad_rows() {
    let short = Options {
        row_bytes_max: 10,
        ..Options::default()
    };
    let (rows, skipped) = skipping(b"a\n12345678901\n1234567890\n", short);
    assert_eq!(rows, ["3: a=Int(1234567890)"]);
    assert_eq!(skipped, ["line 2: the row is longer than 10 bytes"]);
    for end in ["\n", "\r\n"] {
        let short = Options {
            row_bytes_max: 8,
            ..Options::default()
        };
        let text = [
            "{\"a\":12}",
            "{\"a\":123}",
            "{\"a\":12345678}",
            "{\"a\":34}",
        ]
        .join(end);
        let (rows, skipped) = skipping(text.as_bytes(), short);
        assert_eq!(rows, ["1: a=Int(12)", "4: a=Int(34)"]);
        assert_eq!(skipped.len(), 2);
        assert_eq!(skipped[1], "line 3: the row is longer than 8 bytes");
    }
}

#[test]
fn faults_that_hide_the_rest_end_the_reading_in_any_case() {
    let quote = "error: line 3: a quote opens here and the input ends before it closes";
    let (rows, skipped) = skipping(b"a\n1\n\"2\n3\n", Options::default());
    assert_eq!(
        (rows, skipped.len()),
        (vec!["2: a=Int(1)".to_owned(), quote.to_owned()], 0)
    );

    let text: String = std::iter::once("a\n".to_owned())
        .chain((0..50_000).map(|row| format!("{}\n", row * 7919 % 100_003)))
        .collect();
    let json: String = (0..50_000)
        .map(|row| format!("{{\"a\":{}}}\n", row * 7919 % 100_003))
        .collect();
    for (text, ahead) in [(text, 2), (json, 1)] {
        for whole in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
            let (rows, skipped) = skipping(&whole[..whole.len() / 2], sampled(5));
            let error = rows.last().unwrap();
            assert!(error.ends_with("the compressed input ends early: the file is truncated"));
            assert!(
                error.starts_with(&format!("error: line {}: ", rows.len() - 1 + ahead)),
                "{error}"
            );
            assert!(rows.len() > 1000 && skipped.is_empty());
            assert!(
                rows[..rows.len() - 1]
                    .iter()
                    .all(|row| !row.starts_with("error"))
            );
        }
    }
}

#[test]
fn damaged_compression_is_an_error() {
    let text: String = (0..50_000)
        .map(|row| format!("{}\n", row * 7919 % 100_003))
        .collect();
    let mut damaged = gzip(text.as_bytes());
    let middle = damaged.len() / 2;
    damaged[middle..middle + 40].fill(0xaa);
    let options = || Options {
        header: Header::Names(vec!["a".into()]),
        ..Options::default()
    };
    assert!(
        all(&damaged, options())
            .last()
            .unwrap()
            .starts_with("error: line ")
    );
    // Of the checksum alone: all rows come, then the error.
    let mut damaged = gzip(text.as_bytes());
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    let rows = all(&damaged, options());
    assert_eq!(rows.len(), 50_001);
    assert!(rows[50_000].starts_with("error: line 50001: cannot read the input: "));
}

#[test]
fn a_source_that_fails_is_told() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable is out"))
        }
    }
    let source = Cursor::new(b"a\n1\n2\n".to_vec()).chain(Fails);
    let error = "error: line 4: cannot read the input: the cable is out";
    let rows: Vec<_> = Reader::open(source, Format::Csv, Options::default())
        .unwrap()
        .map(show)
        .collect();
    assert_eq!(rows, ["2: a=Int(1)", "3: a=Int(2)", error]);
    let error = Reader::open(Fails, Format::Csv, Options::default()).unwrap_err();
    assert_eq!(error.class(), velocitydb_types::ErrorClass::Io);
}

#[test]
fn headers_must_name_the_columns() {
    for (text, options, error) in [
        (
            "",
            Options::default(),
            "line 1: the input is empty: it should begin with a header",
        ),
        (
            "\n\na,b,a\n",
            Options::default(),
            "line 3: two columns are named `a`",
        ),
        ("a,,b\n", Options::default(), "line 1: column 2 has no name"),
        (
            "a\n",
            typed(&[("b", FieldType::Int)]),
            "line 1: a type is given for `b`, which is no column",
        ),
    ] {
        assert_eq!(all(text.as_bytes(), options), [format!("error: {error}")]);
    }
    let named = || Options {
        header: Header::Names(vec!["x".into(), "y".into()]),
        ..Options::default()
    };
    assert_eq!(all(b"1,a\n", named()), ["1: x=Int(1), y=String(\"a\")"]);
    assert_eq!(all(b"", named()), [""; 0]);
    assert_eq!(all(b"a,b\n", Options::default()), [""; 0]);
}

#[test]
fn missing_values_delimiters_and_nulls_are_options() {
    let options = Options {
        missing: Missing::Absent,
        ..Options::default()
    };
    assert_eq!(
        all(b"a,b\n1,\nNA,2\n,\n", options),
        ["2: a=Int(1)", "3: b=Int(2)", "4: "]
    );
    let options = Options {
        delimiter: Some(b';'),
        nulls: vec!["-".to_owned()],
        ..Options::default()
    };
    assert_eq!(
        all(b"a;b;c\n1,5;-;\n", options),
        ["2: a=String(\"1,5\"), b=Null, c=String(\"\")"]
    );
    let source = Cursor::new(b"a\tb\n1\tx,y\n".to_vec());
    let format = Format::Auto {
        name: "x.tsv".into(),
    };
    let rows: Vec<_> = Reader::open(source, format, Options::default())
        .unwrap()
        .map(show)
        .collect();
    assert_eq!(rows, ["2: a=Int(1), b=String(\"x,y\")"]);
}

#[test]
fn ndjson_is_read_line_by_line() {
    let text =
        "{\"b\":1,\"a\":[true,null,{\"x\":1.5}]}\r\n\n  \n{}\n{\"t\":\"2013-01-01T00:00:00Z\"}";
    let expected = [
        "1: a=Array([Bool(true), Null, Map({\"x\": Float(1.5)})]), b=Int(1)",
        "4: ",
        "5: t=String(\"2013-01-01T00:00:00Z\")",
    ];
    for bytes in [text.into(), gzip(text.as_bytes()), zstd(text.as_bytes())] {
        assert_eq!(all(&bytes, Options::default()), expected);
    }
    let rows = all(
        text.as_bytes(),
        typed(&[("t", FieldType::Time), ("b", FieldType::Float)]),
    );
    assert!(rows[0].ends_with("b=Float(1.0)"), "{rows:?}");
    assert_eq!(rows[2], "5: t=Time(Timestamp(1356998400000000))");
    let source = Cursor::new(Vec::new());
    assert_eq!(
        Reader::open(source, Format::Ndjson, Options::default())
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn lines_that_are_no_object_are_bad_rows() {
    let text = b"{\"a\":1}\n{\"a\":\n[1]\n{\"a\":1,\"a\":2}\n{\"a\":\"\xff\"}\n{\"a\":\"x\"}\n{} {}\n{\"a\":2}\n";
    let (rows, skipped) = skipping(text, typed(&[("a", FieldType::Int)]));
    assert_eq!(rows, ["1: a=Int(1)", "8: a=Int(2)"]);
    let lines: Vec<&str> = skipped
        .iter()
        .map(|error| error.split_once(':').unwrap().0)
        .collect();
    assert_eq!(
        lines,
        ["line 2", "line 3", "line 4", "line 5", "line 6", "line 7"]
    );
    assert_eq!(skipped[1], "line 3: expected one JSON object, found array");
    assert!(
        skipped[4].starts_with("line 6: column `a`: `\"x\"` is not of type int"),
        "{skipped:?}"
    );
}

fn sample_file(name: &str) -> PathBuf {
    let data = "../velocitydb-cli/data/nycflights13";
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap())
        .join(data)
        .join(format!("{name}.csv.zst"))
}

#[test]
fn the_sample_data_has_these_types() {
    for (name, rows, expected) in [
        ("airlines", 16, "carrier string, name string"),
        (
            "airports",
            1458,
            "faa string, name string, lat float, lon float, alt int, tz int, dst string, tzone string",
        ),
        (
            "planes",
            3322,
            "tailnum string, year int, type string, manufacturer string, model string, \
             engines int, seats int, speed int, engine string",
        ),
        (
            "weather",
            26_115,
            "origin string, year int, month int, day int, hour int, temp float, dewp float, \
             humid float, wind_dir int, wind_speed float, wind_gust float, precip float, \
             pressure float, visib float, time_hour time",
        ),
        (
            "flights",
            336_776,
            "year int, month int, day int, dep_time int, sched_dep_time int, dep_delay int, \
             arr_time int, sched_arr_time int, arr_delay int, carrier string, flight int, \
             tailnum string, origin string, dest string, air_time int, distance int, hour int, \
             minute int, time_hour time",
        ),
    ] {
        let mut reader = Reader::open_file(&sample_file(name), Options::default()).unwrap();
        let types = |reader: &Reader| -> Vec<String> {
            let name = |column: &Column| column.field_type.expect("a value").name();
            reader
                .columns()
                .iter()
                .map(|c| format!("{} {}", c.name, name(c)))
                .collect()
        };
        assert_eq!(types(&reader).join(", "), expected, "{name}");
        // Nothing widens later, and no row is bad.
        assert_eq!(reader.by_ref().map(Result::unwrap).count(), rows, "{name}");
        assert_eq!(types(&reader).join(", "), expected, "{name}");
    }
}

proptest! {
    /// Whatever the bytes: no panic, an end, and every row either given or reported once.
    #[test]
    fn any_bytes_are_read_to_an_end(
        bytes in proptest::collection::vec(prop_oneof![4 => proptest::sample::select(
            b"ab1,\"\n\r {}:[]-.eE0tT2".as_slice()), 1 => any::<u8>()], 0..200),
        packing in 0..3,
        sample_rows in 0..4_usize,
        cut in any::<proptest::sample::Index>(),
    ) {
        let packed = match packing { 0 => bytes, 1 => gzip(&bytes), _ => zstd(&bytes) };
        for packed in [&packed[..], &packed[..cut.index(packed.len() + 1)]] {
            for format in [Format::Csv, Format::Ndjson] {
                let options = Options {
                    sample_rows,
                    row_bytes_max: 50,
                    bad_rows: BadRows::Skip(Box::new(|error| assert!(error.is_bad_row()))),
                    ..Options::default()
                };
                let source = Cursor::new(packed.to_vec());
                let Ok(reader) = Reader::open(source, format, options) else { continue };
                let rows: Vec<_> = reader.collect();
                let errors = rows.iter().filter(|row| row.is_err()).count();
                prop_assert!(errors == 0 || (errors == 1 && rows.last().unwrap().is_err()));
            }
        }
    }

    /// Rows of any text, written as CSV, are read as they were.
    #[test]
    fn what_is_quoted_is_read_back(
        rows in proptest::collection::vec(proptest::collection::vec("[a,\"\n\r é€]{0,6}", 3), 0..8),
        ends_in_newline in any::<bool>(),
    ) {
        let quote = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
        let line = |row: &Vec<String>| row.iter().map(quote).collect::<Vec<_>>().join(",");
        let mut text: Vec<String> = vec!["x,y,z".to_owned()];
        text.extend(rows.iter().map(line));
        let mut text = text.join("\n");
        text.push_str(if ends_in_newline { "\n" } else { "" });
        let mut options = typed(&["x", "y", "z"].map(|name| (name, FieldType::String)));
        options.nulls.clear();
        let read: Vec<Vec<String>> = open(text.as_bytes(), options).unwrap().map(|row| {
            let fields = row.unwrap().fields.into_iter();
            fields.map(|(_, value)| value.as_str().unwrap().to_owned()).collect()
        }).collect();
        prop_assert_eq!(read, rows);
    }
}
