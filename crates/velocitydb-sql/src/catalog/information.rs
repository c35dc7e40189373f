//! `information_schema`: what the standard says of tables, columns and constraints.
//!
//! Views on what is in `objects`, with the texts that PostgreSQL 15 gives. Tests: slt/catalog_information.slt.

use velocitydb::OnDelete;
use velocitydb_types::{FieldType, Identity, ScalarType, SqlType, Value};

use super::objects::{ConstraintKind, ConstraintObject, Objects, TableObject};
use super::texts::{check_text, default_text};
use super::{ALL, Fill, Seen, number, or_null};
use crate::error::SqlError;
use crate::statement::define::identity;

fn yes_or_no(yes: bool) -> Value {
    if yes { "YES" } else { "NO" }.into()
}

pub(super) fn catalog_name(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    fill.row([("catalog_name", seen.database_name())])
}

pub(super) fn character_sets(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    fill.row([
        ("character_set_name", "UTF8".into()),
        ("character_repertoire", "UCS".into()),
        ("form_of_use", "UTF8".into()),
        ("default_collate_catalog", seen.database_name()),
        ("default_collate_schema", "pg_catalog".into()),
        ("default_collate_name", "C".into()),
    ])
}

pub(super) fn schemata(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for (name, _) in &seen.session.objects()?.schemas {
        fill.row([
            ("catalog_name", seen.database_name()),
            ("schema_name", name.as_str().into()),
            ("schema_owner", seen.user()),
        ])?;
    }
    Ok(())
}

pub(super) fn tables(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    let users = objects.tables.iter().map(|table| {
        let schema = objects.schema_name(table.schema).unwrap_or_default();
        let is_temporary = velocitydb::is_temporary(table.table.name());
        let kind = if is_temporary {
            "LOCAL TEMPORARY"
        } else {
            "BASE TABLE"
        };
        (schema, table.name.as_str(), kind, true)
    });
    let shown = ALL.iter().map(|shown| {
        let kind = if shown.is_view { "VIEW" } else { "BASE TABLE" };
        (shown.schema, shown.name, kind, false)
    });
    for (schema, name, kind, is_written) in users.chain(shown) {
        fill.row([
            ("table_catalog", seen.database_name()),
            ("table_schema", schema.into()),
            ("table_name", name.into()),
            ("table_type", kind.into()),
            ("is_insertable_into", yes_or_no(is_written)),
            ("is_typed", "NO".into()),
            (
                "commit_action",
                or_null((kind == "LOCAL TEMPORARY").then_some("PRESERVE")),
            ),
        ])?;
    }
    Ok(())
}

/// Those of the system: others there are none.
pub(super) fn views(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for shown in ALL.iter().filter(|shown| shown.is_view) {
        fill.row([
            ("table_catalog", seen.database_name()),
            ("table_schema", shown.schema.into()),
            ("table_name", shown.name.into()),
            ("check_option", "NONE".into()),
            ("is_updatable", "NO".into()),
            ("is_insertable_into", "NO".into()),
            ("is_trigger_updatable", "NO".into()),
            ("is_trigger_deletable", "NO".into()),
            ("is_trigger_insertable_into", "NO".into()),
        ])?;
    }
    Ok(())
}

/// What the standard says of a type: its name, the most characters and bytes, digits and their base
/// and scale, and digits of seconds.
struct TypeFacts {
    name: String,
    characters: Option<i64>,
    bytes: Option<i64>,
    digits: Option<i64>,
    base: Option<i64>,
    scale: Option<i64>,
    seconds: Option<i64>,
}

