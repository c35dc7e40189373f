//! Answers: columns, and rows that are made when they are asked for.

use std::sync::Arc;

use sqlparser::ast::{
    Expr, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TrimWhereField,
    WildcardAdditionalOptions,
};
use velocitydb::Document;
use velocitydb_query::{Cell, Expression, Kept, value_bytes};
use velocitydb_types::{ScalarType, SqlType, Value};

use super::row::Row;
use crate::bind::{Binder, Scope};
use crate::bound::{Bound, Environment, Typed};
use crate::error::{SqlError, sqlstate};
use crate::parse::folded;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub sql: SqlType,
}

/// The most columns that an answer has, as in PostgreSQL.
const COLUMNS_MAX: usize = 1664;

/// What an answer has of each row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outputs {
    pub(crate) columns: Vec<Column>,
    pub(crate) bound: Vec<Bound>,
    /// Which of them are literals of no type of their own.
    pub(crate) untyped: Vec<bool>,
}

impl Outputs {
    /// Of the items behind SELECT or RETURNING.
    ///
    /// # Errors
    /// What binding them refuses.
    /// Outputs of no type of their own are of the one in `targets`, or texts.
    pub(super) fn new(
        items: &[SelectItem],
        targets: &[SqlType],
        binder: &mut Binder<'_>,
    ) -> Result<Outputs, SqlError> {
        let mut outputs = Outputs::default();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let typed = binder.bind(expr)?;
                    outputs.push(name_of(expr), typed, targets, binder)?;
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let typed = binder.bind(expr)?;
                    outputs.push(folded(alias), typed, targets, binder)?;
                }
                SelectItem::Wildcard(options) if is_plain(options) => outputs.all(binder)?,
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(table),
                    options,
                ) if is_plain(options) => {
                    let last = table.0.last().and_then(|part| part.as_ident());
                    if let (Some(last), true) = (last, table.0.len() > 1) {
                        binder.check_entry(table, last)?;
                    }
                    let table = last.map(folded).unwrap_or_default();
                    let Some(scope) = binder.scope(&table) else {
                        let message = format!("missing FROM-clause entry for table {table:?}");
                        return Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message));
                    };
                    outputs.columns_of(&scope.table.columns);
                }
                other => return Err(SqlError::unsupported(format!("the output {other}"))),
            }
            outputs.check_width()?;
        }
        Ok(outputs)
    }

    /// # Errors
    /// There are too many columns.
    pub(super) fn check_width(&self) -> Result<(), SqlError> {
        if self.columns.len() <= COLUMNS_MAX {
            return Ok(());
        }
        let message = format!("target lists can have at most {COLUMNS_MAX} entries");
        Err(SqlError::new(sqlstate::TOO_MANY_COLUMNS, message))
    }

    fn push(
        &mut self,
        name: String,
        typed: Typed,
        targets: &[SqlType],
        binder: &mut Binder<'_>,
    ) -> Result<(), SqlError> {
        let target = targets.get(self.columns.len()).copied();
        let untyped = target.unwrap_or(ScalarType::Text.into());
        let sql = typed.sql.unwrap_or(untyped);
        self.untyped.push(typed.sql.is_none());
        let bound = binder.assigned(typed, sql)?;
        self.columns.push(Column { name, sql });
        self.bound.push(bound);
        Ok(())
    }

    fn all(&mut self, binder: &Binder<'_>) -> Result<(), SqlError> {
        if binder.tables.is_empty() {
            let message = "SELECT * with no tables specified is not valid";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        self.columns_of(binder.tables.iter().flat_map(Scope::plain_columns));
        Ok(())
    }

    fn columns_of<'c>(&mut self, columns: impl IntoIterator<Item = &'c crate::table::Column>) {
        for column in columns {
            self.columns.push(Column {
                name: column.name.clone(),
                sql: column.sql,
            });
            self.bound.push(column.bound.clone());
            self.untyped.push(false);
        }
    }

    /// The output of this name, if there is one.
    ///
    /// # Errors
    /// There are several, and they are not the same; `clause` is where the name stands.
    pub(super) fn named(&self, name: &str, clause: &str) -> Result<Option<usize>, SqlError> {
        let mut named = (0..self.columns.len()).filter(|at| self.columns[*at].name == name);
        let first = named.next();
        match first {
            Some(first) if !named.all(|at| self.bound[at].is_same(&self.bound[first])) => {
                let message = format!("{clause} {name:?} is ambiguous");
                Err(SqlError::new(sqlstate::AMBIGUOUS_COLUMN, message))
            }
            first => Ok(first),
        }
    }

    /// For one execution.
    pub(super) fn lower(&self, environment: &Environment<'_>) -> Result<Vec<Expression>, SqlError> {
        let lowered = self.bound.iter().map(|bound| bound.lower(environment));
        lowered.collect()
    }
}

