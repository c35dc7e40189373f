//! Casts to PostgreSQL's types of objects (`regclass` and its like, `oid`, `name`), which are no types here.
//!
//! A number of an object is a bigint, and a name a text: `'t'::regclass` is the number of a table,
//! `oid::regclass` the name of the table of that number. Which of both is meant, the operand's type says.

use sqlparser::ast::{ArrayElemTypeDef, DataType, Expr};
use velocitydb_types::{ScalarType, SqlType};

use super::Binder;
use crate::bound::Typed;
use crate::casts::CastContext;
use crate::catalog::calls::CatalogCall;
use crate::effects::Function;
use crate::error::SqlError;
use crate::parse::folded;

/// What such a type is here.
enum Registered {
    /// The one of these two that the operand is not: a name, or a number.
    Object(&'static CatalogCall, &'static CatalogCall),
    Is(SqlType),
}

fn registered(named: &DataType) -> Option<Registered> {
    let name = match named {
        DataType::Regclass => "regclass".to_owned(),
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, None)) => {
            return match registered(element)? {
                Registered::Is(SqlType::Scalar(scalar)) => {
                    Some(Registered::Is(SqlType::Array(scalar)))
                }
                _ => None,
            };
        }
        DataType::Custom(name, modifiers) if modifiers.is_empty() => {
            let parts = name.0.iter().filter_map(|part| part.as_ident());
            let parts: Vec<_> = parts.map(folded).collect();
            match &parts[..] {
                [last] => last.clone(),
                [schema, last] if schema == "pg_catalog" => last.clone(),
                _ => return None,
            }
        }
        _ => return None,
    };
    of_name(&name)
}

fn of_name(name: &str) -> Option<Registered> {
    Some(match name {
        "oid" | "xid" | "cid" => Registered::Is(ScalarType::Int8.into()),
        "name" => Registered::Is(ScalarType::Text.into()),
        name => {
            let (to_number, to_name) = CatalogCall::casts(name)?;
            Registered::Object(to_number, to_name)
        }
    })
}

/// Whether a name is that of such a type.
pub(super) fn is_registered(name: &str) -> bool {
    of_name(name).is_some()
}

/// Such a type that an expression is of: a cast to it, or `to_regclass` and its like.
fn of_operand(expr: &Expr) -> Option<Registered> {
    match expr {
        Expr::Cast { data_type, .. } => registered(data_type),
        Expr::Function(function) => {
            let name = folded(super::function::called(&function.name).ok()?);
            of_name(name.strip_prefix("to_")?)
        }
        _ => None,
    }
}

/// What stands in parentheses.
fn inner(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(nested) = expr {
        expr = nested;
    }
    expr
}

impl Binder<'_> {
    /// The cast of an expression to such a type, or of one of such a type to a text; `None`: it is
    /// another one.
    ///
    /// # Errors
    /// Those of the expression; there is no such cast.
    pub(super) fn registered(
        &mut self,
        expr: &Expr,
        data_type: &DataType,
    ) -> Result<Option<Typed>, SqlError> {
        match registered(data_type) {
            Some(Registered::Is(to)) => {
                let typed = self.bind(expr)?;
                let bound = self.cast(typed, to, CastContext::Explicit)?;
                Ok(Some(Typed::new(bound, to)))
            }
            Some(Registered::Object(to_number, to_name)) => {
                let typed = self.bind(expr)?;
                let is_text = |sql: SqlType| matches!(sql, SqlType::Scalar(it) if it.is_text());
                match typed.sql.is_none_or(is_text) {
                    true => self.object(typed, to_number).map(Some),
                    false => self.object(typed, to_name).map(Some),
                }
            }
            // The name of the object that a name means: with its schema where that is needed.
            None => {
                let (Some(Registered::Object(_, to_name)), Ok(to)) =
                    (of_operand(inner(expr)), super::sql_type(data_type))
                else {
                    return Ok(None);
                };
                let typed = self.bind(expr)?;
                let is_number = typed.sql == Some(ScalarType::Int8.into());
                let named = match is_number && matches!(to, SqlType::Scalar(it) if it.is_text()) {
                    true => self.object(typed, to_name)?,
                    false => typed,
                };
                let bound = self.cast(named, to, CastContext::Explicit)?;
                Ok(Some(Typed::new(bound, to)))
            }
        }
    }

    fn object(&mut self, typed: Typed, call: &'static CatalogCall) -> Result<Typed, SqlError> {
        let of = call.forms[0];
        let bound = self.cast(typed, of[0].into(), CastContext::Explicit)?;
        Ok(self.effect_of(Function::Catalog(call), vec![bound], of))
    }
}
