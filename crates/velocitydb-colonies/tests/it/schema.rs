//! The schema is what ColonyOS's server makes for itself.

use velocitydb::{Consistency, Database, Definition, StatementKind};
use velocitydb_colonies::{Colonies, DEFAULT_PREFIX, Indexes, load, schema, schema_with};
use velocitydb_sql::{Session, parse};

fn run(session: &mut Session, sql: &str) -> String {
    let mut tag = String::new();
    for tree in parse(sql).unwrap() {
        let prepared = session.prepare_tree(sql, &tree, &[]).unwrap();
        tag = session.run(&prepared, &[]).unwrap().tag();
    }
    tag
}

/// A statement that makes such a table, and those that make its indexes: what SQL makes of the types and of
/// the names is told by making them.
fn statements(definition: &Definition) -> Vec<String> {
    let key = definition.primary_key.as_ref().and_then(|key| key.only());
    let columns = definition.schema.fields().iter().map(|field| {
        let null = if field.required { " NOT NULL" } else { "" };
        let key = if key == Some(field.name.as_str()) {
            " PRIMARY KEY"
        } else {
            ""
        };
        format!(
            "{} {}{key}{null}",
            field.name.to_uppercase(),
            field.sql_type()
        )
    });
    let table = definition.name.to_uppercase();
    let mut parts: Vec<String> = columns.collect();
    let mut statements = Vec::new();
    for index in &definition.indexes {
        let json = serde_json::to_value(index).unwrap();
        let fields = index.fields.iter().map(|field| {
            let down = field.direction == velocitydb::Direction::Descending;
            format!("{}{}", field.path, if down { " DESC" } else { "" })
        });
        let fields = fields.collect::<Vec<_>>().join(", ").to_uppercase();
        if index.unique {
            parts.push(format!("UNIQUE ({fields})"));
            continue;
        }
        let elements = index.fields.iter().any(|field| field.elements);
        let kind = if elements { "USING GIN " } else { "" };
        // SQL puts in quotes and parentheses again.
        let condition = json["filter"]
            .as_str()
            .map(|filter| filter.replace(['(', ')', '"'], ""));
        let condition = condition.map(|filter| format!(" WHERE {filter}"));
        let condition = condition.unwrap_or_default();
        let name = index.name.to_uppercase();
        statements.push(format!(
            "CREATE INDEX {name} ON {table} {kind}({fields}){condition}"
        ));
    }
    statements.insert(0, format!("CREATE TABLE {table} ({})", parts.join(", ")));
    statements
}

#[test]
fn the_definitions_are_those_that_sql_makes() {
    let made = Database::in_memory().unwrap();
    let mut session = Session::new(made.clone());
    let schema = schema("c_");
    for collection in schema.collections.values() {
        for statement in statements(&collection.definition) {
            run(&mut session, &statement);
        }
    }
    let loaded = Database::in_memory().unwrap();
    loaded.load_schema(schema).unwrap();
    for definition in loaded.collections() {
        let made = made
            .collection(&definition.name)
            .unwrap()
            .definition()
            .unwrap();
        // Index by index, so that what differs is seen.
        for (index, made) in definition.indexes.iter().zip(&made.indexes) {
            assert_eq!(index, made);
        }
        assert_eq!(definition, made);
    }
}

#[test]
fn there_are_nineteen_tables_and_thirty_indexes() {
    let schema = schema(DEFAULT_PREFIX);
    assert_eq!(schema.collections.len(), 19);
    let processes = &schema.collections["prod_processes"].definition;
    assert_eq!(processes.schema.fields().len(), 47);
    let definitions = schema.collections.values().map(|one| &one.definition);
    let indexes = definitions.flat_map(|definition| &definition.indexes);
    assert_eq!(indexes.filter(|index| !index.unique).count(), 30);
    let few = schema_with(DEFAULT_PREFIX, Indexes::Few);
    assert_eq!(
        few.collections["prod_processes"].definition.indexes.len(),
        4
    );
}