fn type_facts(sql: SqlType) -> TypeFacts {
    let SqlType::Scalar(scalar) = sql else {
        return TypeFacts {
            name: "ARRAY".into(),
            characters: None,
            bytes: None,
            digits: None,
            base: None,
            scale: None,
            seconds: None,
        };
    };
    let row = scalar.row();
    let characters = match scalar {
        ScalarType::Varchar(Some(length)) | ScalarType::Char(length) => Some(i64::from(length)),
        _ => None,
    };
    let bytes = match row.kept {
        // A character has four at most.
        FieldType::String => Some(characters.map_or(1 << 30, |length| length * 4)),
        _ => None,
    };
    let (digits, base, scale) = match scalar {
        ScalarType::Int2 => (Some(16), Some(2), Some(0)),
        ScalarType::Int4 => (Some(32), Some(2), Some(0)),
        ScalarType::Int8 => (Some(64), Some(2), Some(0)),
        ScalarType::Float4 => (Some(24), Some(2), None),
        ScalarType::Float8 => (Some(53), Some(2), None),
        ScalarType::Numeric(None) => (None, Some(10), None),
        ScalarType::Numeric(Some((digits, scale))) => {
            (Some(i64::from(digits)), Some(10), Some(i64::from(scale)))
        }
        _ => (None, None, None),
    };
    let seconds = match row.kept {
        FieldType::Date => Some(0),
        FieldType::Time | FieldType::Interval => Some(6),
        _ => None,
    };
    TypeFacts {
        name: row.long_name.into(),
        characters,
        // Since 2^30 is one too many.
        bytes: bytes.map(|bytes| bytes.min(1 << 30)),
        digits,
        base,
        scale,
        seconds,
    }
}

/// The name of a type in `pg_type`.
fn udt_name(sql: SqlType) -> String {
    match sql {
        SqlType::Scalar(scalar) => scalar.row().name.into(),
        SqlType::Array(element) => format!("_{}", element.row().name),
    }
}

pub(super) fn columns(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let database = seen.database_name();
    let objects = seen.session.objects()?;
    for table in &objects.tables {
        let schema = objects.schema_name(table.schema).unwrap_or_default();
        for (column, at) in table.table.columns.iter().zip(1_i64..) {
            let facts = type_facts(column.sql);
            let identity = identity(column);
            let mut sequences = objects.sequences.iter();
            let owned = sequences.find(|sequence| {
                let of = sequence
                    .owner
                    .map(|(of, number)| (objects.tables[of].oid, number));
                identity.is_some() && of == Some((table.oid, at))
            });
            let owned = owned.map(|sequence| &sequence.definition);
            let text = |number: Option<i64>| or_null(number.map(|number| number.to_string()));
            let default = default_text(column).filter(|_| identity.is_none());
            fill.row([
                ("table_catalog", database.clone()),
                ("table_schema", schema.into()),
                ("table_name", table.name.as_str().into()),
                ("column_name", column.name.as_str().into()),
                ("ordinal_position", number(at)),
                ("column_default", or_null(default)),
                ("is_nullable", yes_or_no(!column.required)),
                ("data_type", facts.name.into()),
                ("character_maximum_length", or_null(facts.characters)),
                ("character_octet_length", or_null(facts.bytes)),
                ("numeric_precision", or_null(facts.digits)),
                ("numeric_precision_radix", or_null(facts.base)),
                ("numeric_scale", or_null(facts.scale)),
                ("datetime_precision", or_null(facts.seconds)),
                ("udt_catalog", database.clone()),
                ("udt_schema", "pg_catalog".into()),
                ("udt_name", udt_name(column.sql).into()),
                ("dtd_identifier", at.to_string().into()),
                ("is_self_referencing", "NO".into()),
                ("is_identity", yes_or_no(identity.is_some())),
                (
                    "identity_generation",
                    or_null(identity.map(|identity| match identity {
                        Identity::Always => "ALWAYS",
                        Identity::ByDefault => "BY DEFAULT",
                    })),
                ),
                ("identity_start", text(owned.map(|of| of.start))),
                ("identity_increment", text(owned.map(|of| of.increment))),
                ("identity_maximum", text(owned.map(|of| of.maximum))),
                ("identity_minimum", text(owned.map(|of| of.minimum))),
                (
                    "identity_cycle",
                    yes_or_no(owned.is_some_and(|of| of.cycle)),
                ),
                ("is_generated", "NEVER".into()),
                ("is_updatable", "YES".into()),
            ])?;
        }
    }
    for shown in ALL.iter() {
        for ((name, sql), at) in shown.columns.iter().zip(1_i64..) {
            fill.row([
                ("table_catalog", database.clone()),
                ("table_schema", shown.schema.into()),
                ("table_name", shown.name.into()),
                ("column_name", (*name).into()),
                ("ordinal_position", number(at)),
                ("is_nullable", "YES".into()),
                ("data_type", type_facts(*sql).name.into()),
                ("udt_catalog", database.clone()),
                ("udt_schema", "pg_catalog".into()),
                ("udt_name", udt_name(*sql).into()),
                ("dtd_identifier", at.to_string().into()),
                ("is_self_referencing", "NO".into()),
                ("is_identity", "NO".into()),
                ("identity_cycle", "NO".into()),
                ("is_generated", "NEVER".into()),
                ("is_updatable", "NO".into()),
            ])?;
        }
    }
    Ok(())
}

