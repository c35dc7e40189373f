//! What types are to each other: categories, preferred types, the type that several have in common.
//!
//! Which can be cast to which is said in [`crate::casts`].

use velocitydb_types::ScalarType as T;
use velocitydb_types::SqlType;

use crate::casts::{CastContext, cast_context};

/// What PostgreSQL calls a type's category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    Array,
    Boolean,
    DateTime,
    Geometric,
    Numeric,
    Polymorphic,
    String,
    Timespan,
    User,
}

pub(super) fn category(sql: SqlType) -> Category {
    let SqlType::Scalar(scalar) = sql else {
        return Category::Array;
    };
    match scalar {
        T::Bool => Category::Boolean,
        T::Date | T::Timestamp | T::Timestamptz => Category::DateTime,
        T::Interval => Category::Timespan,
        T::Point => Category::Geometric,
        T::Text | T::Varchar(_) | T::Char(_) => Category::String,
        scalar if scalar.is_number() => Category::Numeric,
        _ => Category::User,
    }
}

/// The type of its category that others give way to.
pub(super) fn is_preferred(sql: SqlType) -> bool {
    matches!(
        sql,
        SqlType::Scalar(T::Bool | T::Float8 | T::Text | T::Timestamptz | T::Interval)
    )
}

/// The type without length or precision; but `char(n)` keeps its own, having no name without.
pub(super) fn plain(sql: SqlType) -> SqlType {
    let of = |scalar: T| match scalar {
        T::Char(_) => scalar,
        other => other.row().scalar,
    };
    match sql {
        SqlType::Scalar(scalar) => SqlType::Scalar(of(scalar)),
        SqlType::Array(element) => SqlType::Array(of(element)),
    }
}

/// Whether two types are the same but for length and precision.
pub(super) fn is_same(a: SqlType, b: SqlType) -> bool {
    a.oid() == b.oid()
}

/// Whether a type is cast to another wherever it is wanted.
pub(super) fn is_implicit(from: SqlType, to: SqlType) -> bool {
    cast_context(from, to) == Some(CastContext::Implicit)
}

/// The type that values of several types all become, where one is wanted (`CASE`, `UNION`,
/// `ARRAY[…]`); `None` among the types is a literal or parameter of unknown type.
///
/// # Errors
/// Two types that have none in common.
pub fn common_type(types: &[Option<SqlType>]) -> Result<SqlType, (SqlType, SqlType)> {
    let mut known = types.iter().flatten().copied();
    let Some(first) = known.next() else {
        return Ok(SqlType::Scalar(T::Text));
    };
    if types.iter().flatten().all(|sql| *sql == first) && !types.contains(&None) {
        return Ok(first);
    }
    let mut common = plain(first);
    for next in known.map(plain) {
        if is_same(common, next) {
            // The longer of two `char`.
            if let (SqlType::Scalar(T::Char(a)), SqlType::Scalar(T::Char(b))) = (common, next) {
                common = SqlType::Scalar(T::Char(a.max(b)));
            }
        } else if category(common) != category(next) {
            return Err((common, next));
        } else if !is_preferred(common) && is_implicit(common, next) && !is_implicit(next, common) {
            common = next;
        }
    }
    let all = types.iter().flatten();
    match all.copied().find(|sql| !is_implicit(*sql, common)) {
        Some(other) => Err((common, other)),
        None => Ok(common),
    }
}
