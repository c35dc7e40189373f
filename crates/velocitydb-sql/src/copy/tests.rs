//! The forms among themselves; what PostgreSQL says to data is in velocitydb-server,
//! tests/it/copy/cases.txt.

use proptest::prelude::*;
use velocitydb::{Database, Definition, Document, Openness, Schema};
use velocitydb_query::{Filter, Find};
use velocitydb_types::Value;

use crate::{Session, SqlError};

const TABLE: &str = "CREATE TABLE t (a int, b text, c float8, d bytea, e timestamptz, f text[], \
                     g numeric, h jsonb)";

/// Runs a COPY of which the data come in pieces of so many bytes.
fn copy_in(session: &mut Session, sql: &str, data: &[u8], piece: usize) -> Result<u64, SqlError> {
    let prepared = session.prepare(sql, &[])?;
    let mut copy = session.copy_in(&prepared)?;
    for piece in data.chunks(piece) {
        session.copy_take(&mut copy, piece)?;
    }
    let answer = session.copy_end(&mut copy)?;
    Ok(answer.count.unwrap_or_default())
}

fn copy_out(session: &mut Session, sql: &str) -> Vec<u8> {
    let prepared = session.prepare(sql, &[]).unwrap();
    let mut rows = session.run(&prepared, &[]).unwrap().rows.unwrap();
    let copy = prepared.copy_to().unwrap();
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    copy.write_header(&mut out);
    while copy
        .write_row(&mut rows, session.settings(), &mut scratch, &mut out)
        .unwrap()
    {}
    copy.write_trailer(&mut out);
    out
}

fn run(session: &mut Session, sql: &str) {
    let prepared = session.prepare(sql, &[]).unwrap();
    session.run(&prepared, &[]).unwrap();
}

fn session() -> (Database, Session) {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    run(&mut session, TABLE);
    (database, session)
}

fn documents(database: &Database) -> Vec<String> {
    let table = database.collection("t").unwrap();
    let found = table.find(&Find::new(Filter::And(Vec::new()))).unwrap();
    let shown = |document: &Document| format!("{:?}", document.fields());
    let mut documents: Vec<_> = found.iter().map(shown).collect();
    documents.sort();
    documents
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\\".into()),
        Just("\\N".into()),
        Just("\\.".into()),
        Just("\"".into()),
        Just("".into()),
        "[a-c,;|\"'\\\\.\n\r\t\u{e4}\u{20ac} N]{0,8}",
    ]
}

type Generated = (Option<i32>, Option<String>, Option<f64>, Option<Vec<u8>>);

