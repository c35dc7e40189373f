//! Statements that are not native go to the planner of the session, and only those.

use std::sync::{Arc, Mutex};

use velocitydb::{Database, Transaction};
use velocitydb_sql::{
    Answer, Column, Execution, NotNative, Planned, Planner, Rows, Session, SqlError,
};
use velocitydb_types::{ScalarType, SqlType, Value};

/// Answers every UNION with its parameter, and notes why others came.
#[derive(Default)]
struct Unions(Mutex<Vec<String>>);

#[derive(Debug)]
struct Union {
    parameters: Vec<SqlType>,
    columns: Vec<Column>,
}

impl Planner for Unions {
    fn plan(&self, statement: NotNative<'_>) -> Result<Option<Arc<dyn Planned>>, SqlError> {
        self.0.lock().unwrap().push(statement.reason.to_string());
        let int = SqlType::from(ScalarType::Int8);
        let union = Union {
            parameters: vec![int],
            columns: vec![Column {
                name: "n".into(),
                sql: int,
            }],
        };
        let is_union = statement.sql.contains("UNION");
        Ok(is_union.then(|| Arc::new(union) as Arc<dyn Planned>))
    }
}

impl Planned for Union {
    fn parameters(&self) -> &[SqlType] {
        &self.parameters
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn run(
        &self,
        transaction: &mut Transaction,
        execution: Execution<'_>,
    ) -> Result<Answer, SqlError> {
        let count = i64::try_from(transaction.count("t")?).unwrap();
        let rows = vec![vec![count.into()], vec![execution.parameters[0].clone()]];
        Ok(Answer {
            command: "SELECT",
            count: Some(2),
            rows: Some(Rows::values(rows)),
            notices: Vec::new(),
        })
    }
}

#[test]
fn the_planner_is_offered_what_is_not_native() {
    let planner = Arc::new(Unions::default());
    let mut session = Session::new(Database::in_memory().unwrap()).with_planner(planner.clone());
    for sql in [
        "CREATE TABLE t (n int8)",
        "INSERT INTO t VALUES (7)",
        "BEGIN",
        "INSERT INTO t VALUES (8)",
    ] {
        let prepared = session.prepare(sql, &[]).unwrap();
        session.run(&prepared, &[]).unwrap();
    }
    let union = session
        .prepare("SELECT n FROM t UNION SELECT $1", &[])
        .unwrap();
    assert_eq!(union.parameters(), [SqlType::from(ScalarType::Int8)]);
    let mut rows = session.run(&union, &[Value::Int(5)]).unwrap().rows.unwrap();
    let mut all = Vec::new();
    while rows
        .next(|_, cell| {
            all.push(cell.clone().into_value());
            Ok::<_, SqlError>(())
        })
        .unwrap()
    {}
    assert_eq!(all, [Value::Int(2), Value::Int(5)], "it sees own writes");

    let error = session
        .prepare("SELECT 1 FROM t JOIN t AS u ON true", &[])
        .unwrap_err();
    assert_eq!(
        (error.sqlstate, &*error.message),
        ("0A000", "JOIN is not supported")
    );
    session.prepare("SELECT nothing FROM t", &[]).unwrap_err();
    assert_eq!(
        *planner.0.lock().unwrap(),
        ["UNION is not supported", "JOIN is not supported"]
    );
}
