//! What a user of the locks relies on, one situation each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use velocitydb_engine::catalog::{CollectionId, DatabaseId};
use velocitydb_types::{ErrorClass, Timestamp};

use super::*;
use crate::{ManualClock, SystemClock};

const COLLECTION: CollectionId = CollectionId(7);

/// A row by a number.
fn row(key: &[u8; 1]) -> Name<'_> {
    let collection = COLLECTION;
    Name::Row { collection, key }
}

fn locks() -> Locks {
    Locks::new(&LockOptions::default(), Arc::new(SystemClock))
}

fn limited(locks_max: usize) -> Locks {
    Locks::new(&LockOptions { locks_max }, Arc::new(SystemClock))
}

/// Takes a lock that is free for it.
#[track_caller]
fn take(owner: &Owner, name: Name<'_>, mode: Mode) {
    let locked = owner.lock(name, mode, Wait::NoWait);
    assert!(matches!(locked, Ok(Locked::Granted)), "{locked:?}");
}

/// The same, for the session.
#[track_caller]
fn take_session(owner: &Owner, name: Name<'_>, mode: Mode) {
    let locked = owner.lock_session(name, mode, Wait::NoWait);
    assert!(matches!(locked, Ok(Locked::Granted)), "{locked:?}");
}

/// Begins to wait for a lock, and goes on waiting when it is not looked at.
#[track_caller]
fn queue(owner: &Owner, name: Name<'_>, mode: Mode) {
    match owner.lock(name, mode, Wait::Block) {
        Ok(Locked::Waiting(mut waiting)) => waiting.stays = true,
        other => panic!("it is to wait: {other:?}"),
    }
}

fn is_free(owner: &Owner, name: Name<'_>, mode: Mode) -> bool {
    let mark = owner.mark();
    let locked = owner.lock(name, mode, Wait::SkipLocked).unwrap();
    let free = matches!(locked, Locked::Granted);
    assert!(free || matches!(locked, Locked::Skipped));
    drop(locked);
    owner.release_after(mark);
    free
}

/// What has become of a wait, without waiting.
fn poll(owner: &Owner) -> Poll<Result<(), LockError>> {
    owner.poll_wait(Waker::noop())
}

fn code(result: Result<Locked, LockError>) -> &'static str {
    match result {
        Ok(locked) => panic!("it is to be refused: {locked:?}"),
        Err(error) => error.code().0,
    }
}

fn nothing_is_left(locks: &Locks) {
    assert_eq!(locks.list(100).rows, []);
    assert_eq!(locks.stats().locks, 0);
}

#[test]
fn two_owners_exclude_each_other_as_in_the_table_of_postgresql() {
    let excluded = |mode: Mode| match mode {
        Mode::KeyShare => vec![Mode::Update],
        Mode::Share => vec![Mode::NoKeyUpdate, Mode::Update],
        Mode::NoKeyUpdate => vec![Mode::Share, Mode::NoKeyUpdate, Mode::Update],
        Mode::Update => Mode::ALL.to_vec(),
    };
    let locks = locks();
    let (first, second) = (locks.owner(), locks.owner());
    for held in Mode::ALL {
        take(&first, row(b"a"), held);
        for wanted in Mode::ALL {
            let free = is_free(&second, row(b"a"), wanted);
            assert_eq!(free, !excluded(held).contains(&wanted), "{held}, {wanted}");
            assert!(is_free(&first, row(b"a"), wanted), "its own lock");
        }
        first.release_transaction();
    }
    nothing_is_left(&locks);
}

#[test]
fn names_of_different_kinds_are_different_locks() {
    let locks = locks();
    let (first, second) = (locks.owner(), locks.owner());
    let (collection, key) = (COLLECTION, &b"k"[..]);
    let unique = |index| Name::Unique {
        collection,
        index,
        key,
    };
    let names = [
        Name::Row { collection, key },
        unique(0),
        unique(1),
        Name::Collection(COLLECTION),
        Name::Advisory(DatabaseId::VELOCITY, 7),
        Name::AdvisoryPair(DatabaseId::VELOCITY, 0, 7),
    ];
    for name in names {
        assert!(is_free(&second, name, Mode::EXCLUSIVE), "{name}");
        take(&first, name, Mode::EXCLUSIVE);
        assert!(!is_free(&second, name, Mode::SHARED), "{name}");
    }
}

