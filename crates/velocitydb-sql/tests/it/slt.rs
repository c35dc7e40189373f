//! Runs the scripts of `slt` by the sqllogictest runner. A script has a database of its own, and as
//! many sessions as it names connections.

use sqllogictest::{DBOutput, DefaultColumnType, Runner};
use velocitydb::Database;
use velocitydb_query::Cell;
use velocitydb_sql::formats::write_text;
use velocitydb_sql::{Session, SqlError, parse, shape};
use velocitydb_types::{FieldType, SqlType};

struct Client {
    session: Session,
    /// Whether statements are prepared by their shapes, where they have one.
    shaped: bool,
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

impl sqllogictest::DB for Client {
    type Error = SqlError;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, SqlError> {
        let session = &mut self.session;
        let shape = shape(sql).filter(|_| self.shaped);
        let by_shape = shape.and_then(|shape| {
            let prepared = session.prepare(&shape.text, &shape.types).ok()?;
            Some((prepared, shape.values))
        });
        let statements = match by_shape {
            Some(one) => vec![Ok(one)],
            None => {
                let trees = parse(sql)?.into_iter();
                trees.map(Err).collect()
            }
        };
        let mut output = DBOutput::StatementComplete(0);
        for statement in statements {
            let (prepared, values) = match statement {
                Ok(prepared) => prepared,
                Err(tree) => {
                    let prepared = session.prepare_tree(sql, &tree, &[]);
                    (prepared.inspect_err(|_| session.fail())?, Vec::new())
                }
            };
            let answer = session.run(&prepared, &values)?;
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
    for (script, shaped) in scripts
        .iter()
        .flat_map(|script| [(script, false), (script, true)])
    {
        let database = Database::in_memory().unwrap();
        let mut runner = Runner::new(|| {
            let session = Session::new(database.clone());
            async move { Ok::<_, SqlError>(Client { session, shaped }) }
        });
        if let Err(error) = runner.run_file(script) {
            let error = error.display(false);
            failed.push(format!("{} (shaped: {shaped})\n{error}", script.display()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
