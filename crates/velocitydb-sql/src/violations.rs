//! Refusals of the engine as PostgreSQL words them, with the constraint's name and the row.

use std::collections::BTreeMap;
use std::sync::Arc;

use velocitydb::{Error, ReferenceError, Refusal};
use velocitydb_types::{
    EvaluationError, Expression, Fields, Misfit, NumberError, Path, ScalarType, SchemaError, Shown,
    SqlType, Value,
};

use crate::error::{SqlError, sqlstate};
use crate::formats::{Settings, write_text};
use crate::functions::quote_ident;
use crate::table::Table;

/// The most characters that a detail shows of one value, as PostgreSQL has it.
const SHOWN_MAX: usize = 64;

/// A row that is written, as far as it is known.
pub(crate) type Written = BTreeMap<String, Value>;

/// The table that is written to, and how values are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Violations<'t> {
    pub(crate) table: &'t Table,
    pub(crate) settings: &'t Arc<Settings>,
}

impl Violations<'_> {
    /// The error of writing a row.
    pub(crate) fn of(self, error: Error, row: &Written) -> SqlError {
        let Error::Refused { refusal, .. } = &error else {
            return self.null_key(row).unwrap_or_else(|| error.into());
        };
        let name = self.table.name();
        match refusal {
            Refusal::AlreadyExists(_) => self.unique(&self.table.key_constraint(), row),
            Refusal::Unique { index, .. } => self.unique(index, row),
            Refusal::Schema(error) => self.schema(error, row),
            Refusal::Reference(reference) => self.reference(reference, row),
            Refusal::IndexValue(error) => self.about(no_value(&error.error), None),
            _ => SqlError {
                table: Some(name.into()),
                ..error.into()
            },
        }
    }

    fn about(self, error: SqlError, constraint: Option<&str>) -> SqlError {
        SqlError {
            table: Some(self.table.name().into()),
            constraint: constraint.map(Into::into),
            ..error
        }
    }

    /// That a unique constraint has the row's key already.
    pub(crate) fn unique(self, constraint: &str, row: &Written) -> SqlError {
        let message = format!("duplicate key value violates unique constraint {constraint:?}");
        let error = SqlError::new(sqlstate::UNIQUE_VIOLATION, message);
        let key = self.table.unique_key(constraint);
        let error = match key.is_empty() {
            true => error,
            false => error.detail(format!("{} already exists.", self.key(&key, row))),
        };
        self.about(error, Some(constraint))
    }

    /// `Key (a, b)=(1, x)`.
    fn key(self, key: &[KeyField], row: &Written) -> String {
        let names: Vec<_> = key.iter().map(|field| field.shown(self.table)).collect();
        let values = key.iter().map(|field| {
            let value = field.value(row);
            self.shown(value.as_ref(), field.sql(value.as_ref(), self.table))
        });
        let values: Vec<_> = values.collect();
        format!("Key ({})=({})", names.join(", "), values.join(", "))
    }

    fn shown(self, value: Option<&Value>, sql: Option<SqlType>) -> String {
        let (Some(value), Some(sql)) = (value.filter(|value| !value.is_null()), sql) else {
            return "null".into();
        };
        let mut text = Vec::new();
        match write_text(value, sql, self.settings, &mut text) {
            Ok(()) => String::from_utf8_lossy(&text).into_owned(),
            Err(_) => "?".into(),
        }
    }

    /// `Failing row contains (1, null).`
    fn failing(self, row: &Written) -> String {
        let values = self.table.columns.iter().map(|column| {
            let shown = self.shown(row.get(&column.name), Some(column.sql));
            match shown.char_indices().nth(SHOWN_MAX) {
                Some((end, _)) => format!("{}...", &shown[..end]),
                None => shown,
            }
        });
        let values: Vec<_> = values.collect();
        format!("Failing row contains ({}).", values.join(", "))
    }

    /// That a column is null that may not be.
    fn null(self, column: &str, row: &Written) -> SqlError {
        let message = format!(
            "null value in column {column:?} of relation {:?} violates not-null constraint",
            self.table.name()
        );
        let error = SqlError::new(sqlstate::NOT_NULL_VIOLATION, message);
        self.about(error.detail(self.failing(row)), None)
            .column(column)
    }

    /// That the primary key is null, if it is.
    fn null_key(self, row: &Written) -> Option<SqlError> {
        let key = self.table.definition.primary_key.as_ref()?;
        let mut fields = key.fields().iter();
        let null = fields.find(|field| row.get(*field).is_none_or(Value::is_null));
        null.map(|field| self.null(field, row))
    }

    fn schema(self, error: &SchemaError, row: &Written) -> SqlError {
        let (state, message) = match error {
            SchemaError::Required { field, .. } => return self.null(field, row),
            SchemaError::Check { check, .. } => {
                let message = format!(
                    "new row for relation {:?} violates check constraint {check:?}",
                    self.table.name()
                );
                let error = SqlError::new(sqlstate::CHECK_VIOLATION, message);
                return self.about(error.detail(self.failing(row)), Some(check));
            }
            SchemaError::Misfit { sql, misfit, .. } => match misfit {
                Misfit::TooLong => (
                    sqlstate::STRING_DATA_RIGHT_TRUNCATION,
                    format!("value too long for type {sql}"),
                ),
                _ => (
                    sqlstate::NUMERIC_VALUE_OUT_OF_RANGE,
                    format!("{sql} out of range"),
                ),
            },
            SchemaError::Type { .. } => (sqlstate::DATATYPE_MISMATCH, error.to_string()),
            _ => (sqlstate::CHECK_VIOLATION, error.to_string()),
        };
        self.about(SqlError::new(state, message), None)
    }

    fn reference(self, error: &ReferenceError, row: &Written) -> SqlError {
        let name = self.table.name();
        let state = sqlstate::FOREIGN_KEY_VIOLATION;
        match error {
            ReferenceError::Missing {
                field, collection, ..
            } => {
                let constraint = format!("{name}_{field}_fkey");
                let message = format!(
                    "insert or update on table {name:?} violates foreign key constraint \
                     {constraint:?}"
                );
                let key = self.key(&[Path::field(field).into()], row);
                let detail = format!("{key} is not present in table {collection:?}.");
                self.about(
                    SqlError::new(state, message).detail(detail),
                    Some(&constraint),
                )
            }
            ReferenceError::Referenced {
                collection,
                id,
                by,
                field,
                ..
            } => {
                let constraint = format!("{by}_{field}_fkey");
                let message = format!(
                    "update or delete on table {collection:?} violates foreign key constraint \
                     {constraint:?} on table {by:?}"
                );
                let error = SqlError::new(state, message);
                let key = self.table.definition.primary_key.as_ref();
                let key = key.map_or_else(|| "_id".to_owned(), ToString::to_string);
                let detail = format!("Key ({key})=({id}) is still referenced from table {by:?}.");
                self.about(error.detail(detail), Some(&constraint))
            }
            _ => self.about(SqlError::new(state, error.to_string()), None),
        }
    }
}

