//! Defaults: what a table keeps of them, and what INSERT makes of those that are SQL.

use sqlparser::ast::{Expr, Function};
use sqlparser::tokenizer::{Location, Span, Token, Tokenizer};
use velocitydb::{DefaultValue, FieldType};
use velocitydb_types::{Identity, ScalarType, SqlDefault, SqlType};

use crate::bound::{Bound, Environment, Moment};
use crate::error::SqlError;
use crate::parse::{Postgres, expression_in, name_in, position};
use crate::statement::{Preparing, collection_name};
use crate::table::Column;

/// The default that takes a column's values from a sequence.
pub(super) fn of_sequence(name: &str, identity: Option<Identity>) -> DefaultValue {
    DefaultValue::Sql(SqlDefault {
        text: format!("nextval({})", literal(name)),
        identity,
    })
}

/// The name of a sequence as a text of SQL.
fn literal(name: &str) -> String {
    let quoted = |part: &str| format!("\"{part}\"");
    let name: Vec<_> = name.split('.').map(quoted).collect();
    format!("'{}'", name.join(".").replace('\'', "''"))
}

/// Whether a column is an identity, and which.
pub(crate) fn identity(column: &Column) -> Option<Identity> {
    match &column.default {
        Some(DefaultValue::Sql(default)) => default.identity,
        _ => None,
    }
}

/// The sequences that a default takes numbers from.
pub(crate) fn sequences_of(default: &SqlDefault) -> Vec<String> {
    let named = named_in(&default.text).into_iter();
    named.map(|(name, _)| name).collect()
}

/// The names of sequences in the text of a default, and the places where they stand.
fn named_in(text: &str) -> Vec<(String, Span)> {
    let tokens = Tokenizer::new(&Postgres, text).tokenize_with_location();
    let mut names = Vec::new();
    let mut calls = false;
    for token in tokens.unwrap_or_default() {
        match token.token {
            Token::Word(word) => calls = word.value.eq_ignore_ascii_case("nextval"),
            Token::SingleQuotedString(name) if calls => {
                let name = name_in(&name).and_then(|name| collection_name(&name));
                names.extend(name.ok().map(|name| (name, token.span)));
            }
            _ => {}
        }
    }
    names
}

/// The text of a default once a sequence has another name; `None`: it is no concern of it.
pub(super) fn with_sequence(text: &str, from: &str, to: &str) -> Option<String> {
    let mut characters: Vec<char> = text.chars().collect();
    let places = named_in(text).into_iter().filter(|(name, _)| name == from);
    let place = |of: Location| position(text, of)?.checked_sub(1).map(|at| at as usize);
    let places = places.map(|(_, span)| Some(place(span.start)?..place(span.end)?));
    let places: Vec<_> = places.collect::<Option<_>>()?;
    // From the last on: those before stay where they are.
    for place in places.iter().rev().cloned() {
        characters.splice(place, literal(to).chars());
    }
    (!places.is_empty()).then(|| characters.into_iter().collect())
}

impl Preparing<'_> {
    /// The default that an expression is; `None`: null.
    ///
    /// # Errors
    /// It is no value of the type, or not one of a default.
    pub(super) fn default_of(
        &mut self,
        expr: &Expr,
        sql: SqlType,
    ) -> Result<Option<DefaultValue>, SqlError> {
        if matches!(sql.kept(), FieldType::Uuid | FieldType::String)
            && matches!(expr, Expr::Function(function) if is_new_uuid(function))
        {
            return Ok(Some(DefaultValue::Uuid));
        }
        let bound = self.bind_default(expr, sql)?;
        Ok(match bound {
            Bound::Constant(value) if value.is_null() => None,
            Bound::Constant(value) => Some(DefaultValue::Constant(value)),
            Bound::Moment(Moment::Transaction) => Some(DefaultValue::Now),
            bound if has_parameter(&bound) => {
                return Err(SqlError::new(
                    crate::sqlstate::UNDEFINED_PARAMETER,
                    "a default has no parameters",
                ));
            }
            bound if is_fixed(&bound, sql) => {
                let value = bound.value(&self.moment())?;
                (!value.is_null()).then_some(DefaultValue::Constant(value))
            }
            _ => Some(DefaultValue::Sql(SqlDefault {
                text: expr.to_string(),
                identity: None,
            })),
        })
    }

    fn bind_default(&mut self, expr: &Expr, sql: SqlType) -> Result<Bound, SqlError> {
        self.binder(&[]).without_path(|binder| {
            let typed = binder.bind(expr)?;
            binder.assigned(typed, sql)
        })
    }

    /// The value that a default of SQL has now, for rows that are there already.
    ///
    /// # Errors
    /// It differs from row to row.
    pub(super) fn default_now(
        &mut self,
        default: &SqlDefault,
        sql: SqlType,
    ) -> Result<velocitydb::Value, SqlError> {
        let expr = expression_in(&default.text)?;
        let bound = self.bind_default(&expr, sql)?;
        match bound.is_constant() {
            true => bound.value(&self.moment()),
            false => Err(of_rows(default)),
        }
    }

    pub(super) fn moment(&self) -> Environment<'static> {
        let now = self.definitions.database().now();
        Environment {
            parameters: &[],
            queries: &[],
            transaction: now,
            statement: now,
        }
    }
}

/// That a default has no one value for rows that are there.
pub(super) fn of_rows(default: &SqlDefault) -> SqlError {
    let what = format!(
        "adding a column with the default {} to a table with rows",
        default.text
    );
    let hint = "Add the column without it, give the rows their values by UPDATE, and then say \
                ALTER COLUMN … SET DEFAULT.";
    SqlError::unsupported(what).hint(hint)
}

fn is_new_uuid(function: &Function) -> bool {
    let text = function.to_string().to_lowercase();
    matches!(
        text.as_str(),
        "gen_random_uuid()" | "uuid_generate_v4()" | "pg_catalog.gen_random_uuid()"
    )
}

fn has_parameter(bound: &Bound) -> bool {
    match bound {
        Bound::Parameter(_) => true,
        Bound::Apply { arguments, .. } => arguments.iter().any(has_parameter),
        _ => false,
    }
}

/// Whether it is the same at any time, in any session: no moment, no random, no time zone.
fn is_fixed(bound: &Bound, sql: SqlType) -> bool {
    let plain = |sql: &SqlType| {
        let (SqlType::Scalar(scalar) | SqlType::Array(scalar)) = sql;
        !matches!(
            scalar,
            ScalarType::Date
                | ScalarType::Timestamp
                | ScalarType::Timestamptz
                | ScalarType::Interval
        )
    };
    match bound {
        Bound::Constant(_) => true,
        Bound::Apply {
            arguments,
            types,
            volatile: false,
            ..
        } => {
            plain(&sql)
                && types.iter().all(plain)
                && arguments.iter().all(|argument| is_fixed(argument, sql))
        }
        _ => false,
    }
}
