//! Documents for tests, made by the engine as every other document is.

use std::borrow::Cow;

use velocitydb_engine::catalog::{DatabaseId, Definition};
use velocitydb_engine::changes::HistoryOptions;
use velocitydb_engine::command::{Change, Command, Condition, Expires, Mode, Operation, Write};
use velocitydb_engine::log::LogOptions;
use velocitydb_engine::{Document, Engine, EngineOptions, StorageMode};
use velocitydb_types::{Fields, Key, Timestamp, Value};

use crate::error::QueryError;

/// Documents with these fields (JSON objects) and the ids 0, 1, 2, …
pub(crate) fn documents(fields: &[&str]) -> Vec<Document> {
    let fields = fields.iter().map(|json| Fields::from_json(json).unwrap());
    documents_of(
        fields
            .enumerate()
            .map(|(id, fields)| (Value::Int(id as i64), fields)),
    )
}

/// Documents with these ids and fields, in the order of a scan.
pub(crate) fn documents_of(rows: impl IntoIterator<Item = (Value, Fields)>) -> Vec<Document> {
    let engine = Engine::in_memory(EngineOptions {
        mode: StorageMode::MemoryOnly,
        durability: None,
        history: HistoryOptions::default(),
        memory_limit: None,
        log: LogOptions::default(),
        checkpoints_kept: 1,
        seed: 7,
        salts: Box::new(|| [0; 16]),
    });
    let create = Command::CreateCollection(DatabaseId::VELOCITY, Box::new(Definition::new("rows")));
    engine.propose(Timestamp(1), &create, None).unwrap();
    let catalog = engine.catalog();
    let collection = catalog.get(DatabaseId::VELOCITY, "rows").unwrap();
    let operations = rows.into_iter().map(|(id, fields)| Operation {
        collection: collection.id,
        key: Cow::Owned(Key::from_value(&id).unwrap().into_bytes().into()),
        condition: Condition::Absent,
        change: Change::Put(Cow::Owned(fields.into_bytes().into())),
        expires: Expires::Never,
    });
    let write = Write {
        mode: Mode::Atomic,
        resolved_at: catalog.changed_at(),
        operations: operations.collect(),
        retry: None,
    };
    engine
        .propose(Timestamp(2), &Command::Write(write), None)
        .unwrap();
    let mut documents = Vec::new();
    let snapshot = engine.snapshot(Timestamp(3), Timestamp(i64::MAX));
    let next = snapshot.scan(collection, 0, |document| {
        documents.push(document.clone());
        true
    });
    assert_eq!(next.unwrap(), None);
    documents
}

/// What is called with each document, until it answers `false`.
type Visit<'v> = &'v mut dyn FnMut(&Document) -> bool;

/// A scan over documents, as a query takes it.
pub(crate) fn scan(documents: &[Document]) -> impl FnOnce(Visit<'_>) -> Result<(), QueryError> {
    |visit| {
        documents.iter().all(visit);
        Ok(())
    }
}
