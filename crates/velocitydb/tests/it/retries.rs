//! Idempotency keys: a request is made once, however often it is asked for.

use std::sync::Arc;
use std::time::Duration;

use velocitydb::{
    Answer, Batch, Call, Collection, Database, Durability, Effect, Expected, Isolation, Key,
    ManualClock, Options, Swap, Update,
};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{SECOND, clock, code, create, done, in_memory, on, on_disk, read, still};

fn key(name: &str) -> Call {
    Call::new().idempotency_key(name)
}

fn timed() -> (Database, Collection, Arc<ManualClock>) {
    let clock = clock();
    let db = Database::open(still(Options::in_memory()).clock(clock.clone())).unwrap();
    let a = create(&db, "a");
    (db, a, clock)
}

#[test]
fn the_same_request_again_gets_the_kept_outcome() {
    let db = in_memory();
    let a = create(&db, "a");
    let once = a.with(key("k1"));
    let first: Answer<Key> = once.insert([("n", 1.into())]).unwrap();
    assert!(!first.repeated);
    // Others go on meanwhile.
    a.update(&first.value, Update::new().set("n", 2)).unwrap();
    let digest = db.digest();
    for _ in 0..3 {
        let again = once.insert([("n", 1.into())]).unwrap();
        assert!(again.repeated);
        assert_eq!(again.value, first.value, "the generated id, too");
        assert_eq!((again.index, again.time), (first.index, first.time));
    }
    assert_eq!((db.digest(), a.count().unwrap()), (digest, 1));
    let add = || a.with(key("k2")).increment(&first.value, "n", 10);
    let (one, two) = (add().unwrap(), add().unwrap());
    assert_eq!((one.repeated, two.repeated), (false, true));
    assert_eq!(
        a.get(&first.value)
            .unwrap()
            .unwrap()
            .get("n")
            .unwrap()
            .as_int(),
        Some(12)
    );
}

#[test]
fn a_batch_keeps_each_outcome() {
    let db = in_memory();
    let a = create(&db, "a");
    a.insert_with_id("x", []).unwrap();
    let batch = || {
        Batch::each()
            .insert("a", [])
            .insert_with_id("a", "x", [])
            .delete("a", "x")
    };
    let first = db.batch_with(batch(), &key("b")).unwrap();
    let again = db.batch_with(batch(), &key("b")).unwrap();
    assert!(!first.repeated && again.repeated);
    assert_eq!(first.index, again.index);
    let [Ok(one), Err(_), Ok(three)] = &again.value[..] else {
        panic!("{again:?}")
    };
    assert_eq!(one.id, first.value[0].as_ref().unwrap().id);
    assert_eq!(
        (one.outcome.effect, three.outcome.effect),
        (Effect::Inserted, Effect::Deleted)
    );
    let error = again.value[1].as_ref().unwrap_err();
    assert_eq!(error.code().0, "refused_earlier");
    assert!(
        error
            .to_string()
            .contains("a document with this id exists already"),
        "{error}"
    );
    assert_eq!(a.count().unwrap(), 1);
}

#[test]
fn the_key_is_refused_for_any_other_request() {
    let db = in_memory();
    let (a, b) = (create(&db, "a"), create(&db, "b"));
    a.with(key("k"))
        .insert_with_id(1, [("n", 1.into())])
        .unwrap();
    let insert = |collection: &Collection, id: i64, n: i64| {
        code(
            collection
                .with(key("k"))
                .insert_with_id(id, [("n", n.into())]),
        )
    };
    assert_eq!(
        insert(&a, 1, 2),
        "idempotency_key_reused",
        "another document"
    );
    assert_eq!(insert(&a, 2, 1), "idempotency_key_reused", "another id");
    assert_eq!(
        insert(&b, 1, 1),
        "idempotency_key_reused",
        "another collection"
    );
    let upsert = a.with(key("k")).upsert(1, [("n", 1.into())]);
    assert_eq!(code(upsert), "idempotency_key_reused", "another condition");
    assert_eq!(code(a.with(key("k")).delete(1)), "idempotency_key_reused");
    let batch = |batch: Batch<'static>| batch.insert_with_id("a", 9, []);
    db.batch_with(batch(Batch::each()), &key("b")).unwrap();
    let other = db.batch_with(batch(Batch::atomic()), &key("b"));
    assert_eq!(code(other), "idempotency_key_reused", "another mode");
    done(a.delete(9));
    assert_eq!((a.count().unwrap(), b.count().unwrap()), (1, 0));
}

