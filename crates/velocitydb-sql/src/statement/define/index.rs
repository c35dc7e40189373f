//! CREATE INDEX and REINDEX.

use sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, IndexColumn, IndexType,
    ObjectName, OrderByExpr, OrderByOptions,
};
use velocitydb::{Definition, FieldType, IndexDefinition, IndexField, IndexKind, Path};
use velocitydb_types::{ScalarType, SqlType};

use super::names::{Names, beside, missing, schema_of, table_of};
use super::{notice, refused, skipped};
use crate::bind::check_collation;
use crate::error::{SqlError, sqlstate};
use crate::parse::{ReindexKind, folded};
use crate::statement::{Preparing, collection_name};
use crate::table::{Column, Table};

impl Preparing<'_> {
    pub(super) fn create_index(
        &mut self,
        create: &ast::CreateIndex,
    ) -> Result<Vec<SqlError>, SqlError> {
        let ast::CreateIndex {
            name,
            table_name,
            using,
            columns,
            unique,
            // It is always beside readers and writers.
            concurrently: _,
            if_not_exists,
            include,
            nulls_distinct,
            with,
            predicate,
            index_options,
            alter_options,
        } = create;
        if *nulls_distinct == Some(false) {
            return Err(SqlError::unsupported("NULLS NOT DISTINCT"));
        }
        if !include.is_empty() {
            return Err(SqlError::unsupported("INCLUDE"));
        }
        if !index_options.is_empty() || !alter_options.is_empty() {
            return Err(SqlError::unsupported("this form of CREATE INDEX"));
        }
        let mut notices = Vec::new();
        for parameter in with {
            notices.push(notice(format!("{parameter} means nothing here")));
        }
        let table = self.table(table_name)?;
        let mut names = Names::new(self.definitions);
        let name = name.as_ref().map(|name| {
            let name = name.0.last().and_then(|part| part.as_ident());
            let name = name.map(folded).unwrap_or_default();
            names.given(beside(table.name(), &name))
        });
        let name = match name.transpose() {
            Err(error) if *if_not_exists => return Ok(vec![skipped(error)]),
            name => name?,
        };
        let parts = columns.iter().map(|column| Part::of(column, &table));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let name = match name {
            Some(name) => name,
            None => {
                let named: Vec<_> = parts.iter().map(|part| part.column.name.as_str()).collect();
                names.chosen(&format!("{}_{}_idx", table.name(), named.join("_")))?
            }
        };
        let mut index = kind(name, using.as_ref(), &parts)?;
        if *unique {
            if !matches!(index.kind, IndexKind::Btree) {
                let what = using.as_ref().map(IndexType::to_string).unwrap_or_default();
                let what = what.to_lowercase();
                let message = format!("access method {what:?} does not support unique indexes");
                return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
            }
            index = index.and_unique();
        }
        if let Some(predicate) = predicate {
            index = index.only(self.kept_condition(predicate, &table, "WHERE")?);
        }
        let collection = self.definitions.collection(table.name())?;
        let index_name = index.name.clone();
        collection
            .create_index(index)
            .map_err(|error| duplicates(error, &index_name, table.name()))?;
        Ok(notices)
    }

    pub(super) fn reindex(
        &mut self,
        kind: ReindexKind,
        name: Option<&ObjectName>,
    ) -> Result<Vec<SqlError>, SqlError> {
        let tables = match (kind, name) {
            (ReindexKind::Index, Some(name)) => {
                let there = |name: &str| table_of(self.definitions, name).is_some();
                let Some(name) = self.settings.found(name, there)? else {
                    return Err(missing("index", &collection_name(name)?));
                };
                let table =
                    table_of(self.definitions, &name).ok_or_else(|| missing("index", &name))?;
                self.definitions
                    .collection(&table)?
                    .rebuild_indexes(Some(&name))?;
                return Ok(Vec::new());
            }
            (ReindexKind::Table, Some(name)) => {
                let table = self.table(name)?;
                vec![self.definitions.collection(table.name())?]
            }
            (kind, name) => {
                let name = name.map(collection_name).transpose()?;
                if let (ReindexKind::All, Some(name)) = (kind, &name)
                    && *name != *self.settings.database
                {
                    let message = "can only reindex the currently open database";
                    return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
                }
                let schema = name.filter(|_| kind == ReindexKind::Schema);
                let all = self.definitions.collections().into_iter();
                let wanted = |schema: &str, table: &Definition| is_in(schema, &table.name);
                let all: Vec<_> = all
                    .filter(|table| schema.as_ref().is_none_or(|schema| wanted(schema, table)))
                    .collect();
                if let (Some(schema), true) = (&schema, all.is_empty())
                    && schema != "public"
                {
                    return Err(missing("schema", schema));
                }
                let all = all
                    .into_iter()
                    .map(|table| self.definitions.collection(&table.name));
                all.collect::<Result<_, _>>()?
            }
        };
        for table in tables {
            table.rebuild_indexes(None)?;
        }
        Ok(Vec::new())
    }
}

/// A unique index over rows that are not.
pub(super) fn duplicates(error: velocitydb::Error, index: &str, table: &str) -> SqlError {
    match &error {
        velocitydb::Error::Refused {
            refusal: velocitydb::Refusal::Duplicate { .. },
            ..
        } => {
            let message = format!("could not create unique index {index:?}");
            SqlError::new(sqlstate::UNIQUE_VIOLATION, message).detail(error.to_string())
        }
        _ => refused(error, table),
    }
}

/// A column of an index.
struct Part<'t> {
    column: &'t Column,
    path: Path,
    descends: bool,
    /// Whether it is of the words of the column.
    words: bool,
}

