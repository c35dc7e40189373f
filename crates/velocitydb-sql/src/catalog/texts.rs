//! Definitions as PostgreSQL writes them: defaults, indexes and constraints.
//!
//! An expression of the engine's language is shown as PostgreSQL's where it says the same
//! ([`velocitydb_types::Shown`]), which has not all the casts that PostgreSQL adds.

use velocitydb::{DefaultValue, Direction, IndexKind, OnDelete};
use velocitydb_types::{Expression, Path, ScalarType, Shown, SqlType, Timestamp, Value};

use super::objects::{ConstraintKind, ConstraintObject, IndexObject, Objects, TableObject};
use crate::formats::{Settings, write_text};
use crate::functions::quote_ident;
use crate::indexed::Terms;
use crate::statement::define::{identity, sequences_of};
use crate::table::{Column, Table};
use crate::violations::shown_column;

/// Whether a column has a default: the values of an identity are none.
pub(super) fn has_default(column: &Column) -> bool {
    column.default.is_some() && identity(column).is_none()
}

/// A column's default.
pub(super) fn default_text(column: &Column) -> Option<String> {
    Some(match column.default.as_ref()? {
        DefaultValue::Constant(value) => constant(value, column.sql),
        DefaultValue::Now => match column.sql {
            SqlType::Scalar(ScalarType::Date) => "CURRENT_DATE".into(),
            _ => "now()".into(),
        },
        DefaultValue::Uuid => match column.sql {
            SqlType::Scalar(ScalarType::Uuid) => "gen_random_uuid()".into(),
            _ => "(gen_random_uuid())::text".into(),
        },
        DefaultValue::Sql(default) => match &sequences_of(default)[..] {
            [name] if default.text.starts_with("nextval('") => {
                let parts = name.split('.').map(quote_ident);
                let name = parts.collect::<Vec<_>>().join(".");
                format!("nextval('{}'::regclass)", name.replace('\'', "''"))
            }
            _ => default.text.clone(),
        },
    })
}

/// A value as a literal with its type.
fn constant(value: &Value, sql: SqlType) -> String {
    let mut text = Vec::new();
    let settings = Settings::new(Timestamp(0));
    // As it was said, whatever the column makes of it.
    let whole = match sql {
        SqlType::Scalar(ScalarType::Numeric(_)) => ScalarType::Numeric(None).into(),
        sql => sql,
    };
    let written = write_text(value, whole, &settings, &mut text);
    let text = match written {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => return "NULL".into(),
    };
    let is_plain = match value {
        Value::Bool(_) => return value.to_json(),
        Value::Int(int) => (0..=i64::from(i32::MAX)).contains(int),
        Value::Decimal(_) | Value::Float(_) => {
            text.starts_with(|first: char| first.is_ascii_digit())
        }
        _ => false,
    };
    let quoted = text.replace('\'', "''");
    match (is_plain, sql) {
        (true, _) => text,
        (false, SqlType::Scalar(ScalarType::Char(_))) => format!("'{quoted}'::bpchar"),
        (false, SqlType::Scalar(scalar)) => format!("'{quoted}'::{}", scalar.row().long_name),
        (false, SqlType::Array(element)) => format!("'{quoted}'::{}[]", element.row().long_name),
    }
}

/// Names, with commas between.
fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names = names.into_iter().map(quote_ident);
    names.collect::<Vec<_>>().join(", ")
}

/// An expression of a table's rows.
fn expression(of: &Expression, table: &Table) -> String {
    let column = |path: &Path| shown_column(table, path);
    of.shown(Shown::Postgres(&column))
}

impl Objects {
    /// The name of a table, with its schema.
    pub(super) fn qualified(&self, table: &TableObject) -> String {
        let schema = self.schema_name(table.schema).unwrap_or_default();
        format!("{}.{}", quote_ident(schema), quote_ident(&table.name))
    }

