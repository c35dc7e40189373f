//! Futures around blocking calls, on whatever runtime there is.

use futures_lite::future::{block_on, zip};
use velocitydb::Update;

use crate::support::{create, done, in_memory, read};

#[test]
fn calls_run_as_futures() {
    let db = in_memory();
    let notes = create(&db, "notes");
    let inserted = block_on(db.run(|db| {
        db.collection("notes")?
            .insert_with_id("a", [("n", 1.into())])
    }));
    assert_eq!(done(inserted).version, 1);
    let add = |by: i64| {
        let notes = notes.clone();
        db.run(move |_| notes.update("a", Update::new().add("n", by)))
    };
    let (one, two) = block_on(zip(add(10), add(100)));
    assert_eq!(done(one).version + done(two).version, 5);
    assert_eq!(read(&notes, "a").unwrap(), r#"{"n":111}"#);
}

/// What a runtime asks of a task.
fn spawnable<F: Future + Send + 'static>(future: F) -> F {
    future
}

#[test]
fn a_future_keeps_the_database_open() {
    let db = in_memory();
    create(&db, "notes");
    let work = spawnable(db.run(|db| db.collection("notes").map(|notes| notes.count())));
    drop(db);
    assert_eq!(block_on(work).unwrap().unwrap(), 0);
}
