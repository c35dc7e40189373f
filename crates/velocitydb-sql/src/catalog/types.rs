//! `pg_type` and `pg_cast`: the types that there are, those of arrays of them, and what becomes what.
//!
//! As PostgreSQL 15 tells of them. There are no types of ranges.

use velocitydb_types::ScalarType::{self, Bool, Text};
use velocitydb_types::{FieldType, SCALAR_TYPES, SqlType, SqlTypeRow, Value};

use super::{Fill, OWNER, PG_CATALOG, Seen, number};
use crate::casts::{CastContext, cast_context};
use crate::error::SqlError;

/// The number of the collation that depends on the database.
pub(super) const DEFAULT_COLLATION: i64 = 100;

/// What differs between a type and that of its arrays.
struct Shape {
    oid: u32,
    name: String,
    length: i16,
    category: &'static str,
    preferred: bool,
    subscript: &'static str,
    element: u32,
    array: u32,
    /// `input`, `output`, `receive`, `send`.
    functions: [String; 4],
    analyze: &'static str,
    align: &'static str,
    storage: &'static str,
}

pub(super) fn category(row: &SqlTypeRow) -> &'static str {
    match row.kept {
        FieldType::Bool => "B",
        FieldType::Int | FieldType::Float | FieldType::Decimal => "N",
        FieldType::String => "S",
        FieldType::Date | FieldType::Time => "D",
        FieldType::Interval => "T",
        FieldType::Point => "G",
        _ => "U",
    }
}

fn of_scalar(row: &SqlTypeRow) -> Shape {
    use ScalarType::{Float8, Interval, Jsonb, Numeric, Point, Timestamptz, Uuid};
    let old = row.kept == FieldType::String
        || matches!(row.name, "bool" | "bytea")
        || row.scalar.is_number() && row.kept != FieldType::Decimal;
    let function = |what: &str| match old {
        true => format!("{}{what}", row.name),
        false => format!("{}_{what}", row.name),
    };
    let align = match (row.length, row.scalar) {
        (1, _) | (_, Uuid) => "c",
        (2, _) => "s",
        (4 | -1, _) => "i",
        _ => "d",
    };
    Shape {
        oid: row.oid,
        name: row.name.to_owned(),
        length: row.length,
        category: category(row),
        preferred: matches!(row.scalar, Bool | Text | Float8 | Timestamptz | Interval),
        subscript: match row.scalar {
            Jsonb => "jsonb_subscript_handler",
            Point => "raw_array_subscript_handler",
            _ => "-",
        },
        element: match row.scalar {
            Point => Float8.row().oid,
            _ => 0,
        },
        array: row.array_oid,
        functions: ["in", "out", "recv", "send"].map(function),
        analyze: "-",
        align,
        storage: match (row.length, row.scalar) {
            (_, Numeric(_)) => "m",
            (-1, _) => "x",
            _ => "p",
        },
    }
}

fn of_array(row: &SqlTypeRow) -> Shape {
    Shape {
        oid: row.array_oid,
        name: format!("_{}", row.name),
        length: -1,
        category: "A",
        preferred: false,
        subscript: "array_subscript_handler",
        element: row.oid,
        array: 0,
        functions: ["in", "out", "recv", "send"].map(|what| format!("array_{what}")),
        analyze: "array_typanalyze",
        align: match (row.length, row.scalar) {
            (8 | 16, scalar) if scalar != ScalarType::Uuid => "d",
            _ => "i",
        },
        storage: "x",
    }
}

pub(super) fn pg_type(_: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for (row, shape) in SCALAR_TYPES
        .iter()
        .flat_map(|row| [(row, of_scalar(row)), (row, of_array(row))])
    {
        let has_modifier = [
            "bpchar",
            "varchar",
            "numeric",
            "timestamp",
            "timestamptz",
            "interval",
        ]
        .contains(&row.name);
        let modifier = |what: &str| match has_modifier {
            true => format!("{}typmod{what}", row.name),
            false => "-".to_owned(),
        };
        let [input, output, receive, send] = shape.functions;
        let collation = match row.kept {
            FieldType::String => DEFAULT_COLLATION,
            _ => 0,
        };
        let values = vec![
            number(shape.oid),
            shape.name.into(),
            number(PG_CATALOG),
            number(OWNER),
            number(shape.length),
            Value::Bool((1..=8).contains(&shape.length)),
            "b".into(),
            shape.category.into(),
            Value::Bool(shape.preferred),
            Value::Bool(true),
            ",".into(),
            number(0),
            shape.subscript.into(),
            number(shape.element),
            number(shape.array),
            input.into(),
            output.into(),
            receive.into(),
            send.into(),
            modifier("in").into(),
            modifier("out").into(),
            shape.analyze.into(),
            shape.align.into(),
            shape.storage.into(),
            Value::Bool(false),
            number(0),
            number(-1),
            number(0),
            number(collation),
            Value::Null,
            Value::Null,
            Value::Null,
        ];
        fill.whole(values)?;
    }
    Ok(())
}

/// How values of a type are laid out and kept, in PostgreSQL's letters.
pub(super) fn storage(sql: SqlType) -> (&'static str, &'static str) {
    let shape = match sql {
        SqlType::Scalar(scalar) => of_scalar(scalar.row()),
        SqlType::Array(element) => of_array(element.row()),
    };
    (shape.align, shape.storage)
}

/// Without those by way of texts, which `pg_cast` does not have either.
pub(super) fn pg_cast(_: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let pairs = SCALAR_TYPES.iter();
    let pairs = pairs.flat_map(|from| SCALAR_TYPES.iter().map(move |to| (from, to)));
    for (from, to) in pairs {
        let by_text = from.scalar.is_text() != to.scalar.is_text();
        let context = cast_context(from.scalar.into(), to.scalar.into());
        let Some(context) = context.filter(|_| from.oid != to.oid && !by_text) else {
            continue;
        };
        fill.row([
            // Both are numbers of less than 2^12.
            ("oid", number(i64::from(from.oid) << 12 | i64::from(to.oid))),
            ("castsource", number(from.oid)),
            ("casttarget", number(to.oid)),
            ("castfunc", number(0)),
            (
                "castcontext",
                match context {
                    CastContext::Implicit => "i",
                    CastContext::Assignment => "a",
                    CastContext::Explicit => "e",
                }
                .into(),
            ),
            ("castmethod", "f".into()),
        ])?;
    }
    Ok(())
}
