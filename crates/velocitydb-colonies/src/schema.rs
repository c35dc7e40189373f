//! The collections: those that ColonyOS's server makes through the PostgreSQL door, with the same
//! columns, types and indexes, so that its server and Rust programs can serve a colony at once.
//!
//! Names are a prefix and a word: `prod_processes`. Tables without a primary key have ids of their own.
//! Tests: tests/it/schema.rs makes the tables through SQL and compares.

use serde_json::{Value as Json, json};
use velocitydb::{
    Consistency, ConsistencyRule, Database, DatabaseSchema, Definition, LoadSchemaError,
    SequenceDefinition, SequenceError, StatementKind,
};

/// The prefix of names that ColonyOS's server uses unless it is told another: `PROD_`, as SQL folds it.
pub const DEFAULT_PREFIX: &str = "prod_";

/// What the schema is called.
pub const SCHEMA_NAME: &str = "colonies";

/// Its version.
pub const SCHEMA_VERSION: u64 = 1;

/// A table: its name without the prefix, its columns, its indexes.
struct Table {
    name: &'static str,
    /// `name type`, with `!` behind the type of one that is not null; the first one is the primary key.
    columns: &'static str,
    key: PrimaryKey,
    indexes: &'static [Index],
}

enum PrimaryKey {
    First,
    None,
}

/// An index: the end of its name, its fields, and what more there is to it.
struct Index {
    name: &'static str,
    fields: &'static str,
    kind: Kind,
}