#[test]
fn nowait_refuses_and_skip_locked_goes_on() {
    let locks = locks();
    let (first, second) = (locks.owner(), locks.owner());
    take(&first, row(b"a"), Mode::Update);
    let refused = second.lock(row(b"a"), Mode::Share, Wait::NoWait);
    let refused = refused.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "could not obtain lock SHARE on row 0x61 of collection 7: another has it; try again later, \
         or wait"
    );
    assert_eq!(refused.code(), ("lock_not_available", ErrorClass::Conflict));
    assert_eq!(refused.sqlstate(), "55P03");
    assert!(!is_free(&second, row(b"a"), Mode::Share));
    assert_eq!(second.held(row(b"a")), None);
    assert_eq!(locks.stats().not_available, 1);
}

#[test]
fn a_newcomer_does_not_overtake_a_waiter_that_it_excludes() {
    let locks = locks();
    let mut owners: Vec<Owner> = (0..4).map(|_| locks.owner()).collect();
    let [reader, writer, late_reader, key_reader] = &owners[..] else {
        unreachable!()
    };
    take(reader, row(b"a"), Mode::Share);
    queue(writer, row(b"a"), Mode::NoKeyUpdate);
    queue(late_reader, row(b"a"), Mode::Share);
    // Excludes neither of them.
    take(key_reader, row(b"a"), Mode::KeyShare);

    reader.release_transaction();
    assert_eq!(poll(late_reader), Poll::Pending);
    assert_eq!(poll(writer), Poll::Ready(Ok(())));
    writer.release_transaction();
    assert_eq!(poll(late_reader), Poll::Ready(Ok(())));
    owners.clear();
    nothing_is_left(&locks);
}

#[test]
fn who_strengthens_a_lock_goes_before_those_who_wait_for_it_anyway() {
    let locks = locks();
    let [first, second, waiter] = [locks.owner(), locks.owner(), locks.owner()];
    take(&first, row(b"a"), Mode::Share);
    take(&second, row(b"a"), Mode::Share);
    queue(&waiter, row(b"a"), Mode::Update);
    queue(&first, row(b"a"), Mode::Update);
    second.release_transaction();
    assert_eq!(poll(&first), Poll::Ready(Ok(())));
    assert_eq!(poll(&waiter), Poll::Pending);
    first.release_transaction();
    assert_eq!(poll(&waiter), Poll::Ready(Ok(())));
    // Alone, it strengthens at once although another waits.
    waiter.release_transaction();
    take(&first, row(b"a"), Mode::KeyShare);
    queue(&second, row(b"a"), Mode::Update);
    take(&first, row(b"a"), Mode::Update);
}

#[test]
fn two_that_strengthen_the_same_lock_are_a_deadlock() {
    let locks = locks();
    let (first, second) = (locks.owner(), locks.owner());
    take(&first, row(b"a"), Mode::Share);
    take(&second, row(b"a"), Mode::Share);
    queue(&first, row(b"a"), Mode::Update);
    let refused = second.lock(row(b"a"), Mode::Update, Wait::Block);
    assert_eq!(code(refused), "deadlock_detected");
    // The victim has what it had; when it goes, the other has its lock.
    assert_eq!(second.held(row(b"a")), Some(Mode::Share));
    second.release_transaction();
    assert_eq!(poll(&first), Poll::Ready(Ok(())));
}

#[test]
fn a_deadlock_tells_who_waits_for_whom() {
    let locks = locks();
    let [first, second, third] = [locks.owner(), locks.owner(), locks.owner()];
    take(&first, row(b"a"), Mode::Update);
    take(&second, row(b"b"), Mode::NoKeyUpdate);
    take(
        &third,
        Name::Advisory(DatabaseId::VELOCITY, 5),
        Mode::EXCLUSIVE,
    );
    queue(&first, row(b"b"), Mode::Share);
    queue(
        &second,
        Name::Advisory(DatabaseId::VELOCITY, 5),
        Mode::SHARED,
    );
    let error = third.lock(row(b"a"), Mode::KeyShare, Wait::Block);
    let error = error.unwrap_err();
    let LockError::Deadlock(cycle) = &error else {
        panic!("{error}");
    };
    assert_eq!(
        cycle.to_string(),
        "Process 3 waits for KEY SHARE on row 0x61 of collection 7; blocked by process 1.\n\
         Process 1 waits for SHARE on row 0x62 of collection 7; blocked by process 2.\n\
         Process 2 waits for SHARE on advisory lock 5; blocked by process 3."
    );
    assert_eq!(error.code(), ("deadlock_detected", ErrorClass::Retry));
    assert_eq!(error.sqlstate(), "40P01");
    assert_eq!(locks.stats().deadlocks, 1);
    // The victim's end lets the others go on, one after the other.
    drop(third);
    assert_eq!(poll(&second), Poll::Ready(Ok(())));
    drop(second);
    assert_eq!(poll(&first), Poll::Ready(Ok(())));
    drop(first);
    nothing_is_left(&locks);
}

