//! The memory limit, and that what is deleted is given back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use velocitydb::query::{Direction, Filter, Find, Limits, Pipeline};
use velocitydb::{
    Batch, Clock, Collection, Database, Error, Isolation, Options, Timestamp, Update,
};
use velocitydb_sim::SimDisk;

use crate::support::{START, code, create, done, in_memory, on, on_disk, still, tidy};

const LIMIT: u64 = 1 << 20;

/// Inserts until there is no room; how many that were, and the error.
fn fill(a: &Collection) -> (i64, Error) {
    for n in 0..100_000 {
        if let Err(error) = a.insert_with_id(n, [("pad", "x".repeat(200).into())]) {
            return (n, error);
        }
    }
    panic!("there is a limit")
}

fn limited() -> (Database, Collection) {
    let db = Database::open(still(Options::in_memory()).memory_limit(LIMIT)).unwrap();
    let a = create(&db, "a");
    (db, a)
}

#[test]
fn at_the_limit_writes_are_refused_clearly_and_deletions_are_not() {
    let (db, a) = limited();
    let (many, error) = fill(&a);
    assert!(many > 1000);
    let Error::MemoryLimit {
        needed,
        used,
        limit,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(limit, LIMIT);
    assert!(needed > 200 && used + needed > LIMIT && used == db.stats().memory_used);
    assert!(
        db.stats().memory_used <= LIMIT + LIMIT / 8,
        "structures grow in small steps"
    );
    let text = error_text(&a);
    assert!(
        text.contains("the memory limit is reached") && text.contains("delete data"),
        "{text}"
    );
    let (digest, count) = (db.digest(), a.count().unwrap());
    assert_eq!(
        code(a.update(1, Update::new().set("more", "x".repeat(300)))),
        "memory_limit"
    );
    assert_eq!(
        code(db.batch(Batch::each().upsert("a", "new", [("p", "x".repeat(300).into())]))),
        "memory_limit"
    );
    let transacted = db.transact(Isolation::Snapshot, |t| {
        t.upsert("a", 1, [("p", "x".repeat(300).into())])
    });
    assert_eq!(code(transacted), "memory_limit");
    assert_eq!(
        (db.digest(), a.count().unwrap()),
        (digest, count),
        "nothing has changed"
    );
    assert!(a.get(1).unwrap().is_some(), "reads go on");
    assert!(db.health().warning.is_some() && db.health().writes.is_ok());
    // Deletions need no room, one by one or many at a time.
    a.delete(0).unwrap();
    let deletions = (1..200).fold(Batch::atomic(), |batch, n: i64| batch.delete("a", n));
    db.batch(deletions).unwrap();
    tidy(&db);
    for n in 0..100 {
        a.insert_with_id(n, [("pad", "x".repeat(200).into())])
            .unwrap();
    }
}

fn error_text(a: &Collection) -> String {
    a.insert([("pad", "x".repeat(200).into())])
        .unwrap_err()
        .to_string()
}

#[test]
fn at_the_limit_everything_that_removes_goes_on() {
    // A handle keeps what it looks at until its next use: dropped with it, or used.
    let remove: [fn(&Database, Collection); 3] = [
        |_, a| done(a.truncate()),
        |db, _| done(db.drop_collection("a")),
        |_, a| done(a.drop_index("pad")),
    ];
    for (at, remove) in remove.into_iter().enumerate() {
        let (db, a) = limited();
        let pad = velocitydb::IndexDefinition::unique("pad", vec![velocitydb::Path::field("id")]);
        a.create_index(pad).unwrap();
        fill(&a);
        remove(&db, a);
        tidy(&db);
        if at < 2 {
            assert!(db.stats().memory_used < LIMIT / 4);
            create(&db, "b")
                .insert([("pad", "x".repeat(200).into())])
                .unwrap();
        }
    }
}

#[test]
fn what_is_deleted_is_given_back() {
    let db = in_memory();
    let a = create(&db, "a");
    let warm = |turn: i64| {
        for n in 0..3000 {
            let fields = [("n", n.into()), ("pad", "x".repeat(100).into())];
            a.insert_with_id(turn * 10_000 + n, fields).unwrap();
        }
        let full = db.stats().memory_used;
        for n in 0..3000 {
            a.delete(turn * 10_000 + n).unwrap();
        }
        tidy(&db);
        (full, db.stats().memory_used)
    };
    let before = db.stats().memory_used;
    let (full, first) = warm(0);
    assert!(full > before + 3000 * 100);
    assert!(
        first < before + (full - before) / 8,
        "{before}, full {full}, emptied {first}"
    );
    for turn in 1..8 {
        let (_, after) = warm(turn);
        assert!(
            after <= first + 4096,
            "turn {turn}: {after} against {first}"
        );
    }
    assert_eq!(
        (a.count().unwrap(), a.stats().unwrap().bytes.documents),
        (0, 0)
    );
    db.drop_collection("a").unwrap();
    drop(a);
    tidy(&db);
    assert!(
        db.stats().memory_used <= before + 1024,
        "{} against {before}",
        db.stats().memory_used
    );
}

#[test]
fn the_account_is_the_sum_of_the_collections() {
    let db = in_memory();
    let a = create(&db, "a");
    let others = db.stats().memory_used - a.stats().unwrap().bytes.total() as u64;
    for n in 0..2000 {
        a.insert_with_id(n % 700, []).ok();
        a.upsert(n % 700, [("n", n.into())]).unwrap();
        a.delete(n % 500).ok();
    }
    let bytes = a.stats().unwrap().bytes;
    assert_eq!(db.stats().memory_used - others, bytes.total() as u64);
}

#[test]
fn what_fitted_once_always_loads_again() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    let a = create(&db, "a");
    for n in 0..3000 {
        a.insert_with_id(n, [("pad", "x".repeat(100).into())])
            .unwrap();
    }
    let digest = db.digest();
    drop((a, db));
    let db = Database::open(on_disk(&disk).memory_limit(LIMIT / 8)).unwrap();
    assert_eq!(db.digest(), digest);
    let a = db.collection("a").unwrap();
    assert_eq!(a.count().unwrap(), 3000);
    assert!(db.stats().memory_used > LIMIT / 8);
    assert_eq!(code(a.insert([])), "memory_limit");
    for n in 0..3000 {
        a.delete(n).unwrap();
    }
    tidy(&db);
    a.insert_with_id("again", []).unwrap();
}

