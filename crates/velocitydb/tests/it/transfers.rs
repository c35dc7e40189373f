//! Money moves between accounts in transactions; its sum never changes, for anybody.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use velocitydb::{Database, Error, ErrorClass, Isolation, Options, Transaction, Update};
use velocitydb_sim::{CrashMode, Random, SimDisk};

use crate::support::{create, in_memory, number, on, on_disk, still};

const ACCOUNTS: u64 = 6;
const THREADS: usize = 8;
const TRANSFERS: usize = 60;
const TOTAL: i64 = ACCOUNTS as i64 * 100;

fn accounts(db: &Database) {
    let accounts = create(db, "accounts");
    for id in 0..ACCOUNTS {
        accounts
            .insert_with_id(id as i64, [("balance", 100.into())])
            .unwrap();
    }
}

fn balance(transaction: &mut Transaction, id: i64) -> Result<i64, Error> {
    let found = transaction.get("accounts", id)?;
    Ok(number(&found.expect("accounts stay"), "balance"))
}

fn transfer(transaction: &mut Transaction, from: i64, to: i64, amount: i64) -> Result<(), Error> {
    let (left, right) = (balance(transaction, from)?, balance(transaction, to)?);
    if left < amount {
        return Ok(());
    }
    transaction.update(
        "accounts",
        from,
        Update::new().set("balance", left - amount),
    )?;
    transaction.update("accounts", to, Update::new().set("balance", right + amount))?;
    Ok(())
}

fn sum(db: &Database) -> i64 {
    let (mut sum, mut many) = (0, 0);
    let view = db.snapshot().collection("accounts").unwrap();
    view.scan(|account| {
        sum += number(account, "balance");
        many += 1;
        true
    })
    .unwrap();
    assert_eq!(many, ACCOUNTS);
    sum
}

/// Eight threads move money while this one looks.
fn move_money(db: &Database, isolation: Isolation) {
    let running = AtomicUsize::new(THREADS);
    thread::scope(|scope| {
        for seed in 0..THREADS as u64 {
            let running = &running;
            scope.spawn(move || {
                let mut random = Random::new(seed);
                for _ in 0..TRANSFERS {
                    let from = random.below(ACCOUNTS) as i64;
                    let to = (from + 1 + random.below(ACCOUNTS - 1) as i64) % ACCOUNTS as i64;
                    let amount = random.below(30) as i64;
                    db.transact(isolation, |transaction| {
                        transfer(transaction, from, to, amount)
                    })
                    .unwrap();
                }
                running.fetch_sub(1, Ordering::AcqRel);
            });
        }
        while running.load(Ordering::Acquire) > 0 {
            assert_eq!(sum(db), TOTAL);
        }
    });
    assert_eq!(sum(db), TOTAL);
}

#[test]
fn the_sum_never_changes_under_snapshot_isolation() {
    let db = in_memory();
    accounts(&db);
    move_money(&db, Isolation::Snapshot);
    assert_eq!(
        db.stats().snapshots,
        0,
        "transactions give their snapshots back"
    );
}

#[test]
fn the_sum_never_changes_under_serializable_isolation() {
    let db = in_memory();
    accounts(&db);
    move_money(&db, Isolation::Serializable);
}

#[test]
fn the_sum_never_changes_with_threads_and_a_log_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(Options::at(dir.path()).checkpoint_entries(50)).unwrap();
    accounts(&db);
    move_money(&db, Isolation::Snapshot);
    drop(db);
    let db = Database::open(still(Options::at(dir.path()))).unwrap();
    assert_eq!(sum(&db), TOTAL);
}

#[test]
fn the_sum_survives_a_loss_of_power_at_any_moment() {
    for seed in 0..12 {
        let disk = SimDisk::new(seed);
        let db = on(&disk);
        accounts(&db);
        db.sync().unwrap();
        let mut random = Random::new(seed);
        for _ in 0..random.below(40) {
            let from = random.below(ACCOUNTS) as i64;
            let amount = random.below(30) as i64;
            let to = (from + 1) % ACCOUNTS as i64;
            db.transact(Isolation::Snapshot, |t| transfer(t, from, to, amount))
                .unwrap();
            if random.one_in(15) {
                db.checkpoint().unwrap();
            }
        }
        let disk = disk.crash(CrashMode::PowerLoss);
        drop(db);
        assert_eq!(
            sum(&Database::open(on_disk(&disk)).unwrap()),
            TOTAL,
            "seed {seed}"
        );
    }
}

#[test]
fn an_error_that_no_repetition_helps_ends_the_work_at_once() {
    let db = in_memory();
    accounts(&db);
    let mut attempts = 0;
    let refused = db.transact(Isolation::Snapshot, |transaction| {
        attempts += 1;
        transaction.update("accounts", 1, Update::new().set("balance", 0))?;
        transaction.insert_with_id("accounts", 2, [])
    });
    assert_eq!(
        (refused.unwrap_err().class(), attempts),
        (ErrorClass::Conflict, 1)
    );
    assert_eq!(sum(&db), TOTAL, "nothing of it happened");
}

#[test]
fn a_conflict_is_tried_again_on_the_newest_state() {
    let db = in_memory();
    accounts(&db);
    let accounts = db.collection("accounts").unwrap();
    let mut attempts = 0;
    let answer = db.transact(Isolation::Snapshot, |transaction| {
        attempts += 1;
        let seen = balance(transaction, 1)?;
        if attempts < 4 {
            // Somebody is faster.
            accounts.update(1, Update::new().add("balance", 1)).unwrap();
        }
        transaction.update("accounts", 1, Update::new().set("balance", seen * 2))?;
        Ok(seen)
    });
    assert_eq!((answer.unwrap().value, attempts), (103, 4));
    assert_eq!(number(&accounts.get(1).unwrap().unwrap(), "balance"), 206);
}