    /// The statement that makes an index of the table of this name, with parentheses around its
    /// condition or not.
    pub(super) fn index_text(
        table: &TableObject,
        index: &IndexObject,
        name: &str,
        pretty: bool,
    ) -> String {
        let unique = if index.definition.unique {
            "UNIQUE "
        } else {
            ""
        };
        let count = index.definition.fields.len();
        let parts = (0..count).filter_map(|at| index_part(table, index, at, true));
        let mut text = format!(
            "CREATE {unique}INDEX {} ON {name} USING {} ({})",
            quote_ident(&index.name),
            index.method(),
            parts.collect::<Vec<_>>().join(", ")
        );
        if let Some(filter) = index_filter(table, index) {
            text.push_str(" WHERE ");
            text.push_str(if pretty {
                without_parentheses(&filter)
            } else {
                &filter
            });
        }
        text
    }

    /// A constraint, without its name; `referred` is that of the table that it refers to.
    pub(super) fn constraint_text(
        &self,
        table: &TableObject,
        constraint: &ConstraintObject,
        referred: &str,
        pretty: bool,
    ) -> String {
        let columns = constraint.columns.iter().map(|number| {
            let at = usize::try_from(number - 1).ok();
            let column = at.and_then(|at| table.table.columns.get(at));
            column.map_or("", |column| column.name.as_str())
        });
        match &constraint.kind {
            ConstraintKind::Primary { .. } => format!("PRIMARY KEY ({})", listed(columns)),
            ConstraintKind::Unique { .. } => format!("UNIQUE ({})", listed(columns)),
            ConstraintKind::Check(_) => {
                let check = check_text(table, constraint).unwrap_or_default();
                let check = if pretty {
                    without_parentheses(&check)
                } else {
                    &check
                };
                format!("CHECK ({check})")
            }
            ConstraintKind::Reference { reference, to } => {
                let to = to.map(|at| &self.tables[at]);
                let key = to.and_then(|to| to.table.key_columns()).unwrap_or_default();
                let action = match reference.on_delete {
                    OnDelete::Restrict => "",
                    OnDelete::Cascade => " ON DELETE CASCADE",
                    OnDelete::SetNull => " ON DELETE SET NULL",
                };
                let (columns, key) = (listed(columns), listed(key));
                format!("FOREIGN KEY ({columns}) REFERENCES {referred}({key}){action}")
            }
        }
    }
}

/// A condition, in the parentheses that it has by itself.
fn condition(of: &Expression, table: &TableObject) -> String {
    let text = expression(of, &table.table);
    // One pair more stands around all but calls.
    match text
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'))
    {
        Some(inner) if inner.starts_with('(') => inner.to_owned(),
        _ => text,
    }
}

/// A condition without the parentheses around all of it.
pub(super) fn without_parentheses(condition: &str) -> &str {
    let inner = condition
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'));
    let closes_late = |inner: &str| {
        let mut depth = 0;
        inner.bytes().all(|byte| {
            depth += i32::from(byte == b'(') - i32::from(byte == b')');
            depth >= 0
        })
    };
    inner
        .filter(|inner| closes_late(inner))
        .unwrap_or(condition)
}

/// What a check asks for.
pub(super) fn check_text(table: &TableObject, constraint: &ConstraintObject) -> Option<String> {
    let ConstraintKind::Check(at) = constraint.kind else {
        return None;
    };
    let check = table.table.definition.schema.checks().get(at)?;
    Some(condition(check.expression(), table))
}

/// Which rows are in an index.
pub(super) fn index_filter(table: &TableObject, index: &IndexObject) -> Option<String> {
    let filter = index.definition.filter.as_ref()?;
    Some(condition(filter, table))
}

/// A part of an index, from 0; in the index's own statement, with its order and operators.
pub(super) fn index_part(
    table: &TableObject,
    index: &IndexObject,
    at: usize,
    whole: bool,
) -> Option<String> {
    let definition = &index.definition;
    let field = definition.fields.get(at)?;
    let name = || quote_ident(&field.path.to_string());
    let mut text = match (&field.expression, definition.kind) {
        (Some(of), _) => expression(of, &table.table),
        (None, IndexKind::FullText) => {
            let language = definition.language.as_deref().unwrap_or("simple");
            format!("to_tsvector('{language}'::regconfig, {})", name())
        }
        (None, _) => name(),
    };
    if whole && Terms::of(&field.path) == Some(Terms::Paths) {
        text.push_str(" jsonb_path_ops");
    }
    if whole && field.direction == Direction::Descending {
        text.push_str(" DESC");
    }
    Some(text)
}