#[test]
fn a_refused_request_may_be_made_again() {
    let db = in_memory();
    let a = create(&db, "a");
    let update = || a.with(key("k")).update(1, Update::new().set("n", 1));
    assert_eq!(code(update()), "not_found");
    a.insert_with_id(1, []).unwrap();
    assert!(
        !update().unwrap().repeated,
        "nothing was kept of what did not happen"
    );
    assert!(update().unwrap().repeated);
}

#[test]
fn a_won_swap_is_won_again_with_the_same_token() {
    let db = in_memory();
    let a = create(&db, "a");
    a.insert_with_id("lock", []).unwrap();
    let free = Expected::field("owner", velocitydb::Value::Null);
    let take = || {
        a.with(key("mine"))
            .compare_and_swap("lock", &free, Update::new().set("owner", "me"))
    };
    let won = take().unwrap();
    // It is given back and another one takes it: an old winner must not get a newer token.
    a.update("lock", Update::new().unset("owner")).unwrap();
    let other = a
        .compare_and_swap("lock", &free, Update::new().set("owner", "other"))
        .unwrap();
    let again = take().unwrap();
    assert!(again.repeated && matches!(again.value, Swap::Won(_)));
    assert_eq!(again.index, won.index);
    assert!(again.index < other.index);
}

#[test]
fn a_won_deletion_is_won_again() {
    let db = in_memory();
    let a = create(&db, "a");
    a.insert_with_id(1, [("n", 1.into())]).unwrap();
    let delete = || {
        a.with(key("k"))
            .compare_and_delete(1, &Expected::field("n", 1))
    };
    assert!(matches!(delete().unwrap().value, Swap::Won(_)));
    let again = delete().unwrap();
    assert!(
        again.repeated && matches!(again.value, Swap::Won(_)),
        "{again:?}"
    );
}

#[test]
fn an_outcome_is_kept_for_its_time_and_no_longer() {
    let (db, a, clock) = timed();
    let ten = Call::new().idempotency_key_for("k", Duration::from_secs(10));
    let once = a.with(ten);
    let first = once.insert([]).unwrap();
    clock.advance(9 * SECOND);
    assert!(once.insert([]).unwrap().repeated);
    clock.advance(SECOND);
    // Its time is over, though nothing has been written since that could have removed it.
    let second = once.insert([]).unwrap();
    assert!(!second.repeated);
    assert_ne!(second.value, first.value);
    assert_eq!(a.count().unwrap(), 2);
    // The new outcome has its own time, however much is written meanwhile.
    for n in 0..40 {
        clock.advance(SECOND / 10);
        a.insert_with_id(n, []).unwrap();
    }
    let again = once.insert([]).unwrap();
    assert_eq!((again.repeated, again.value), (true, second.value));
    clock.advance(10 * SECOND);
    a.insert_with_id("later", []).unwrap();
    assert!(!once.insert([]).unwrap().repeated);
    assert_eq!(db.stats().refusals, 0);
}

#[test]
fn expired_outcomes_are_given_back() {
    let (db, a, clock) = timed();
    a.insert_with_id("hot", []).unwrap();
    crate::support::tidy(&db);
    let before = db.stats().memory_used;
    for n in 0..500 {
        let call = Call::new().idempotency_key_for(format!("k{n}"), Duration::from_secs(1));
        a.with(call)
            .update("hot", Update::new().set("n", n))
            .unwrap();
    }
    let kept = db.stats().memory_used;
    assert!(kept > before + 500 * 50);
    clock.advance(2 * SECOND);
    for n in 0..64 {
        a.update("hot", Update::new().set("n", n)).unwrap();
    }
    crate::support::tidy(&db);
    assert!(
        db.stats().memory_used < before + (kept - before) / 2,
        "the documents have gone"
    );
}

