//! What is asked for wrongly gets an answer, never a panic.

use velocitydb::{Consistency, Database, Definition, Durability, Options, StorageMode, Update};

use crate::support::{code, create, in_memory};

#[test]
fn a_mode_on_disk_needs_a_directory() {
    for mode in [StorageMode::MemoryFirst, StorageMode::Persistent] {
        assert_eq!(
            code(Database::open(Options::in_memory().mode(mode))),
            "invalid_request"
        );
    }
    assert_eq!(code("hybrid".parse::<StorageMode>()), "invalid_request");
}

#[test]
fn levels_have_names() {
    for level in Durability::ALL {
        assert_eq!(level.name().parse::<Durability>().unwrap(), level);
    }
    for level in Consistency::ALL {
        assert_eq!(level.name().parse::<Consistency>().unwrap(), level);
    }
    assert_eq!(code("most".parse::<Durability>()), "invalid_request");
    assert_eq!(code("most".parse::<Consistency>()), "invalid_request");
}

#[test]
fn an_index_that_was_never_written_is_not_waited_for() {
    let disk = velocitydb_sim::SimDisk::new(1);
    for db in [in_memory(), crate::support::on(&disk)] {
        let index = db.create_collection(Definition::new("a")).unwrap().index;
        db.wait_for(index).unwrap();
        db.wait_for(0).unwrap();
        assert_eq!(code(db.wait_for(index + 1)), "invalid_request");
        assert_eq!(code(db.wait_for(u64::MAX)), "invalid_request");
    }
}

#[test]
fn a_key_that_is_too_long_is_refused() {
    let db = in_memory();
    let notes = create(&db, "notes");
    let long = "x".repeat((64 << 10) + 1);
    assert_eq!(code(notes.insert_with_id(&long, [])), "invalid_request");
    assert_eq!(code(notes.get(&long)), "invalid_request");
    assert_eq!(code(notes.update(&long, Update::new())), "invalid_request");
    notes
        .insert_with_id("x".repeat((64 << 10) - 10), [])
        .unwrap();
}
