//! Alterations of collections whose documents expire, step by step with what happens beside.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_epoch::pin;
use velocitydb_types::{Fields, Key, Path, TimeSpan, Timestamp, Value};

use crate::alter::{Builder, Watch};
use crate::catalog::{
    Alteration, DatabaseId, Definition, FIRST_USER_COLLECTION, IndexDefinition, Persistence,
};
use crate::changes::HistoryOptions;
use crate::command::{Change, Command, Condition, Entry, Expires, Mode, Operation, Refusal, Write};
use crate::state::State;
use crate::store::Table;

/// A collection; documents of the second before 1970 are kept so many µs after it, if it says so.
fn definition(kept: Option<u64>) -> Definition {
    let index = |kept| {
        let index = IndexDefinition::time_series("i", Path::field("at"), TimeSpan(1_000_000));
        index.keep_for(TimeSpan(kept))
    };
    Definition {
        indexes: kept.map(index).into_iter().collect(),
        ..Definition::new("a")
    }
}

fn apply(state: &mut State, stamp: i64, command: Command<'_>) {
    let entry = Entry { stamp, command };
    let index = state.logged.last_index + 1;
    state.apply(index, 1, &entry).unwrap();
}

/// Puts a document with this time.
fn put(state: &mut State, stamp: i64, id: i64, time: i64) {
    let fields = BTreeMap::from([("at".to_owned(), Value::Time(Timestamp(time)))]);
    let fields = Fields::from_map(&fields).unwrap();
    let operation = Operation {
        collection: FIRST_USER_COLLECTION,
        key: Cow::Owned(Key::from_value(&id.into()).unwrap().as_bytes().into()),
        condition: Condition::None,
        change: Change::Put(Cow::Owned(fields.into_bytes().into_vec())),
        expires: Expires::Default,
    };
    let write = Write {
        mode: Mode::Atomic,
        resolved_at: state.catalog.changed_at(),
        operations: vec![operation].into(),
        retry: None,
    };
    apply(state, stamp, Command::Write(write));
}

/// Alters a collection with one document, of the last µs before 1970, while `meanwhile` happens.
fn altered(
    from: Option<u64>,
    to: Option<u64>,
    meanwhile: impl FnOnce(&mut State),
) -> (State, Arc<Table>) {
    let mut state = State::new(1, None, HistoryOptions::default());
    apply(
        &mut state,
        1,
        Command::CreateCollection(DatabaseId::VELOCITY, Box::new(definition(from))),
    );
    put(&mut state, 10, 1, -1);
    let collection = Arc::clone(state.catalog.get(DatabaseId::VELOCITY, "a").unwrap());
    let alteration = Alteration::to(definition(to));
    let watch = Watch::start(&collection).unwrap();
    let mut builder = Builder::new(&watch.collection(), &alteration, Timestamp(20), 1).unwrap();
    builder.copy(|_| Ok::<_, Refusal>(())).unwrap();
    builder.index().unwrap();
    meanwhile(&mut state);
    let time = state.next_time(Persistence::Logged, Timestamp(20));
    builder.advance(time).unwrap();
    builder.catch_up().unwrap();
    let table = builder.finish(&state.shared.memory);
    (state, table)
}

#[test]
fn what_expires_meanwhile_does_not_come_back() {
    let (mut state, table) = altered(Some(50), None, |state| {
        put(state, 60, 2, 0);
        // It would be gone, and nobody would know that it had been there.
        let removed = state.remove_expired(Persistence::Logged, Timestamp(60), 10);
        assert_eq!(removed, 0);
    });
    assert_eq!(table.live(), 1);
    let removed = state.remove_expired(Persistence::Logged, Timestamp(60), 10);
    assert_eq!(removed, 1, "now it may go");
}

#[test]
fn what_is_moved_beyond_the_new_retention_goes_once() {
    let (_, table) = altered(None, Some(50), |state| put(state, 30, 1, -1_000_001));
    assert_eq!(table.live(), 0);
    assert_eq!(table.remove_expired(Timestamp(100), 10, &pin()), 0);
}
