//! Sub-selects: each is run once, before the statement that has it, and its answer is a constant
//! there.

use velocitydb::Transaction;
use velocitydb_query::{Cell, Kept, value_bytes};
use velocitydb_types::Value;

use super::select::{Select, account};
use crate::bound::Environment;
use crate::error::{SqlError, sqlstate};

/// A sub-select.
#[derive(Debug, Clone)]
pub(crate) struct SubSelect {
    select: Box<Select>,
    wanted: Wanted,
}

/// What the statement around wants of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The value of the only one.
    Value,
    /// An array of all values.
    Values,
    /// Whether there is any.
    Any,
}

/// Whether the tables of sub-selects are still as they were.
pub(super) fn are_current(queries: &[SubSelect]) -> bool {
    queries.iter().all(|query| query.select.is_current())
}

impl SubSelect {
    pub(crate) fn new(mut select: Select, wanted: Wanted) -> SubSelect {
        if wanted == Wanted::Any {
            select.first_only();
        }
        SubSelect {
            select: Box::new(select),
            wanted,
        }
    }

    pub(super) fn select(&self) -> &Select {
        &self.select
    }

    fn answer(
        &self,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
        kept: &mut Kept,
    ) -> Result<Value, SqlError> {
        let mut rows = self.select.run(transaction, environment)?;
        if self.wanted == Wanted::Any {
            return Ok((!rows.is_empty()).into());
        }
        if self.wanted == Wanted::Value && rows.len() > 1 {
            let message = "more than one row returned by a subquery used as an expression";
            return Err(SqlError::new(sqlstate::CARDINALITY_VIOLATION, message));
        }
        let mut values = Vec::with_capacity(rows.len());
        while rows.next(|_, cell: &Cell<'_>| {
            let value = cell.clone().into_value();
            kept.resize(0, value_bytes(&value))?;
            values.push(value);
            Ok::<_, SqlError>(())
        })? {}
        Ok(match self.wanted {
            Wanted::Value => values.pop().unwrap_or_default(),
            _ => Value::Array(values),
        })
    }
}

/// What the sub-selects of a statement answer, and the account of it, to be held as long.
///
/// # Errors
/// Those of running them.
pub(crate) fn answers(
    queries: &[SubSelect],
    transaction: &mut Transaction,
    environment: &Environment<'_>,
) -> Result<(Vec<Value>, Kept), SqlError> {
    let mut kept = account(transaction);
    let answers = queries.iter();
    let answers = answers.map(|query| query.answer(transaction, environment, &mut kept));
    let answers = answers.collect::<Result<_, _>>()?;
    Ok((answers, kept))
}
