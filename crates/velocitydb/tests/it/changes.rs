//! Streams of changes: every change once, in the order of the log, and by name when not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use velocitydb::query::Filter;
use velocitydb::{
    Alteration, Batch, Call, Change, Changes, Crossing, Database, Definition, Durability, Error,
    HistoryKept, HistoryOptions, IndexDefinition, Options, Path, Persistence, Position, Update,
};
use velocitydb_sim::SimDisk;

use crate::gate::GatedDisk;
use crate::support::{SECOND, clock, code, create, in_memory, json, on_disk, still, text, tidy};

/// Everything that is told without waiting.
fn told(changes: &mut Changes) -> Vec<Change> {
    let mut told = Vec::new();
    while changes.is_behind() {
        told.extend(changes.try_next().unwrap());
    }
    told
}

/// A change in words: id, collection, what, before, after.
fn words(change: &Change) -> String {
    let mut words = format!("{} {}", change.collection, change.kind.name());
    for document in [&change.before, &change.after] {
        words += &match document {
            Some(document) => format!(" {}", text(document)),
            None => " -".to_owned(),
        };
    }
    if let Some(id) = &change.id {
        words = format!("{id}: {words}");
    }
    words
        + match change.crossing {
            Crossing::Stays => "",
            Crossing::Enters => " enters",
            Crossing::Leaves => " leaves",
        }
}

fn all_words(changes: &mut Changes) -> Vec<String> {
    told(changes).iter().map(words).collect()
}

/// Keeps only this many changes.
fn keeping(changes_max: usize) -> HistoryOptions {
    HistoryOptions {
        kept: HistoryKept::Always,
        changes_max,
        ..HistoryOptions::default()
    }
}