/// That an expression has no value, as PostgreSQL tells it.
pub(crate) fn no_value(error: &EvaluationError) -> SqlError {
    let state = match error {
        EvaluationError::Syntax { .. } => sqlstate::INVALID_TEXT_REPRESENTATION,
        EvaluationError::Range { .. } | EvaluationError::Number(NumberError::Overflow) => {
            sqlstate::NUMERIC_VALUE_OUT_OF_RANGE
        }
        _ => sqlstate::DATATYPE_MISMATCH,
    };
    SqlError::new(state, error.to_string())
}

impl Table {
    /// What the constraint of the primary key is called.
    pub(crate) fn key_constraint(&self) -> String {
        format!("{}_pkey", self.name())
    }

    /// What a unique constraint is of; nothing when it is not known.
    pub(crate) fn unique_key(&self, constraint: &str) -> Vec<KeyField> {
        let key = self.definition.primary_key.as_ref();
        if let Some(key) = key.filter(|_| constraint == self.key_constraint()) {
            let fields = key.fields().iter();
            return fields.map(|field| Path::field(field).into()).collect();
        }
        let mut indexes = self.definition.indexes.iter();
        let index = indexes.find(|index| index.name == constraint);
        let fields = index.iter().flat_map(|index| &index.fields);
        let key = fields.map(|field| KeyField {
            path: field.path.clone(),
            expression: field.expression.as_deref().cloned(),
        });
        key.collect()
    }

