//! CREATE INDEX and REINDEX.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlparser::ast::{self, Expr, IndexColumn, IndexType, ObjectName, OrderByExpr, OrderByOptions};
use sqlparser::tokenizer::{Token, Tokenizer};
use velocitydb::{Definition, FieldType, IndexDefinition, IndexField, IndexKind};
use velocitydb_types::{Expression, ScalarType, SqlType};

use super::names::{Names, beside, missing, schema_of, table_of};
use super::{notice, refused, skipped};
use crate::bind::{OF_BINDER, Scope, check_collation, sql_type};
use crate::bound::Bound;
use crate::error::{SqlError, sqlstate};
use crate::indexed::{Terms, is_immutable, kept};
use crate::parse::{Postgres, ReindexKind, folded};
use crate::statement::{Preparing, collection_name};
use crate::table::Table;

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
        let parts = columns.iter().map(|column| self.index_part(column, &table));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let name = match name {
            Some(name) => name,
            None => names.chosen(&format!("{}_{}_idx", table.name(), named(&parts)))?,
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

/// A part of an index.
struct Part {
    /// What PostgreSQL calls it.
    name: String,
    field: IndexField,
    sql: SqlType,
    descends: bool,
    /// In whose language it is of the words of a column, if it is.
    words: Option<&'static str>,
    /// What it has of a jsonb, where the operator class says.
    terms: Option<Terms>,
}

impl Preparing<'_> {
    fn index_part(&mut self, part: &IndexColumn, table: &Table) -> Result<Part, SqlError> {
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
        let mut expr = match expr {
            Expr::Collate { expr, collation } => {
                check_collation(collation)?;
                &**expr
            }
            expr => expr,
        };
        if needs_parentheses(expr) {
            let message = format!("syntax error: {expr} in an index needs parentheses of its own");
            return Err(
                SqlError::new(sqlstate::SYNTAX_ERROR, message).hint(format!("Write (({expr}))."))
            );
        }
        while let Expr::Nested(inner) = expr {
            expr = inner;
        }
        let words = match crate::words::vector(expr)? {
            Some((language, Expr::Identifier(column))) => Some((language, folded(column))),
            Some(_) => {
                let what = "an index over to_tsvector of another text than a column";
                return Err(SqlError::unsupported(what));
            }
            None => None,
        };
        let (name, field, sql) = match (expr, &words) {
            (Expr::Identifier(column), _) => {
                let (field, sql) = column_field(&folded(column), table)?;
                (folded(column), field, sql)
            }
            (_, Some((_, column))) => {
                let (field, sql) = column_field(column, table)?;
                ("to_tsvector".to_owned(), field, sql)
            }
            (expr, None) => {
                let (expression, sql) = self.kept_expression(expr, table)?;
                (called(expr), expression.into(), sql)
            }
        };
        let words = words.map(|(language, _)| language.name());
        let class = operator_class.as_ref();
        let terms = class.map(|class| check_class(class, sql, words.is_some()));
        Ok(Part {
            name,
            field,
            sql,
            descends,
            words,
            terms: terms.transpose()?.flatten(),
        })
    }

    /// An expression of a table's columns as the engine keeps it, and its type.
    fn kept_expression(
        &mut self,
        expr: &Expr,
        table: &Table,
    ) -> Result<(Expression, SqlType), SqlError> {
        let scope = [Scope::new(Arc::new(table.clone()), table.name())];
        let mut binder = self.binder(&scope);
        let typed = binder.bind_output(expr)?;
        if !is_immutable(&typed.bound) || asks_session(expr) {
            let message = "functions in index expression must be marked IMMUTABLE";
            return Err(SqlError::new(sqlstate::INVALID_OBJECT_DEFINITION, message));
        }
        let text = kept(&typed.bound);
        let expression = text.and_then(|text| text.parse::<Expression>().ok());
        let expression = expression.filter(|expression| !expression.paths().is_empty());
        let expression = expression.ok_or_else(|| {
            SqlError::unsupported(format!("the expression {expr} in an index")).detail(
                "An index can be of columns with lower, upper, length, btrim, ltrim, rtrim, left, \
                 right, md5, abs, coalesce, ||, ->, ->>, +, -, *, date_trunc, AT TIME ZONE 'UTC', \
                 and casts to integers.",
            )
        })?;
        Ok((expression, typed.sql.unwrap_or(ScalarType::Text.into())))
    }
}

/// Whether an expression stands in an index by itself, where PostgreSQL wants parentheses around all
/// but columns and calls.
fn needs_parentheses(expr: &Expr) -> bool {
    !matches!(
        expr,
        Expr::Identifier(_)
            | Expr::Nested(_)
            | Expr::Function(_)
            | Expr::Trim { .. }
            | Expr::Substring { .. }
            | Expr::Position { .. }
            | Expr::Extract { .. }
            | Expr::Overlay { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Cast {
                kind: ast::CastKind::Cast,
                ..
            }
    )
}

/// Whether an expression names what is another thing in another session or at another time, even
/// where it is a constant once it is bound.
fn asks_session(expr: &Expr) -> bool {
    let tokens = Tokenizer::new(&Postgres, &expr.to_string()).tokenize();
    tokens.unwrap_or_default().iter().any(|token| match token {
        Token::Word(word) if word.quote_style.is_none() => {
            let name = word.value.to_lowercase();
            OF_BINDER.contains(&name.as_str())
        }
        _ => false,
    })
}

/// What PostgreSQL calls the column of an index that is an expression.
fn called(expr: &Expr) -> String {
    let name = match expr {
        Expr::Function(function) => {
            let last = function.name.0.last().and_then(|part| part.as_ident());
            return last.map(folded).unwrap_or_default();
        }
        Expr::Trim { trim_where, .. } => match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        },
        Expr::AtTimeZone { .. } => "timezone",
        Expr::Cast {
            expr, data_type, ..
        } => {
            let mut inner = &**expr;
            while let Expr::Nested(nested) = inner {
                inner = nested;
            }
            return match inner {
                Expr::Identifier(name) => folded(name),
                inner @ Expr::Function(_) => called(inner),
                _ => match sql_type(data_type) {
                    Ok(SqlType::Scalar(scalar)) => scalar.row().name.to_owned(),
                    _ => "expr".to_owned(),
                },
            };
        }
        _ => "expr",
    };
    name.to_owned()
}

