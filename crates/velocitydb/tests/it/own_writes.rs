//! Queries in a transaction find what it has written, by whichever way they go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use velocitydb::query::{Direction, Filter, Find, Hint};
use velocitydb::{Definition, Error, IndexDefinition, Isolation, Path, Transaction, Update, Value};

use crate::orders::ids;
use crate::support::in_memory;

fn found(transaction: &mut Transaction, find: &Find) -> Vec<String> {
    let mut found = Vec::new();
    let each = |document: &velocitydb::Document| {
        found.push(document.clone());
        true
    };
    transaction.find_each("docs", find, each).unwrap();
    ids(&found)
}

#[test]
fn queries_see_own_writes_over_what_is_committed() {
    let db = in_memory();
    let docs = db.create_collection(Definition::new("docs")).unwrap().value;
    let n = || ["n".parse::<Path>().unwrap()];
    docs.create_index(IndexDefinition::btree("n", n())).unwrap();
    for id in 0..6_i64 {
        docs.upsert(id, [("n", Value::from(id))]).unwrap();
    }
    let mut own = db.begin(Isolation::ReadCommitted);
    own.update("docs", 1, Update::new().set("n", 11)).unwrap();
    own.update("docs", 2, Update::new().set("n", 1)).unwrap();
    own.delete("docs", 3).unwrap();
    own.insert_with_id("docs", 6, [("n", Value::from(1))])
        .unwrap();
    own.insert_with_id("docs", 7, [("n", Value::from(7))])
        .unwrap();
    own.delete("docs", 7).unwrap();
    let in_ids = |ids: &[i64]| Filter::is_in("_id", ids.iter().copied());
    for (filter, expected) in [
        (Filter::eq("_id", 2), &["2"][..]),
        (Filter::eq("_id", 3), &[]),
        (Filter::eq("_id", 7), &[]),
        (in_ids(&[7, 6, 3, 1, 0]), &["0", "1", "6"]),
        (in_ids(&[6, 2, 1]).and(Filter::eq("n", 1)), &["2", "6"]),
        (Filter::eq("n", 1), &["2", "6"]),
        (Filter::ge("n", 3), &["1", "4", "5"]),
        (Filter::All, &["0", "1", "2", "4", "5", "6"]),
    ] {
        let find = Find::new(filter).sort([("_id", Direction::Ascending)]);
        assert_eq!(found(&mut own, &find), expected, "{find:?}");
        let scan = find.clone().hint(Hint::Scan);
        assert_eq!(found(&mut own, &scan), expected, "{scan:?}");
        let first = &expected[..expected.len().min(1)];
        assert_eq!(found(&mut own, &find.clone().limit(1)), first, "{find:?}");
    }
}

/// A statement over all that its transaction has written can be cancelled.
#[test]
fn a_query_ends_among_own_writes_when_it_is_told_to() {
    let db = in_memory();
    db.create_collection(Definition::new("docs")).unwrap();
    let mut own = db.begin(Isolation::ReadCommitted);
    for id in 0..1_000_i64 {
        own.insert_with_id("docs", id, [("n", Value::from(id))])
            .unwrap();
    }
    let cancelled = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&cancelled);
    own.interrupted_by(move || match asked.load(Ordering::SeqCst) {
        true => Err(Error::Invalid("cancelled".into())),
        false => Ok(()),
    });
    let mut visited = 0;
    let outcome = own.find_each("docs", &Find::new(Filter::All), |_| {
        visited += 1;
        cancelled.store(true, Ordering::SeqCst);
        true
    });
    assert_eq!(outcome.unwrap_err().to_string(), "cancelled");
    assert!(visited < 1_000, "{visited}");
}