fn is_plain(options: &WildcardAdditionalOptions) -> bool {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike: None,
        opt_exclude: None,
        opt_except: None,
        opt_replace: None,
        opt_rename: None,
        opt_alias: None,
    } = options
    else {
        return false;
    };
    true
}

/// What PostgreSQL calls an output without a name.
fn name_of(expr: &Expr) -> String {
    let (Named::Well(name) | Named::Weakly(name)) = named(expr);
    name
}

/// The name that an expression has: a cast around it, or a CASE, leaves only a good one.
enum Named {
    Well(String),
    Weakly(String),
}

fn named(expr: &Expr) -> Named {
    let well = |name: &str| Named::Well(name.into());
    let of_type = |data_type| match crate::bind::sql_type(data_type) {
        Ok(SqlType::Scalar(scalar) | SqlType::Array(scalar)) => scalar.row().name,
        Err(_) => "?column?",
    };
    let within = |expr, otherwise: &str| match named(expr) {
        Named::Weakly(_) => Named::Weakly(otherwise.into()),
        well => well,
    };
    match expr {
        Expr::Identifier(name) => Named::Well(folded(name)),
        Expr::CompoundIdentifier(names) => {
            Named::Well(names.last().map(folded).unwrap_or_default())
        }
        Expr::Nested(inner) => named(inner),
        Expr::Collate { expr, .. } => named(expr),
        Expr::CompoundFieldAccess { root, .. } => named(root),
        Expr::Function(function) => match function.name.0.last().and_then(|part| part.as_ident()) {
            Some(name) => Named::Well(folded(name)),
            None => Named::Weakly("?column?".into()),
        },
        Expr::Cast {
            expr, data_type, ..
        } => within(expr, of_type(data_type)),
        Expr::TypedString(typed) => Named::Weakly(of_type(&typed.data_type).into()),
        Expr::Interval(_) => Named::Weakly("interval".into()),
        Expr::Case { else_result, .. } => match else_result {
            Some(otherwise) => within(otherwise, "case"),
            None => Named::Weakly("case".into()),
        },
        Expr::Array(_) => well("array"),
        Expr::Exists { .. } => well("exists"),
        Expr::Subquery(query) => match &*query.body {
            SetExpr::Select(select) => match &select.projection[..] {
                [SelectItem::UnnamedExpr(expr)] => named(expr),
                [SelectItem::ExprWithAlias { alias, .. }] => Named::Well(folded(alias)),
                _ => Named::Weakly("?column?".into()),
            },
            _ => Named::Weakly("?column?".into()),
        },
        Expr::Extract { .. } => well("extract"),
        Expr::Substring { .. } => well("substring"),
        Expr::Position { .. } => well("position"),
        Expr::Overlay { .. } => well("overlay"),
        Expr::Trim { trim_where, .. } => well(match trim_where {
            None | Some(TrimWhereField::Both) => "btrim",
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
        }),
        Expr::Ceil { .. } => well("ceil"),
        Expr::Floor { .. } => well("floor"),
        Expr::AtTimeZone { .. } => well("timezone"),
        _ => Named::Weakly("?column?".into()),
    }
}

/// What a document that an answer holds takes: its handle. A list that grows may have room for as many
/// again.
pub(super) const HANDLE_BYTES: usize = 2 * size_of::<Document>();

/// The rows of an answer. They hold documents, not the state that these were read from.
#[derive(Debug)]
pub struct Rows {
    source: Source,
    next: usize,
    /// What they take of the memory of all queries.
    _kept: Option<Kept>,
}

#[derive(Debug)]
enum Source {
    /// Fields of documents, which cannot fail.
    Documents(Vec<Document>, Vec<Expression>),
    Values(Vec<Vec<Value>>),
    /// Some of another answer's, forward or backward.
    Part {
        of: Arc<Rows>,
        first: usize,
        count: usize,
        backward: bool,
    },
}

impl Rows {
    /// Rows of values.
    pub fn values(values: Vec<Vec<Value>>) -> Rows {
        Rows {
            source: Source::Values(values),
            next: 0,
            _kept: None,
        }
    }

