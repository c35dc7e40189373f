//! The functions and operators of SQL, as PostgreSQL 15 has them.
//!
//! Every function is a row of a table ([`Row`]): a name, the types it takes, the type it gives, and
//! what computes it. An operator is a row whose name is the operator. [`resolve`] chooses the row
//! for a name and the types of arguments, and says what each argument must be cast to;
//! [`conversion`] is the cast. What resolves is applied with
//! [`velocitydb_query::Expression::apply`].
//!
//! What the grammar has words or signs for is a row, too, with a name of its own:
//!
//! | SQL | row |
//! | --- | --- |
//! | `AND`, `OR`, `NOT`, `IS [NOT] NULL` (`TRUE`, `FALSE`, `UNKNOWN`), `IS [NOT] DISTINCT FROM` | the words, in lowercase |
//! | `x [NOT] IN (a, b)`, `x [NOT] BETWEEN a AND b` | `in(x, a, b)`, `between(x, a, b)`, `not in`, `not between` |
//! | `CASE WHEN a THEN b … ELSE c END` | `case(a, b, …, c)`; of `CASE x WHEN y`, conditions are `=(x, y)` |
//! | `COALESCE`, `NULLIF`, `GREATEST`, `LEAST`, `ARRAY[…]` | `coalesce`, `nullif`, `greatest`, `least`, `array` |
//! | `x[i]`, `x[i:j]`, `x[i:]`, `x[:j]`, `x[:]` | `subscript`, `slice`, `slice from`, `slice to`, `slice all` |
//! | `x op ANY (array)`, `x op ALL (array)` | [`resolve_quantified`] |
//! | `LIKE`, `ILIKE` (`NOT …`); `… ESCAPE e` | `~~`, `~~*`, `!~~`, `!~~*`; of `like_escape(pattern, e)` |
//! | `x SIMILAR TO p [ESCAPE e]` | `~(x, similar_to_escape(p [, e]))` |
//! | `EXTRACT(f FROM x)`, `x AT TIME ZONE z`, `(a, b) OVERLAPS (c, d)` | `extract('f', x)`, `timezone(z, x)`, `overlaps(a, b, c, d)` |
//! | `POSITION(a IN b)`, `SUBSTRING(x FROM i FOR n)`, `OVERLAY(x PLACING y FROM i FOR n)` | `position(b, a)`, `substring(x, i, n)`, `overlay(x, y, i, n)` |
//! | `TRIM(BOTH c FROM x)` | `btrim(x, c)`, `ltrim`, `rtrim` |
//!
//! `age(x)` is `age(current_date, x)`, and arguments of `make_interval` that are left out or named
//! are put in place ([`named_arguments`]): both by the caller.
//!
//! Rules that hold for all rows:
//! - The same arguments give the same value; what depends on the session takes it from the
//!   [`Settings`] that it was resolved with. `now()`, `random()` and sequences are not here.
//! - A row that is strict is null when an argument is.
//! - Strings are compared by their bytes; jsonb by the order of all values
//!   ([`velocitydb_types::compare`]), so that indexes answer the same as conditions.
//! - A numeric has no trailing zeros, no NaN and no infinity. JSON's null is SQL's null.
//! - Sizes are bounded ([`BYTES_MAX`], the patterns of `velocitydb_types::pattern`); no argument
//!   causes a panic.
//!
//! Files by what they work on; `resolve` and `types` choose. Tests: `tests/it`, golden files of
//! expressions with PostgreSQL's own answers.

mod arrays;
mod call;
mod codes;
mod convert;
mod date_formats;
mod date_reading;
mod dates;
mod decimals;
mod fields;
mod json;
mod logic;
mod math;
mod moments;
mod number_formats;
mod numbers;
mod patterns;
mod quantified;
pub(crate) mod quotes;
mod resolve;
mod text;
mod types;

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use velocitydb_query::{Arguments, Cell, QueryError, Scalar};
use velocitydb_types::{ScalarType, SqlType, Value};

use crate::formats::Settings;

use call::Call;
pub use convert::{Conversion, conversion};
pub(crate) use decimals::variance;
pub use quantified::resolve_quantified;
pub(crate) use quotes::quote_ident;
pub use resolve::{FunctionError, Resolved, is_function, resolve, type_name};
pub use types::common_type;

/// Bytes that a function may make.
pub const BYTES_MAX: usize = velocitydb_types::DOCUMENT_BYTES_MAX;

/// What an argument or a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// This type, of any length or precision.
    Is(ScalarType),
    /// An array of this type.
    ArrayOf(ScalarType),
    /// Anything, as it is.
    Any,
    /// One type for all such arguments and results.
    Element,
    /// An array of that type.
    Array,
    /// The common type of all such arguments ([`common_type`]).
    Common,
    /// An array of that type.
    CommonArray,
    /// Anything but an array, as it is.
    NonArray,
}

