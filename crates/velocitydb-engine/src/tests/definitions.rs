//! Tables that a transaction has made for its commit are used there, as long as they are right.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use velocitydb_types::{
    DefaultValue, Field, FieldType, Fields, Key, Openness, Schema, Timestamp, Value,
};

use super::conditions::{A, engine};
use crate::Engine;
use crate::catalog::{Alteration, Collection};
use crate::command::{Change, Command, Condition, Expires};
use crate::transaction::{Isolation, Transaction};

fn begin(engine: &Arc<Engine>) -> Transaction {
    let (now, deadline) = (Timestamp(1), Timestamp(i64::MAX));
    Transaction::begin(Arc::clone(engine), Isolation::ReadCommitted, now, deadline)
}

fn put(transaction: &mut Transaction, id: i64) {
    let collection = transaction.catalog().by_id(A).cloned().unwrap();
    let key = Key::from_value(&Value::Int(id)).unwrap();
    let fields = BTreeMap::from([("n".to_owned(), Value::Int(id))]);
    let fields = Fields::from_map(&fields).unwrap().into_bytes().into_vec();
    let change = Change::Put(Cow::Owned(fields));
    let (key, condition) = (key.as_bytes(), Condition::None);
    let written = transaction.write(&collection, key, &condition, &change, Expires::Default);
    written.unwrap();
}

fn commit(transaction: Transaction) {
    transaction
        .commit(Timestamp(5), None, None)
        .outcome
        .unwrap();
}

/// Adds a field that is 7 in all documents.
fn add(transaction: &mut Transaction, field: &str) {
    let present = transaction.catalog().by_id(A).cloned().unwrap();
    let mut fields = present.definition.schema.fields().to_vec();
    let seven = DefaultValue::Constant(7.into());
    fields.push(Field::new(field, FieldType::Int).with_default(seven));
    let schema = Schema::new(Openness::Open, fields).unwrap();
    let alteration = Alteration::to(present.definition.clone().schema(schema));
    let command = Command::Alter(A, Box::new(alteration));
    transaction.define(command).unwrap();
}

fn present(engine: &Engine) -> Arc<Collection> {
    engine.catalog().by_id(A).cloned().unwrap()
}

fn sevens(engine: &Engine, field: &str) -> usize {
    let mut sevens = 0;
    present(engine).table.scan(0, u64::MAX, |document| {
        sevens += usize::from(document.get(field).is_some_and(|it| it.as_int() == Some(7)));
        true
    });
    sevens
}

#[test]
fn what_was_converted_for_the_transaction_is_not_converted_again() {
    let engine = Arc::new(engine());
    let mut first = begin(&engine);
    (0..10).for_each(|id| put(&mut first, id));
    commit(first);
    let mut transaction = begin(&engine);
    put(&mut transaction, 3);
    add(&mut transaction, "x");
    put(&mut transaction, 4);
    add(&mut transaction, "y");
    let own = transaction.catalog().by_id(A).cloned().unwrap();
    commit(transaction);
    assert!(Arc::ptr_eq(&present(&engine).table, &own.table));
    assert_eq!(present(&engine).len(), 10);
    // The two that it wrote are as it wrote them; what it had put before came along.
    assert_eq!((sevens(&engine, "x"), sevens(&engine, "y")), (9, 10));
}

#[test]
fn what_others_write_meanwhile_is_converted_too() {
    let engine = Arc::new(engine());
    let mut transaction = begin(&engine);
    put(&mut transaction, 1);
    add(&mut transaction, "x");
    let mut other = begin(&engine);
    put(&mut other, 2);
    commit(other);
    commit(transaction);
    assert_eq!((present(&engine).len(), sevens(&engine, "x")), (2, 2));
}
