//! What the simulation found once, each in its smallest form, with the seed of `node.rs` that
//! met it.

use std::sync::Arc;

use velocitydb::{
    Background, Batch, Call, Database, Definition, IndexDefinition, Input, Options, Path,
};
use velocitydb_sim::SimDisk;

fn open(disk: &SimDisk) -> Database {
    let options = Options::at("/data").disk(Arc::new(disk.clone()));
    let options = options.background(Background::Owner);
    Database::open(options.seed(disk.operations())).unwrap()
}

fn fields(n: i64) -> Input<'static> {
    [("n", n.into())].into()
}

/// Seed 27: the refusal waited for the index of the entry that never came to be, for ever.
#[test]
fn a_refusal_that_rests_on_its_own_batch_is_answered() {
    let db = open(&SimDisk::new(1));
    db.create_collection(Definition::new("c")).unwrap();
    for batch in [Batch::atomic(), Batch::each().delete("c", "b")] {
        let batch = batch
            .insert_with_id("c", "a", fields(1))
            .insert_with_id("c", "a", fields(2));
        let batch = batch.delete("c", "z");
        let refused = match db.batch(batch) {
            Ok(answer) => answer.value[2].as_ref().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(refused.contains("exists already"), "{refused}");
    }
}

/// Seed 109: dropping one of two indexes over a field dropped both, and what was accepted then
/// was refused when it was recovered.
#[test]
fn of_two_indexes_over_a_field_one_can_be_dropped() {
    let disk = SimDisk::new(1);
    let db = open(&disk);
    let collection = db.create_collection(Definition::new("c")).unwrap().value;
    for name in ["first", "second"] {
        let index = IndexDefinition::unique(name, vec![Path::field("n")]);
        collection.create_index(index).unwrap();
    }
    collection.insert_with_id("a", fields(1)).unwrap();
    collection.drop_index("first").unwrap();
    assert!(
        collection.insert_with_id("b", fields(1)).is_err(),
        "the second index still stands"
    );
    collection.drop_index("second").unwrap();
    collection.insert_with_id("b", fields(1)).unwrap();
    let digest = db.digest();
    drop((collection, db));
    assert_eq!(open(&disk).digest(), digest);
}

/// Found beside seed 36: the answer to a repeated request did not wait for what it repeats, and
/// named no index.
#[test]
fn a_repeated_request_rests_on_the_first() {
    let db = open(&SimDisk::new(1));
    let collection = db.create_collection(Definition::new("c")).unwrap().value;
    let collection = collection.with(Call::new().idempotency_key("once"));
    let first = collection.insert_with_id("a", fields(1)).unwrap();
    let again = collection.insert_with_id("a", fields(1)).unwrap();
    assert!(again.repeated && !first.repeated);
    assert!(again.index >= first.index);
}

/// Seen while the oracle was written: the same change of another collection passed for the same
/// request.
#[test]
fn an_idempotency_key_names_the_collection_too() {
    let db = open(&SimDisk::new(1));
    let call = Call::new().idempotency_key("once");
    let mut answers = Vec::new();
    for name in ["c", "d"] {
        let collection = db.create_collection(Definition::new(name)).unwrap().value;
        answers.push(collection.with(call.clone()).insert_with_id("a", fields(1)));
    }
    assert!(answers[0].is_ok());
    let reused = answers[1].as_ref().unwrap_err();
    assert_eq!(reused.code().0, "idempotency_key_reused");
}

/// Seen when batches began to refuse single operations that cannot be resolved: nothing of those
/// is kept, so a repetition under another catalog gave each operation the answer of another.
#[test]
fn a_repeated_batch_gives_each_operation_its_own_answer() {
    let db = open(&SimDisk::new(1));
    db.create_collection(Definition::new("c")).unwrap();
    let batch = Batch::each().insert_with_id("later", "x", fields(1));
    let batch = batch.insert_with_id("c", "y", fields(2));
    let call = Call::new().idempotency_key("once");
    let first = db.batch_with(batch.clone(), &call);
    db.create_collection(Definition::new("later")).unwrap();
    let again = db.batch_with(batch, &call).unwrap();
    assert_eq!(first.is_ok(), again.repeated);
    let ids: Vec<_> = again
        .value
        .iter()
        .map(|one| one.as_ref().unwrap().id.to_string())
        .collect();
    assert_eq!(ids, ["x", "y"]);
}
