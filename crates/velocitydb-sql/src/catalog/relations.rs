//! Schemas, tables, indexes and columns: `pg_namespace`, `pg_class`, `pg_attribute`, `pg_attrdef`,
//! `pg_index`, `pg_tables`, `pg_indexes`, `pg_views`.

use std::collections::HashSet;

use velocitydb::{Direction, IndexField, IndexKind, Persistence, is_temporary};
use velocitydb_types::{Identity, ScalarType, SqlType, Value};

use super::objects::ConstraintKind::Reference;
use super::objects::{IndexObject, Objects, PUBLIC, SCHEMAS, TableObject, numbers};
use super::texts::{default_text, index_filter, index_part};
use super::types::{DEFAULT_COLLATION, category, storage};
use super::{ALL, Fill, OWNER, Seen, Shown, number, or_null};
use crate::error::SqlError;
use crate::indexed::Terms;
use crate::statement::define::identity;

pub(super) fn pg_namespace(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for (name, oid) in &seen.session.objects()?.schemas {
        let values = [
            ("oid", number(*oid)),
            ("nspname", name.as_str().into()),
            ("nspowner", number(OWNER)),
        ];
        fill.row(values)?;
    }
    Ok(())
}

/// The number of the schema of what the system shows.
pub(super) fn schema_of(shown: &Shown) -> i64 {
    let found = SCHEMAS.iter().find(|(name, _)| *name == shown.schema);
    found.map_or(PUBLIC, |(_, oid)| *oid)
}

/// PostgreSQL's numbers of the ways in which relations are kept (`pg_am`).
fn access_method(name: &str) -> i64 {
    match name {
        "heap" => 2,
        "btree" => 403,
        "hash" => 405,
        "gist" => 783,
        "gin" => 2742,
        _ => 0,
    }
}

/// A row of `pg_class`.
struct Class<'c> {
    oid: i64,
    name: &'c str,
    schema: i64,
    kind: &'static str,
    method: &'static str,
    persistence: &'static str,
    columns: usize,
    checks: usize,
    indexed: bool,
    /// Whether something refers to others, or others refer to it.
    refers: bool,
    /// -1: it is not known.
    rows: f64,
}

impl Class<'_> {
    fn fill(&self, fill: &mut Fill<'_>) -> Result<(), SqlError> {
        let is_view = self.kind == "v";
        // What holds no rows has no file.
        let file = if is_view { 0 } else { self.oid };
        fill.row([
            ("oid", number(self.oid)),
            ("relname", self.name.into()),
            ("relnamespace", number(self.schema)),
            // A table has a type of its rows, which has its number here, and no row in `pg_type`.
            (
                "reltype",
                number(if self.kind == "r" { self.oid } else { 0 }),
            ),
            ("reloftype", number(0)),
            ("relowner", number(OWNER)),
            ("relam", number(access_method(self.method))),
            ("relfilenode", number(file)),
            ("reltablespace", number(0)),
            ("relpages", number(0)),
            ("reltuples", Value::Float(self.rows)),
            ("relallvisible", number(0)),
            ("reltoastrelid", number(0)),
            ("relhasindex", Value::Bool(self.indexed)),
            ("relisshared", Value::Bool(false)),
            ("relpersistence", self.persistence.into()),
            ("relkind", self.kind.into()),
            ("relnatts", number(self.columns as i64)),
            ("relchecks", number(self.checks as i64)),
            ("relhasrules", Value::Bool(is_view)),
            ("relhastriggers", Value::Bool(self.refers)),
            ("relhassubclass", Value::Bool(false)),
            ("relrowsecurity", Value::Bool(false)),
            ("relforcerowsecurity", Value::Bool(false)),
            ("relispopulated", Value::Bool(true)),
            (
                "relreplident",
                if self.kind == "r" { "d" } else { "n" }.into(),
            ),
            ("relispartition", Value::Bool(false)),
            ("relrewrite", number(0)),
            ("relfrozenxid", number(0)),
            ("relminmxid", number(0)),
        ])
    }
}

fn persistence(table: &TableObject) -> &'static str {
    let definition = &table.table.definition;
    match definition.persistence {
        _ if is_temporary(&definition.name) => "t",
        Persistence::Volatile => "u",
        Persistence::Logged => "p",
    }
}