/// The names of all parts; a name that came before gets a number.
fn named(parts: &[Part]) -> String {
    let mut names: Vec<String> = Vec::new();
    for part in parts {
        let numbered = (1..).map(|number| format!("{}{number}", part.name));
        let mut all = std::iter::once(part.name.clone()).chain(numbered);
        names.extend(all.find(|name| !names.contains(name)));
    }
    names.join("_")
}

/// The field of a column, and its type.
fn column_field(name: &str, table: &Table) -> Result<(IndexField, SqlType), SqlError> {
    let column = table.column(name).ok_or_else(|| {
        let message = format!("column {name:?} does not exist");
        SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
    })?;
    let path = column.path().cloned();
    let path = path.filter(|path| !path.first().starts_with('_'));
    let path = path.ok_or_else(|| SqlError::unsupported(format!("an index over {name}")))?;
    Ok((path.into(), column.sql))
}

/// Whether an operator class is the one of the type: texts are ordered by their bytes as it is. What
/// an index has of a jsonb by it.
fn check_class(class: &ObjectName, sql: SqlType, words: bool) -> Result<Option<Terms>, SqlError> {
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
        ("jsonb_ops", sql) if sql == ScalarType::Jsonb.into() => return Ok(Some(Terms::Keys)),
        ("jsonb_path_ops", sql) if sql == ScalarType::Jsonb.into() => {
            return Ok(Some(Terms::Paths));
        }
        _ => false,
    };
    match fits {
        true => Ok(None),
        false => Err(SqlError::unsupported(format!(
            "the operator class {class} for a column of type {sql}"
        ))),
    }
}

fn kind(
    name: String,
    using: Option<&IndexType>,
    parts: &[Part],
) -> Result<IndexDefinition, SqlError> {
    let unordered = |method: &str| match parts.iter().any(|part| part.descends) {
        true => {
            let message = format!("access method {method:?} does not support ASC/DESC options");
            Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message))
        }
        false => Ok(()),
    };
    let languages: BTreeSet<_> = parts.iter().map(|part| part.words).collect();
    let words = parts.iter().any(|part| part.words.is_some());
    let is_kept = |part: &Part, kind: FieldType| part.sql.kept() == kind;
    let no_class = |sql: SqlType, method: &str| {
        let message =
            format!("data type {sql} has no default operator class for access method \"{method}\"");
        SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
    };
    match using {
        None | Some(IndexType::BTree) if !words => {
            for part in parts {
                if is_kept(part, FieldType::Point) || is_kept(part, FieldType::Json) {
                    return Err(no_class(part.sql, "btree"));
                }
            }
            let fields = parts.iter().map(|part| match part.descends {
                true => part.field.clone().descending(),
                false => part.field.clone(),
            });
            Ok(IndexDefinition::btree(name, fields))
        }
        Some(IndexType::Hash) if !words => {
            unordered("hash")?;
            match parts {
                [part] => Ok(IndexDefinition::hash(name, [part.field.clone()])),
                _ => {
                    let message = "access method \"hash\" does not support multicolumn indexes";
                    Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message))
                }
            }
        }
        Some(IndexType::GIN) => {
            unordered("gin")?;
            if let (Some(Some(language)), 1) = (languages.first(), languages.len()) {
                let paths = parts.iter().map(|part| part.field.path.clone());
                return Ok(IndexDefinition::full_text(name, paths, *language));
            }
            match parts {
                [part] if matches!(part.sql, SqlType::Array(_)) => {
                    Ok(IndexDefinition::hash(name, [part.field.clone().elements()]))
                }
                [part] if part.sql == ScalarType::Jsonb.into() => {
                    let terms = part.terms.unwrap_or(Terms::Keys);
                    Ok(IndexDefinition::hash(
                        name,
                        [json_field(&part.field, terms)?],
                    ))
                }
                [part] if !words => Err(no_class(part.sql, "gin")),
                _ => Err(SqlError::unsupported("USING gin of several columns")),
            }
        }
        Some(IndexType::GiST) => match parts {
            [part] if part.sql == SqlType::Scalar(ScalarType::Point) && !words => {
                unordered("gist")?;
                Ok(IndexDefinition::geo(name, part.field.path.clone()))
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

/// The terms of a jsonb as the elements of an index.
fn json_field(of: &IndexField, terms: Terms) -> Result<IndexField, SqlError> {
    let text = match &of.expression {
        Some(expression) => expression.to_string(),
        None => kept(&Bound::Column(of.path.clone())).unwrap_or_default(),
    };
    let text = format!("{}({text})", terms.function());
    let expression: Expression = text
        .parse()
        .map_err(|error| SqlError::unsupported(format!("an index of {text}: {error}")))?;
    Ok(IndexField::from(expression).elements())
}

/// Whether a name is in a schema, for `DROP SCHEMA`.
pub(super) fn is_in(schema: &str, name: &str) -> bool {
    schema_of(name) == schema
}
