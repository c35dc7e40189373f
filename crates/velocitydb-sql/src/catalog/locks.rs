//! `pg_locks` and `velocity.locks`.
//!
//! A lock on a document is one of a `tuple`, which has no place that `page` and `tuple` could tell; one
//! on a key of a unique index is a `key`, which PostgreSQL does not have. Modes of `pg_locks` are
//! PostgreSQL's names of what a lock of that strength is there. No more than [`ROWS_MAX`] rows are
//! shown, those of locks that somebody waits for first.

use std::collections::BTreeMap;

use velocitydb::locks::{CollectionId, LockRow, Mode, Name};
use velocitydb::{Database, DatabaseId};
use velocitydb_types::Value;

use super::objects::of_collection;
use super::{Fill, Seen, number};
use crate::effects::process_id;
use crate::error::SqlError;

const ROWS_MAX: usize = 100_000;

fn collection_of(name: Name<'_>) -> Option<CollectionId> {
    match name {
        Name::Row { collection, .. }
        | Name::Unique { collection, .. }
        | Name::Collection(collection) => Some(collection),
        Name::Advisory(..) | Name::AdvisoryPair(..) => None,
    }
}

/// The database that the lock is of.
fn database_of(database: &Database, name: Name<'_>) -> Option<DatabaseId> {
    match name {
        Name::Advisory(of, _) | Name::AdvisoryPair(of, ..) => Some(of),
        name => database.database_of(collection_of(name)?),
    }
}

/// What PostgreSQL calls a lock of this strength.
fn pg_mode(name: Name<'_>, mode: Mode) -> &'static str {
    match (name, mode) {
        (Name::Row { .. }, Mode::KeyShare) => "AccessShareLock",
        (Name::Row { .. }, Mode::Share) => "RowShareLock",
        (Name::Row { .. }, Mode::NoKeyUpdate) => "ExclusiveLock",
        (Name::Row { .. } | Name::Collection(_), Mode::Update) => "AccessExclusiveLock",
        (_, Mode::KeyShare | Mode::Share) => "ShareLock",
        (_, Mode::NoKeyUpdate | Mode::Update) => "ExclusiveLock",
    }
}

fn since(row: &LockRow) -> Value {
    row.waits_since.map_or(Value::Null, Value::Time)
}

pub(super) fn pg_locks(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let database = seen.database;
    for row in database.locks().list(ROWS_MAX).rows {
        let name = row.name.name();
        let kind = match name {
            Name::Row { .. } => "tuple",
            Name::Unique { .. } => "key",
            Name::Collection(_) => "relation",
            Name::Advisory(..) | Name::AdvisoryPair(..) => "advisory",
        };
        // The halves of one number, or two, and which of these it is.
        let (class, object, sub) = match name {
            Name::Advisory(_, whole) => {
                let (high, low) = ((whole >> 32) as u32, whole as u32);
                (number(high), number(low), number(1))
            }
            Name::AdvisoryPair(_, first, second) => {
                (number(first as u32), number(second as u32), number(2))
            }
            _ => (Value::Null, Value::Null, Value::Null),
        };
        let pid = process_id(row.owner);
        let values = vec![
            kind.into(),
            database_of(database, name).map_or(Value::Null, |id| number(id.0)),
            collection_of(name).map_or(Value::Null, |id| number(of_collection(id))),
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            class,
            object,
            sub,
            format!("{pid}/0").into(),
            number(pid),
            pg_mode(name, row.mode).into(),
            Value::Bool(row.waits_since.is_none()),
            Value::Bool(false),
            since(&row),
        ];
        fill.whole(values)?;
    }
    Ok(())
}

pub(super) fn locks(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let database = seen.database;
    let locks = database.locks();
    let names: BTreeMap<_, _> = database.databases().into_iter().collect();
    for row in locks.list(ROWS_MAX).rows {
        let mut text = row.name.to_string();
        let mut collection = Value::Null;
        if let Some(id) = collection_of(row.name.name())
            && let Some(name) = database.collection_name(id)
        {
            let end = text.len() - id.0.to_string().len();
            if text.ends_with(&format!("collection {}", id.0)) {
                text.replace_range(end.., &name);
            }
            collection = name.into();
        }
        let values = vec![
            text.into(),
            collection,
            row.mode.name().into(),
            number(row.owner.0 as i64),
            Value::Bool(row.waits_since.is_none()),
            since(&row),
            locks
                .label(row.owner)
                .map_or(Value::Null, |label| (&*label).into()),
            database_of(database, row.name.name())
                .and_then(|id| names.get(&id))
                .map_or(Value::Null, |of| of.name.as_str().into()),
        ];
        fill.whole(values)?;
    }
    Ok(())
}
