//! What is known of relations and expressions without running them.

use super::{AggregateKind, Field, Relation};
use crate::bound::Bound;

impl Bound {
    /// What it says a column equals, if it says that.
    pub(super) fn equals(&self, field: &Field) -> Option<&Bound> {
        let Bound::Apply {
            function,
            arguments,
            types,
            ..
        } = self
        else {
            return None;
        };
        let is_it =
            |bound: &Bound| matches!(bound, Bound::Column(path) if *path.first() == *field.name);
        match (&arguments[..], &types[..]) {
            ([one, other], [a, b]) if function.name() == "=" && a == b && field.sql == *a => {
                match (is_it(one), is_it(other)) {
                    (true, false) => Some(other),
                    (false, true) => Some(one),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether it is null where all columns are.
    pub(super) fn is_strict(&self) -> bool {
        match self {
            Bound::Column(_) => true,
            Bound::Apply {
                function,
                arguments,
                ..
            } => {
                let strict = ["+", "-", "*", "/"].contains(&function.name());
                strict && arguments.iter().any(Bound::is_strict)
            }
            _ => false,
        }
    }
}

impl Relation {
    /// Whether it is one row, whatever there is.
    pub(super) fn is_one_row(&self) -> bool {
        match self {
            Relation::One => true,
            Relation::Project { input, .. } => input.is_one_row(),
            Relation::Aggregate { keys, sets, .. } => keys.is_empty() && sets.is_empty(),
            _ => false,
        }
    }

    /// Whether it is one row of nulls where nothing is aggregated.
    pub(super) fn is_null_of_nothing(&self) -> bool {
        match self {
            Relation::Project { input, columns } => {
                columns.iter().all(|column| column.bound.is_strict()) && input.is_null_of_nothing()
            }
            Relation::Aggregate {
                keys,
                sets,
                aggregates,
                ..
            } => {
                let is_null = |kind: &AggregateKind| kind.of_nothing().is_none();
                keys.is_empty()
                    && sets.is_empty()
                    && aggregates.iter().all(|(_, one)| is_null(&one.kind))
            }
            _ => false,
        }
    }
}