pub(super) fn pg_class(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for shown in ALL.iter() {
        let class = Class {
            oid: shown.oid,
            name: shown.name,
            schema: schema_of(shown),
            kind: if shown.is_view { "v" } else { "r" },
            method: if shown.is_view { "" } else { "heap" },
            persistence: "p",
            columns: shown.columns.len(),
            checks: 0,
            indexed: false,
            refers: false,
            rows: -1.0,
        };
        class.fill(fill)?;
    }
    let objects = seen.session.objects()?;
    let referred = objects.referred();
    for (at, table) in objects.tables.iter().enumerate() {
        let count = seen.database.collection(table.table.name());
        let count = count.and_then(|collection| collection.count());
        let schema = &table.table.definition.schema;
        let refers = schema
            .fields()
            .iter()
            .any(|field| field.references.is_some());
        let class = Class {
            oid: table.oid,
            name: &table.name,
            schema: table.schema,
            kind: "r",
            method: "heap",
            persistence: persistence(table),
            columns: table.table.columns.len(),
            checks: schema.checks().len(),
            indexed: !table.indexes.is_empty(),
            refers: refers || referred.contains(&at),
            rows: count.map_or(-1.0, |count| count as f64),
        };
        class.fill(fill)?;
        for index in &table.indexes {
            let of_index = Class {
                oid: index.oid,
                name: &index.name,
                kind: "i",
                method: index.method(),
                columns: index.definition.fields.len(),
                checks: 0,
                indexed: false,
                refers: false,
                ..class
            };
            of_index.fill(fill)?;
        }
    }
    for sequence in &objects.sequences {
        let temporary = is_temporary(&sequence.definition.name);
        let class = Class {
            oid: sequence.oid,
            name: &sequence.name,
            schema: sequence.schema,
            kind: "S",
            method: "",
            persistence: if temporary { "t" } else { "p" },
            columns: 3,
            checks: 0,
            indexed: false,
            refers: false,
            rows: 1.0,
        };
        class.fill(fill)?;
    }
    Ok(())
}

/// A row of `pg_attribute`.
struct Attribute<'a> {
    relation: i64,
    name: &'a str,
    /// From 1.
    number: i64,
    sql: SqlType,
    required: bool,
    has_default: bool,
    identity: Option<Identity>,
}

impl Attribute<'_> {
    fn fill(&self, fill: &mut Fill<'_>) -> Result<(), SqlError> {
        let (SqlType::Scalar(scalar) | SqlType::Array(scalar)) = self.sql;
        let is_array = matches!(self.sql, SqlType::Array(_));
        let length = self.sql.length();
        let is_text = category(scalar.row()) == "S";
        let (align, storage) = storage(self.sql);
        fill.row([
            ("attrelid", number(self.relation)),
            ("attname", self.name.into()),
            ("atttypid", number(self.sql.oid())),
            ("attstattarget", number(-1)),
            ("attlen", number(length)),
            ("attnum", number(self.number)),
            ("attndims", number(i64::from(is_array))),
            ("attcacheoff", number(-1)),
            ("atttypmod", number(self.sql.modifier())),
            ("attbyval", Value::Bool((1..=8).contains(&length))),
            ("attalign", align.into()),
            ("attstorage", storage.into()),
            ("attcompression", "".into()),
            ("attnotnull", Value::Bool(self.required)),
            ("atthasdef", Value::Bool(self.has_default)),
            ("atthasmissing", Value::Bool(false)),
            (
                "attidentity",
                match self.identity {
                    None => "",
                    Some(Identity::Always) => "a",
                    Some(Identity::ByDefault) => "d",
                }
                .into(),
            ),
            ("attgenerated", "".into()),
            ("attisdropped", Value::Bool(false)),
            ("attislocal", Value::Bool(true)),
            ("attinhcount", number(0)),
            (
                "attcollation",
                number(if is_text { DEFAULT_COLLATION } else { 0 }),
            ),
        ])
    }
}

pub(super) fn pg_attribute(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for shown in ALL.iter() {
        for ((name, sql), at) in shown.columns.iter().zip(1..) {
            let attribute = Attribute {
                relation: shown.oid,
                name,
                number: at,
                sql: *sql,
                required: false,
                has_default: false,
                identity: None,
            };
            attribute.fill(fill)?;
        }
    }
    for table in &seen.session.objects()?.tables {
        for ((column, at), position) in table.table.columns.iter().zip(1..).zip(0..) {
            let attribute = Attribute {
                relation: table.oid,
                name: &column.name,
                number: at,
                sql: column.sql,
                required: column.required,
                has_default: table.defaults.contains_key(&position),
                identity: identity(column),
            };
            attribute.fill(fill)?;
        }
        for index in &table.indexes {
            for (field, at) in index.definition.fields.iter().zip(1..) {
                let column = table.column_of(&index.definition, field);
                let column = column.and_then(|name| table.table.column(name));
                let made = index_part(table, index, at as usize - 1, false);
                let attribute = Attribute {
                    relation: index.oid,
                    name: match (column, &made) {
                        (Some(column), _) => &column.name,
                        (None, Some(made)) => called(made),
                        (None, None) => "expr",
                    },
                    number: at,
                    sql: column.map_or(ScalarType::Text.into(), |it| it.sql),
                    required: false,
                    has_default: false,
                    identity: None,
                };
                attribute.fill(fill)?;
            }
        }
    }
    Ok(())
}

/// What PostgreSQL calls the column of an index that is an expression: by its function.
fn called(expression: &str) -> &str {
    let name = expression.split('(').next().unwrap_or_default();
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    match is_name && !name.is_empty() {
        true => name,
        false => "expr",
    }
}

