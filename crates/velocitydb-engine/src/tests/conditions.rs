//! What each condition asks for, through [`Engine::propose`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use velocitydb_types::{FieldOperation, Fields, Key, Path, Timestamp, Value};

use crate::catalog::{CollectionId, DatabaseId, Definition, IndexDefinition};
use crate::changes::HistoryOptions;
use crate::command::{Change, Command, Condition, Effect, Expires, Mode, Operation, Write};
use crate::log::LogOptions;
use crate::{Engine, EngineOptions, Error, StorageMode, Written};

pub(super) const A: CollectionId = CollectionId(16);
const B: CollectionId = CollectionId(17);

pub(super) fn engine() -> Engine {
    let engine = Engine::in_memory(EngineOptions {
        mode: StorageMode::MemoryOnly,
        durability: None,
        history: HistoryOptions::default(),
        memory_limit: None,
        log: LogOptions::default(),
        checkpoints_kept: 1,
        seed: 3,
        salts: Box::new(|| [0; 16]),
    });
    for name in ["a", "b"] {
        define(
            &engine,
            Command::CreateCollection(DatabaseId::VELOCITY, Box::new(Definition::new(name))),
        )
        .unwrap();
    }
    engine
}

fn define(engine: &Engine, command: Command<'_>) -> Result<Written, Error> {
    engine.propose(Timestamp(1), &command, None)
}

fn key(id: i64) -> Vec<u8> {
    Key::from_value(&Value::Int(id)).unwrap().as_bytes().into()
}

fn put(n: i64) -> Change<'static> {
    let fields = BTreeMap::from([("n".to_owned(), Value::Int(n))]);
    Change::Put(Cow::Owned(
        Fields::from_map(&fields).unwrap().into_bytes().into_vec(),
    ))
}

fn operation(
    collection: CollectionId,
    id: i64,
    condition: Condition,
    change: Change<'static>,
) -> Operation<'static> {
    Operation {
        collection,
        key: key(id).into(),
        condition,
        change,
        expires: Expires::Default,
    }
}

fn write_as(
    engine: &Engine,
    mode: Mode,
    resolved_at: u64,
    operations: Vec<Operation<'static>>,
) -> Result<Written, Error> {
    let write = Write {
        mode,
        resolved_at,
        operations: operations.into(),
        retry: None,
    };
    engine.propose(Timestamp(1), &Command::Write(write), None)
}

fn write(engine: &Engine, operations: Vec<Operation<'static>>) -> Result<Written, Error> {
    write_as(
        engine,
        Mode::Atomic,
        engine.catalog().changed_at(),
        operations,
    )
}

/// One operation on `a`: the index of its entry, or the name of the refusal.
fn one(
    engine: &Engine,
    id: i64,
    condition: Condition,
    change: Change<'static>,
) -> Result<u64, &'static str> {
    let written = write(engine, vec![operation(A, id, condition, change)]);
    written
        .map(|written| written.index)
        .map_err(|error| error.code().0)
}

#[test]
fn the_index_is_that_of_the_last_change_and_0_where_there_is_no_document() {
    let engine = engine();
    assert_eq!(
        one(&engine, 1, Condition::Index(7), put(1)),
        Err("conflict")
    );
    let inserted = one(&engine, 1, Condition::Index(0), put(1)).unwrap();
    assert_eq!(
        one(&engine, 1, Condition::Index(0), put(1)),
        Err("conflict")
    );
    let updated = one(&engine, 1, Condition::Index(inserted), put(2)).unwrap();
    assert_eq!(
        one(&engine, 1, Condition::Index(inserted), put(3)),
        Err("conflict")
    );
    let deleted = one(&engine, 1, Condition::Index(updated), Change::Delete).unwrap();
    for wrong in [updated, deleted] {
        assert_eq!(
            one(&engine, 1, Condition::Index(wrong), put(4)),
            Err("conflict")
        );
    }
    assert_eq!(
        one(&engine, 1, Condition::Index(0), put(4)),
        Ok(deleted + 1)
    );
}

#[test]
fn the_index_of_a_collection_is_that_of_any_change_in_it() {
    let engine = engine();
    let changed = |index| one(&engine, 0, Condition::CollectionIndex(index), Change::None);
    assert_eq!(changed(0), Ok(0), "it was never changed");
    let mut last = one(&engine, 1, Condition::None, put(1)).unwrap();
    assert_eq!(changed(0), Err("conflict"));
    for change in [put(2), Change::Delete, put(3)] {
        let next = one(&engine, 1, Condition::None, change).unwrap();
        assert_eq!((changed(last), changed(next)), (Err("conflict"), Ok(next)));
        last = next;
    }
    // What is refused, and what happens elsewhere, changes nothing here.
    assert_eq!(
        one(&engine, 1, Condition::Absent, put(1)),
        Err("already_exists")
    );
    write(&engine, vec![operation(B, 1, Condition::None, put(1))]).unwrap();
    assert_eq!(changed(last), Ok(last));
    // It guards the other operations of its entry, and sees none of them.
    let guarded = |index| {
        let guard = operation(A, 0, Condition::CollectionIndex(index), Change::None);
        write(
            &engine,
            vec![operation(A, 5, Condition::None, put(5)), guard],
        )
    };
    assert_eq!(guarded(last - 1).unwrap_err().code().0, "conflict");
    let index = guarded(last).unwrap().index;
    assert_eq!(guarded(last).unwrap_err().code().0, "conflict");
    guarded(index).unwrap();
    define(&engine, Command::Truncate(A)).unwrap();
    assert_eq!(changed(index), Err("conflict"));
}

