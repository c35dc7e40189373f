//! Queries that are not native go to the planner of the session, bound, and only those.

use std::sync::{Arc, Mutex};

use velocitydb::{Database, Transaction};
use velocitydb_sql::relation::{Query, Relation};
use velocitydb_sql::{Environment, Explained, Plan, Planner, Rows, Session, SqlError};
use velocitydb_types::{ScalarType, SqlType, Value};

/// Answers every query of two relations with the number of documents and its parameter, and notes of
/// how many columns it is.
#[derive(Debug, Default)]
struct Two(Mutex<Vec<usize>>);

#[derive(Debug)]
struct Planned;

impl Planner for Two {
    fn plan(&self, query: Query) -> Result<Arc<dyn Plan>, SqlError> {
        self.0.lock().unwrap().push(query.outputs.len());
        match query.relation {
            Relation::Set { .. } => Ok(Arc::new(Planned)),
            _ => Err(SqlError::unsupported("what is no UNION")),
        }
    }
}

impl Plan for Planned {
    fn run(
        &self,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<Rows, SqlError> {
        let count = i64::try_from(transaction.count("t")?).unwrap();
        let rows = vec![vec![count.into()], vec![environment.parameters[0].clone()]];
        Ok(Rows::values(rows))
    }

    fn explain(
        &self,
        _: Explained,
        _: &mut Transaction,
        _: &Environment<'_>,
    ) -> Result<Vec<String>, SqlError> {
        Ok(Vec::new())
    }
}

#[test]
fn the_planner_is_offered_what_is_not_native() {
    let planner = Arc::new(Two::default());
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
        .prepare("SELECT n FROM t UNION SELECT $1::int8", &[])
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
        .prepare("SELECT 1, 2 FROM t JOIN t AS u ON true", &[])
        .unwrap_err();
    assert_eq!(
        (error.sqlstate, &*error.message),
        ("0A000", "what is no UNION is not supported")
    );
    session.prepare("SELECT nothing FROM t", &[]).unwrap_err();
    session.prepare("SELECT n FROM t", &[]).unwrap();
    assert_eq!(*planner.0.lock().unwrap(), [1, 2]);
}
