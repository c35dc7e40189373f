//! `pg_type`, `pg_namespace` and `pg_range`: the types that there are, and those of arrays of them.
//!
//! As PostgreSQL 15 tells of them, with numbers of objects as bigint and names of functions as text.
//! There are no types of ranges, and no schemas but those that are always there: a user's is a part of
//! the names of its tables.

use velocitydb::Database;
use velocitydb_types::ScalarType::{self, Bool, Int2, Int4, Int8, Text};
use velocitydb_types::{FieldType, SCALAR_TYPES, SqlTypeRow, Value};

use super::{Each, OWNER, Shown};
use crate::error::SqlError;

pub(super) const PG_TYPE: Shown = Shown {
    schema: "pg_catalog",
    name: "pg_type",
    columns: TYPE_COLUMNS,
    rows: pg_type,
};

pub(super) const PG_NAMESPACE: Shown = Shown {
    schema: "pg_catalog",
    name: "pg_namespace",
    columns: NAMESPACE_COLUMNS,
    rows: pg_namespace,
};

pub(super) const PG_RANGE: Shown = Shown {
    schema: "pg_catalog",
    name: "pg_range",
    columns: RANGE_COLUMNS,
    rows: |_, _| Ok(()),
};

const TYPE_COLUMNS: &[(&str, ScalarType)] = &[
    ("oid", Int8),
    ("typname", Text),
    ("typnamespace", Int8),
    ("typowner", Int8),
    ("typlen", Int2),
    ("typbyval", Bool),
    ("typtype", Text),
    ("typcategory", Text),
    ("typispreferred", Bool),
    ("typisdefined", Bool),
    ("typdelim", Text),
    ("typrelid", Int8),
    ("typsubscript", Text),
    ("typelem", Int8),
    ("typarray", Int8),
    ("typinput", Text),
    ("typoutput", Text),
    ("typreceive", Text),
    ("typsend", Text),
    ("typmodin", Text),
    ("typmodout", Text),
    ("typanalyze", Text),
    ("typalign", Text),
    ("typstorage", Text),
    ("typnotnull", Bool),
    ("typbasetype", Int8),
    ("typtypmod", Int4),
    ("typndims", Int4),
    ("typcollation", Int8),
    ("typdefaultbin", Text),
    ("typdefault", Text),
    ("typacl", Text),
];

const NAMESPACE_COLUMNS: &[(&str, ScalarType)] = &[
    ("oid", Int8),
    ("nspname", Text),
    ("nspowner", Int8),
    ("nspacl", Text),
];

const RANGE_COLUMNS: &[(&str, ScalarType)] = &[
    ("rngtypid", Int8),
    ("rngsubtype", Int8),
    ("rngmultitypid", Int8),
    ("rngcollation", Int8),
    ("rngsubopc", Int8),
    ("rngcanonical", Text),
    ("rngsubdiff", Text),
];

/// The number of `pg_catalog`.
const PG_CATALOG: i64 = 11;

/// The number of the collation that depends on the database.
const DEFAULT_COLLATION: i64 = 100;

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

fn category(row: &SqlTypeRow) -> &'static str {
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

fn number(number: impl Into<i64>) -> Value {
    Value::Int(number.into())
}

fn pg_type(_: &Database, each: Each<'_>) -> Result<(), SqlError> {
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
        if !each(values)? {
            break;
        }
    }
    Ok(())
}

fn pg_namespace(_: &Database, each: Each<'_>) -> Result<(), SqlError> {
    // The last is ours, with a number that PostgreSQL gives nobody.
    for (oid, name) in [
        (PG_CATALOG, "pg_catalog"),
        (2200, "public"),
        (1, "velocity"),
    ] {
        let values = vec![number(oid), name.into(), number(OWNER), Value::Null];
        if !each(values)? {
            break;
        }
    }
    Ok(())
}