#[test]
fn each_condition_is_met_or_refused_by_name() {
    let engine = engine();
    let fields = |n: i64| Condition::Fields(vec![(Path::field("n"), n.into())]);
    for (condition, refusal) in [
        (Condition::Present, "not_found"),
        (Condition::Version(1), "not_found"),
        (fields(1), "not_found"),
    ] {
        assert_eq!(one(&engine, 1, condition, put(1)), Err(refusal));
    }
    assert_eq!(
        one(&engine, 1, Condition::Absent, Change::Delete),
        Err("not_found")
    );
    assert_eq!(
        one(&engine, 1, Condition::None, Change::Patch(Vec::new())),
        Err("not_found")
    );
    one(&engine, 1, Condition::Absent, put(1)).unwrap();
    for (condition, refusal) in [
        (Condition::Absent, "already_exists"),
        (Condition::Version(2), "condition_failed"),
        (fields(2), "condition_failed"),
    ] {
        assert_eq!(one(&engine, 1, condition, put(1)), Err(refusal));
    }
    for condition in [
        Condition::Present,
        Condition::None,
        Condition::Version(3),
        fields(1),
    ] {
        one(&engine, 1, condition, put(1)).unwrap();
    }
}

#[test]
fn a_condition_alone_is_no_entry_and_answers_what_it_rests_on() {
    let engine = engine();
    let index = one(&engine, 1, Condition::None, put(1)).unwrap();
    write(&engine, vec![operation(B, 1, Condition::None, put(1))]).unwrap();
    let before = engine.visible_index();
    let checked = write(
        &engine,
        vec![operation(A, 1, Condition::Present, Change::None)],
    )
    .unwrap();
    assert_eq!((checked.index, engine.visible_index()), (index, before));
    let outcome = checked.results[0].as_ref().unwrap();
    assert_eq!((outcome.effect, outcome.version), (Effect::Checked, 1));
    assert_eq!(outcome.document.as_ref().unwrap().meta().index, index);
}

#[test]
fn a_condition_sees_the_operations_before_it() {
    let engine = engine();
    let add = |n: i64| {
        let (path, by) = (Path::field("n"), Value::Int(n));
        Change::Patch(vec![FieldOperation::Add { path, by }])
    };
    let fields = |n: i64| Condition::Fields(vec![(Path::field("n"), n.into())]);
    let written = write(
        &engine,
        vec![
            operation(A, 1, Condition::Absent, put(1)),
            operation(A, 1, Condition::Version(1), add(1)),
            operation(A, 1, fields(2), Change::None),
            operation(A, 1, fields(2), Change::Delete),
            operation(A, 1, Condition::Index(0), put(9)),
        ],
    );
    let written = written.unwrap();
    let versions: Vec<_> = written
        .results
        .iter()
        .map(|one| one.as_ref().unwrap().version)
        .collect();
    assert_eq!(versions, [1, 2, 2, 2, 1]);
    let catalog = engine.catalog();
    let found = engine
        .get(
            catalog.get(DatabaseId::VELOCITY, "a").unwrap(),
            &key(1),
            || Timestamp(1),
        )
        .unwrap();
    assert_eq!(
        (found.meta().version, found.get("n").unwrap().as_int()),
        (1, Some(9))
    );
}

#[test]
fn what_was_resolved_under_another_definition_is_refused_as_a_whole() {
    let engine = engine();
    let resolved_at = engine.catalog().changed_at();
    let index = IndexDefinition::unique("n", vec![Path::field("n")]);
    define(&engine, Command::CreateIndex(A, index)).unwrap();
    for mode in [Mode::Atomic, Mode::Each] {
        let both = |a| {
            vec![
                operation(B, 1, Condition::None, put(1)),
                operation(a, 1, Condition::None, put(1)),
            ]
        };
        let stale = write_as(&engine, mode, resolved_at, both(A)).unwrap_err();
        assert_eq!(
            (stale.code().0, stale.is_retryable()),
            ("definition_changed", true)
        );
        let unknown = write_as(&engine, mode, resolved_at, both(CollectionId(99))).unwrap_err();
        assert_eq!(unknown.code().0, "unknown_collection");
        assert!(
            engine
                .get(
                    engine.catalog().get(DatabaseId::VELOCITY, "b").unwrap(),
                    &key(1),
                    || Timestamp(1)
                )
                .is_none(),
            "{mode:?}"
        );
        // A definition of another collection is no concern.
        write_as(
            &engine,
            mode,
            resolved_at,
            vec![operation(B, 1, Condition::None, put(1))],
        )
        .unwrap();
        write(
            &engine,
            vec![operation(B, 1, Condition::None, Change::Delete)],
        )
        .unwrap();
    }
}
