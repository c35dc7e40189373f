//! What a transaction may keep.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use velocitydb_types::{Fields, Key, Timestamp, Value};

use super::conditions::{A, engine};
use crate::command::{Change, Condition, Expires};
use crate::transaction::{Isolation, TRANSACTION_BYTES_MAX, Transaction};
use crate::{Engine, Error};

fn begin(engine: &Arc<Engine>, isolation: Isolation) -> Transaction {
    let (now, deadline) = (Timestamp(1), Timestamp(i64::MAX));
    Transaction::begin(Arc::clone(engine), isolation, now, deadline)
}

/// Writes a text of so many bytes under an id.
fn write(transaction: &mut Transaction, id: i64, bytes: usize) -> Result<(), Error> {
    let collection = transaction.snapshot().catalog().by_id(A).cloned().unwrap();
    let key = Key::from_value(&Value::Int(id)).unwrap();
    let text = BTreeMap::from([("n".to_owned(), Value::String("x".repeat(bytes)))]);
    let fields = Fields::from_map(&text).unwrap().into_bytes().into_vec();
    let change = Change::Put(Cow::Owned(fields));
    let (key, condition) = (key.as_bytes(), Condition::None);
    let written = transaction.write(&collection, key, &condition, &change, Expires::Default);
    written.map(drop)
}

/// How many texts of so many bytes it takes, all under other ids, or the same one.
fn taken(transaction: &mut Transaction, bytes: usize, same: bool) -> usize {
    for count in 0.. {
        let id = if same { 0 } else { count as i64 };
        match write(transaction, id, bytes) {
            Ok(()) => {}
            Err(Error::TransactionLimit { .. }) => return count,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("it is bounded")
}

#[test]
fn a_transaction_keeps_so_many_bytes_and_no_more() {
    let engine = Arc::new(engine());
    let mut transaction = begin(&engine, Isolation::Snapshot);
    // Few large documents or many small ones.
    let few = taken(&mut transaction, 100_000, false);
    assert!((8..=10).contains(&few), "{few}");
    let start = transaction.savepoint();
    assert!(write(&mut transaction, -1, 100_000).is_err());
    transaction.roll_back_to(start).unwrap();
    let mut transaction = begin(&engine, Isolation::Snapshot);
    let many = taken(&mut transaction, 10, false);
    assert!(
        (1_000..=TRANSACTION_BYTES_MAX / 200).contains(&many),
        "{many}"
    );
    // What savepoints need counts too: with them forgotten there is room again.
    transaction.forget_savepoints();
    assert!(taken(&mut transaction, 10, true) > many / 4);
    // Undone, it is as it was.
    let mut transaction = begin(&engine, Isolation::Snapshot);
    let start = transaction.savepoint();
    let first = taken(&mut transaction, 1_000, true);
    transaction.roll_back_to(start).unwrap();
    assert_eq!(taken(&mut transaction, 1_000, true), first);
}

#[test]
fn what_a_serializable_transaction_has_read_counts_too() {
    let engine = Arc::new(engine());
    let mut transaction = begin(&engine, Isolation::Serializable);
    let collection = transaction.snapshot().catalog().by_id(A).cloned().unwrap();
    let mut read = |id: i64| {
        let key = Key::from_value(&Value::Int(id)).unwrap();
        transaction.get(&collection, key.as_bytes()).map(drop)
    };
    let refused = (0..TRANSACTION_BYTES_MAX as i64).find_map(|id| read(id).err());
    let refused = refused.expect("it is bounded");
    assert!(
        matches!(refused, Error::TransactionLimit { .. }),
        "{refused}"
    );
}
