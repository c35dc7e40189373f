//! Runs the scripts of `slt` by the sqllogictest runner. A script has a database of its own, and as
//! many sessions as it names connections.

use sqllogictest::{DBOutput, DefaultColumnType, Runner};
use velocitydb::Database;
use velocitydb_query::Cell;
use velocitydb_sql::formats::write_text;
use velocitydb_sql::{Session, SqlError, parse};
use velocitydb_types::{FieldType, SqlType};

struct Client(Session);

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

impl sqllogictest::DB for Client {
    type Error = SqlError;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, SqlError> {
        let session = &mut self.0;
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

    fn error_sql_state(error: &SqlError) -> Option<String> {
        Some(error.sqlstate.to_owned())
    }
}

#[test]
fn the_scripts_hold() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let mut scripts: Vec<_> = std::fs::read_dir(format!("{root}/tests/it/slt"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let mut failed = Vec::new();
    for script in scripts {
        let database = Database::in_memory().unwrap();
        let mut runner = Runner::new(|| {
            let session = Session::new(database.clone());
            async { Ok::<_, SqlError>(Client(session)) }
        });
        if let Err(error) = runner.run_file(&script) {
            failed.push(format!("{}\n{}", script.display(), error.display(false)));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