/// Ten thousand documents, and a query that has to sort them all: some 1 MiB.
fn to_sort(query_memory: u64) -> (Database, Collection, Find) {
    let db = Database::open(still(Options::in_memory()).query_memory(query_memory)).unwrap();
    let a = create(&db, "a");
    for n in 0..10_000_i64 {
        a.insert_with_id(n, [("n", (n % 100).into())]).unwrap();
    }
    let find = Find::new(Filter::All).sort([("n", Direction::Descending)]);
    (db, a, find)
}

#[test]
fn what_one_query_keeps_another_cannot_until_it_ends() {
    let (db, a, find) = to_sort(1 << 20);
    let memory = db.query_memory();
    let (reached, first) = mpsc::channel();
    let (go_on, told) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        // Dropped when something fails here, so that the other does not wait for ever.
        let go_on = go_on;
        let (view, find) = (a.view().unwrap(), &find);
        let one = scope.spawn(move || {
            let mut rows = 0;
            let outcome = view.find_each(find, |_| {
                if rows == 0 {
                    reached.send(()).unwrap();
                    told.recv().unwrap();
                }
                rows += 1;
                true
            });
            outcome.map(|()| rows)
        });
        first.recv().unwrap();
        assert!(memory.used() > 512 << 10 && memory.used() < 1 << 20);

        let error = a.find(find).unwrap_err();
        assert!(error.is_retryable());
        let text = error.to_string();
        assert!(text.contains("keep 1048576 bytes"), "{text}");
        assert!(text.contains("1048576 are in use"), "{text}");
        assert_eq!(code(Err::<(), _>(error)), "query_memory_total");
        let groups = r#"[{"$group":{"_id":"$_id","all":{"$push":"$$ROOT"}}}]"#;
        let pipeline = Pipeline::from_json(groups).unwrap();
        assert_eq!(
            code(a.view().unwrap().aggregate(&pipeline)),
            "query_memory_total"
        );
        // Small ones take nothing.
        let few = find.clone().limit(10);
        assert_eq!(a.find(&few).unwrap().len(), 10);
        // A limit of one's own is another error, whatever the others do.
        let own = Limits {
            bytes_max: 1000,
            ..Limits::default()
        };
        assert_eq!(code(a.find(&find.clone().limits(own))), "query_limit");

        go_on.send(()).unwrap();
        assert_eq!(one.join().unwrap().unwrap(), 10_000);
    });
    assert_eq!((memory.used(), memory.refused()), (0, 2));
    assert_eq!(a.find(&find).unwrap().len(), 10_000);
}