enum Kind {
    /// In order.
    Tree,
    /// In order, of the documents of which this is true: as SQL writes it down.
    TreeOf(&'static str),
    /// Of an array's elements, of the documents of which this is true.
    ElementsOf(&'static str),
    /// For unique keys.
    Unique,
}

const fn tree(name: &'static str, fields: &'static str) -> Index {
    Index {
        name,
        fields,
        kind: Kind::Tree,
    }
}

const fn unique(name: &'static str, fields: &'static str) -> Index {
    Index {
        name,
        fields,
        kind: Kind::Unique,
    }
}

/// The sequence that numbers files.
pub(crate) const FILE_SEQUENCE: &str = "file_seq";

/// By this index the next process is found.
pub(crate) const ASSIGN_INDEX: &str = "processes_assign_btree";

const TABLES: &[Table] = &[
    Table {
        name: "users",
        columns: "name text!, user_id text!, colony_name text!, email text!, phone text!",
        key: PrimaryKey::First,
        indexes: &[tree("users_index1", "colony_name, user_id")],
    },
    Table {
        name: "server",
        columns: "server_id text!",
        key: PrimaryKey::First,
        indexes: &[],
    },
    Table {
        name: "colonies",
        columns: "name text!, colony_id text!",
        key: PrimaryKey::First,
        indexes: &[],
    },
    Table {
        name: "executors",
        columns: "name text!, executor_type text!, executor_id text!, colony_name text!, \
                  state integer, require_func_reg boolean, commissiontime timestamptz, \
                  lastheardfrom timestamptz, long float8, lat float8, locname text, locdesc text, \
                  hardware text, software text, allocations text!, node_id text, \
                  blueprint_id text, blueprint_gen bigint, location_name text",
        key: PrimaryKey::First,
        indexes: &[tree("executors_index1", "executor_id")],
    },
    Table {
        name: "nodes",
        columns: "id text!, name text!, colony_name text!, location text, platform text, \
                  architecture text, cpu integer, memory bigint, gpu integer, \
                  capabilities text[], labels jsonb, executors text[], state text, \
                  last_seen timestamptz, created timestamptz",
        key: PrimaryKey::First,
        indexes: &[],
    },
    Table {
        name: "functions",
        columns: "function_id text!, executor_name text!, executor_type text!, colony_name text!, \
                  funcname text!, description text, args text, counter integer, \
                  minwaittime float8, maxwaittime float8, minexectime float8, \
                  maxexectime float8, avgwaittime float8, avgexectime float8, \
                  location_name text",
        key: PrimaryKey::First,
        indexes: &[tree(
            "functions_index1",
            "colony_name, executor_name, location_name",
        )],
    },
    Table {
        name: "processes",
        columns: "process_id text!, target_colony_name text!, target_executor_names text[], \
                  assigned_executor_id text, state integer, is_assigned boolean, \
                  executor_type text, submission_time timestamptz, start_time timestamptz, \
                  end_time timestamptz, wait_deadline timestamptz, exec_deadline timestamptz, \
                  errors text[], nodename text, funcname text, args text, kwargs text, \
                  max_wait_time integer, max_exec_time integer, retries integer, \
                  max_retries integer, dependencies text[], priority integer, \
                  prioritytime bigint, wait_for_parents boolean, parents text[], \
                  children text[], processgraph_id text, input text, output text, label text, \
                  fs text, nodes integer, cpu bigint, processes integer, \
                  processes_per_node integer, memory bigint, storage bigint, gpuname text, \
                  gpucount text, gpumem bigint, walltime bigint, initiator_id text!, \
                  initiator_name text!, blueprint text, channels text[], location_name text",
        key: PrimaryKey::First,
        indexes: &[
            tree(
                "processes_index1",
                "target_colony_name, state, submission_time",
            ),
            tree("processes_index2", "target_colony_name, state, start_time"),
            tree("processes_index3", "target_colony_name, state, end_time"),
            tree(
                "processes_index4",
                "is_assigned, start_time, assigned_executor_id, state, process_id",
            ),
            tree(
                "processes_index6",
                "state, executor_type, is_assigned, wait_for_parents, target_colony_name, \
                 location_name, prioritytime",
            ),
            tree(
                "processes_index7",
                "target_colony_name, state, prioritytime",
            ),
            tree(
                "processes_index8",
                "target_colony_name, state, executor_type, prioritytime",
            ),
            tree(
                "processes_index9",
                "target_colony_name, state, initiator_name, prioritytime",
            ),
            tree(
                "processes_index10",
                "target_colony_name, state, label, prioritytime",
            ),
            tree(
                "processes_index11",
                "state, executor_type, is_assigned, wait_for_parents, target_colony_name, \
                 location_name, target_executor_names, cpu, memory, gpuname, gpumem, gpucount, \
                 storage, nodes, processes, processes_per_node, prioritytime",
            ),
            Index {
                name: "processes_assign_gin",
                fields: "target_executor_names",
                kind: Kind::ElementsOf(r#"(("state" = 0) and ("is_assigned" = false))"#),
            },
            Index {
                name: ASSIGN_INDEX,
                fields: "target_colony_name, executor_type, prioritytime",
                kind: Kind::TreeOf(
                    r#"((("state" = 0) and ("is_assigned" = false)) and ("wait_for_parents" = false))"#,
                ),
            },
            tree("retention_index2", "submission_time, state"),
            tree("processes_state_index", "state"),
            tree(
                "processes_assigned_executor_index",
                "assigned_executor_id, state",
            ),
        ],
    },
    Table {
        name: "logs",
        columns: "process_id text, colony_name text!, executor_name text!, ts bigint, msg text!, \
                  added timestamptz",
        key: PrimaryKey::None,
        indexes: &[tree("logs_index1", "process_id")],
    },
    Table {
        name: "files",
        columns: "file_id text!, colony_name text!, label text!, name text!, size bigint, \
                  seqnr bigint, checksum text, checksum_alg text, added timestamptz, \
                  protocol text, s3_server text, s3_port integer, s3_tls boolean, \
                  s3_accesskey text, s3_secretkey text, s3_region text, s3_enckey text, \
                  s3_encalg text, s3_obj text, s3_bucket text",
        key: PrimaryKey::First,
        indexes: &[
            tree("retention_index4", "added"),
            tree("file_index1", "colony_name, label, name"),
            tree("file_index2", "colony_name, file_id"),
            tree("file_index3", "colony_name, label"),
        ],
    },
    Table {
        name: "snapshots",
        columns: "snapshot_id text!, colony_name text!, label text!, name text!, file_ids text[], \
                  added timestamptz",
        key: PrimaryKey::First,
        indexes: &[unique("snapshots_name_key", "name")],
    },
    Table {
        name: "attributes",
        columns: "attribute_id text!, key text!, value text!, attribute_type integer, \
                  target_id text!, target_colony_name text!, processgraph_id text!, \
                  added timestamptz, state integer",
        key: PrimaryKey::First,
        indexes: &[
            tree("attributes_index1", "target_id, attribute_type"),
            tree("attributes_index2", "target_id"),
            tree("retention_index1", "added, state"),
        ],
    },
    Table {
        name: "processgraphs",
        columns: "processgraph_id text!, target_colony_name text!, roots text[], state integer, \
                  submission_time timestamptz, start_time timestamptz, end_time timestamptz, \
                  initiator_id text!, initiator_name text!",
        key: PrimaryKey::First,
        indexes: &[
            tree("retention_index3", "submission_time, state"),
            tree("processgraphs_state_index", "state"),
            tree(
                "processgraphs_index1",
                "target_colony_name, state, submission_time",
            ),
        ],
    },
    Table {
        name: "generators",
        columns: "generator_id text!, colony_name text!, name text!, workflow_spec text!, \
                  trigger integer, timeout integer, lastrun timestamptz, firstpack timestamptz, \
                  initiator_id text!, initiator_name text!",
        key: PrimaryKey::First,
        indexes: &[],
    },
    Table {
        name: "generatorargs",
        columns: "generatorarg_id text!, generator_id text!, colony_name text!, arg text!",
        key: PrimaryKey::First,
        indexes: &[],
    },
    Table {
        name: "crons",
        columns: "cron_id text!, colony_name text!, name text!, cron_expr text!, \
                  interval integer, random boolean, next_run timestamptz, last_run timestamptz, \
                  workflow_spec text!, prev_processgraph_id text!, \
                  wait_for_prev_processgraph boolean, initiator_id text!, initiator_name text!",
        key: PrimaryKey::First,
        indexes: &[unique("crons_colony_name_name_key", "colony_name, name")],
    },
    Table {
        name: "blueprints",
        columns: "id text!, colony_name text!, name text!, kind text!, data text!",
        key: PrimaryKey::First,
        indexes: &[unique(
            "blueprints_colony_name_name_key",
            "colony_name, name",
        )],
    },
    Table {
        name: "blueprintdefinitions",
        columns: "id text!, colony_name text!, name text!, api_group text!, version text!, \
                  kind text!, data text!",
        key: PrimaryKey::First,
        indexes: &[unique(
            "blueprintdefinitions_colony_name_name_key",
            "colony_name, name",
        )],
    },
    Table {
        name: "blueprint_history",
        columns: "id text!, blueprint_id text!, kind text!, namespace text!, name text!, \
                  generation bigint!, spec text!, status text, timestamp timestamp!, \
                  changed_by text!, change_type text!",
        key: PrimaryKey::First,
        indexes: &[tree(
            "blueprint_history_index1",
            "blueprint_id, timestamp desc",
        )],
    },
    Table {
        name: "locations",
        columns: "name text!, location_id text!, colony_name text!, description text, \
                  long float8, lat float8",
        key: PrimaryKey::First,
        indexes: &[],
    },
];

/// Which indexes there are over processes. Each of them is kept up to date with every change of a
/// process's state, so that they decide what an assignment costs. Nothing else differs: all statements and
/// methods answer the same, some from more rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Indexes {
    /// Those that ColonyOS's server makes, fifteen.
    #[default]
    Server,
    /// The four that assignment, lists by state, executors and the retention need.
    Few,
}

/// The indexes over processes of [`Indexes::Few`].
const FEW: [&str; 4] = [
    ASSIGN_INDEX,
    "processes_index3",
    "processes_assigned_executor_index",
    "retention_index2",
];

/// The schema of a colony's database, under names that begin with `prefix` (in lower case; see
/// [`DEFAULT_PREFIX`]). The sequence that numbers files is made when it is needed first.
pub fn schema(prefix: &str) -> DatabaseSchema {
    schema_with(prefix, Indexes::Server)
}

/// As [`schema`], with other indexes.
pub fn schema_with(prefix: &str, indexes: Indexes) -> DatabaseSchema {
    let mut schema = DatabaseSchema::new(SCHEMA_NAME, SCHEMA_VERSION);
    for table in TABLES {
        let mut definition = table.definition(prefix);
        if indexes == Indexes::Few && table.name == "processes" {
            let kept = FEW.map(|name| format!("{prefix}{name}"));
            definition
                .indexes
                .retain(|index| kept.contains(&index.name));
        }
        schema = schema.collection(definition);
    }
    schema.consistency = profile(prefix);
    schema
}

/// Brings a database to [`schema_with`], and makes the sequence that numbers files.
///
/// # Errors
/// Collections of these names are there that are different.
pub fn load(db: &Database, prefix: &str, indexes: Indexes) -> Result<(), LoadSchemaError> {
    db.load_schema(schema_with(prefix, indexes))?;
    make_sequence(db, prefix)
}

/// Makes the sequence that numbers files, if there is none.
///
/// # Errors
/// The database cannot write.
pub fn make_sequence(db: &Database, prefix: &str) -> Result<(), LoadSchemaError> {
    let sequence = SequenceDefinition::new(format!("{prefix}{FILE_SEQUENCE}"));
    match db.create_sequence(sequence) {
        Ok(_) | Err(SequenceError::Exists(_)) => Ok(()),
        Err(SequenceError::Database(error)) => Err(LoadSchemaError::Database(error)),
        Err(error) => Err(LoadSchemaError::Invalid(error.to_string())),
    }
}

/// Columns of processes of which it is enough that all nodes have them in time.
const NOTES: &[&str] = &["input", "output", "errors"];

/// What the server may be told later than at once: statements that say no level themselves get these.
/// What assigns, closes or cancels, and all that is not named, is strong.
fn profile(prefix: &str) -> Vec<ConsistencyRule> {
    use StatementKind::{Insert, Read, Update};
    let eventual = |collection: &str, statement, fields: &[&str]| ConsistencyRule {
        collection: Some(format!("{prefix}{collection}")),
        statement,
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        level: Consistency::Eventual,
    };
    vec![
        eventual("processes", Update, NOTES),
        eventual("executors", Update, &["lastheardfrom"]),
        eventual("functions", Update, &[]),
        eventual("logs", Insert, &[]),
        eventual("attributes", Insert, &[]),
        eventual("attributes", Update, &[]),
        ConsistencyRule {
            collection: None,
            statement: Read,
            fields: Vec::new(),
            level: Consistency::Local,
        },
    ]
}

impl Table {
    fn definition(&self, prefix: &str) -> Definition {
        let columns = self.columns.split(',').map(|column| {
            let (name, of) = column.trim().split_once(' ').expect("a name and a type");
            (name, of)
        });
        let fields: Vec<Json> = columns.clone().map(|(name, of)| field(name, of)).collect();
        let first = columns.clone().next().map(|(name, _)| name);
        let key = match self.key {
            PrimaryKey::First => first,
            PrimaryKey::None => None,
        };
        let indexes: Vec<Json> = self
            .indexes
            .iter()
            .map(|index| index.json(prefix))
            .collect();
        let definition = json!({
            "name": format!("{prefix}{}", self.name),
            "primary_key": key,
            "schema": {"openness": "strict", "fields": fields},
            "indexes": indexes,
        });
        serde_json::from_value(definition).expect("the definitions are well formed")
    }
}

impl Index {
    fn json(&self, prefix: &str) -> Json {
        let fields = self.fields.split(',').map(|field| {
            let (path, direction) = match field.trim().split_once(' ') {
                Some((path, direction)) => (path, direction),
                None => (field.trim(), "asc"),
            };
            let elements = matches!(self.kind, Kind::ElementsOf(_));
            json!({"path": path, "direction": direction, "elements": elements})
        });
        let fields: Vec<Json> = fields.collect();
        let (kind, unique, filter) = match self.kind {
            Kind::Tree => ("btree", false, None),
            Kind::TreeOf(filter) => ("btree", false, Some(filter)),
            Kind::ElementsOf(filter) => ("hash", false, Some(filter)),
            Kind::Unique => ("hash", true, None),
        };
        json!({
            "name": format!("{prefix}{}", self.name),
            "fields": fields,
            "kind": kind,
            "unique": unique,
            "filter": filter,
        })
    }
}

/// A field of an SQL type.
fn field(name: &str, of: &str) -> Json {
    let required = of.ends_with('!');
    let (kind, sql) = match of.trim_end_matches('!') {
        "text" => ("string", "text"),
        "text[]" => ("array", "text[]"),
        "integer" => ("int", "integer"),
        "bigint" => ("int", "bigint"),
        "boolean" => ("bool", "boolean"),
        "float8" => ("float", "double precision"),
        "timestamptz" => ("time", "timestamp with time zone"),
        "timestamp" => ("time", "timestamp without time zone"),
        "jsonb" => ("json", "jsonb"),
        other => unreachable!("the type {other}"),
    };
    json!({"name": name, "type": kind, "sql_type": sql, "required": required})
}