#[test]
fn a_wait_behind_a_queue_closes_a_cycle_too() {
    let locks = locks();
    let [first, second, third] = [locks.owner(), locks.owner(), locks.owner()];
    take(&first, row(b"a"), Mode::Share);
    take(&third, row(b"b"), Mode::Update);
    queue(&second, row(b"a"), Mode::Update);
    // It waits for the second alone, which was before it.
    queue(&third, row(b"a"), Mode::Share);
    let refused = first.lock(row(b"b"), Mode::Share, Wait::Block);
    assert_eq!(code(refused), "deadlock_detected");
}

#[test]
fn a_rollback_to_a_savepoint_gives_back_what_came_after_it() {
    let locks = locks();
    let (owner, other) = (locks.owner(), locks.owner());
    take(&owner, row(b"a"), Mode::KeyShare);
    let outer = owner.mark();
    take(&owner, row(b"a"), Mode::NoKeyUpdate);
    take(&owner, row(b"b"), Mode::Update);
    let inner = owner.mark();
    take(&owner, row(b"a"), Mode::Update);
    take(&owner, row(b"a"), Mode::Share);
    queue(&other, row(b"a"), Mode::KeyShare);

    owner.release_after(inner);
    assert_eq!(owner.held(row(b"a")), Some(Mode::NoKeyUpdate));
    assert_eq!(poll(&other), Poll::Ready(Ok(())));
    owner.release_after(outer);
    assert_eq!(owner.held(row(b"a")), Some(Mode::KeyShare));
    assert_eq!(owner.held(row(b"b")), None);
    owner.release_after(inner);
    assert_eq!(owner.held(row(b"a")), Some(Mode::KeyShare));
    take(&other, row(b"a"), Mode::NoKeyUpdate);
    owner.release_transaction();
    other.release_transaction();
    nothing_is_left(&locks);
}

#[test]
fn session_locks_are_counted_and_outlive_transactions() {
    let locks = locks();
    let (owner, other) = (locks.owner(), locks.owner());
    let name = Name::Advisory(DatabaseId::VELOCITY, 1);
    for mode in [Mode::EXCLUSIVE, Mode::EXCLUSIVE, Mode::SHARED] {
        take_session(&owner, name, mode);
    }
    // Its own transaction is not excluded.
    let mark = owner.mark();
    take(&owner, name, Mode::EXCLUSIVE);
    owner.release_after(mark);
    take(&owner, name, Mode::SHARED);
    owner.release_transaction();

    assert!(owner.unlock_session(name, Mode::EXCLUSIVE));
    assert!(!is_free(&other, name, Mode::SHARED));
    assert!(owner.unlock_session(name, Mode::EXCLUSIVE));
    assert!(!owner.unlock_session(name, Mode::EXCLUSIVE), "no more");
    assert!(is_free(&other, name, Mode::SHARED));
    assert!(!is_free(&other, name, Mode::EXCLUSIVE));
    assert!(owner.unlock_session(name, Mode::SHARED));
    assert!(!owner.unlock_session(Name::Advisory(DatabaseId::VELOCITY, 2), Mode::SHARED));
    nothing_is_left(&locks);

    // Those of a transaction are not counted.
    take(&owner, name, Mode::EXCLUSIVE);
    take(&owner, name, Mode::EXCLUSIVE);
    assert!(!owner.unlock_session(name, Mode::EXCLUSIVE));
    owner.release_transaction();
    nothing_is_left(&locks);

    take_session(&owner, name, Mode::EXCLUSIVE);
    drop(owner);
    nothing_is_left(&locks);
}

#[test]
fn a_session_lock_can_be_waited_for() {
    let locks = locks();
    let (owner, other) = (locks.owner(), locks.owner());
    take(
        &owner,
        Name::Advisory(DatabaseId::VELOCITY, 1),
        Mode::EXCLUSIVE,
    );
    let name = Name::Advisory(DatabaseId::VELOCITY, 1);
    let Ok(Locked::Waiting(waiting)) = other.lock_session(name, Mode::SHARED, Wait::Block) else {
        panic!("it is to wait");
    };
    owner.release_transaction();
    futures_lite::future::block_on(waiting).unwrap();
    other.release_transaction();
    assert!(other.unlock_session(Name::Advisory(DatabaseId::VELOCITY, 1), Mode::SHARED));
    nothing_is_left(&locks);
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_waiter_is_woken_once_and_by_its_newest_waker() {
    let locks = locks();
    let (owner, other) = (locks.owner(), locks.owner());
    take(&owner, row(b"a"), Mode::Update);
    let Ok(Locked::Waiting(mut waiting)) = other.lock(row(b"a"), Mode::Share, Wait::Block) else {
        panic!("it is to wait");
    };
    let [old, new] = [Arc::new(Woken::default()), Arc::new(Woken::default())];
    for woken in [&old, &new] {
        let waker = Waker::from(Arc::clone(woken));
        let polled = std::pin::Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker));
        assert_eq!(polled, Poll::Pending);
    }
    owner.release_transaction();
    let counts = [&old, &new].map(|woken| woken.0.load(Ordering::SeqCst));
    assert_eq!(counts, [0, 1]);
    futures_lite::future::block_on(waiting).unwrap();
    assert_eq!(other.held(row(b"a")), Some(Mode::Share));
}