impl<'t> Part<'t> {
    fn of(part: &IndexColumn, table: &'t Table) -> Result<Part<'t>, SqlError> {
        let IndexColumn {
            column:
                OrderByExpr {
                    expr,
                    options: OrderByOptions { asc, nulls_first },
                    with_fill: None,
                },
            operator_class,
        } = part
        else {
            return Err(SqlError::unsupported(format!("{part} in an index")));
        };
        let descends = *asc == Some(false);
        if nulls_first.is_some_and(|first| first != descends) {
            return Err(SqlError::unsupported(format!("{part} in an index")));
        }
        let expr = match expr {
            Expr::Collate { expr, collation } => {
                check_collation(collation)?;
                &**expr
            }
            expr => expr,
        };
        let (name, words) = match expr {
            Expr::Identifier(name) => (folded(name), false),
            Expr::Function(function) => match english(function) {
                Some(name) => (name, true),
                None => return Err(SqlError::unsupported("an index over an expression")),
            },
            _ => return Err(SqlError::unsupported("an index over an expression")),
        };
        let column = table.column(&name).ok_or_else(|| {
            let message = format!("column {name:?} does not exist");
            SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
        })?;
        if let Some(class) = operator_class {
            check_class(class, column.sql, words)?;
        }
        let path = column.path().cloned();
        let path = path.filter(|path| !path.first().starts_with('_'));
        Ok(Part {
            path: path.ok_or_else(|| SqlError::unsupported(format!("an index over {name}")))?,
            column,
            descends,
            words,
        })
    }
}

/// Whether an operator class is the one of the type: texts are ordered by their bytes as it is.
fn check_class(class: &ObjectName, sql: SqlType, words: bool) -> Result<(), SqlError> {
    let name = class.to_string().to_lowercase();
    let fits = match (name.as_str(), sql) {
        _ if words => false,
        ("text_ops" | "text_pattern_ops" | "varchar_pattern_ops", SqlType::Scalar(scalar)) => {
            scalar.is_text()
        }
        ("int4_ops", sql) => sql == ScalarType::Int4.into(),
        ("int8_ops", sql) => sql == ScalarType::Int8.into(),
        ("array_ops", sql) => matches!(sql, SqlType::Array(_)),
        ("point_ops", sql) => sql == ScalarType::Point.into(),
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(SqlError::unsupported(format!(
            "the operator class {class} for a column of type {sql}"
        ))),
    }
}

/// The column of `to_tsvector('english', column)`.
fn english(function: &ast::Function) -> Option<String> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let named = function
        .name
        .to_string()
        .eq_ignore_ascii_case("to_tsvector");
    match &list.args[..] {
        [
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(language))),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(column))),
        ] if named => {
            let is_english = language.value.clone().into_string().as_deref() == Some("english");
            is_english.then(|| folded(column))
        }
        _ => None,
    }
}

fn kind(
    name: String,
    using: Option<&IndexType>,
    parts: &[Part<'_>],
) -> Result<IndexDefinition, SqlError> {
    let unordered = |method: &str| match parts.iter().any(|part| part.descends) {
        true => {
            let message = format!("access method {method:?} does not support ASC/DESC options");
            Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message))
        }
        false => Ok(()),
    };
    let words = parts.iter().any(|part| part.words);
    let paths = || parts.iter().map(|part| part.path.clone());
    let is_kept = |part: &Part<'_>, kind: FieldType| part.column.sql.kept() == kind;
    match using {
        None | Some(IndexType::BTree) if !words => {
            for part in parts {
                if is_kept(part, FieldType::Point) || is_kept(part, FieldType::Json) {
                    let sql = part.column.sql;
                    let message = format!(
                        "data type {sql} has no default operator class for access method \"btree\""
                    );
                    return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message));
                }
            }
            let fields = parts.iter().map(|part| {
                let field = IndexField::from(part.path.clone());
                if part.descends {
                    field.descending()
                } else {
                    field
                }
            });
            Ok(IndexDefinition::btree(name, fields))
        }
        Some(IndexType::Hash) if !words => {
            unordered("hash")?;
            match parts {
                [_] => Ok(IndexDefinition::hash(name, paths())),
                _ => {
                    let message = "access method \"hash\" does not support multicolumn indexes";
                    Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message))
                }
            }
        }
        Some(IndexType::GIN) => {
            unordered("gin")?;
            if words && parts.iter().all(|part| part.words) {
                return Ok(IndexDefinition::full_text(name, paths(), "english"));
            }
            match parts {
                [part] if matches!(part.column.sql, SqlType::Array(_)) => {
                    let field = IndexField::from(part.path.clone()).elements();
                    Ok(IndexDefinition::hash(name, [field]))
                }
                _ => Err(SqlError::unsupported(
                    "USING gin of another column than an array, or of several columns,",
                )),
            }
        }
        Some(IndexType::GiST) => match parts {
            [part] if part.column.sql == SqlType::Scalar(ScalarType::Point) && !words => {
                unordered("gist")?;
                Ok(IndexDefinition::geo(name, part.path.clone()))
            }
            _ => Err(SqlError::unsupported(
                "USING gist of another column than a point",
            )),
        },
        Some(other) if !words => Err(SqlError::unsupported(format!("USING {other}"))),
        _ => Err(SqlError::unsupported(
            "to_tsvector in another index than USING gin",
        )),
    }
}

/// Whether a name is in a schema, for `DROP SCHEMA`.
pub(super) fn is_in(schema: &str, name: &str) -> bool {
    schema_of(name) == schema
}