/// What the elements of columns that are arrays are.
pub(super) fn element_types(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let database = seen.database_name();
    let objects = seen.session.objects()?;
    for table in &objects.tables {
        for (column, at) in table.table.columns.iter().zip(1_i64..) {
            let SqlType::Array(element) = column.sql else {
                continue;
            };
            fill.row([
                ("object_catalog", database.clone()),
                ("object_schema", or_null(objects.schema_name(table.schema))),
                ("object_name", table.name.as_str().into()),
                ("object_type", "TABLE".into()),
                ("collection_type_identifier", at.to_string().into()),
                ("data_type", element.row().long_name.into()),
                ("udt_catalog", database.clone()),
                ("udt_schema", "pg_catalog".into()),
                ("udt_name", element.row().name.into()),
                ("dtd_identifier", format!("a{at}").into()),
            ])?;
        }
    }
    Ok(())
}

/// Calls `each` with every constraint, its table and that table's schema.
fn constraints(
    objects: &Objects,
    mut each: impl FnMut(&TableObject, &str, &ConstraintObject) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    for table in &objects.tables {
        let schema = objects.schema_name(table.schema).unwrap_or_default();
        for constraint in &table.constraints {
            each(table, schema, constraint)?;
        }
    }
    Ok(())
}

pub(super) fn table_constraints(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    let database = seen.database_name();
    let mut add = |schema: &str, table: &str, name: &str, kind: &str| {
        fill.row([
            ("constraint_catalog", database.clone()),
            ("constraint_schema", schema.into()),
            ("constraint_name", name.into()),
            ("table_catalog", database.clone()),
            ("table_schema", schema.into()),
            ("table_name", table.into()),
            ("constraint_type", kind.into()),
            ("is_deferrable", "NO".into()),
            ("initially_deferred", "NO".into()),
            ("enforced", "YES".into()),
            (
                "nulls_distinct",
                or_null((kind == "UNIQUE").then_some("YES")),
            ),
        ])
    };
    constraints(&objects, |table, schema, constraint| {
        let kind = match constraint.kind {
            ConstraintKind::Primary { .. } => "PRIMARY KEY",
            ConstraintKind::Unique { .. } => "UNIQUE",
            ConstraintKind::Check(_) => "CHECK",
            ConstraintKind::Reference { .. } => "FOREIGN KEY",
        };
        add(schema, &table.name, &constraint.name, kind)
    })?;
    for_required(&objects, |table, schema, name, _| {
        add(schema, &table.name, name, "CHECK")
    })
}

/// Calls `each` with every column that may not be null, which the standard takes for a check; with the name
/// that PostgreSQL gives it.
fn for_required(
    objects: &Objects,
    mut each: impl FnMut(&TableObject, &str, &str, &str) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    for table in &objects.tables {
        let schema = objects.schema_name(table.schema).unwrap_or_default();
        let columns = table.table.columns.iter().zip(1..);
        for (column, at) in columns.filter(|(column, _)| column.required) {
            let name = format!("{}_{}_{at}_not_null", table.schema, table.oid);
            each(table, schema, &name, &column.name)?;
        }
    }
    Ok(())
}

