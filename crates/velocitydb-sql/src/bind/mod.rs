//! Names and types: from sqlparser's trees to [`Bound`] expressions.
//!
//! Files: `expression`, `column`, `function` and `aggregate` (calls), `query` (sub-selects), `cast`, `literals`
//! (what stands in the text), `sequence`, `effects` (functions about the
//! session), `registered` (casts to `regclass` and its like), `types`. Tests: tests/it.

mod aggregate;
mod cast;
mod column;
mod effects;
mod expression;
mod function;
mod literals;
mod query;
mod registered;
mod sequence;
mod types;
mod window;

use std::sync::Arc;

use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, WindowSpec};
use velocitydb_types::{ScalarType, SqlType, Value};

pub(crate) use aggregate::Aggregates;
use cast::Assigned;
pub(crate) use function::OF_BINDER;
pub(crate) use query::Queries;
pub(crate) use types::{check_collation, serial, sql_type};

use crate::bound::{Bound, Typed};
use crate::casts::CastContext;
use crate::effects::Effects;
use crate::error::{SqlError, sqlstate};
use crate::formats::Settings;
use crate::parse::{folded, position, too_complex};
use crate::relation::{Field, UnfoldCall, WindowCall};
use crate::sequences::Sequences;
use crate::table::{Column, Table};

/// What is learned of a statement while it is bound, its sub-selects included.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters {
    /// Their types, as far as they are known.
    types: Vec<Option<SqlType>>,
    /// How deep the expression that is being bound stands in others.
    depth: usize,
    /// How many expressions were bound.
    parts: usize,
    /// How many columns of relations have names.
    names: usize,
}

/// How deep expressions may stand in each other; all who walk them need a stack as deep.
const DEPTH_MAX: usize = 200;

/// How many more expressions than bytes of the text may be bound: the operand of a CASE is bound
/// for each of its WHENs.
const PARTS_BEYOND_TEXT: usize = 100_000;

/// More parameters than the protocol can number.
const PARAMETERS_MAX: usize = 65_535;

impl Parameters {
    /// Those that the client declares.
    pub(crate) fn declared(types: Vec<Option<SqlType>>) -> Parameters {
        Parameters {
            types,
            ..Parameters::default()
        }
    }

    /// All types; one that nothing decided is a text.
    pub(crate) fn types(&self) -> Vec<SqlType> {
        let text = SqlType::Scalar(velocitydb_types::ScalarType::Text);
        self.types.iter().map(|sql| sql.unwrap_or(text)).collect()
    }

    /// A name for a column of a relation.
    pub(crate) fn fresh(&mut self) -> String {
        self.names += 1;
        format!("c{}", self.names)
    }

    fn get(&mut self, at: usize) -> Option<SqlType> {
        if at >= self.types.len() {
            self.types.resize(at + 1, None);
        }
        self.types[at]
    }
}

/// What binding an expression needs to know.
pub(crate) struct Binder<'b> {
    /// The whole text, for places in it.
    pub(crate) sql: &'b str,
    pub(crate) settings: &'b Arc<Settings>,
    pub(crate) parameters: &'b mut Parameters,
    pub(crate) sequences: &'b Arc<Sequences>,
    pub(crate) effects: &'b Arc<Effects>,
    /// The tables whose rows it is asked of.
    pub(crate) tables: &'b [Scope],
    /// The sub-selects that it has met.
    pub(crate) queries: Queries<'b>,
    /// What becomes of aggregates.
    pub(crate) aggregates: Aggregates,
    /// The window functions that it has met, as columns.
    pub(crate) windows: Vec<(Field, WindowCall)>,
    /// The functions that make rows that it has met, as columns.
    pub(crate) unfolds: Vec<UnfoldCall>,
    /// The windows that the SELECT has given names.
    pub(crate) named_windows: Vec<(String, WindowSpec)>,
}

/// The field under which a row that could not be inserted stands beside another; no column is called
/// so.
pub(crate) const EXCLUDED: &str = "_excluded";

/// A table that columns may be of.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) table: Arc<Table>,
    /// What the statement calls it.
    pub(crate) alias: String,
    /// Whether a row that could not be inserted stands beside each, as `excluded`.
    pub(crate) excluded: bool,
    /// Columns that are found behind the table's name alone: USING has merged them with another's.
    pub(crate) merged: Vec<String>,
}