#[test]
fn a_wait_that_is_given_up_leaves_the_owner_as_it_was() {
    let locks = locks();
    let [owner, other, third] = [locks.owner(), locks.owner(), locks.owner()];
    take(&owner, row(b"a"), Mode::Share);
    take(&other, row(b"a"), Mode::KeyShare);
    queue(&other, row(b"a"), Mode::NoKeyUpdate);
    queue(&third, row(b"a"), Mode::Share);
    // Before it was let in: those behind it go on.
    other.withdraw();
    assert_eq!(poll(&third), Poll::Ready(Ok(())));
    assert_eq!(other.held(row(b"a")), Some(Mode::KeyShare));
    third.release_transaction();

    // After it was let in, before it knew.
    queue(&other, row(b"a"), Mode::NoKeyUpdate);
    owner.release_transaction();
    assert_eq!(other.held(row(b"a")), Some(Mode::NoKeyUpdate));
    other.withdraw();
    assert_eq!(other.held(row(b"a")), Some(Mode::KeyShare));
    other.release_transaction();
    nothing_is_left(&locks);
}

#[test]
fn a_wait_that_takes_too_long_says_so() {
    let locks = locks();
    let (owner, other) = (locks.owner(), locks.owner());
    take(&owner, row(b"a"), Mode::Update);
    let Ok(Locked::Waiting(waiting)) = other.lock(row(b"a"), Mode::Share, Wait::Block) else {
        panic!("it is to wait");
    };
    let error = waiting.block(Some(Duration::ZERO), || false).unwrap_err();
    assert_eq!(error.code(), ("lock_timeout", ErrorClass::Limit));
    assert_eq!(error.sqlstate(), "55P03");
    assert_eq!(locks.stats().timeouts, 1);

    // It came in the moment in which the time was over: then it is had.
    queue(&other, row(b"a"), Mode::Share);
    owner.release_transaction();
    assert_eq!(other.time_out(), Ok(()));
    assert_eq!(other.held(row(b"a")), Some(Mode::Share));
    other.release_transaction();
    nothing_is_left(&locks);
}

#[test]
fn a_wait_can_be_interrupted() {
    let locks = locks();
    let (owner, other) = (locks.owner(), locks.owner());
    assert!(!locks.interrupt(other.id()), "it does not wait");
    take(&owner, row(b"a"), Mode::Update);
    queue(&other, row(b"a"), Mode::Share);
    assert!(locks.interrupt(other.id()));
    let Poll::Ready(Err(error)) = poll(&other) else {
        panic!("it was interrupted");
    };
    assert_eq!(error.sqlstate(), "57014");
    assert_eq!(other.held(row(b"a")), None);

    // Nobody is interrupted who was let in before.
    queue(&other, row(b"a"), Mode::Share);
    owner.release_transaction();
    assert!(!locks.interrupt(other.id()));
    assert_eq!(poll(&other), Poll::Ready(Ok(())));

    // By its own flag.
    let Ok(Locked::Waiting(waiting)) = owner.lock(row(b"a"), Mode::Update, Wait::Block) else {
        panic!("it is to wait");
    };
    let error = waiting.block(None, || true).unwrap_err();
    assert_eq!(error.code().0, "lock_interrupted");
}

