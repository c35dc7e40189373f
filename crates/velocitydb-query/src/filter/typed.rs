//! Values of the types that fields are declared with.
//!
//! JSON says a time as a string, and a string is never equal to a time. Whoever knows the schema
//! turns what a query in JSON compares a declared field with into the field's type.

use velocitydb_types::{FieldType, Path, Value};

use super::{FILTER_DEPTH_MAX, Filter};

/// The declared type of what a path leads to, if there is one.
pub type TypeOf<'t> = &'t dyn Fn(&Path) -> Option<FieldType>;

impl Filter {
    /// The filter with strings and maps turned into the types that fields are declared with, where
    /// they can be. `_created_at` and `_updated_at` are times.
    #[must_use]
    pub fn typed(self, type_of: TypeOf<'_>) -> Filter {
        self.typed_within(type_of, 1)
    }

    fn typed_within(self, type_of: TypeOf<'_>, depth: usize) -> Filter {
        if depth > FILTER_DEPTH_MAX {
            return self;
        }
        let value = |path: &Path, value: Value| typed_value(path, value, type_of);
        let inside = |filter: Filter| filter.typed_within(type_of, depth + 1);
        macro_rules! comparison {
            ($make:path, $path:expr, $value:expr) => {{
                let value = value(&$path, $value);
                $make($path, value)
            }};
        }
        match self {
            Filter::Eq(path, v) => comparison!(Filter::Eq, path, v),
            Filter::Ne(path, v) => comparison!(Filter::Ne, path, v),
            Filter::Lt(path, v) => comparison!(Filter::Lt, path, v),
            Filter::Le(path, v) => comparison!(Filter::Le, path, v),
            Filter::Gt(path, v) => comparison!(Filter::Gt, path, v),
            Filter::Ge(path, v) => comparison!(Filter::Ge, path, v),
            Filter::In(path, values) => {
                let values = values.0.into_iter().map(|v| value(&path, v)).collect();
                Filter::In(path, values)
            }
            Filter::And(filters) => Filter::And(filters.into_iter().map(inside).collect()),
            Filter::Or(filters) => Filter::Or(filters.into_iter().map(inside).collect()),
            Filter::Not(filter) => Filter::Not(Box::new(inside(*filter))),
            other => other,
        }
    }
}

fn typed_value(path: &Path, value: Value, type_of: TypeOf<'_>) -> Value {
    let value = match value {
        // An id of several fields has a type for each.
        Value::Array(values) if path.first() == "_id" && path.rest().is_empty() => {
            let part = |(at, value)| {
                let of = |at: usize| format!("_id.{at}").parse().ok();
                match of(at) {
                    Some(path) => typed_value(&path, value, type_of),
                    None => value,
                }
            };
            return Value::Array(values.into_iter().enumerate().map(part).collect());
        }
        Value::String(_) | Value::Map(_) => value,
        other => return other,
    };
    let declared = match path.first() {
        "_created_at" | "_updated_at" => Some(FieldType::Time),
        _ => type_of(path),
    };
    match declared {
        Some(declared) => declared.coerce(value),
        None => value,
    }
}