#[test]
fn the_server_finds_its_tables_and_what_the_adapter_has_written() {
    let db = Database::in_memory().unwrap();
    db.load_schema(schema(DEFAULT_PREFIX)).unwrap();
    let colonies = Colonies::open(db.clone(), DEFAULT_PREFIX);
    let process = crate::support::submit(&colonies, crate::support::spec("echo"));
    let mut session = Session::new(db);
    let assign = "UPDATE PROD_PROCESSES SET IS_ASSIGNED = TRUE, START_TIME = NOW(), \
                  ASSIGNED_EXECUTOR_ID = 'e1', STATE = 1 WHERE PROCESS_ID = (SELECT PROCESS_ID \
                  FROM PROD_PROCESSES WHERE ('n' = ANY(TARGET_EXECUTOR_NAMES) OR \
                  array_length(TARGET_EXECUTOR_NAMES, 1) IS NULL) AND EXECUTOR_TYPE = 'cli' AND \
                  STATE = 0 AND IS_ASSIGNED = FALSE AND WAIT_FOR_PARENTS = FALSE AND \
                  TARGET_COLONY_NAME = 'dev' AND CPU <= 10 AND MEMORY <= 10 AND NODES <= 127 \
                  ORDER BY PRIORITYTIME ASC LIMIT 1 FOR UPDATE SKIP LOCKED)";
    assert_eq!(run(&mut session, assign), "UPDATE 1");
    assert_eq!(run(&mut session, assign), "UPDATE 0");
    let found = colonies.processes().get(&process.id).unwrap().unwrap();
    assert_eq!(found.assigned_executor_id, "e1");
    assert!(found.started_at.is_some() && found.ended_at.is_none());
    // A file of the server and one of the adapter have numbers of one sequence.
    let mut file = velocitydb_colonies::File {
        id: "f1".into(),
        colony: "dev".into(),
        ..Default::default()
    };
    colonies.files().add(&mut file).unwrap();
    let sql = "INSERT INTO PROD_FILES (FILE_ID, COLONY_NAME, LABEL, NAME, SEQNR) VALUES ('f2', \
               'dev', '/', 'a', nextval('PROD_FILE_SEQ'))";
    assert_eq!(run(&mut session, sql), "INSERT 0 1");
    let of_sql = colonies.files().get("dev", "f2").unwrap().unwrap();
    assert_eq!((file.sequence, of_sql.sequence), (1, 2));
}

#[test]
fn the_levels_of_statements_are_kept_with_the_schema() {
    let db = Database::in_memory().unwrap();
    load(&db, DEFAULT_PREFIX, Indexes::Server).unwrap();
    load(&db, DEFAULT_PREFIX, Indexes::Server).unwrap();
    assert!(db.sequence("prod_file_seq").unwrap().is_some());
    let schema = db.schema("colonies").unwrap().unwrap().schema;
    let level = |collection: &str, statement, fields: &[&str]| {
        let collection = format!("prod_{collection}");
        let level = schema.consistency_of(&collection, statement, fields);
        level.unwrap_or(Consistency::Strong)
    };
    use StatementKind::{Delete, Insert, Read, Update};
    assert_eq!(
        level("processes", Update, &["state", "end_time"]),
        Consistency::Strong
    );
    assert_eq!(
        level("processes", Update, &["output"]),
        Consistency::Eventual
    );
    assert_eq!(level("executors", Insert, &[]), Consistency::Strong);
    assert_eq!(
        level("executors", Update, &["lastheardfrom"]),
        Consistency::Eventual
    );
    assert_eq!(level("logs", Insert, &[]), Consistency::Eventual);
    assert_eq!(level("crons", Update, &["next_run"]), Consistency::Strong);
    assert_eq!(level("users", Delete, &[]), Consistency::Strong);
    assert_eq!(level("processes", Read, &[]), Consistency::Local);
}
