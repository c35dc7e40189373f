//! Rows that are always the same (`fixed.txt`).

use velocitydb_types::{ScalarType, SqlType, Timestamp, Value};

use super::{Fill, Seen};
use crate::error::SqlError;
use crate::formats::{Settings, read_text};

/// The values of a table's rows.
fn lines(table: &str) -> impl Iterator<Item = impl Iterator<Item = &'static str>> {
    let lines = include_str!("fixed.txt").lines();
    lines.filter_map(move |line| {
        let (of, values) = line.split_once(',')?;
        (of == table).then(|| values.split(','))
    })
}

/// Those of the table at hand.
pub(super) fn rows(_: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let settings = Settings::new(Timestamp(0));
    let shown = fill.shown;
    for values in lines(shown.name) {
        let columns = shown.columns.iter();
        let row = values.zip(columns).map(|(text, (_, sql))| match text {
            "" => Ok(Value::Null),
            text => read_text(text, *sql, &settings),
        });
        let mut row = row.collect::<Result<Vec<_>, _>>()?;
        row.resize(shown.columns.len(), Value::Null);
        fill.whole(row)?;
    }
    Ok(())
}

/// The number of the operators by which an index of a way orders a type; 0: none that are known.
pub(super) fn operator_class(method: i64, sql: SqlType, named: Option<&str>) -> i64 {
    let of = match sql {
        SqlType::Array(_) => 2277,
        SqlType::Scalar(ScalarType::Varchar(_)) => ScalarType::Text.row().oid,
        SqlType::Scalar(scalar) => scalar.row().oid,
    };
    let found = lines("pg_opclass").find_map(|values| {
        let values: Vec<_> = values.collect();
        let [oid, by, name, _, _, _, class_of, is_default, ..] = values[..] else {
            return None;
        };
        let fits = match named {
            Some(named) => name == named,
            None => is_default == "t" && class_of.parse() == Ok(of),
        };
        (fits && by.parse() == Ok(method)).then(|| oid.parse().ok())?
    });
    found.unwrap_or(0)
}
