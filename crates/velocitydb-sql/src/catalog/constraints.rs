//! `pg_constraint`, `pg_depend` and `pg_description`.

use velocitydb::OnDelete;
use velocitydb_types::Value;

use super::objects::{ConstraintKind, numbers};
use super::texts::check_text;
use super::{Fill, Seen, number, or_null};
use crate::error::SqlError;
use crate::statement::define::{identity, sequences_of};

/// PostgreSQL's numbers of the tables that others refer to.
pub(super) const PG_CLASS: i64 = 1259;
const PG_CONSTRAINT: i64 = 2606;
const PG_ATTRDEF: i64 = 2604;

pub(super) fn pg_constraint(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    for table in &objects.tables {
        for constraint in &table.constraints {
            let kind = &constraint.kind;
            let (letter, index) = match kind {
                ConstraintKind::Primary { index } => ("p", *index),
                ConstraintKind::Unique { index } => ("u", *index),
                ConstraintKind::Check(_) => ("c", 0),
                ConstraintKind::Reference { to, .. } => {
                    let to = to.map(|at| &objects.tables[at]);
                    let key = to.and_then(|to| to.indexes.iter().find(|index| index.primary));
                    ("f", key.map_or(0, |key| key.oid))
                }
            };
            let (mut to, mut key, mut actions) = (0, None, [" "; 3]);
            if let ConstraintKind::Reference { reference, to: at } = kind {
                let on_delete = match reference.on_delete {
                    OnDelete::Restrict => "a",
                    OnDelete::Cascade => "c",
                    OnDelete::SetNull => "n",
                };
                actions = ["a", on_delete, "s"];
                if let Some(referred) = at.map(|at| &objects.tables[at]) {
                    let names = referred.table.key_columns().unwrap_or_default();
                    let columns = names.iter().filter_map(|name| referred.column_number(name));
                    (to, key) = (referred.oid, Some(numbers(columns)));
                }
            }
            let [on_update, on_delete, matching] = actions;
            let values = [
                ("oid", number(constraint.oid)),
                ("conname", constraint.name.as_str().into()),
                ("connamespace", number(table.schema)),
                ("contype", letter.into()),
                ("condeferrable", Value::Bool(false)),
                ("condeferred", Value::Bool(false)),
                ("convalidated", Value::Bool(true)),
                ("conrelid", number(table.oid)),
                ("contypid", number(0)),
                ("conindid", number(index)),
                ("conparentid", number(0)),
                ("confrelid", number(to)),
                ("confupdtype", on_update.into()),
                ("confdeltype", on_delete.into()),
                ("confmatchtype", matching.into()),
                ("conislocal", Value::Bool(true)),
                ("coninhcount", number(0)),
                ("connoinherit", Value::Bool(letter != "c")),
                ("conkey", numbers(constraint.columns.iter().copied())),
                ("confkey", or_null(key)),
                ("conbin", or_null(check_text(table, constraint))),
            ];
            fill.row(values)?;
        }
    }
    Ok(())
}

/// What goes with what: sequences with the columns that they are for, defaults with their columns,
/// indexes with their constraints; and what else defaults, indexes and constraints are of.
pub(super) fn pg_depend(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    let mut add = |of: (i64, i64, i64), on: (i64, i64, i64), kind: &str| {
        fill.row([
            ("classid", number(of.0)),
            ("objid", number(of.1)),
            ("objsubid", number(of.2)),
            ("refclassid", number(on.0)),
            ("refobjid", number(on.1)),
            ("refobjsubid", number(on.2)),
            ("deptype", kind.into()),
        ])
    };
    for table in &objects.tables {
        for (position, oid) in &table.defaults {
            let default = (PG_ATTRDEF, *oid, 0);
            let column = (PG_CLASS, table.oid, *position as i64 + 1);
            add(default, column, "a")?;
            let of = &table.table.columns[*position].default;
            if let Some(velocitydb::DefaultValue::Sql(of)) = of {
                for name in sequences_of(of) {
                    if let Some(sequence) = objects.relation(&name) {
                        add(default, (PG_CLASS, sequence, 0), "n")?;
                    }
                }
            }
        }
        for index in &table.indexes {
            let of = (PG_CLASS, index.oid, 0);
            match index.constraint {
                Some(constraint) => add(of, (PG_CONSTRAINT, constraint, 0), "i")?,
                None => {
                    for column in table.index_columns(&index.definition) {
                        add(of, (PG_CLASS, table.oid, column), "a")?;
                    }
                }
            }
        }
        for constraint in &table.constraints {
            for column in &constraint.columns {
                let of = (PG_CONSTRAINT, constraint.oid, 0);
                add(of, (PG_CLASS, table.oid, *column), "a")?;
            }
            if let ConstraintKind::Reference { to: Some(at), .. } = constraint.kind {
                let of = (PG_CONSTRAINT, constraint.oid, 0);
                let to = &objects.tables[at];
                for name in to.table.key_columns().unwrap_or_default() {
                    let column = to.column_number(name).unwrap_or(0);
                    add(of, (PG_CLASS, to.oid, column), "n")?;
                }
            }
        }
    }
    for sequence in &objects.sequences {
        let Some((at, column)) = sequence.owner else {
            continue;
        };
        let table = &objects.tables[at];
        let owner = &table.table.columns[column as usize - 1];
        let kind = if identity(owner).is_some() { "i" } else { "a" };
        let of = (PG_CLASS, sequence.oid, 0);
        add(of, (PG_CLASS, table.oid, column), kind)?;
    }
    Ok(())
}

/// What COMMENT ON has kept.
pub(super) fn pg_description(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    let mut add = |oid: i64, column: i64, comment: Option<&String>| match comment {
        None => Ok(()),
        Some(comment) => fill.row([
            ("objoid", number(oid)),
            ("classoid", number(PG_CLASS)),
            ("objsubid", number(column)),
            ("description", comment.as_str().into()),
        ]),
    };
    for table in &objects.tables {
        let definition = &table.table.definition;
        add(table.oid, 0, definition.comment.as_ref())?;
        for (field, at) in definition.schema.fields().iter().zip(1..) {
            add(table.oid, at, field.comment.as_ref())?;
        }
        for index in &table.indexes {
            add(index.oid, 0, index.definition.comment.as_ref())?;
        }
    }
    for sequence in &objects.sequences {
        add(sequence.oid, 0, sequence.definition.comment.as_ref())?;
    }
    Ok(())
}