#[test]
fn outcomes_expire_alike_whether_a_checkpoint_or_the_log_brought_them_back() {
    let clock = clock();
    let open = |disk: &SimDisk| Database::open(on_disk(disk).clock(clock.clone())).unwrap();
    let disk = SimDisk::new(1);
    let db = open(&disk);
    let a = create(&db, "a");
    for n in 0..30 {
        let call = Call::new().idempotency_key_for(format!("k{n}"), Duration::from_secs(n));
        let _ = a.with(call).insert_with_id(n as i64, []);
    }
    let from_log = disk.copy(2).crash(CrashMode::Process);
    db.checkpoint().unwrap();
    let from_checkpoint = disk.crash(CrashMode::Process);
    drop((a, db));
    clock.advance(20 * SECOND);
    let [one, other] = [from_log, from_checkpoint].map(|disk| {
        let db = open(&disk);
        let a = db.collection("a").unwrap();
        // Each write takes a few expired outcomes along.
        let write = |n: i64| (a.upsert("x", [("n", n.into())]).unwrap().index, db.digest());
        (db.recovery().checkpoint_index > 0, [1, 2, 3].map(write))
    });
    assert_eq!((one.0, other.0), (false, true));
    assert_eq!(one.1, other.1);
}

#[test]
fn a_key_without_any_time_is_refused() {
    let (_db, a, _clock) = timed();
    let call = Call::new().idempotency_key_for("k", Duration::ZERO);
    assert_eq!(code(a.with(call).insert([])), "idempotency_key_expired");
    assert_eq!(a.count().unwrap(), 0);
}

#[test]
fn kept_outcomes_survive_a_restart() {
    for checkpoint in [false, true] {
        let (disk, clock) = (SimDisk::new(4), clock());
        let open = |disk: &SimDisk| Database::open(on_disk(disk).clock(clock.clone())).unwrap();
        let db = open(&disk);
        let call = Call::new().idempotency_key_for("k", Duration::from_secs(60));
        let first = create(&db, "a")
            .with(call.clone())
            .insert([("n", 1.into())])
            .unwrap();
        if checkpoint {
            db.checkpoint().unwrap();
        }
        let disk = disk.crash(CrashMode::Process);
        drop(db);
        let db = open(&disk);
        let a = db.collection("a").unwrap();
        clock.advance(59 * SECOND);
        let again = a.with(call.clone()).insert([("n", 1.into())]).unwrap();
        assert!(again.repeated);
        assert_eq!((again.value, again.index), (first.value, first.index));
        assert_eq!(
            code(a.with(call.clone()).insert([])),
            "idempotency_key_reused"
        );
        clock.advance(SECOND);
        assert!(!a.with(call).insert([("n", 1.into())]).unwrap().repeated);
        assert_eq!(a.count().unwrap(), 2);
    }
}

/// Asks at `memory`, again at `full`, and loses power.
fn repeated_at_full(seed: u64) {
    let disk = SimDisk::new(seed);
    let db = on(&disk);
    let a = create(&db, "a");
    let ask = |level| {
        a.with(key("k").durability(level))
            .insert_with_id("x", [])
            .unwrap()
    };
    ask(Durability::Memory);
    let again = ask(Durability::Full);
    assert_eq!((again.repeated, again.durability), (true, Durability::Full));
    let after = on(&disk.crash(CrashMode::PowerLoss));
    assert!(
        read(&after.collection("a").unwrap(), "x").is_some(),
        "it was promised, seed {seed}"
    );
}

#[test]
fn a_repeated_answer_gives_the_durability_that_it_says() {
    (0..20).for_each(repeated_at_full);
}

#[test]
fn a_transaction_is_made_once() {
    let db = in_memory();
    let a = create(&db, "a");
    a.insert_with_id("x", [("n", 1.into())]).unwrap();
    let run = || {
        let mut transaction = db.begin(Isolation::Serializable);
        transaction
            .update("a", "x", Update::new().add("n", 1))
            .unwrap();
        transaction.commit_with(&key("t")).unwrap()
    };
    let (first, again) = (run(), run());
    assert_eq!((first.repeated, again.repeated), (false, true));
    assert_eq!(first.index, again.index);
    assert_eq!(read(&a, "x").unwrap(), r#"{"n":2}"#);
}
