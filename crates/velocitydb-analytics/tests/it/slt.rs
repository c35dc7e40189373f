//! Runs the scripts of `slt` by the sqllogictest runner. A script has a database of its own, and as
//! many sessions as it names connections.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sqllogictest::{DBOutput, DefaultColumnType, Record, Runner};
use velocitydb::Database;
use velocitydb_analytics::Analytics;
use velocitydb_query::Cell;
use velocitydb_sql::formats::write_text;
use velocitydb_sql::{Session, SqlError, parse};
use velocitydb_types::{FieldType, SqlType};

struct Client {
    session: Session,
}

/// A value as scripts show it: an empty text and a null have signs of their own.
fn shown(cell: &Cell<'_>, sql: SqlType, session: &Session) -> String {
    if cell.is_null() {
        return "NULL".into();
    }
    let mut text = Vec::new();
    write_text(cell.view(), sql, session.settings(), &mut text).expect("a value of its type");
    match String::from_utf8(text).expect("texts are UTF-8") {
        empty if empty.is_empty() => "(empty)".into(),
        text => text,
    }
}

fn column_type(sql: SqlType) -> DefaultColumnType {
    match sql.kept() {
        FieldType::Int => DefaultColumnType::Integer,
        FieldType::Float | FieldType::Decimal => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

/// An error as scripts show it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", .0.sqlstate, .0.message)]
struct Refused(SqlError);

impl From<SqlError> for Refused {
    fn from(error: SqlError) -> Refused {
        Refused(error)
    }
}

impl sqllogictest::DB for Client {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        let session = &mut self.session;
        let mut output = DBOutput::StatementComplete(0);
        for tree in parse(sql)? {
            let prepared = session.prepare_tree(sql, &tree, &[]);
            let prepared = prepared.inspect_err(|_| session.fail())?;
            let answer = session.run(&prepared, &[])?;
            output = match answer.rows {
                None => DBOutput::StatementComplete(answer.count.unwrap_or(0)),
                Some(mut rows) => {
                    let columns = prepared.columns();
                    let mut all = Vec::new();
                    let mut row = Vec::new();
                    while rows.next(|at, cell| {
                        row.push(shown(cell, columns[at].sql, session));
                        Ok::<_, SqlError>(())
                    })? {
                        all.push(std::mem::take(&mut row));
                    }
                    let types = columns.iter().map(|column| column_type(column.sql));
                    DBOutput::Rows {
                        types: types.collect(),
                        rows: all,
                    }
                }
            };
        }
        Ok(output)
    }

    fn error_sql_state(error: &Refused) -> Option<String> {
        Some(error.0.sqlstate.to_owned())
    }
}

/// Where the places are kept at which the scripts do not hold yet, or PostgreSQL is not followed.
const NOT_YET: &str = "tests/it/slt/not_yet.txt";

/// What is answered otherwise than PostgreSQL answers it, by script and line. `VELOCITYDB_TEST_SCRIPT` names
/// a script that is to be run alone, and has what differs told.
#[test]
fn the_scripts_hold_but_where_it_is_known() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let mut scripts: Vec<_> = std::fs::read_dir(format!("{root}/tests/it/slt"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "slt"))
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let planner = Arc::new(Analytics::new(2).unwrap());
    if let Ok(only) = std::env::var("VELOCITYDB_TEST_SCRIPT") {
        scripts.retain(|script| script.to_string_lossy().contains(&only));
        let failed: Vec<_> = scripts
            .iter()
            .flat_map(|it| failures(it, &planner))
            .collect();
        let told: Vec<_> = failed.into_iter().map(|(_, told)| told).collect();
        assert!(
            told.is_empty(),
            "{}\n{} differ",
            told.join("\n\n"),
            told.len()
        );
        return;
    }
    let path = format!("{root}/{NOT_YET}");
    let known = std::fs::read_to_string(&path).unwrap();
    let mut differ = String::new();
    for script in &scripts {
        let name = script.file_stem().unwrap().to_string_lossy();
        let known = known
            .lines()
            .find_map(|line| line.strip_prefix(&*format!("{name}: ")));
        // What two runs may answer otherwise has a question mark.
        let known = known.unwrap_or_default().split(' ');
        let unsure = known.filter_map(|line| line.strip_suffix('?')?.parse().ok());
        let mut lines: BTreeMap<u32, &str> = unsure.map(|line| (line, "?")).collect();
        for (line, _) in failures(script, &planner) {
            lines.entry(line).or_default();
        }
        if !lines.is_empty() {
            let lines: Vec<_> = lines
                .iter()
                .map(|(line, mark)| format!("{line}{mark}"))
                .collect();
            differ.push_str(&format!("{name}: {}\n", lines.join(" ")));
        }
    }
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, &differ).unwrap();
        return;
    }
    assert_eq!(
        differ, known,
        "UPDATE_GOLDENFILES=1 writes what differs now"
    );
}

/// The lines of a script at which it does not hold, and what is found there.
fn failures(script: &Path, planner: &Arc<Analytics>) -> Vec<(u32, String)> {
    let database = Database::in_memory().unwrap();
    let mut runner = Runner::new(|| {
        let session = Session::new(database.clone()).with_planner(planner.clone());
        let mut client = Client { session };
        async move {
            sqllogictest::DB::run(&mut client, "SET statement_timeout = '20s'")?;
            Ok::<_, Refused>(client)
        }
    });
    runner.with_validator(|_, actual, expected| {
        let actual: Vec<_> = actual.iter().map(|row| row.join(" ")).collect();
        let plain = |rows: &[String]| rows.iter().map(|row| plain(row)).collect::<Vec<_>>();
        plain(&actual) == plain(expected)
    });
    let records = sqllogictest::parse_file::<DefaultColumnType>(script).unwrap();
    let mut failed = Vec::new();
    for record in records {
        let line = match &record {
            Record::Statement { loc, .. } | Record::Query { loc, .. } => loc.line(),
            _ => 0,
        };
        if let Err(error) = runner.run(record) {
            failed.push((line, error.display(false).to_string()));
        }
    }
    failed
}

/// A row without the zeros behind the point of a number: our numerics have none.
fn plain(row: &str) -> String {
    let words = row.split_whitespace().map(|word| {
        let digits = word.strip_prefix('-').unwrap_or(word);
        let is_number =
            digits.contains('.') && digits.bytes().all(|it| it.is_ascii_digit() || it == b'.');
        match is_number {
            true => word.trim_end_matches('0').trim_end_matches('.'),
            false => word,
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