/// One function or operator.
#[derive(Debug)]
pub struct Row {
    /// Its name; in lowercase, or an operator.
    pub name: &'static str,
    /// What it takes.
    pub arguments: &'static [Kind],
    /// Whether the last argument may be given several times.
    pub variadic: bool,
    /// What it gives.
    pub result: Kind,
    /// Whether it is null when an argument is.
    pub strict: bool,
    /// What computes it.
    body: Body,
}

type Answer = Result<Value, QueryError>;

#[derive(Clone, Copy)]
enum Body {
    /// Of all arguments.
    Values(fn(&Call<'_, '_>) -> Answer),
    /// Of the arguments that it asks for.
    Lazy(for<'a> fn(&Bound, &Arguments<'a>) -> Result<Cell<'a>, QueryError>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

/// A strict function.
const fn f(
    name: &'static str,
    arguments: &'static [Kind],
    result: Kind,
    body: fn(&Call<'_, '_>) -> Answer,
) -> Row {
    Row {
        name,
        arguments,
        variadic: false,
        result,
        strict: true,
        body: Body::Values(body),
    }
}

/// A function that asks for its arguments itself.
const fn lazy(
    name: &'static str,
    arguments: &'static [Kind],
    result: Kind,
    body: for<'a> fn(&Bound, &Arguments<'a>) -> Result<Cell<'a>, QueryError>,
) -> Row {
    Row {
        body: Body::Lazy(body),
        strict: false,
        ..f(name, arguments, result, |_| Ok(Value::Null))
    }
}

impl Row {
    /// It takes nulls.
    const fn with_nulls(self) -> Row {
        Row {
            strict: false,
            ..self
        }
    }

    /// Its last argument may be given several times.
    const fn variadic(self) -> Row {
        Row {
            variadic: true,
            ..self
        }
    }

    /// What it takes at a position.
    fn kind(&self, position: usize) -> Kind {
        self.arguments[position.min(self.arguments.len() - 1)]
    }

    /// Whether it takes so many.
    fn takes(&self, count: usize) -> bool {
        match self.variadic {
            true => count >= self.arguments.len(),
            false => count == self.arguments.len(),
        }
    }
}

/// Short names for the columns of the tables.
mod kinds {
    use super::Kind::{self, ArrayOf, Is};
    use velocitydb_types::ScalarType;

    pub(super) const BOOL: Kind = Is(ScalarType::Bool);
    pub(super) const INT2: Kind = Is(ScalarType::Int2);
    pub(super) const INT4: Kind = Is(ScalarType::Int4);
    pub(super) const INT8: Kind = Is(ScalarType::Int8);
    pub(super) const FLOAT4: Kind = Is(ScalarType::Float4);
    pub(super) const FLOAT8: Kind = Is(ScalarType::Float8);
    pub(super) const NUMERIC: Kind = Is(ScalarType::Numeric(None));
    pub(super) const TEXT: Kind = Is(ScalarType::Text);
    pub(super) const CHAR: Kind = Is(ScalarType::Char(1));
    pub(super) const BYTEA: Kind = Is(ScalarType::Bytea);
    pub(super) const DATE: Kind = Is(ScalarType::Date);
    pub(super) const TIMESTAMP: Kind = Is(ScalarType::Timestamp);
    pub(super) const TIMESTAMPTZ: Kind = Is(ScalarType::Timestamptz);
    pub(super) const INTERVAL: Kind = Is(ScalarType::Interval);
    pub(super) const UUID: Kind = Is(ScalarType::Uuid);
    pub(super) const JSON: Kind = Is(ScalarType::Json);
    pub(super) const JSONB: Kind = Is(ScalarType::Jsonb);
    pub(super) const TEXTS: Kind = ArrayOf(ScalarType::Text);
    pub(super) use super::Kind::{Any, Array, Common, CommonArray, Element, NonArray};
}

/// An argument that may be given by its name, or left out.
#[derive(Debug, Clone, Copy)]
pub struct NamedArgument {
    /// Its name.
    pub name: &'static str,
    /// What it is when it is left out, as a literal of unknown type.
    pub default: &'static str,
}

/// The arguments of a function that may be given by name; none for most functions.
pub fn named_arguments(name: &str) -> &'static [NamedArgument] {
    const fn named(name: &'static str, default: &'static str) -> NamedArgument {
        NamedArgument { name, default }
    }
    const INTERVAL: &[NamedArgument] = &[
        named("years", "0"),
        named("months", "0"),
        named("weeks", "0"),
        named("days", "0"),
        named("hours", "0"),
        named("mins", "0"),
        named("secs", "0"),
    ];
    match name {
        "make_interval" => INTERVAL,
        _ => &[],
    }
}