pub(super) fn pg_attrdef(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for table in &seen.session.objects()?.tables {
        for (position, oid) in &table.defaults {
            let values = [
                ("oid", number(*oid)),
                ("adrelid", number(table.oid)),
                ("adnum", number(*position as i64 + 1)),
                (
                    "adbin",
                    or_null(default_text(&table.table.columns[*position])),
                ),
            ];
            fill.row(values)?;
        }
    }
    Ok(())
}

pub(super) fn pg_index(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for table in &seen.session.objects()?.tables {
        for index in &table.indexes {
            let columns = table.index_columns(&index.definition);
            let fields = &index.definition.fields;
            let options = fields.iter().map(|field| match field.direction {
                Direction::Ascending => 0,
                // Backwards, and nulls first.
                Direction::Descending => 3,
            });
            let classes = fields
                .iter()
                .map(|field| operator_class(table, index, field));
            let expressions = (0..fields.len())
                .filter(|at| columns[*at] == 0)
                .filter_map(|at| index_part(table, index, at, false));
            let expressions = expressions.collect::<Vec<_>>().join(", ");
            let values = [
                ("indexrelid", number(index.oid)),
                ("indrelid", number(table.oid)),
                ("indnatts", number(columns.len() as i64)),
                ("indnkeyatts", number(columns.len() as i64)),
                ("indisunique", Value::Bool(index.definition.unique)),
                ("indnullsnotdistinct", Value::Bool(false)),
                ("indisprimary", Value::Bool(index.primary)),
                ("indisexclusion", Value::Bool(false)),
                ("indimmediate", Value::Bool(true)),
                ("indisclustered", Value::Bool(false)),
                ("indisvalid", Value::Bool(true)),
                ("indcheckxmin", Value::Bool(false)),
                ("indisready", Value::Bool(true)),
                ("indislive", Value::Bool(true)),
                ("indisreplident", Value::Bool(false)),
                ("indkey", numbers(columns.iter().copied())),
                ("indcollation", numbers(columns.iter().map(|_| 0))),
                ("indclass", numbers(classes)),
                ("indoption", numbers(options)),
                (
                    "indexprs",
                    or_null((!expressions.is_empty()).then_some(expressions)),
                ),
                ("indpred", or_null(index_filter(table, index))),
            ];
            fill.row(values)?;
        }
    }
    Ok(())
}

pub(super) fn pg_tables(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let user = seen.user();
    let mut add = |schema: &str, name: &str, indexed: bool, refers: bool| {
        fill.row([
            ("schemaname", schema.into()),
            ("tablename", name.into()),
            ("tableowner", user.clone()),
            ("hasindexes", Value::Bool(indexed)),
            ("hasrules", Value::Bool(false)),
            ("hastriggers", Value::Bool(refers)),
            ("rowsecurity", Value::Bool(false)),
        ])
    };
    for shown in ALL.iter().filter(|shown| !shown.is_view) {
        add(shown.schema, shown.name, false, false)?;
    }
    let objects = seen.session.objects()?;
    let referred = objects.referred();
    for (at, table) in objects.tables.iter().enumerate() {
        let fields = table.table.definition.schema.fields().iter();
        let refers = fields.map(|field| &field.references).any(Option::is_some);
        let schema = objects.schema_name(table.schema).unwrap_or_default();
        let refers = refers || referred.contains(&at);
        add(schema, &table.name, !table.indexes.is_empty(), refers)?;
    }
    Ok(())
}

pub(super) fn pg_indexes(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    for table in &objects.tables {
        let schema = objects.schema_name(table.schema).unwrap_or_default();
        let name = objects.qualified(table);
        for index in &table.indexes {
            fill.row([
                ("schemaname", schema.into()),
                ("tablename", table.name.as_str().into()),
                ("indexname", index.name.as_str().into()),
                (
                    "indexdef",
                    Objects::index_text(table, index, &name, false).into(),
                ),
            ])?;
        }
    }
    Ok(())
}

/// Those of the system: others there are none.
pub(super) fn pg_views(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for shown in ALL.iter().filter(|shown| shown.is_view) {
        let values = [
            ("schemaname", shown.schema.into()),
            ("viewname", shown.name.into()),
            ("viewowner", seen.user()),
        ];
        fill.row(values)?;
    }
    Ok(())
}

/// By which operators a field of an index is found.
fn operator_class(table: &TableObject, index: &IndexObject, field: &IndexField) -> i64 {
    let method = access_method(index.method());
    let column = table.table.column(field.path.first());
    let named = match (Terms::of(&field.path), index.definition.kind) {
        (Some(Terms::Paths), _) => Some("jsonb_path_ops"),
        (Some(Terms::Keys), _) => Some("jsonb_ops"),
        (None, IndexKind::FullText) => Some("tsvector_ops"),
        (None, _) => None,
    };
    let sql = column.map_or(ScalarType::Text.into(), |column| column.sql);
    super::fixed::operator_class(method, sql, named)
}

impl Objects {
    /// The tables that others refer to.
    fn referred(&self) -> HashSet<usize> {
        let constraints = self.tables.iter().flat_map(|table| &table.constraints);
        let to = constraints.filter_map(|constraint| match constraint.kind {
            Reference { to, .. } => to,
            _ => None,
        });
        to.collect()
    }
}