#[test]
fn locks_have_a_limit_altogether() {
    let locks = limited(3);
    let (owner, other) = (locks.owner(), locks.owner());
    take(&owner, row(b"a"), Mode::Share);
    take(&owner, row(b"b"), Mode::Share);
    take(&other, row(b"a"), Mode::Share);
    // What is had already costs nothing.
    take(&owner, row(b"b"), Mode::Update);
    let error = other.lock(row(b"c"), Mode::Share, Wait::NoWait);
    let error = error.unwrap_err();
    assert!(error.to_string().starts_with("out of shared memory: 3 "));
    assert_eq!(error.code(), ("too_many_locks", ErrorClass::Limit));
    assert_eq!(error.sqlstate(), "53200");
    let waits = other.lock(row(b"b"), Mode::Share, Wait::Block);
    assert_eq!(code(waits), "too_many_locks");
    // Neither of them left anything.
    owner.release_transaction();
    take(&other, row(b"b"), Mode::Share);
    take(&other, row(b"c"), Mode::Share);
    drop(other);
    nothing_is_left(&locks);

    // A long key counts for more.
    let (collection, key) = (COLLECTION, &[1; 192]);
    let long = owner.lock(Name::Row { collection, key }, Mode::Share, Wait::NoWait);
    assert_eq!(code(long), "too_many_locks");
}

#[test]
fn nearly_all_of_a_large_limit_can_be_had_and_never_more() {
    let max = 50_000;
    let locks = limited(max);
    let owner = locks.owner();
    let mut had = 0;
    for key in 0_u32.. {
        let (collection, key) = (COLLECTION, &key.to_be_bytes());
        match owner.lock(Name::Row { collection, key }, Mode::Update, Wait::Block) {
            Ok(locked) => assert!(matches!(locked, Locked::Granted)),
            Err(LockError::TooMany { .. }) => break,
            Err(error) => panic!("{error}"),
        }
        had += 1;
    }
    assert!(had <= max && had >= max / 16 * 15, "{had}");
    assert_eq!(locks.stats().locks, had);
    // What is given back can be had by others.
    owner.release_transaction();
    for lock in 0..max as i64 / 16 * 15 {
        take(
            &owner,
            Name::Advisory(DatabaseId::VELOCITY, lock),
            Mode::EXCLUSIVE,
        );
    }
    drop(owner);
    nothing_is_left(&locks);
}

#[test]
fn many_locks_are_given_back_with_their_memory() {
    let locks = locks();
    let (owner, other) = (locks.owner(), locks.owner());
    for _ in 0..2 {
        for id in 0..100_000_u32 {
            let (collection, key) = (COLLECTION, &id.to_be_bytes());
            take(&owner, Name::Row { collection, key }, Mode::Update);
        }
        let (collection, key) = (COLLECTION, &77_777_u32.to_be_bytes());
        assert!(!is_free(&other, Name::Row { collection, key }, Mode::Share));
        assert_eq!(locks.stats().locks, 100_000);
        owner.release_transaction();
        nothing_is_left(&locks);
        let shards = 0..super::SHARDS as u16;
        let kept: usize = shards
            .map(|shard| locks.inner.shards.lock(shard).capacity())
            .sum();
        assert!(kept < 50_000, "{kept}");
    }
}

#[test]
fn the_list_shows_who_waits_since_when_and_those_first() {
    let clock = Arc::new(ManualClock::new(Timestamp(1_000)));
    let locks = Locks::new(&LockOptions::default(), Arc::clone(&clock) as _);
    let [owner, other, third] = [locks.owner(), locks.owner(), locks.owner()];
    for key in [b"a", b"b", b"c", b"d", b"e"] {
        take(&owner, row(key), Mode::Update);
    }
    queue(&other, row(b"c"), Mode::Share);
    clock.advance(500);
    queue(&third, row(b"c"), Mode::KeyShare);
    let list = locks.list(4);
    assert!(!list.whole);
    let shown = |row: &LockRow| (row.owner.0, row.mode, row.waits_since.map(|since| since.0));
    let shown: Vec<_> = list.rows.iter().map(shown).collect();
    assert_eq!(
        shown[..3],
        [
            (1, Mode::Update, None),
            (2, Mode::Share, Some(1_000)),
            (3, Mode::KeyShare, Some(1_500)),
        ]
    );
    let kept = LockName::from(row(b"c"));
    assert!(list.rows[..3].iter().all(|row| row.name == kept));
    let list = locks.list(7);
    assert!(list.whole);
    assert_eq!(list.rows.len(), 7);

    clock.advance(1_000);
    owner.release_transaction();
    assert_eq!(poll(&other), Poll::Ready(Ok(())));
    assert_eq!(poll(&third), Poll::Ready(Ok(())));
    let stats = locks.stats();
    assert_eq!((stats.waits, stats.waited_us), (2, 1_500 + 1_000));
    assert_eq!((stats.locks, stats.owners), (2, 3));
}

#[test]
fn owners_and_waits_go_from_thread_to_thread() {
    fn goes<T: Send>() {}
    goes::<Owner>();
    goes::<Waiting>();
    goes::<Locked>();
    fn is_shared<T: Sync>() {}
    is_shared::<Locks>();
}