/// Every function and operator, in the order of their names.
pub fn rows() -> &'static [&'static Row] {
    static ROWS: LazyLock<Vec<&'static Row>> = LazyLock::new(|| {
        let tables = [
            logic::ROWS,
            logic::COMPARISONS,
            numbers::ROWS,
            math::ROWS,
            arrays::ROWS,
            text::ROWS,
            patterns::ROWS,
            quotes::ROWS,
            codes::ROWS,
            dates::ROWS,
            fields::ROWS,
            json::BOTH,
            json::ROWS,
            date_formats::ROWS,
            date_reading::ROWS,
            number_formats::ROWS,
        ];
        let mut rows: Vec<&Row> = tables.into_iter().flatten().collect();
        rows.sort_by_key(|row| row.name);
        rows
    });
    &ROWS
}

/// The names of all functions, operators and aggregates: those of the session and of sequences, and
/// words of the grammar, included.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = rows().iter().map(|row| row.name).collect();
    names.extend(crate::aggregate::NAMES);
    names.extend(crate::aggregate::WITHIN_GROUP);
    names.push("grouping");
    names.extend(crate::bind::OF_BINDER);
    names.extend(crate::sequences::Function::ALL.map(crate::sequences::Function::name));
    names.extend(crate::effects::Function::names());
    names.sort_unstable();
    names.dedup();
    names
}

/// A row, for arguments of certain types: what is called.
struct Bound {
    row: &'static Row,
    /// What the arguments are.
    arguments: Vec<SqlType>,
    result: SqlType,
    settings: Arc<Settings>,
    /// The pattern that it met first, compiled.
    pattern: OnceLock<call::Compiled>,
    /// The zone that it met first.
    zone: OnceLock<(Box<str>, velocitydb_query::Zone)>,
}

/// What two functions have to have in common to be the same.
impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{:?} -> {}",
            self.row.name, self.arguments, self.result
        )?;
        let types = self.arguments.iter().chain([&self.result]);
        write_settings(&self.settings, types, f)
    }
}

/// The settings, if a function of these types depends on them: only texts of times do.
/// The others are the same in every session, so that a query finds the index of an expression.
fn write_settings<'t>(
    settings: &Settings,
    types: impl IntoIterator<Item = &'t SqlType>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let is_of_time = |sql: &SqlType| {
        let (SqlType::Scalar(scalar) | SqlType::Array(scalar)) = sql;
        use ScalarType::{Date, Interval, Timestamp, Timestamptz};
        matches!(scalar, Date | Timestamp | Timestamptz | Interval)
    };
    if !types.into_iter().any(is_of_time) {
        return Ok(());
    }
    let Settings {
        zone,
        date_order,
        interval_style,
        now: _, // it is not the same from one statement to the next
        user: _,
        database: _,
        search_path: _,
    } = settings;
    write!(f, " [{zone} {date_order:?} {interval_style:?}]")
}

impl Scalar for Bound {
    fn name(&self) -> &str {
        self.row.name
    }

    fn call<'a>(&self, arguments: &Arguments<'a>) -> Result<Cell<'a>, QueryError> {
        match self.row.body {
            Body::Lazy(body) => body(self, arguments),
            Body::Values(body) => {
                let mut values = smallvec::SmallVec::<[Cell<'a>; 3]>::new();
                for cell in arguments.iter() {
                    let cell = cell?;
                    if self.row.strict && cell.is_null() {
                        return Ok(Cell::Owned(Value::Null));
                    }
                    values.push(cell);
                }
                let call = Call {
                    values: &values,
                    bound: self,
                };
                body(&call).map(Cell::Owned)
            }
        }
    }

    fn result(&self) -> Option<SqlType> {
        Some(self.result)
    }

    fn is_lazy(&self) -> bool {
        matches!(self.row.body, Body::Lazy(_))
    }
}

/// Why a function has no value.
fn fault(sqlstate: &'static str, message: impl Into<String>) -> QueryError {
    QueryError::Scalar {
        sqlstate,
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use velocitydb_query::{Expression, Zone};
    use velocitydb_types::Timestamp;

    /// An index of `lower(name)` that one session made serves another one's queries.
    #[test]
    fn functions_are_the_same_unless_a_setting_makes_a_difference() {
        let utc = Arc::new(Settings::new(Timestamp(0)));
        let berlin = Arc::new(Settings {
            zone: Zone::named("Europe/Berlin").unwrap(),
            ..Settings::new(Timestamp(1))
        });
        let call = |name: &str, scalar: ScalarType, settings: &Arc<Settings>| {
            let resolved = resolve(name, &[Some(scalar.into())], settings).unwrap();
            Expression::apply(resolved.function, [Expression::literal("x")])
        };
        let lower = |settings| call("lower", ScalarType::Text, settings);
        assert_eq!(lower(&utc), lower(&berlin));
        let to_jsonb = |scalar, settings| call("to_jsonb", scalar, settings);
        let (int, time) = (ScalarType::Int4, ScalarType::Timestamptz);
        assert_eq!(to_jsonb(int, &utc), to_jsonb(int, &berlin));
        assert_ne!(to_jsonb(time, &utc), to_jsonb(time, &berlin));
        assert_ne!(to_jsonb(int, &utc), to_jsonb(ScalarType::Text, &utc));
    }
}