    /// The unique constraint on these columns, and paths that stand for expressions, in whichever
    /// order.
    pub(crate) fn unique_on(&self, paths: &[Path]) -> Option<String> {
        let key = self.definition.primary_key.as_ref();
        let is_key =
            |path: &Path| path.rest().is_empty() && key.is_some_and(|key| key.has(path.first()));
        if key.is_some_and(|key| key.fields().len() == paths.len()) && paths.iter().all(is_key) {
            return Some(self.key_constraint());
        }
        let mut indexes = self.definition.indexes.iter();
        let found = indexes.find(|index| {
            let has = |path: &Path| index.fields.iter().any(|field| field.path == *path);
            index.unique
                && index.filter.is_none()
                && index.fields.len() == paths.len()
                && paths.iter().all(has)
        });
        found.map(|index| index.name.clone())
    }

    /// Whether there is such a unique constraint.
    pub(crate) fn has_unique(&self, constraint: &str) -> bool {
        let mut indexes = self.definition.indexes.iter();
        constraint == self.key_constraint() && self.definition.primary_key.is_some()
            || indexes.any(|index| index.unique && index.name == constraint)
    }
}

/// A column in an expression, as PostgreSQL shows it.
pub(crate) fn shown_column(table: &Table, path: &Path) -> String {
    let name = quote_ident(path.first());
    let sql = table.column(path.first()).map(|column| column.sql);
    match sql {
        Some(SqlType::Scalar(ScalarType::Varchar(_) | ScalarType::Char(_))) => {
            format!("{name}::text")
        }
        _ => name,
    }
}

/// A part of a unique key.
pub(crate) struct KeyField {
    /// The column, or what stands for the expression.
    pub(crate) path: Path,
    pub(crate) expression: Option<Expression>,
}

impl From<Path> for KeyField {
    fn from(path: Path) -> KeyField {
        KeyField {
            path,
            expression: None,
        }
    }
}

impl KeyField {
    /// Its value in a row, unless that is null.
    pub(crate) fn value(&self, row: &Written) -> Option<Value> {
        let value = match &self.expression {
            None => row.get(self.path.first()).cloned(),
            Some(expression) => {
                let fields = Fields::from_map(row).ok()?;
                expression.evaluate(fields.as_raw()).ok()
            }
        };
        value.filter(|value| !value.is_null())
    }

    /// As PostgreSQL names it.
    fn shown(&self, table: &Table) -> String {
        let column = |path: &Path| shown_column(table, path);
        match &self.expression {
            None => self.path.to_string(),
            Some(expression) => expression.shown(Shown::Postgres(&column)),
        }
    }

    /// The type of its values.
    fn sql(&self, value: Option<&Value>, table: &Table) -> Option<SqlType> {
        if self.expression.is_none() {
            return table.column(self.path.first()).map(|column| column.sql);
        }
        let scalar = match value? {
            Value::String(_) => ScalarType::Text,
            Value::Int(_) => ScalarType::Int8,
            Value::Float(_) => ScalarType::Float8,
            Value::Decimal(_) => ScalarType::Numeric(None),
            Value::Bool(_) => ScalarType::Bool,
            Value::Time(_) => ScalarType::Timestamp,
            Value::Date(_) => ScalarType::Date,
            Value::Uuid(_) => ScalarType::Uuid,
            _ => ScalarType::Jsonb,
        };
        Some(scalar.into())
    }
}
