//! A `full` write that is not on the disk yet is seen by nobody else, and no answer that rests
//! on it goes out before it is.
//!
//! The gate holds the sync back. That a call waits cannot be seen without a clock; so most tests
//! let the sync *fail* in the end: whoever had answered early would have answered something that
//! never came to be, whatever the threads' timing.

use std::fmt::Debug;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use velocitydb::{
    Batch, Call, Collection, Database, Definition, Durability, Error, Expected, Isolation, Options,
    Update, Value,
};

use crate::gate::{Gate, GatedDisk};
use crate::support::{code, create, json, read, still};

struct World {
    db: Database,
    tasks: Collection,
    gate: Arc<Gate>,
}

impl World {
    /// A database with one collection, and the document `old` on the disk.
    fn new() -> World {
        let (disk, gate) = GatedDisk::new();
        let db = Database::open(still(Options::at("/data")).disk(Arc::new(disk))).unwrap();
        let tasks = create(&db, "tasks");
        let tasks = tasks.with(Call::new().durability(Durability::Full));
        tasks
            .insert_with_id("old", [("state", "waiting".into())])
            .unwrap();
        World { db, tasks, gate }
    }

    /// Runs a `full` write on a thread of its own, until it waits for the disk.
    fn pending<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Collection) -> Result<T, Error> + Send + 'static,
    ) -> JoinHandle<Result<T, Error>> {
        self.gate.shut();
        let tasks = self.tasks.clone();
        let running = thread::spawn(move || write(&tasks));
        self.gate.reached();
        running
    }

    /// Runs a call that must wait behind what is pending, until the engine has decided it.
    fn decided<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Collection) -> Result<T, Error> + Send + 'static,
    ) -> JoinHandle<Result<T, Error>> {
        let count = |db: &Database| db.stats().refusals + db.stats().entries;
        let before = count(&self.db);
        let tasks = self.tasks.with(Call::new().durability(Durability::Memory));
        let running = thread::spawn(move || call(&tasks));
        while count(&self.db) == before {
            thread::yield_now();
        }
        running
    }
}