impl Scope {
    /// Of a table and what the statement calls it.
    pub(crate) fn new(table: Arc<Table>, alias: impl Into<String>) -> Scope {
        Scope {
            table,
            alias: alias.into(),
            excluded: false,
            merged: Vec::new(),
        }
    }

    /// Its columns that are found without its name.
    pub(crate) fn plain_columns(&self) -> impl Iterator<Item = &Column> {
        let columns = self.table.columns.iter();
        columns.filter(|column| !self.merged.contains(&column.name))
    }
}

impl Binder<'_> {
    /// What `bind` answers, so many levels deeper in the expression.
    ///
    /// # Errors
    /// That is too deep, or the statement has too many parts.
    fn deeper<T>(
        &mut self,
        levels: usize,
        bind: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.parameters.depth += levels;
        self.parameters.parts += 1;
        let too_much = self.parameters.depth > DEPTH_MAX
            || self.parameters.parts > self.sql.len() + PARTS_BEYOND_TEXT;
        let bound = match too_much {
            true => Err(too_complex()),
            false => bind(self),
        };
        self.parameters.depth -= levels;
        bound
    }

    /// Where a name stands.
    fn place(&self, ident: &Ident) -> Option<u32> {
        position(self.sql, ident.span.start)
    }

    /// A bound expression as a value of a type: by a cast where it is of another.
    ///
    /// # Errors
    /// When there is no such cast in this context; a literal that is no value of the type.
    pub(crate) fn cast(
        &mut self,
        typed: Typed,
        to: SqlType,
        context: CastContext,
    ) -> Result<Bound, SqlError> {
        let Some(from) = typed.sql else {
            return match typed.bound {
                Bound::Constant(Value::String(text)) => {
                    let value = cast::literal(&text, to, context, self.settings)?;
                    Ok(Bound::Constant(value))
                }
                Bound::Parameter(at) => {
                    let given = match context {
                        CastContext::Explicit => cast::of_any_length(to),
                        _ => to,
                    };
                    self.parameters.types[at] = Some(given);
                    let parameter = Typed::new(Bound::Parameter(at), given);
                    self.cast(parameter, to, context)
                }
                null => Ok(null),
            };
        };
        match cast::cast(from, to, context, self.settings)? {
            Assigned::AsItIs => Ok(typed.bound),
            Assigned::By(function) => Ok(Bound::Apply {
                function,
                arguments: vec![typed.bound],
                types: [from].into(),
                volatile: false,
            }),
        }
    }

    /// An expression with a type of its own: what nothing has given one is a text.
    pub(crate) fn bind_output(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        let typed = self.bind(expr)?;
        let sql = typed.sql.unwrap_or(ScalarType::Text.into());
        let bound = self.assigned(typed, sql)?;
        Ok(Typed::new(bound, sql))
    }

    /// The expression for a column that is assigned.
    pub(crate) fn assigned(&mut self, typed: Typed, to: SqlType) -> Result<Bound, SqlError> {
        self.cast(typed, to, CastContext::Assignment)
    }

    /// A condition.
    ///
    /// # Errors
    /// When it is neither true nor false, but of another type.
    pub(crate) fn condition(
        &mut self,
        typed: Typed,
        place: &'static str,
    ) -> Result<Bound, SqlError> {
        let bool = SqlType::Scalar(velocitydb_types::ScalarType::Bool);
        match typed.sql {
            None => self.cast(typed, bool, CastContext::Implicit),
            Some(sql) if sql == bool => Ok(typed.bound),
            Some(other) => Err(SqlError::new(
                sqlstate::DATATYPE_MISMATCH,
                format!("argument of {place} must be type boolean, not type {other}"),
            )),
        }
    }
}

/// A name of one part.
pub(crate) fn simple(name: &ObjectName) -> Result<String, SqlError> {
    match &name.0[..] {
        [ObjectNamePart::Identifier(ident)] => Ok(folded(ident)),
        _ => Err(SqlError::unsupported(format!("the qualified name {name}"))),
    }
}