#[test]
fn sorted_rows_count_as_long_as_they_are_handed_on() {
    let (db, a, _) = to_sort(4 << 20);
    let noting = db.clone();
    let last = Arc::new(AtomicUsize::new(0));
    let noted = Arc::clone(&last);
    let view = a.view().unwrap().interrupted_by(move || {
        noted.store(noting.query_memory().used(), Ordering::Relaxed);
        Ok(())
    });
    // Asked last behind the sort, which is none of documents.
    let pipeline = r#"[{"$project":{"n":1}},{"$sort":{"n":-1}},{"$count":"n"}]"#;
    let pipeline = Pipeline::from_json(pipeline).unwrap();
    view.aggregate(&pipeline).unwrap();
    assert!(last.load(Ordering::Relaxed) > 1 << 20);
    assert_eq!(db.query_memory().used(), 0);
}

/// A clock that stands still and notes what all queries keep whenever it is asked: with each write.
#[derive(Debug, Default)]
struct Noting {
    db: Mutex<Option<Database>>,
    most: AtomicUsize,
}

impl Clock for Noting {
    fn now(&self) -> Timestamp {
        if let Some(db) = &*self.db.lock().unwrap() {
            let used = db.query_memory().used();
            self.most.fetch_max(used, Ordering::Relaxed);
        }
        START
    }
}

#[test]
fn rows_that_are_written_count_until_all_are() {
    let clock = Arc::new(Noting::default());
    let options = still(Options::in_memory()).clock(clock.clone());
    let db = Database::open(options).unwrap();
    let a = create(&db, "a");
    for n in 0..3000_i64 {
        a.insert_with_id(n, [("pad", "x".repeat(200).into())])
            .unwrap();
    }
    for stage in ["$out", "$merge"] {
        *clock.db.lock().unwrap() = Some(db.clone());
        let pipeline = Pipeline::from_json(&format!(r#"[{{"{stage}":"b"}}]"#)).unwrap();
        a.aggregate(&pipeline).unwrap();
        *clock.db.lock().unwrap() = None;
        let most = clock.most.swap(0, Ordering::Relaxed);
        assert!(most > 3000 * 200 - (64 << 10), "{stage} {most}");
        assert_eq!(db.query_memory().used(), 0);
    }
}

#[test]
fn many_queries_at_once_keep_no_more_than_there_is_for_all() {
    let (db, a, find) = to_sort(4 << 20);
    let answers = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    match a.find(&find) {
                        Ok(found) => {
                            assert_eq!(found.len(), 10_000);
                            answers.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => assert!(matches!(error, Error::QueryMemory(_)), "{error}"),
                    }
                    assert!(db.query_memory().used() <= 4 << 20);
                }
            });
        }
    });
    let answers = answers.load(Ordering::Relaxed) as u64;
    assert_eq!(answers + db.query_memory().refused(), 40);
    assert!(answers > 0);
    assert_eq!(db.query_memory().used(), 0);
}