fn rows() -> impl Strategy<Value = Vec<(Generated, Vec<Option<String>>)>> {
    let row = (
        any::<Option<i32>>(),
        proptest::option::of(value()),
        proptest::option::of(-1e300..1e300_f64),
        any::<Option<Vec<u8>>>(),
    );
    let array = proptest::collection::vec(proptest::option::of(value()), 0..3);
    proptest::collection::vec((row, array), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What was copied out is copied in as the same documents, in every form, wherever it is cut.
    #[test]
    fn every_form_is_read_as_it_was_written(
        rows in rows(),
        piece in 1..40_usize,
        csv in prop::sample::select(vec![
            "", "(FORMAT binary)", "(FORMAT csv)", "(FORMAT csv, HEADER)", "(DELIMITER '|', NULL '\\q')",
            "(FORMAT csv, QUOTE '''', ESCAPE '\\', DELIMITER ';', NULL 'a')", "(HEADER)",
            "(FORMAT csv, ESCAPE ',', DELIMITER '|')",
        ]),
    ) {
        let (database, mut session) = session();
        let count = rows.len() as u64;
        let insert = "INSERT INTO t VALUES ($1, $2, $3, $4, '2013-01-01 10:00:00.5Z', $5, 1.50, \
                      '{\"a\": [1, \"\\\\x\", null]}')";
        let insert = session.prepare(insert, &[]).unwrap();
        for ((a, b, c, d), f) in rows {
            let text = |text: Option<String>| text.map_or(Value::Null, Value::String);
            let parameters = [
                a.map_or(Value::Null, |a| Value::Int(a.into())),
                text(b),
                c.map_or(Value::Null, Value::Float),
                d.map_or(Value::Null, Value::Bytes),
                Value::Array(f.into_iter().map(text).collect()),
            ];
            session.run(&insert, &parameters).unwrap();
        }
        let before = documents(&database);
        let data = copy_out(&mut session, &format!("COPY t TO STDOUT {csv}"));
        for block in [false, true] {
            run(&mut session, "TRUNCATE t");
            if block {
                run(&mut session, "BEGIN");
            }
            let sql = format!("COPY t FROM STDIN {csv}");
            let copied = copy_in(&mut session, &sql, &data, piece);
            prop_assert_eq!(copied.unwrap(), count, "{}", String::from_utf8_lossy(&data));
            if block {
                run(&mut session, "COMMIT");
            }
            prop_assert_eq!(documents(&database), before.clone());
        }
    }

    /// Whatever comes, there is an answer, and the same one however it was cut.
    #[test]
    fn data_that_are_none_are_refused(
        data in prop_oneof![
            any::<Vec<u8>>(),
            "[0-3,\"\\\\.\n\r\tNx]{0,30}".prop_map(String::into_bytes),
            any::<Vec<u8>>().prop_map(|rest| [b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", &rest[..]].concat()),
        ],
        piece in 1..9_usize,
        options in prop::sample::select(vec![
            "", "(FORMAT csv)", "(FORMAT binary)", "(HEADER match)", "(FORMAT csv, HEADER)",
            "(FORMAT csv, QUOTE '1', ESCAPE '2')", "(DELIMITER ',', NULL '')",
        ]),
    ) {
        let (database, mut session) = session();
        for columns in ["a", "b", "a, b", "a, b, c, d, e, f, g, h"] {
            let sql = format!("COPY t ({columns}) FROM STDIN {options}");
            let whole = copy_in(&mut session, &sql, &data, usize::MAX);
            let rows = documents(&database);
            if whole.is_err() {
                prop_assert!(rows.is_empty());
            }
            run(&mut session, "TRUNCATE t");
            prop_assert_eq!(&copy_in(&mut session, &sql, &data, piece), &whole);
            prop_assert_eq!(documents(&database), rows);
            run(&mut session, "TRUNCATE t");
        }
    }
}

/// A collection that was not made by SQL may ask more of its fields than that they are of their columns'
/// types.
#[test]
fn what_fields_ask_beyond_their_types_is_kept() {
    let database = Database::in_memory().unwrap();
    let fields = serde_json::json!([
        {"name": "n", "type": "int", "minimum": 1, "exclusive_maximum": 10},
        {"name": "s", "type": "string", "pattern": "^[a-z]*$", "max_length": 3},
        {"name": "o", "type": "string", "one_of": ["x", "y"]},
    ]);
    let define = |name: &str, fields| {
        let schema = Schema::new(Openness::Open, serde_json::from_value(fields).unwrap());
        let definition = Definition::new(name).schema(schema.unwrap());
        database.create_collection(definition).unwrap();
    };
    define("t", fields);
    define("u", serde_json::json!([{"name": "v", "type": "array"}]));
    let mut session = Session::new(database.clone());
    for (table, data, state) in [
        ("t", "0,a,x", Some("23514")),
        ("t", "10,a,x", Some("23514")),
        ("t", "1,A,x", Some("23514")),
        ("t", "1,abcd,x", Some("23514")),
        ("t", "1,a,z", Some("23514")),
        ("t", "1,a,x", None),
        ("u", "{}", Some("42804")),
        ("u", "[]", None),
    ] {
        for block in [false, true] {
            if block {
                run(&mut session, "BEGIN");
            }
            let copy = format!("COPY {table} FROM STDIN (FORMAT csv)");
            let copied = copy_in(&mut session, &copy, data.as_bytes(), 100);
            assert_eq!(copied.err().map(|error| error.sqlstate), state, "{data}");
            if block {
                run(&mut session, "ROLLBACK");
            }
        }
    }
}
