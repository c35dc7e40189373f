//! Names and types of the columns of answers, as PostgreSQL 15 describes them (`\gdesc`).

use velocitydb::Database;
use velocitydb_sql::functions::type_name;
use velocitydb_sql::{Session, SqlError};

fn described(session: &Session, sql: &str) -> String {
    let prepared = session.prepare(sql, &[]).expect(sql);
    let columns = prepared.columns().iter().map(|column| {
        let sql = type_name(Some(column.sql));
        format!("{} {sql}", column.name)
    });
    columns.collect::<Vec<_>>().join(", ")
}

#[test]
fn answers_are_of_postgresqls_types() {
    let mut session = Session::new(Database::in_memory().unwrap());
    let create = session
        .prepare(
            "CREATE TABLE t (i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, nu numeric(10,2),
             te text, vc varchar(5), bo bool, da date, ts timestamp, tz timestamptz, iv interval,
             ar int4[], b bytea)",
            &[],
        )
        .unwrap();
    session.run(&create, &[]).unwrap();
    for (sql, expected) in [
        (
            "SELECT sum(i2), sum(i4), sum(i8), sum(f4), sum(f8), sum(nu), sum(iv) FROM t",
            "sum bigint, sum bigint, sum numeric, sum real, sum double precision, sum numeric, \
             sum interval",
        ),
        (
            "SELECT avg(i2), avg(i4), avg(i8), avg(f4), avg(f8), avg(nu), avg(iv) FROM t",
            "avg numeric, avg numeric, avg numeric, avg double precision, avg double precision, \
             avg numeric, avg interval",
        ),
        (
            "SELECT min(i2), max(i8), max(vc), max(da), min(ts), max(tz), max(ar), max(nu) FROM t",
            "min smallint, max bigint, max text, max date, min timestamp without time zone, \
             max timestamp with time zone, max integer[], max numeric",
        ),
        (
            "SELECT count(*), every(bo), string_agg(vc, ','), string_agg(b, ''), min('x') FROM t",
            "count bigint, every boolean, string_agg text, string_agg bytea, min text",
        ),
        (
            "SELECT array_agg(i2), array_agg(vc), array_agg(tz) AS moments FROM t",
            "array_agg smallint[], array_agg character varying[], \
             moments timestamp with time zone[]",
        ),
        (
            "SELECT (SELECT max(i8) FROM t), ARRAY(SELECT da FROM t), EXISTS (SELECT 1),
             i4 IN (SELECT i4 FROM t), (SELECT 'x') FROM t",
            "max bigint, array date[], exists boolean, ?column? boolean, ?column? text",
        ),
        (
            "VALUES (1, 'a', NULL), (2.5, NULL, NULL)",
            "column1 numeric, column2 text, column3 text",
        ),
        (
            "SELECT sum(i4) + 1, max(nu) + 1, avg(i4) * 2.0, count(*) / 2 FROM t",
            "?column? bigint, ?column? numeric, ?column? numeric, ?column? bigint",
        ),
        ("EXPLAIN SELECT 1", "QUERY PLAN text"),
        ("EXPLAIN (FORMAT JSON) SELECT 1", "QUERY PLAN json"),
        (
            "INSERT INTO t DEFAULT VALUES RETURNING i4 + 1 AS next, te",
            "next integer, te text",
        ),
    ] {
        assert_eq!(described(&session, sql), expected, "{sql}");
    }
}

#[test]
fn parameters_take_the_types_of_their_places() {
    let mut session = Session::new(Database::in_memory().unwrap());
    let create = "CREATE TABLE t (id int PRIMARY KEY, name text, big int8, made timestamptz)";
    let create = session.prepare(create, &[]).unwrap();
    session.run(&create, &[]).unwrap();
    for (sql, expected) in [
        (
            "SELECT id FROM t WHERE big = $1 ORDER BY id LIMIT $2 OFFSET $3",
            "bigint bigint bigint",
        ),
        (
            "SELECT id FROM t WHERE id = (SELECT max(id) FROM t WHERE made > $1 AND name = $2)",
            "timestamp with time zone text",
        ),
        ("SELECT id FROM t WHERE $1 IN (SELECT big FROM t)", "bigint"),
        (
            "INSERT INTO t SELECT $1, $2, $3, now()",
            "integer text bigint",
        ),
        (
            "INSERT INTO t (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET big = $2 WHERE t.name = $3",
            "integer bigint text",
        ),
        (
            "UPDATE t SET (name, big) = ($1, $2) WHERE (id, name) = ($3, $4)",
            "text bigint integer text",
        ),
        (
            "SELECT count(*) FILTER (WHERE name = $1) FROM t GROUP BY big HAVING max(big) > $2",
            "text bigint",
        ),
    ] {
        let prepared = session.prepare(sql, &[]).expect(sql);
        let types = prepared.parameters().iter();
        let types: Vec<_> = types.map(|sql| type_name(Some(*sql))).collect();
        assert_eq!(types.join(" "), expected, "{sql}");
    }
}

/// `$1::varchar(2)` takes any text and cuts it; where a column takes it, it has to fit.
#[test]
fn a_cast_that_is_asked_for_makes_a_parameter_fit() {
    let mut session = Session::new(Database::in_memory().unwrap());
    let parameters = ["abc".into(), "def".into()];
    let cast = "SELECT $1::varchar(2) || $2::char(1)";
    let prepared = session.prepare(cast, &[]).unwrap();
    let mut rows = session.run(&prepared, &parameters).unwrap().rows.unwrap();
    let mut cut = Vec::new();
    rows.next(|_, cell| {
        cut.push(cell.clone().into_value());
        Ok::<_, SqlError>(())
    })
    .unwrap();
    assert_eq!(cut, ["abd".into()]);
    drop(rows);
    let create = session.prepare("CREATE TABLE s (v varchar(2))", &[]);
    session.run(&create.unwrap(), &[]).unwrap();
    let insert = session.prepare("INSERT INTO s VALUES ($1)", &[]).unwrap();
    let error = session.run(&insert, &parameters[..1]).err().unwrap();
    assert_eq!(error.sqlstate, "22001");
}