pub(super) fn check_constraints(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    let database = seen.database_name();
    let mut add = |schema: &str, name: &str, clause: String| {
        fill.row([
            ("constraint_catalog", database.clone()),
            ("constraint_schema", schema.into()),
            ("constraint_name", name.into()),
            ("check_clause", clause.into()),
        ])
    };
    constraints(&objects, |table, schema, constraint| {
        match check_text(table, constraint) {
            Some(clause) => add(schema, &constraint.name, format!("({clause})")),
            None => Ok(()),
        }
    })?;
    for_required(&objects, |_, schema, name, column| {
        add(schema, name, format!("{column} IS NOT NULL"))
    })
}

/// The name of a column of a table, by its number.
fn column_name(table: &TableObject, column: i64) -> Value {
    let at = usize::try_from(column - 1).ok();
    let column = at.and_then(|at| table.table.columns.get(at));
    or_null(column.map(|column| column.name.as_str()))
}

pub(super) fn key_column_usage(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    let database = seen.database_name();
    constraints(&objects, |table, schema, constraint| {
        let refers = match constraint.kind {
            ConstraintKind::Check(_) => return Ok(()),
            ConstraintKind::Reference { .. } => true,
            _ => false,
        };
        for (column, at) in constraint.columns.iter().zip(1_i64..) {
            fill.row([
                ("constraint_catalog", database.clone()),
                ("constraint_schema", schema.into()),
                ("constraint_name", constraint.name.as_str().into()),
                ("table_catalog", database.clone()),
                ("table_schema", schema.into()),
                ("table_name", table.name.as_str().into()),
                ("column_name", column_name(table, *column)),
                ("ordinal_position", number(at)),
                (
                    "position_in_unique_constraint",
                    or_null(refers.then_some(at)),
                ),
            ])?;
        }
        Ok(())
    })
}

/// The columns that a constraint is about; of a foreign key those that it refers to.
pub(super) fn constraint_column_usage(
    seen: &Seen<'_>,
    fill: &mut Fill<'_>,
) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    let database = seen.database_name();
    constraints(&objects, |table, schema, constraint| {
        let (of, columns) = match &constraint.kind {
            ConstraintKind::Reference { to: None, .. } => return Ok(()),
            ConstraintKind::Reference { to: Some(at), .. } => {
                let to = &objects.tables[*at];
                let key = to.table.key_columns().unwrap_or_default();
                let columns = key.iter().filter_map(|name| to.column_number(name));
                (to, columns.collect())
            }
            _ => (table, constraint.columns.clone()),
        };
        for column in columns {
            fill.row([
                ("table_catalog", database.clone()),
                ("table_schema", or_null(objects.schema_name(of.schema))),
                ("table_name", of.name.as_str().into()),
                ("column_name", column_name(of, column)),
                ("constraint_catalog", database.clone()),
                ("constraint_schema", schema.into()),
                ("constraint_name", constraint.name.as_str().into()),
            ])?;
        }
        Ok(())
    })
}

pub(super) fn referential_constraints(
    seen: &Seen<'_>,
    fill: &mut Fill<'_>,
) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    let database = seen.database_name();
    constraints(&objects, |_, schema, constraint| {
        let ConstraintKind::Reference { reference, to } = &constraint.kind else {
            return Ok(());
        };
        let to = to.map(|at| &objects.tables[at]);
        let key = to.and_then(|to| to.indexes.iter().find(|index| index.primary));
        fill.row([
            ("constraint_catalog", database.clone()),
            ("constraint_schema", schema.into()),
            ("constraint_name", constraint.name.as_str().into()),
            ("unique_constraint_catalog", database.clone()),
            (
                "unique_constraint_schema",
                or_null(to.and_then(|to| objects.schema_name(to.schema))),
            ),
            (
                "unique_constraint_name",
                or_null(key.map(|key| key.name.as_str())),
            ),
            ("match_option", "NONE".into()),
            ("update_rule", "NO ACTION".into()),
            (
                "delete_rule",
                match reference.on_delete {
                    OnDelete::Restrict => "NO ACTION",
                    OnDelete::Cascade => "CASCADE",
                    OnDelete::SetNull => "SET NULL",
                }
                .into(),
            ),
        ])
    })
}
