//! Sequences never give a number twice.

use std::collections::BTreeSet;

use velocitydb::{Database, Durability, SequenceDefinition, SequenceError, SequencePosition};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{in_memory, on, on_disk};

fn countdown() -> SequenceDefinition {
    SequenceDefinition {
        increment: -3,
        minimum: -10,
        maximum: -1,
        start: -2,
        ..SequenceDefinition::new("countdown")
    }
}

#[test]
fn numbers_follow_each_other_up_to_the_limit_or_begin_again() {
    let db = in_memory();
    let down = db.create_sequence(countdown()).unwrap();
    assert_eq!([(); 3].map(|()| down.next().unwrap()), [-2, -5, -8]);
    assert!(matches!(
        down.next(),
        Err(SequenceError::Exhausted { limit: -10, .. })
    ));
    down.alter(|definition, _| {
        definition.cycle = true;
        Ok::<_, SequenceError>(())
    })
    .unwrap();
    assert_eq!([(); 3].map(|()| down.next().unwrap()), [-1, -4, -7]);
    let five = SequencePosition {
        last: -5,
        called: false,
    };
    down.set(five).unwrap();
    assert_eq!(down.next().unwrap(), -5);
    let far = SequencePosition {
        last: 0,
        called: true,
    };
    assert!(matches!(
        down.set(far),
        Err(SequenceError::OutOfBounds { .. })
    ));
}

#[test]
fn the_greatest_and_the_least_numbers_are_no_overflow() {
    let db = in_memory();
    let all = SequenceDefinition {
        minimum: i64::MIN,
        start: i64::MAX - 1,
        increment: i64::MAX,
        cycle: true,
        ..SequenceDefinition::new("all")
    };
    let all = db.create_sequence(all).unwrap();
    let given = [(); 5].map(|()| all.next().unwrap());
    assert_eq!(given, [i64::MAX - 1, i64::MIN, -1, i64::MAX - 1, i64::MIN]);
}

#[test]
fn a_sequence_that_was_closed_goes_on_where_it_was() {
    let disk = SimDisk::new(7);
    let db = on(&disk);
    let sequence = db.create_sequence(SequenceDefinition::new("s")).unwrap();
    for expected in 1..=40 {
        assert_eq!(sequence.next().unwrap(), expected);
    }
    db.close().unwrap();
    drop((db, sequence));
    let db = on(&disk);
    let sequence = db.sequence("s").unwrap().unwrap();
    assert_eq!(sequence.next().unwrap(), 41);
    assert_eq!(db.collections(), [], "sequences are no collection of users");
}

#[test]
fn after_a_crash_numbers_are_left_out_but_not_given_again() {
    for crash in 0..20 {
        let mut disk = SimDisk::new(crash);
        let mut given = BTreeSet::new();
        let mut greatest = 0;
        for _ in 0..3 {
            let options = on_disk(&disk).durability(Durability::Full);
            let db = Database::open(options).unwrap();
            let sequence = match db.sequence("s").unwrap() {
                Some(sequence) => sequence,
                None => db.create_sequence(SequenceDefinition::new("s")).unwrap(),
            };
            for _ in 0..=crash * 7 {
                let number = sequence.next().unwrap();
                assert!(given.insert(number), "seed {crash}: {number} came again");
                greatest = number;
            }
            // The database goes afterwards: it has not been closed.
            disk = disk.crash(CrashMode::PowerLoss);
        }
        assert!(greatest <= 4 * 4096);
    }
}

#[test]
fn all_who_ask_at_once_get_numbers_of_their_own() {
    let db = in_memory();
    db.create_sequence(SequenceDefinition::new("s")).unwrap();
    let ask = || {
        let sequence = db.sequence("s").unwrap().unwrap();
        (0..1000)
            .map(|_| sequence.next().unwrap())
            .collect::<Vec<_>>()
    };
    let given = std::thread::scope(|scope| {
        let asking = [(); 4].map(|()| scope.spawn(ask));
        asking.map(|asked| asked.join().unwrap())
    });
    let given: BTreeSet<i64> = given.into_iter().flatten().collect();
    assert_eq!(given, (1..=4000).collect());
}

#[test]
fn who_keeps_a_sequence_that_was_dropped_gets_nothing_more() {
    let db = in_memory();
    let old = db.create_sequence(SequenceDefinition::new("s")).unwrap();
    assert!(db.drop_sequence("s").unwrap());
    assert!(!db.drop_sequence("s").unwrap());
    let new = db.create_sequence(SequenceDefinition::new("s")).unwrap();
    assert!(matches!(old.next(), Err(SequenceError::Unknown(_))));
    assert_eq!(new.next().unwrap(), 1);
    assert!(matches!(
        db.create_sequence(SequenceDefinition::new("s")),
        Err(SequenceError::Exists(_))
    ));
}
