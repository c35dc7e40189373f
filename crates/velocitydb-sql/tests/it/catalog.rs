//! The tables of the system over collections that no SQL has made, and all of them at once.

use velocitydb::{
    Database, Definition, Field, FieldType, IndexDefinition, Openness, Path, Persistence, Schema,
};
use velocitydb_sql::{Session, SqlError};

use crate::supported::texts;

fn rows(session: &mut Session, sql: &str) -> Result<Vec<String>, SqlError> {
    let prepared = session.prepare(sql, &[])?;
    let answer = session.run(&prepared, &[])?;
    let rows = texts(session, prepared.columns(), answer.rows.expect("a query"))?;
    Ok(rows.into_iter().map(|row| row.join("|")).collect())
}

fn database() -> Database {
    let database = Database::in_memory().unwrap();
    let fields = vec![
        Field::new("name", FieldType::String).unique(),
        Field::new("at", FieldType::Map),
    ];
    let mut people = Definition::new("people").schema(Schema::new(Openness::Open, fields).unwrap());
    people.indexes.push(IndexDefinition::btree(
        "by_street",
        ["at.street".parse::<Path>().unwrap()],
    ));
    let mut notes = Definition::new("notes");
    notes.persistence = Persistence::Volatile;
    notes
        .indexes
        .push(IndexDefinition::btree("by_day", [Path::field("day")]));
    for definition in [people, notes] {
        database.create_collection(definition).unwrap();
    }
    database
}

#[test]
fn every_table_can_be_read() {
    let mut session = Session::new(database());
    let tables =
        "SELECT relnamespace::regnamespace::text || '.' || relname FROM pg_class WHERE oid < 16384";
    let tables = rows(&mut session, tables).unwrap();
    assert!(tables.len() > 150, "{tables:?}");
    for table in tables {
        let read = rows(&mut session, &format!("SELECT * FROM {table}"));
        assert!(read.is_ok(), "{table}: {read:?}");
        let empty = rows(&mut session, &format!("SELECT * FROM {table} LIMIT 1"));
        assert!(empty.unwrap().len() <= 1, "{table}");
    }
}

/// A collection that declares no fields is a table of its id and of whole documents; a unique field is a
/// constraint; what an index is of that is no column is an expression.
#[test]
fn collections_of_other_doors_are_tables() {
    let mut session = Session::new(database());
    let mut told = |sql: &str| rows(&mut session, sql).unwrap();
    let columns = "SELECT attrelid::regclass, attname, atttypid::regtype FROM pg_attribute \
                   WHERE attrelid IN ('notes'::regclass, 'people'::regclass) ORDER BY 1, attnum";
    assert_eq!(
        told(columns),
        [
            "notes|_id|text",
            "notes|doc|jsonb",
            "people|name|text",
            "people|at|jsonb"
        ]
    );
    let persistence = "SELECT relname, relpersistence FROM pg_class \
                       WHERE oid >= 16384 AND relkind = 'r' ORDER BY 1";
    assert_eq!(told(persistence), ["notes|u", "people|p"]);
    let indexes = "SELECT indexrelid::regclass, indkey, pg_get_indexdef(indexrelid) \
                   FROM pg_index ORDER BY 1";
    assert_eq!(
        told(indexes),
        [
            "_unique_name|{1}|CREATE UNIQUE INDEX _unique_name ON public.people USING btree (name)",
            "by_day|{0}|CREATE INDEX by_day ON public.notes USING btree (day)",
            "by_street|{0}|CREATE INDEX by_street ON public.people USING btree (\"at.street\")",
        ]
    );
    let constraints = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint";
    assert_eq!(told(constraints), ["_unique_name|UNIQUE (name)"]);
}
