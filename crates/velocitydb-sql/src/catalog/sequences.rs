//! `pg_sequence`, `pg_sequences` and `information_schema.sequences`.

use velocitydb_types::{SqlType, Value};

use super::objects::SequenceObject;
use super::{Fill, Seen, number, or_null};
use crate::error::SqlError;

pub(super) fn pg_sequence(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for sequence in &seen.session.objects()?.sequences {
        let of = &sequence.definition;
        fill.row([
            ("seqrelid", number(sequence.oid)),
            ("seqtypid", number(of.sql_type.oid())),
            ("seqstart", number(of.start)),
            ("seqincrement", number(of.increment)),
            ("seqmax", number(of.maximum)),
            ("seqmin", number(of.minimum)),
            ("seqcache", number(1)),
            ("seqcycle", Value::Bool(of.cycle)),
        ])?;
    }
    Ok(())
}

/// The number that was given last.
fn last(seen: &Seen<'_>, sequence: &SequenceObject) -> Option<i64> {
    let found = seen.database.sequence(&sequence.definition.name).ok()??;
    let position = found.position();
    position.called.then_some(position.last)
}

pub(super) fn pg_sequences(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    for sequence in &objects.sequences {
        let of = &sequence.definition;
        fill.row([
            ("schemaname", or_null(objects.schema_name(sequence.schema))),
            ("sequencename", sequence.name.as_str().into()),
            ("sequenceowner", seen.user()),
            ("data_type", of.sql_type.to_string().into()),
            ("start_value", number(of.start)),
            ("min_value", number(of.minimum)),
            ("max_value", number(of.maximum)),
            ("increment_by", number(of.increment)),
            ("cycle", Value::Bool(of.cycle)),
            ("cache_size", number(1)),
            ("last_value", or_null(last(seen, sequence))),
        ])?;
    }
    Ok(())
}

/// `information_schema.sequences`, which has not those of identity columns.
pub(super) fn information(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    for sequence in &objects.sequences {
        let owner = sequence.owner.map(|(table, column)| {
            let column = column as usize - 1;
            &objects.tables[table].table.columns[column]
        });
        if owner.is_some_and(|owner| crate::statement::define::identity(owner).is_some()) {
            continue;
        }
        let of = &sequence.definition;
        let bits = match of.sql_type {
            SqlType::Scalar(scalar) => i64::from(scalar.row().length) * 8,
            SqlType::Array(_) => 0,
        };
        let text = |number: i64| number.to_string().into();
        fill.row([
            ("sequence_catalog", seen.database_name()),
            (
                "sequence_schema",
                or_null(objects.schema_name(sequence.schema)),
            ),
            ("sequence_name", sequence.name.as_str().into()),
            ("data_type", of.sql_type.to_string().into()),
            ("numeric_precision", number(bits)),
            ("numeric_precision_radix", number(2)),
            ("numeric_scale", number(0)),
            ("start_value", text(of.start)),
            ("minimum_value", text(of.minimum)),
            ("maximum_value", text(of.maximum)),
            ("increment", text(of.increment)),
            ("cycle_option", if of.cycle { "YES" } else { "NO" }.into()),
        ])?;
    }
    Ok(())
}
