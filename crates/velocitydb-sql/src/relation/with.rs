//! WITH: queries that others call by name, and those that call themselves.

use std::sync::Arc;

use sqlparser::ast::{Cte, SetExpr, SetOperator, SetQuantifier, With};

use super::from::renamed;
use super::{Field, Query, Relation};
use crate::error::{SqlError, sqlstate};
use crate::functions::type_name;
use crate::parse::folded;
use crate::statement::Preparing;
use crate::statement::rows::Column;

/// A query that has a name.
#[derive(Debug)]
pub(crate) struct Named {
    name: String,
    query: Query,
}

/// Those that a query knows, the last one first where two have one name.
pub(crate) type Known = Vec<Arc<Named>>;

impl Preparing<'_> {
    /// The rows of the query of this name, if WITH has named one.
    pub(super) fn with_query(&mut self, name: &str) -> Result<Option<Query>, SqlError> {
        let known = self.relational.iter().flatten();
        let Some(named) = known.rev().find(|named| named.name == name).cloned() else {
            return Ok(None);
        };
        let Query {
            relation,
            outputs,
            untyped,
        } = named.query.clone();
        // It may stand in the statement several times, and no column of one is a column of another.
        let fields = relation.fields();
        let fields = fields.iter().map(|field| self.field(field.sql)).collect();
        Ok(Some(Query {
            relation: relation.named(fields),
            outputs,
            untyped,
        }))
    }

    /// From now on the queries of a WITH are known.
    pub(super) fn with(&mut self, with: &With) -> Result<(), SqlError> {
        let mut names: Vec<String> = Vec::new();
        for cte in &with.cte_tables {
            let name = folded(&cte.alias.name);
            if names.contains(&name) {
                let message = format!("WITH query name {name:?} specified more than once");
                return Err(SqlError::new(sqlstate::DUPLICATE_ALIAS, message));
            }
            let query = match with.recursive {
                true => self.recursive(&name, cte)?,
                false => self.named_query(&name, cte)?,
            };
            self.know(&name, query);
            names.push(name);
        }
        Ok(())
    }

    fn know(&mut self, name: &str, query: Query) {
        let name = name.to_owned();
        let known = self.relational.get_or_insert_default();
        known.push(Arc::new(Named { name, query }));
    }

    fn named_query(&mut self, name: &str, cte: &Cte) -> Result<Query, SqlError> {
        let query = self.relation(&cte.query)?;
        columns_of(name, cte, query)
    }

    /// A query that may call itself: where it does, it is UNION of one that does not and one that does.
    fn recursive(&mut self, name: &str, cte: &Cte) -> Result<Query, SqlError> {
        let tree = &cte.query;
        let plain = tree.order_by.is_none() && tree.limit_clause.is_none() && tree.with.is_none();
        let SetExpr::SetOperation {
            op: SetOperator::Union,
            set_quantifier,
            left,
            right,
        } = &*tree.body
        else {
            return self.named_query(name, cte);
        };
        if !plain {
            return self.named_query(name, cte);
        }
        let base = self.body(left, &[])?;
        let base = columns_of(name, cte, base)?;
        let fields = base.relation.fields();
        let fields: Vec<Field> = fields.iter().map(|field| self.field(field.sql)).collect();
        let place = self.parameters.fresh();
        let known = self.relational.clone();
        let found = Relation::Found {
            name: place.clone(),
            fields: fields.clone(),
        };
        self.know(
            name,
            Query {
                relation: found,
                ..base.clone()
            },
        );
        let types: Vec<_> = fields.iter().map(|field| field.sql).collect();
        let step = self.body(right, &types)?;
        self.relational = known;
        if !step.relation.finds(&place) {
            return self.named_query(name, cte);
        }
        if step.outputs.len() != fields.len() {
            let message = "each UNION query must have the same number of columns";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        for (at, (output, field)) in step.outputs.iter().zip(&fields).enumerate() {
            let (from, to) = (output.sql, field.sql);
            let common = crate::functions::common_type(&[Some(from), Some(to)]);
            if common != Ok(to) {
                let column = at + 1;
                let (to, from) = (type_name(Some(to)), type_name(Some(from)));
                let message = format!(
                    "recursive query {name:?} column {column} has type {to} in non-recursive \
                     term but type {from} overall"
                );
                return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message));
            }
        }
        let step = self.as_types(step, &types)?;
        let all = matches!(set_quantifier, SetQuantifier::All);
        Ok(Query {
            relation: Relation::Recursive {
                name: place,
                fields,
                base: Box::new(base.relation),
                step: Box::new(step),
                all,
            },
            outputs: base.outputs,
            untyped: base.untyped,
        })
    }
}

/// A query, with its columns called as WITH says.
fn columns_of(name: &str, cte: &Cte, query: Query) -> Result<Query, SqlError> {
    if cte.from.is_some() {
        return Err(SqlError::unsupported(format!("{cte}")));
    }
    let names = query.outputs.iter().map(|output| output.name.clone());
    let names = renamed(name, names.collect(), &cte.alias.columns)?;
    let outputs = names.into_iter().zip(&query.outputs);
    let outputs = outputs.map(|(name, output)| Column {
        name,
        sql: output.sql,
    });
    Ok(Query {
        outputs: outputs.collect(),
        ..query
    })
}

impl Relation {
    /// Whether it reads what a recursive query of this name found.
    fn finds(&self, place: &str) -> bool {
        match self {
            Relation::Found { name, .. } => name == place,
            other => other.inputs().iter().any(|input| input.finds(place)),
        }
    }
}
