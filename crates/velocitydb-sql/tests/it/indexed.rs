//! Indexes over expressions and over jsonb: that queries are served by them, that answers are those of
//! scans, and what clients are told.

use proptest::prelude::*;
use proptest::sample::select;
use velocitydb::Database;
use velocitydb_sql::{Session, SqlError, parse};
use velocitydb_types::Value;

use crate::supported::texts;

fn try_run(session: &mut Session, sql: &str) -> Result<Vec<String>, SqlError> {
    let mut lines = Vec::new();
    for tree in parse(sql)? {
        let prepared = session.prepare_tree(sql, &tree, &[]);
        let prepared = prepared.inspect_err(|_| session.fail())?;
        let answer = session.run(&prepared, &[])?;
        if let Some(rows) = answer.rows {
            let rows = texts(session, prepared.columns(), rows)?;
            lines.extend(rows.iter().map(|row| row.concat()));
        }
    }
    Ok(lines)
}

#[track_caller]
fn run(session: &mut Session, sql: &str) -> Vec<String> {
    try_run(session, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

const TABLE: &str = "(id int PRIMARY KEY, name varchar(20), n int, doc jsonb, at timestamptz)";

const INDEXES: [&str; 11] = [
    "(lower(name))",
    "(n, upper(btrim(name)) DESC)",
    "((doc->>'kind'))",
    "((doc->'deep'->>'kind'), id)",
    "(date_trunc('day', at AT TIME ZONE 'UTC') DESC)",
    "(left(name, 1)) WHERE n > 2",
    "USING hash (md5(name))",
    "(length(name), coalesce(name, 'none'))",
    "USING gin (doc)",
    "USING gin (doc jsonb_path_ops)",
    "USING gin (to_tsvector('simple', name))",
];

fn row() -> impl Strategy<Value = (Option<String>, i64, String, i64)> {
    let name = proptest::option::of("[aAbB éÉßΣσ]{0,4}");
    let kind = select(vec![
        "null",
        "\"a\"",
        "\"B\"",
        "1",
        "1.0",
        "[1,\"a\"]",
        "{\"kind\":\"a\"}",
    ]);
    let doc = (kind.clone(), kind, select(vec!["more", "deep", "other"])).prop_map(
        |(one, other, name)| match name {
            "other" => one.to_owned(),
            name => format!("{{\"kind\":{one},\"{name}\":{{\"kind\":{other}}}}}"),
        },
    );
    (name, 0..6_i64, doc, 0..5_i64)
}

/// Conditions and orders over `$1`, a text, and `$2`, a number.
const QUESTIONS: [&str; 25] = [
    "WHERE lower(name) = lower($1::text)",
    "WHERE lower(name) > $1::text AND lower(name) <= 'b' ORDER BY lower(name), id",
    "WHERE lower(name) LIKE 'a%'",
    "WHERE NOT lower(name) = $1::text",
    "WHERE lower(name) IN ('a', $1::text) OR lower(name) IS NULL",
    "WHERE n = $2::int AND upper(btrim(name)) = upper($1::text)",
    "WHERE doc->>'kind' = $1::text",
    "WHERE doc->>'kind' IS NOT NULL AND doc->'deep'->>'kind' = 'a'",
    "WHERE date_trunc('day', at AT TIME ZONE 'UTC') >= '2024-01-03'",
    "WHERE left(name, 1) = 'a' AND n > 2",
    "WHERE md5(name) = md5($1::text)",
    "WHERE length(name) BETWEEN 1 AND $2::int",
    "WHERE doc @> '{\"kind\": \"a\"}'",
    "WHERE doc @> '{\"deep\": {\"kind\": 1}}' OR lower(name) = $1::text",
    "WHERE doc @> '[1]'",
    "WHERE doc ? 'deep' AND n = $2::int",
    "WHERE doc ?| ARRAY['a', $1::text]",
    "WHERE doc ?& '{kind,deep}'",
    "WHERE to_tsvector('simple', name) @@ plainto_tsquery('simple', $1::text)",
    "WHERE to_tsvector('simple', name) @@ websearch_to_tsquery('simple', 'a -b or ' || $1::text)",
    "WHERE to_tsvector('simple', name) @@ to_tsquery('simple', 'a:* & !b') AND n > $2::int",
    "ORDER BY lower(name) NULLS FIRST, id LIMIT 3",
    "ORDER BY lower(name) DESC, id DESC LIMIT 3",
    "ORDER BY date_trunc('day', at AT TIME ZONE 'UTC'), id OFFSET 1 LIMIT 4",
    "WHERE n = 3 ORDER BY upper(btrim(name)), id",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A table with all indexes answers what one without any does, in a transaction that has
    /// written and outside of it.
    #[test]
    fn answers_are_those_of_a_scan(
        rows in proptest::collection::vec(row(), 1..40),
        changed in proptest::collection::vec((0..40_usize, row()), 0..12),
        word in "[abé]{0,2}",
        number in 0..4_i64,
    ) {
        let mut session = Session::new(Database::in_memory().unwrap());
        for table in ["plain", "indexed"] {
            run(&mut session, &format!("CREATE TABLE {table} {TABLE}"));
        }
        for (at, index) in INDEXES.iter().enumerate() {
            let index = match index.starts_with("USING") {
                true => format!("ON indexed {index}"),
                false => format!("i{at} ON indexed {index}"),
            };
            run(&mut session, &format!("CREATE INDEX {index}"));
        }
        let write = |session: &mut Session, id: usize, row: &(Option<String>, i64, String, i64)| {
            let (name, n, doc, day) = row;
            let values: [Value; 5] = [
                (id as i64).into(),
                name.clone().map_or(Value::Null, Value::String),
                (*n).into(),
                Value::from_json(doc).unwrap(),
                Value::Time(format!("2024-01-0{}T12:00:00Z", day + 1).parse().unwrap()),
            ];
            for table in ["plain", "indexed"] {
                let sql = format!(
                    "INSERT INTO {table} VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET
                     name = excluded.name, n = excluded.n, doc = excluded.doc, at = excluded.at"
                );
                let insert = session.prepare(&sql, &[]).unwrap();
                session.run(&insert, &values).unwrap();
            }
        };
        for (id, row) in rows.iter().enumerate() {
            write(&mut session, id, row);
        }
        run(&mut session, "BEGIN");
        for (id, row) in &changed {
            write(&mut session, *id, row);
        }
        let compare = |session: &mut Session| {
            for question in QUESTIONS {
                let mut answers = ["plain", "indexed"].map(|table| {
                    let order = if question.contains("ORDER") { "" } else { "ORDER BY id" };
                    let sql = format!("SELECT id FROM {table} {question} {order}");
                    let of_text = question.contains("$1").then(|| Value::from(word.clone()));
                    let of_number = question.contains("$2").then(|| Value::from(number));
                    // One of the two alone is the first.
                    let sql = match (&of_text, &of_number) {
                        (None, Some(_)) => sql.replace("$2", "$1"),
                        _ => sql,
                    };
                    let values: Vec<_> = of_text.into_iter().chain(of_number).collect();
                    let prepared = session.prepare(&sql, &[]).unwrap();
                    let rows = session.run(&prepared, &values).unwrap().rows.unwrap();
                    texts(session, prepared.columns(), rows).unwrap()
                });
                let [plain, indexed] = &mut answers;
                prop_assert_eq!(plain, indexed, "{} {:?} {}", question, word, number);
            }
            Ok(())
        };
        compare(&mut session)?;
        run(&mut session, "COMMIT");
        compare(&mut session)?;
    }
}

#[test]
fn queries_are_served_by_indexes_of_expressions() {
    let mut session = Session::new(Database::in_memory().unwrap());
    run(&mut session, &format!("CREATE TABLE t {TABLE}"));
    for index in [
        "UNIQUE INDEX by_name ON t (lower(name))",
        "INDEX by_kind ON t ((doc->>'kind'), id)",
        "INDEX by_day ON t (date_trunc('day', at AT TIME ZONE 'UTC'))",
        "INDEX by_doc ON t USING gin (doc)",
        "INDEX by_words ON t USING gin (to_tsvector('english', name))",
    ] {
        run(&mut session, &format!("CREATE {index}"));
    }
    let insert = "INSERT INTO t VALUES ($1, $2, $1, $3, $4)";
    let insert = session.prepare(insert, &[]).unwrap();
    for n in 0..500_i64 {
        let doc = format!(r#"{{"kind": "k{}", "same": true, "n": {n}}}"#, n % 50);
        let row = [
            n.into(),
            format!("Name {n:03}").into(),
            Value::from_json(&doc).unwrap(),
            Value::Time(
                format!("2024-01-{:02}T12:00:00Z", n % 28 + 1)
                    .parse()
                    .unwrap(),
            ),
        ];
        session.run(&insert, &row).unwrap();
    }
    for (question, access, answer) in [
        (
            "WHERE lower(name) = 'name 007'",
            "index by_name, 1 range",
            "7",
        ),
        (
            "WHERE lower(name) BETWEEN 'name 007' AND 'name 008' ORDER BY id DESC LIMIT 1",
            "index by_name, 1 range",
            "8",
        ),
        (
            "WHERE lower(name) LIKE 'name 49%' ORDER BY id LIMIT 1",
            "index by_name",
            "490",
        ),
        (
            "ORDER BY lower(name) LIMIT 1",
            "index by_name, 2 ranges",
            "0",
        ),
        (
            "ORDER BY lower(name) DESC LIMIT 1",
            "index by_name, 2 ranges, backwards",
            "499",
        ),
        (
            "WHERE doc->>'kind' = 'k7' ORDER BY id LIMIT 1",
            "index by_kind, 1 range",
            "7",
        ),
        (
            "WHERE date_trunc('day', at AT TIME ZONE 'UTC') = '2024-01-02' ORDER BY id LIMIT 1",
            "index by_day, 1 range",
            "1",
        ),
        (
            "WHERE doc @> '{\"same\": true, \"n\": 77}'",
            "index by_doc, 1 key  guessed 1\n",
            "77",
        ),
        (
            "WHERE to_tsvector('english', name) @@ websearch_to_tsquery('english', 'names 042')",
            "index by_words, with 042",
            "42",
        ),
        (
            "WHERE to_tsvector('english', coalesce(name, '')) @@ to_tsquery('english', '49:* & !499')
             ORDER BY id LIMIT 1",
            "index by_words, with 49*",
            "490",
        ),
        ("WHERE doc ?& '{kind,same,n}' AND id = 3", "by id", "3"),
    ] {
        let sql = format!("SELECT id FROM t {question}");
        let plan = run(&mut session, &format!("EXPLAIN {sql}")).join("\n") + "\n";
        assert!(plan.contains(access), "{sql}\n{plan}");
        assert!(
            !plan.contains("sort") || question.contains("ORDER BY id"),
            "{plan}"
        );
        assert_eq!(run(&mut session, &sql), [answer], "{sql}");
    }
    let update = "UPDATE t SET n = -1 WHERE lower(name) = 'name 100'";
    let plan = run(&mut session, &format!("EXPLAIN {update}")).join("\n");
    assert!(plan.contains("index by_name"), "{plan}");
}

#[test]
fn whose_key_is_taken_is_told_as_postgresql_tells_it() {
    let mut session = Session::new(Database::in_memory().unwrap());
    run(
        &mut session,
        "CREATE TABLE w (id int, name varchar(20), b text, doc jsonb, at timestamptz, n int)",
    );
    // An index, two rows, and the key of the second as PostgreSQL 15 writes it.
    for (index, columns, one, other, key) in [
        (
            "n, lower(name)",
            "n, name",
            "1, 'Ab'",
            "1, 'AB'",
            "n, lower(name::text))=(1, ab",
        ),
        (
            "(doc->>'kind')",
            "doc",
            r#"'{"kind":"x"}'"#,
            r#"'{"kind":"x"}'"#,
            "(doc ->> 'kind'::text))=(x",
        ),
        (
            "date_trunc('day', at AT TIME ZONE 'UTC')",
            "at",
            "'2024-01-01 10:00Z'",
            "'2024-01-01 11:00Z'",
            "date_trunc('day'::text, (at AT TIME ZONE 'UTC'::text)))=(2024-01-01 00:00:00",
        ),
        ("(n + id)", "n, id", "1, 2", "2, 1", "(n + id))=(3"),
        (
            "trim(b), left(b, 1)",
            "b",
            "' x'",
            "' x '",
            "TRIM(BOTH FROM b), \"left\"(b, 1))=(x,  ",
        ),
        (
            "((doc->>'n')::int)",
            "doc",
            r#"'{"n":1}'"#,
            r#"'{"n":"1"}'"#,
            "((doc ->> 'n'::text)::integer))=(1",
        ),
        (
            "((at AT TIME ZONE 'UTC')::date)",
            "at",
            "'2025-01-01 10:00Z'",
            "'2025-01-01 11:00Z'",
            "((at AT TIME ZONE 'UTC'::text)::date))=(2025-01-01",
        ),
        (
            "(b || '-' || name)",
            "b, name",
            "'q', 'r'",
            "'q', 'r'",
            "((b || '-'::text) || name::text))=(q-r",
        ),
        (
            "coalesce(b, name)",
            "b, name",
            "'t', 'r'",
            "'t', 'r'",
            "COALESCE(b, name::text))=(t",
        ),
        (
            "lower(doc->>'a')",
            "doc",
            r#"'{"a":"b"}'"#,
            r#"'{"a":"B"}'"#,
            "lower(doc ->> 'a'::text))=(b",
        ),
        (
            "\"right\"(b || 'x', 2)",
            "b",
            "'a'",
            "'a'",
            "\"right\"(b || 'x'::text, 2))=(ax",
        ),
        ("abs(n)", "n", "77", "-77", "abs(n))=(77"),
    ] {
        run(
            &mut session,
            &format!("DELETE FROM w; CREATE UNIQUE INDEX one ON w ({index})"),
        );
        run(
            &mut session,
            &format!("INSERT INTO w ({columns}) VALUES ({one})"),
        );
        let again = format!("INSERT INTO w ({columns}) VALUES ({other})");
        let error = try_run(&mut session, &again).unwrap_err();
        assert_eq!(error.sqlstate, "23505", "{index}: {error}");
        assert_eq!(error.constraint.as_deref(), Some("one"));
        let detail = format!("Key ({key}) already exists.");
        assert_eq!(error.detail.as_deref(), Some(&*detail), "{index}");
        run(&mut session, "DROP INDEX one");
    }
}

#[test]
fn a_jsonb_with_too_many_names_and_values_is_refused() {
    let mut session = Session::new(Database::in_memory().unwrap());
    run(
        &mut session,
        "CREATE TABLE t (doc jsonb); CREATE INDEX i ON t USING gin (doc)",
    );
    let of = |count: usize| {
        let numbers: Vec<_> = (0..count).map(|n| n.to_string()).collect();
        format!("INSERT INTO t VALUES ('[{}]')", numbers.join(","))
    };
    run(&mut session, &of(1000));
    let error = try_run(&mut session, &of(1001)).unwrap_err();
    assert_eq!(error.sqlstate, "54000", "{error}");
    let told = "the index \"i\" takes up to 1000 names and values in the JSON, and here are 1001";
    assert!(error.message.contains(told), "{error}");
}