#[test]
fn an_unsynced_full_write_is_seen_by_nobody() {
    let world = World::new();
    let before = world.db.stats().visible_index;
    let write = world.pending(|tasks| tasks.insert_with_id("new", [("n", 1.into())]));
    assert_eq!(read(&world.tasks, "new"), None);
    assert_eq!(world.tasks.count().unwrap(), 1);
    assert_eq!(world.db.stats().visible_index, before);
    let view = world.db.snapshot();
    assert_eq!(view.index(), before);
    assert!(
        view.collection("tasks")
            .unwrap()
            .get("new")
            .unwrap()
            .is_none()
    );
    let mut listed = 0;
    world
        .tasks
        .view()
        .unwrap()
        .scan(|_| {
            listed += 1;
            true
        })
        .unwrap();
    assert_eq!(listed, 1);
    world.gate.open();
    let answer = write.join().unwrap().unwrap();
    assert_eq!(
        (answer.index, answer.durability),
        (before + 1, Durability::Full)
    );
    assert_eq!(read(&world.tasks, "new").unwrap(), r#"{"n":1}"#);
    assert!(
        view.collection("tasks")
            .unwrap()
            .get("new")
            .unwrap()
            .is_none(),
        "its own index"
    );
}

#[test]
fn an_unsynced_update_and_delete_leave_the_old_document_in_sight() {
    let world = World::new();
    let write = world.pending(|tasks| {
        let batch = Update::new().set("state", "running");
        tasks.update("old", batch)
    });
    assert_eq!(read(&world.tasks, "old").unwrap(), r#"{"state":"waiting"}"#);
    world.gate.open();
    write.join().unwrap().unwrap();
    assert_eq!(read(&world.tasks, "old").unwrap(), r#"{"state":"running"}"#);
    let write = world.pending(|tasks| tasks.delete("old"));
    assert_eq!(read(&world.tasks, "old").unwrap(), r#"{"state":"running"}"#);
    assert_eq!(world.tasks.count().unwrap(), 1);
    world.gate.open();
    write.join().unwrap().unwrap();
    assert_eq!(
        (read(&world.tasks, "old"), world.tasks.count().unwrap()),
        (None, 0)
    );
}

#[test]
fn what_rests_on_an_unsynced_write_is_answered_after_it() {
    let world = World::new();
    let write = world.pending(|tasks| tasks.insert_with_id("new", [("n", 1.into())]));
    let refusal = world.decided(|tasks| tasks.insert_with_id("new", [("n", 2.into())]));
    let later = world.decided(|tasks| tasks.insert_with_id("later", [("n", 3.into())]));
    assert_eq!(
        read(&world.tasks, "later"),
        None,
        "it waits behind the full one"
    );
    world.gate.open();
    let first = write.join().unwrap().unwrap();
    assert_eq!(code(refusal.join().unwrap()), "already_exists");
    let later = later.join().unwrap().unwrap();
    assert_eq!(
        (later.index, later.durability),
        (first.index + 1, Durability::Memory)
    );
}

/// Lets the write of `pending` never reach the disk, and answers how a call that rests on it
/// ended.
fn lost<W, T>(
    pending: impl FnOnce(&Collection) -> Result<W, Error> + Send + 'static,
    call: impl FnOnce(&Collection) -> Result<T, Error> + Send + 'static,
) -> &'static str
where
    W: Send + Debug + 'static,
    T: Send + Debug + 'static,
{
    let world = World::new();
    let write = world.pending(pending);
    let call = world.decided(call);
    world.gate.fail();
    assert_eq!(code(write.join().unwrap()), "outcome_unknown");
    assert_eq!(read(&world.tasks, "old").unwrap(), r#"{"state":"waiting"}"#);
    assert!(
        world.db.health().writes.is_err(),
        "after a failed sync nothing is written"
    );
    for _ in 0..2 {
        assert_eq!(
            code(world.db.close()),
            "closed",
            "nobody may take it as saved"
        );
    }
    code(call.join().unwrap())
}

#[test]
fn no_refusal_rests_on_a_document_that_was_lost() {
    let insert = |tasks: &Collection| tasks.insert_with_id("new", [("n", 1.into())]);
    assert_eq!(lost(insert, insert), "outcome_unknown");
}

#[test]
fn no_not_found_rests_on_a_deletion_that_was_lost() {
    let update = |tasks: &Collection| tasks.update("old", Update::new().set("n", 1));
    assert_eq!(lost(|tasks| tasks.delete("old"), update), "outcome_unknown");
}

#[test]
fn no_lost_swap_rests_on_a_winner_that_was_lost() {
    let swap = |tasks: &Collection| {
        let update = Update::new().set("state", "running");
        tasks.compare_and_swap("old", &Expected::field("state", "waiting"), update)
    };
    assert_eq!(lost(swap, swap), "outcome_unknown");
}

#[test]
fn no_later_write_is_acknowledged_before_an_earlier_full_one() {
    let insert =
        |id: &'static str| move |tasks: &Collection| tasks.insert_with_id(id, [("n", 1.into())]);
    assert_eq!(lost(insert("a"), insert("b")), "outcome_unknown");
}

#[test]
fn no_kept_outcome_rests_on_a_request_that_was_lost() {
    let insert = |level| {
        move |tasks: &Collection| {
            let call = Call::new().durability(level).idempotency_key("once");
            tasks.with(call).insert([("n", 1.into())])
        }
    };
    let world = World::new();
    let write = world.pending(insert(Durability::Full));
    // It is neither an entry nor a refusal, so it may come before or after the failure.
    let again = {
        let tasks = world.tasks.clone();
        thread::spawn(move || insert(Durability::Memory)(&tasks))
    };
    world.gate.fail();
    assert_eq!(code(write.join().unwrap()), "outcome_unknown");
    let again = again.join().unwrap();
    assert!(matches!(code(again), "outcome_unknown" | "closed"));
}

#[test]
fn no_unique_violation_rests_on_a_document_that_was_lost() {
    let world = World::new();
    let field = velocitydb::Path::field("name");
    let index = velocitydb::IndexDefinition::unique("by_name", vec![field]);
    world.tasks.create_index(index).unwrap();
    let write = world.pending(|tasks| tasks.insert_with_id("a", [("name", "x".into())]));
    let refusal = world.decided(|tasks| tasks.insert_with_id("b", [("name", "x".into())]));
    world.gate.fail();
    assert_eq!(code(write.join().unwrap()), "outcome_unknown");
    assert_eq!(code(refusal.join().unwrap()), "outcome_unknown");
}

#[test]
fn no_refusal_of_a_batch_of_each_rests_on_a_document_that_was_lost() {
    let world = World::new();
    let write = world.pending(|tasks| tasks.insert_with_id("new", [("n", 1.into())]));
    let db = world.db.clone();
    let refused = world.decided(move |_| {
        let batch = Batch::each().insert_with_id("tasks", "new", [("n", 2.into())]);
        let batch = batch.insert_with_id("tasks", "other", [("n", 2.into())]);
        db.batch_with(batch, &Call::new().durability(Durability::Memory))
    });
    world.gate.fail();
    assert_eq!(code(write.join().unwrap()), "outcome_unknown");
    assert_eq!(code(refused.join().unwrap()), "outcome_unknown");
}

#[test]
fn a_transaction_reads_what_is_synced_and_conflicts_with_what_is_not() {
    let world = World::new();
    let write = world.pending(|tasks| tasks.update("old", Update::new().set("state", "running")));
    let mut transaction = world.db.begin(Isolation::Snapshot);
    let seen = transaction.get("tasks", "old").unwrap().unwrap();
    assert_eq!(seen.get("state").unwrap().as_str(), Some("waiting"));
    transaction
        .update("tasks", "old", Update::new().set("state", "done"))
        .unwrap();
    let commit = world.decided(move |_| transaction.commit());
    world.gate.open();
    write.join().unwrap().unwrap();
    let error = commit.join().unwrap().unwrap_err();
    assert_eq!((error.code().0, error.is_retryable()), ("conflict", true));
    assert_eq!(read(&world.tasks, "old").unwrap(), r#"{"state":"running"}"#);
}

#[test]
fn a_collection_is_seen_once_its_definition_is_synced() {
    let world = World::new();
    let db = world.db.clone();
    let create = world.pending(move |_| {
        let call = Call::new().durability(Durability::Full);
        db.create_collection_with(Definition::new("other"), &call)
            .map(|answer| answer.index)
    });
    assert_eq!(world.db.collections().len(), 1);
    assert_eq!(code(world.db.collection("other")), "unknown_collection");
    assert_eq!(
        code(world.db.snapshot().collection("other").map(|_| ())),
        "unknown_collection"
    );
    world.gate.open();
    let index = create.join().unwrap().unwrap();
    assert_eq!(world.db.collections().len(), 2);
    assert_eq!(world.db.snapshot().index(), index);
    world
        .db
        .collection("other")
        .unwrap()
        .insert(json("{}"))
        .unwrap();
}

#[test]
fn writes_below_full_are_seen_before_any_sync() {
    let world = World::new();
    world.gate.shut();
    for level in [Durability::None, Durability::Memory, Durability::Os] {
        let tasks = world.tasks.with(Call::new().durability(level));
        let answer = tasks
            .insert_with_id(level.name(), [("n", Value::Int(1))])
            .unwrap();
        assert_eq!(answer.durability, level);
        assert!(read(&tasks, level.name()).is_some(), "{level:?}");
    }
    world.gate.open();
}

/// Commits as tasks: polled by hand, woken by the database's own thread.
mod tasks {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use futures_lite::future::{block_on, zip};
    use velocitydb::Committing;

    use super::*;

    impl World {
        /// As [`World::new`], with the database's own threads.
        fn threaded() -> World {
            let (disk, gate) = GatedDisk::new();
            let db = Database::open(Options::at("/data").disk(Arc::new(disk))).unwrap();
            let tasks = create(&db, "tasks");
            World { db, tasks, gate }
        }

        /// A `full` commit that inserts a document, begun.
        fn begun(&self, id: &str) -> Committing {
            let mut transaction = self.db.begin(Isolation::Snapshot);
            let fields = [("n", Value::Int(1))];
            transaction.insert_with_id("tasks", id, fields).unwrap();
            let call = Call::new().durability(Durability::Full);
            transaction.begin_commit(&call).unwrap()
        }
    }

    #[test]
    fn a_commit_that_awaits_is_told_when_it_is_synced() {
        let world = World::threaded();
        world.gate.shut();
        let (mut one, mut other) = (pin!(world.begun("one")), pin!(world.begun("other")));
        let context = &mut Context::from_waker(Waker::noop());
        assert!(one.as_mut().poll(context).is_pending());
        assert!(other.as_mut().poll(context).is_pending());
        world.gate.reached();
        assert!(one.as_mut().poll(context).is_pending());
        assert_eq!(read(&world.tasks, "one"), None);
        world.gate.open();
        let (one, other) = block_on(zip(one, other));
        assert_eq!(one.unwrap().index + 1, other.unwrap().index);
        assert!(read(&world.tasks, "one").is_some() && read(&world.tasks, "other").is_some());
    }

    #[test]
    fn a_commit_that_awaits_is_told_when_the_log_fails() {
        let world = World::threaded();
        world.gate.shut();
        let (mut one, other) = (pin!(world.begun("one")), world.begun("other"));
        let context = &mut Context::from_waker(Waker::noop());
        assert!(one.as_mut().poll(context).is_pending());
        world.gate.reached();
        let refused = world.begun("one");
        world.gate.fail();
        assert_eq!(code(block_on(one)), "outcome_unknown");
        assert_eq!(code(block_on(other)), "outcome_unknown");
        assert_eq!(code(block_on(refused)), "outcome_unknown");
    }

    #[test]
    fn a_commit_that_is_dropped_is_made_all_the_same() {
        let world = World::threaded();
        world.gate.shut();
        drop(world.begun("one"));
        world.gate.open();
        block_on(world.begun("other")).unwrap();
        assert!(read(&world.tasks, "one").is_some());
    }

    #[test]
    fn without_threads_a_commit_that_awaits_syncs_itself() {
        let world = World::new();
        block_on(world.begun("one")).unwrap();
        assert!(read(&world.tasks, "one").is_some());
    }
}