#[test]
fn inserts_updates_and_deletions_are_told_with_what_was_before_and_after() {
    let db = in_memory();
    let tasks = create(&db, "tasks");
    tasks.insert_with_id("old", json(r#"{"n":0}"#)).unwrap();
    let mut changes = tasks.changes().with_before().open().unwrap();
    let mut after_only = db.changes().open().unwrap();
    assert!(changes.try_next().unwrap().is_none(), "from now on");

    tasks.insert_with_id("a", json(r#"{"n":1}"#)).unwrap();
    tasks.update("a", Update::new().add("n", 1)).unwrap();
    tasks.replace("old", json(r#"{"m":1}"#)).unwrap();
    let last = tasks.delete("a").unwrap();
    let expected = [
        r#"a: tasks inserted - {"n":1}"#,
        r#"a: tasks updated {"n":1} {"n":2}"#,
        r#"old: tasks updated {"n":0} {"m":1}"#,
        r#"a: tasks deleted {"n":2} -"#,
    ];
    assert_eq!(all_words(&mut changes), expected);
    let plain = told(&mut after_only);
    assert!(
        plain
            .iter()
            .all(|change| change.before.is_none() && change.last)
    );
    let deleted = plain.last().unwrap();
    assert_eq!(deleted.id.as_ref().unwrap().to_string(), "a");
    assert_eq!((deleted.index, deleted.time), (last.index, last.time));
    assert_eq!(deleted.position, Position::behind(last.index));
}

#[test]
fn a_write_of_several_documents_is_told_in_order_and_its_last_change_is_marked() {
    let db = in_memory();
    let (a, _b) = (create(&db, "a"), create(&db, "b"));
    let mut changes = db.changes().open().unwrap();
    let batch = Batch::atomic()
        .insert_with_id("a", "x", json("{}"))
        .insert_with_id("b", "y", json("{}"))
        .insert_with_id("a", "gone", json("{}"))
        .delete("a", "gone")
        .insert_with_id("a", "z", json("{}"));
    let index = db.batch(batch).unwrap().index;
    let found = told(&mut changes);
    let places: Vec<_> = found
        .iter()
        .map(|change| {
            (
                change.id.as_ref().unwrap().to_string(),
                change.position.to_string(),
                change.last,
            )
        })
        .collect();
    let place = |id: &str, position: String, last| (id.to_owned(), position, last);
    let expected = [
        place("x", format!("{index}.0"), false),
        place("y", format!("{index}.1"), false),
        place("z", index.to_string(), true),
    ];
    assert_eq!(
        places, expected,
        "what came and went within a write is not told"
    );

    // A stream of one collection marks the last change that it tells.
    let mut of_b = db
        .collection("b")
        .unwrap()
        .changes()
        .after(index - 1)
        .open()
        .unwrap();
    let found = told(&mut of_b);
    assert_eq!((found.len(), found[0].last), (1, true));
    assert_eq!(found[0].position, Position::behind(index));

    // From within a write on.
    let within: Position = format!("{index}.0").parse().unwrap();
    let mut rest = a.changes().after(within).open().unwrap();
    assert_eq!(all_words(&mut rest), ["z: a inserted - {}"]);
}

#[test]
fn a_filter_tells_what_enters_and_what_leaves() {
    let db = in_memory();
    let tasks = create(&db, "tasks");
    let filter = Filter::from_json(r#"{"state":"waiting"}"#).unwrap();
    let mut changes = tasks.changes().filter(filter).open().unwrap();
    for (id, state) in [("a", "waiting"), ("b", "running")] {
        tasks.insert_with_id(id, [("state", state.into())]).unwrap();
    }
    let set = |id: &str, state: &str| tasks.update(id, Update::new().set("state", state)).unwrap();
    set("b", "done");
    set("b", "waiting");
    tasks.update("b", Update::new().set("n", 1)).unwrap();
    set("a", "running");
    tasks.delete("a").unwrap();
    let last = tasks.delete("b").unwrap();
    tasks.insert_with_id("c", json("{}")).unwrap();
    let expected = [
        r#"a: tasks inserted - {"state":"waiting"}"#,
        r#"b: tasks updated - {"state":"waiting"} enters"#,
        r#"b: tasks updated - {"n":1,"state":"waiting"}"#,
        r#"a: tasks updated - {"state":"running"} leaves"#,
        "b: tasks deleted - -",
    ];
    assert_eq!(all_words(&mut changes), expected);
    // What is not told is behind the stream all the same.
    assert_eq!(changes.position(), Position::behind(last.index + 1));
}

#[test]
fn changes_of_definitions_are_told() {
    let db = in_memory();
    let mut changes = db.changes().open().unwrap();
    let tasks = create(&db, "tasks");
    tasks.insert_with_id("a", json("{}")).unwrap();
    let index = IndexDefinition::unique("by_n", vec![Path::field("n")]);
    tasks.create_index(index).unwrap();
    tasks.drop_index("by_n").unwrap();
    let alteration = Alteration::to(tasks.definition().unwrap());
    tasks.alter(alteration).unwrap();
    tasks.truncate().unwrap();
    let view = db.snapshot();
    db.drop_collection("tasks").unwrap();
    create(&db, "tasks")
        .insert_with_id("b", json("{}"))
        .unwrap();
    let expected = [
        "tasks collection_created - -",
        "a: tasks inserted - {}",
        "tasks index_created - -",
        "tasks index_dropped - -",
        "tasks collection_altered - -",
        "tasks collection_truncated - -",
        "tasks collection_dropped - -",
        "tasks collection_created - -",
        "b: tasks inserted - {}",
    ];
    let found = told(&mut changes);
    assert_eq!(found.iter().map(words).collect::<Vec<_>>(), expected);
    let indexes = found[2].definition.as_ref().unwrap().indexes.len();
    assert_eq!(indexes, 1);
    assert!(found[6].definition.is_none());
    // A stream of a collection goes by its name.
    let of_tasks = db.collection("tasks").unwrap().changes();
    let mut later = of_tasks.after(view.index()).open().unwrap();
    assert_eq!(all_words(&mut later), expected[6..]);
}

/// Definitions first, then documents as they were before the transaction and are after it.
#[test]
fn changes_of_a_transaction_that_defines_something_are_told() {
    let db = in_memory();
    let tasks = create(&db, "tasks");
    for id in ["a", "b", "c"] {
        tasks.insert_with_id(id, json("{}")).unwrap();
    }
    let mut changes = db.changes().with_before().open().unwrap();
    let mut transaction = db.begin(velocitydb::Isolation::Snapshot);
    transaction
        .create_collection(Definition::new("more"))
        .unwrap();
    transaction.insert_with_id("more", "x", json("{}")).unwrap();
    transaction.delete("tasks", "a").unwrap();
    let n = velocitydb::Field::new("n", velocitydb::FieldType::Int);
    let n = n.with_default(velocitydb::DefaultValue::Constant(1.into()));
    let schema = velocitydb::Schema::new(velocitydb::Openness::Open, vec![n]).unwrap();
    let alteration = Alteration::to(Definition::new("tasks").schema(schema));
    transaction.alter("tasks", alteration).unwrap();
    let update = Update::new().set("n", 2);
    transaction.update("tasks", "b", update).unwrap();
    transaction.commit().unwrap();
    let expected = [
        "more collection_created - -",
        "tasks collection_altered - -",
        "a: tasks deleted {} -",
        r#"b: tasks updated {} {"n":2}"#,
        "x: more inserted - {}",
    ];
    assert_eq!(all_words(&mut changes), expected);
    let now = tasks.find(&velocitydb::query::Find::new(
        velocitydb::query::Filter::All,
    ));
    assert_eq!(now.unwrap().len(), 2);
}

#[test]
fn what_is_taken_over_from_an_expired_document_is_an_insertion() {
    let clock = clock();
    let options = still(Options::in_memory()).clock(clock.clone());
    let db = Database::open(options).unwrap();
    let carts = create(&db, "carts");
    let mut changes = carts.changes().with_before().open().unwrap();
    let brief = Call::new().expires(velocitydb::Expiry::In(Duration::from_secs(10)));
    carts
        .with(brief)
        .insert_with_id("a", json(r#"{"n":1}"#))
        .unwrap();
    clock.advance(20 * SECOND);
    tidy(&db);
    // Expiry itself is no write, and not told.
    carts.insert_with_id("a", json(r#"{"n":2}"#)).unwrap();
    let expected = [
        r#"a: carts inserted - {"n":1}"#,
        r#"a: carts inserted - {"n":2}"#,
    ];
    assert_eq!(all_words(&mut changes), expected);
}

#[test]
fn volatile_collections_cannot_be_followed() {
    let db = in_memory();
    let definition = Definition {
        persistence: Persistence::Volatile,
        ..Definition::new("now")
    };
    let now = db.create_collection(definition).unwrap().value;
    let error = now.changes().open().unwrap_err();
    assert!(error.to_string().contains("\"now\" is volatile"), "{error}");
    let mut all = db.changes().open().unwrap();
    now.insert_with_id("a", json("{}")).unwrap();
    assert!(told(&mut all).is_empty());
}

/// Several writers beside a reader who goes away again and again: what it has put together is what
/// the collection has at each position.
#[test]
fn every_change_is_told_once_beside_writers() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let disk = SimDisk::new(seed);
    let db = Database::open(on_disk(&disk).history(keeping(1 << 20))).unwrap();
    let tasks = create(&db, "tasks");
    let (view, mut changes) = db.changes().with_before().open_with_snapshot().unwrap();
    assert_eq!(view.collection("tasks").unwrap().count().unwrap(), 0);
    const WRITERS: u64 = 4;
    const WRITES: usize = 300;
    let running = Arc::new(AtomicUsize::new(WRITERS as usize));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (db, tasks, running) = (db.clone(), tasks.clone(), Arc::clone(&running));
            thread::spawn(move || {
                let mut random = StdRng::seed_from_u64(seed ^ writer);
                for n in 0..WRITES {
                    let level = Durability::ALL[random.random_range(0..4)];
                    let call = Call::new().durability(level);
                    let id = |random: &mut StdRng| random.random_range(0..20).to_string();
                    let value = || [("n", (writer as i64 * 10_000 + n as i64).into())];
                    // Refusals are as good: they are not told.
                    let _ = match random.random_range(0..4) {
                        0 => tasks.with(call).delete(&*id(&mut random)).map(drop),
                        1 => {
                            let mut batch = Batch::each();
                            for _ in 0..random.random_range(1..5) {
                                batch = batch.upsert("tasks", id(&mut random), value());
                            }
                            db.batch_with(batch, &call).map(drop)
                        }
                        _ => tasks
                            .with(call)
                            .upsert(&*id(&mut random), value())
                            .map(drop),
                    };
                }
                running.fetch_sub(1, Ordering::Release);
            })
        })
        .collect();

    let mut model: BTreeMap<String, String> = BTreeMap::new();
    let mut random = StdRng::seed_from_u64(!seed);
    let mut position = changes.position();
    loop {
        let ended = running.load(Ordering::Acquire) == 0;
        while let Some(change) = changes.next_within(Duration::ZERO).unwrap() {
            assert!(
                change.position > position,
                "seed {seed}: in order, each once"
            );
            assert!(change.index <= db.stats().visible_index, "seed {seed}");
            position = change.position;
            let id = change.id.unwrap().to_string();
            let before = change.before.as_ref().map(text);
            assert_eq!(model.remove(&id), before, "seed {seed}: {id} at {position}");
            if let Some(after) = &change.after {
                assert_eq!(after.index(), change.index);
                model.insert(id, text(after));
            }
            if random.random_range(0..50) == 0 {
                changes = db.changes().with_before().after(position).open().unwrap();
            }
        }
        if ended {
            break;
        }
        thread::yield_now();
    }
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());
    let mut found = BTreeMap::new();
    let scanned = tasks.view().unwrap().scan(|document| {
        found.insert(document.id().to_string(), text(document));
        true
    });
    scanned.unwrap();
    assert_eq!(model, found, "seed {seed}");
}

#[test]
fn a_snapshot_and_the_stream_behind_it_are_everything_once() {
    let db = in_memory();
    let tasks = create(&db, "tasks");
    tasks.insert_with_id("before", json("{}")).unwrap();
    let writer = {
        let tasks = tasks.clone();
        thread::spawn(move || {
            for n in 0..500i64 {
                tasks.insert_with_id(n, json("{}")).unwrap();
            }
        })
    };
    let (view, mut changes) = tasks.changes().open_with_snapshot().unwrap();
    writer.join().unwrap();
    let shown = view.collection("tasks").unwrap().count().unwrap();
    let later = told(&mut changes);
    assert_eq!(shown + later.len() as u64, 501);
    assert!(later.iter().all(|change| change.index > view.index()));
}

#[test]
fn what_fell_behind_is_told_so_and_can_begin_again() {
    let db = Database::open(still(Options::in_memory()).history(keeping(10))).unwrap();
    let tasks = create(&db, "tasks");
    let mut slow = tasks.changes().open().unwrap();
    let begun = slow.position();
    for n in 0..30i64 {
        tasks.insert_with_id(n, json("{}")).unwrap();
    }
    let error = slow.try_next().unwrap_err();
    let Error::PositionGone {
        asked,
        oldest,
        newest,
    } = &error
    else {
        panic!("{error}");
    };
    let visible = db.stats().visible_index;
    assert_eq!((*asked, newest.index()), (begun, visible));
    assert_eq!(oldest.index(), visible - 10);
    let message = error.to_string();
    assert!(
        message.contains("read everything at a snapshot"),
        "{message}"
    );
    // The oldest position is served, the one before is not.
    let mut rest = tasks.changes().after(*oldest).open().unwrap();
    assert_eq!(told(&mut rest).len(), 10);
    let earlier = tasks.changes().after(oldest.index() - 1);
    assert_eq!(code(earlier.open()), "position_gone");
    let ahead = tasks.changes().after(visible + 1);
    assert_eq!(code(ahead.open()), "position_gone");
    let (_, mut again) = tasks.changes().open_with_snapshot().unwrap();
    tasks.insert_with_id("new", json("{}")).unwrap();
    assert_eq!(told(&mut again).len(), 1);
}

#[test]
fn the_bytes_of_the_history_are_bounded_and_accounted() {
    let history = HistoryOptions {
        bytes_max: 100_000,
        ..HistoryOptions::default()
    };
    let db = Database::open(still(Options::in_memory()).history(history)).unwrap();
    let tasks = create(&db, "tasks");
    let filler = || [("text", "x".repeat(1000).into())];
    tasks.insert_with_id("a", filler()).unwrap();
    tidy(&db);
    let (quiet, none) = (db.stats().memory_used, db.stats().history_bytes);
    assert_eq!(none, 0, "nobody follows");
    let changes = db.changes().open().unwrap();
    for _ in 0..1000 {
        tasks.replace("a", filler()).unwrap();
    }
    tidy(&db);
    let stats = db.stats();
    assert!(
        (90_000..=100_000).contains(&stats.history_bytes),
        "{stats:?}"
    );
    assert!(
        stats.memory_used >= quiet + stats.history_bytes,
        "{stats:?}"
    );
    drop(changes);
}

#[test]
fn the_history_gives_way_before_a_write_is_refused() {
    let options = still(Options::in_memory()).memory_limit(4 << 20);
    let db = Database::open(options).unwrap();
    let tasks = create(&db, "tasks");
    let mut changes = db.changes().open().unwrap();
    let filler = || [("text", "x".repeat(10_000).into())];
    tasks.insert_with_id("a", filler()).unwrap();
    for _ in 0..2_000 {
        tasks.replace("a", filler()).unwrap();
    }
    assert_eq!(changes.try_next().unwrap_err().code().0, "position_gone");
}

#[test]
fn the_history_ends_some_time_after_the_last_one_has_left() {
    let clock = clock();
    let db = Database::open(still(Options::in_memory()).clock(clock.clone())).unwrap();
    let tasks = create(&db, "tasks");
    let changes = db.changes().open().unwrap();
    let position = changes.position();
    drop(changes);
    tidy(&db);
    clock.advance(299 * SECOND);
    tidy(&db);
    tasks.insert_with_id("a", json("{}")).unwrap();
    let mut again = tasks.changes().after(position).open().unwrap();
    assert_eq!(
        told(&mut again).len(),
        1,
        "one who comes back misses nothing"
    );
    drop(again);
    tidy(&db);
    clock.advance(301 * SECOND);
    tidy(&db);
    assert_eq!(db.stats().history_bytes, 0);
    tasks.insert_with_id("b", json("{}")).unwrap();
    assert_eq!(db.stats().history_bytes, 0, "nothing is noted any more");
    assert_eq!(
        code(tasks.changes().after(position).open()),
        "position_gone"
    );
}

#[test]
fn after_a_restart_only_what_comes_is_told() {
    let disk = SimDisk::new(1);
    let options = || on_disk(&disk).history(keeping(100));
    let db = Database::open(options()).unwrap();
    let tasks = create(&db, "tasks");
    let first = tasks.insert_with_id("a", json("{}")).unwrap().index;
    let last = tasks.insert_with_id("b", json("{}")).unwrap().index;
    db.close().unwrap();
    drop((tasks, db));
    let db = Database::open(options()).unwrap();
    let tasks = db.collection("tasks").unwrap();
    assert_eq!(code(tasks.changes().after(first).open()), "position_gone");
    let mut changes = tasks.changes().after(last).open().unwrap();
    tasks.insert_with_id("c", json("{}")).unwrap();
    assert_eq!(told(&mut changes).len(), 1);
}

#[test]
fn a_full_write_is_told_once_it_is_on_the_disk() {
    let (disk, gate) = GatedDisk::new();
    let options = still(Options::at("/data")).disk(Arc::new(disk));
    let db = Database::open(options).unwrap();
    let tasks = create(&db, "tasks").with(Call::new().durability(Durability::Full));
    let mut changes = tasks.changes().open().unwrap();
    // What is visible is told meanwhile, and nothing more.
    tasks.insert_with_id("before", json("{}")).unwrap();
    gate.shut();
    let write = {
        let tasks = tasks.clone();
        thread::spawn(move || tasks.insert_with_id("a", json("{}")))
    };
    gate.reached();
    assert_eq!(all_words(&mut changes), ["before: tasks inserted - {}"]);
    assert!(!changes.is_behind());
    assert!(changes.try_next().unwrap().is_none());
    gate.open();
    // It wakes who waits.
    let change = changes.next_within(Duration::MAX).unwrap().unwrap();
    assert_eq!(change.index, write.join().unwrap().unwrap().index);
}

#[test]
fn a_write_that_was_lost_is_never_told() {
    let (disk, gate) = GatedDisk::new();
    let options = still(Options::at("/data")).disk(Arc::new(disk));
    let db = Database::open(options).unwrap();
    let tasks = create(&db, "tasks").with(Call::new().durability(Durability::Full));
    let changes = tasks.changes().open().unwrap();
    gate.shut();
    let write = {
        let tasks = tasks.clone();
        thread::spawn(move || tasks.insert_with_id("a", json("{}")))
    };
    gate.reached();
    gate.fail();
    assert_eq!(code(write.join().unwrap()), "outcome_unknown");
    let ended: Vec<_> = changes.collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(code(ended.into_iter().next().unwrap()), "closed");
}

#[test]
fn closing_the_database_ends_a_stream_that_waits() {
    let db = in_memory();
    let tasks = create(&db, "tasks");
    let (waits, waiting) = std::sync::mpsc::channel();
    let reader = {
        let mut changes = tasks.changes().open().unwrap();
        thread::spawn(move || {
            let first = changes.next().unwrap().unwrap();
            waits.send(()).unwrap();
            (
                first.index,
                changes.next().map(code),
                changes.next().is_none(),
            )
        })
    };
    let index = tasks.insert_with_id("a", json("{}")).unwrap().index;
    waiting.recv().unwrap();
    db.close().unwrap();
    assert_eq!(reader.join().unwrap(), (index, Some("closed"), true));
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A stream that waits costs a write one wake-up; one that nobody asks costs none, however much is
/// written, and takes no more memory than the history may.
#[test]
fn a_stream_that_nobody_reads_is_woken_once() {
    let db = in_memory();
    let tasks = create(&db, "tasks");
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut changes = tasks.changes().open().unwrap();
    assert!(
        changes
            .poll_change(&mut Context::from_waker(&waker))
            .is_pending()
    );
    for n in 0..100i64 {
        tasks.insert_with_id(n, json("{}")).unwrap();
    }
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    let next = changes.poll_change(&mut Context::from_waker(&waker));
    assert!(matches!(next, Poll::Ready(Ok(_))));
}

#[test]
fn streams_are_futures_too() {
    let db = in_memory();
    let tasks = create(&db, "tasks");
    let mut changes = tasks.changes().open().unwrap();
    let write = db.run(|db| db.collection("tasks")?.insert_with_id("a", json("{}")));
    let (change, written) =
        futures_lite::future::block_on(futures_lite::future::zip(changes.next_change(), write));
    assert_eq!(change.unwrap().index, written.unwrap().index);
    assert!(changes.try_next().unwrap().is_none());
}