    /// The same, and what they take of the memory of all queries.
    pub fn kept(values: Vec<Vec<Value>>, kept: Kept) -> Rows {
        Rows {
            _kept: Some(kept),
            ..Rows::values(values)
        }
    }

    /// So many rows of an answer from this one on, forward or backward, all of which it has.
    pub(crate) fn part(of: &Arc<Rows>, first: usize, count: usize, backward: bool) -> Rows {
        let of = Arc::clone(of);
        Rows {
            source: Source::Part {
                of,
                first,
                count,
                backward,
            },
            next: 0,
            _kept: None,
        }
    }

    /// One text.
    pub(crate) fn one(text: String) -> Rows {
        Rows::values(vec![vec![text.into()]])
    }

    /// What `outputs` are of rows; computed at once where they may fail, since clients expect errors
    /// before the first row.
    pub(super) fn of(
        rows: Vec<Row>,
        outputs: Vec<Expression>,
        kept: Kept,
    ) -> Result<Rows, SqlError> {
        let is_document = |row: &Row| matches!(row, Row::Document(_));
        if rows.iter().all(is_document) {
            let documents = rows.into_iter().filter_map(|row| match row {
                Row::Document(document) => Some(document),
                Row::Made(_) => None,
            });
            return Rows::of_documents(documents.collect(), outputs, kept);
        }
        Rows::computed(rows.into_iter(), outputs, kept)
    }

    /// As [`Rows::of`], of documents. Where only their fields are asked for, nothing but the handles
    /// is kept, at [`HANDLE_BYTES`] each, which whoever found them has counted.
    pub(super) fn of_documents(
        documents: Vec<Document>,
        outputs: Vec<Expression>,
        kept: Kept,
    ) -> Result<Rows, SqlError> {
        let is_simple =
            |output: &Expression| matches!(output, Expression::Field(_) | Expression::Literal(_));
        match outputs.iter().all(is_simple) {
            true => Ok(Rows {
                source: Source::Documents(documents, outputs),
                next: 0,
                _kept: Some(kept),
            }),
            false => Rows::computed(documents.into_iter().map(Row::Document), outputs, kept),
        }
    }

    fn computed(
        rows: impl ExactSizeIterator<Item = Row>,
        outputs: Vec<Expression>,
        mut kept: Kept,
    ) -> Result<Rows, SqlError> {
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let values = row.values(&outputs)?;
            let bytes = values.iter().map(value_bytes).sum::<usize>();
            kept.resize(0, bytes + size_of::<Vec<Value>>())?;
            all.push(values);
        }
        Ok(Rows {
            source: Source::Values(all),
            next: 0,
            _kept: Some(kept),
        })
    }

    /// How many there are, those given already included.
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Documents(documents, _) => documents.len(),
            Source::Values(rows) => rows.len(),
            Source::Part { count, .. } => *count,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `visit` with the columns of the next row, in order; whether there was one.
    pub fn next<E>(
        &mut self,
        mut visit: impl FnMut(usize, &Cell<'_>) -> Result<(), E>,
    ) -> Result<bool, E>
    where
        E: From<SqlError>,
    {
        let found = self.visit(self.next, &mut visit)?;
        self.next += usize::from(found);
        Ok(found)
    }

    /// Calls `visit` with the columns of a row; whether there is one.
    fn visit<E>(
        &self,
        at: usize,
        visit: &mut impl FnMut(usize, &Cell<'_>) -> Result<(), E>,
    ) -> Result<bool, E>
    where
        E: From<SqlError>,
    {
        match &self.source {
            Source::Part {
                of,
                first,
                count,
                backward,
            } => {
                return match (at < *count, backward) {
                    (false, _) => Ok(false),
                    (true, false) => of.visit(first + at, visit),
                    (true, true) => of.visit(first - at, visit),
                };
            }
            Source::Documents(documents, outputs) => {
                let Some(document) = documents.get(at) else {
                    return Ok(false);
                };
                for (column, output) in outputs.iter().enumerate() {
                    let cell = output.for_document(document).map_err(SqlError::from)?;
                    visit(column, &cell)?;
                }
            }
            Source::Values(rows) => {
                let Some(row) = rows.get(at) else {
                    return Ok(false);
                };
                for (column, value) in row.iter().enumerate() {
                    visit(column, &Cell::Ref(value))?;
                }
            }
        }
        Ok(true)
    }
}
