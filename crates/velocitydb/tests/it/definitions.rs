//! Definitions in a transaction: all or nothing, seen by it at once and by others when it is committed.

use velocitydb::query::{Filter, Find};
use velocitydb::{
    Alteration, Collection, Database, Definition, Field, FieldType, IndexDefinition, Isolation,
    OnDelete, Openness, Path, Schema, SequenceDefinition, Transaction,
};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{code, in_memory, json, on, text};

fn definition(name: &str, fields: &[Field]) -> Definition {
    Definition::new(name).schema(Schema::new(Openness::Strict, fields.to_vec()).unwrap())
}

fn people() -> Definition {
    definition("people", &[Field::new("name", FieldType::String)])
}

fn unique_name() -> IndexDefinition {
    IndexDefinition::unique("by_name", vec![Path::field("name")])
}

fn insert(transaction: &mut Transaction, id: &str, name: &str) {
    let person = format!(r#"{{"name":"{name}"}}"#);
    transaction
        .insert_with_id("people", id, json(&person))
        .unwrap();
}

/// A database in which Ada (a), Bob (b) and Bob (c) are people.
fn with_people(db: &Database) -> Collection {
    let people = db.create_collection(people()).unwrap().value;
    for (id, name) in [("a", "Ada"), ("b", "Bob"), ("c", "Bob")] {
        let person = format!(r#"{{"name":"{name}"}}"#);
        people.insert_with_id(id, json(&person)).unwrap();
    }
    people
}

/// The documents of a collection as a transaction sees them, by id.
fn seen(transaction: &mut Transaction, collection: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let each = |document: &velocitydb::Document| {
        seen.push(format!("{} {}", document.id(), text(document)));
        true
    };
    let all = Find::new(Filter::All);
    transaction.find_each(collection, &all, each).unwrap();
    seen.sort();
    seen
}

fn all(db: &Database, collection: &str) -> Vec<String> {
    seen(&mut db.begin(Isolation::Snapshot), collection)
}

#[test]
fn a_new_collection_is_its_transactions_own_until_the_commit() {
    let db = in_memory();
    let mut transaction = db.begin(Isolation::Snapshot);
    transaction.create_collection(people()).unwrap();
    transaction.create_index("people", unique_name()).unwrap();
    insert(&mut transaction, "a", "Ada");
    assert_eq!(seen(&mut transaction, "people"), [r#"a {"name":"Ada"}"#]);
    assert_eq!(transaction.count("people").unwrap(), 1);
    assert!(db.collection("people").is_err());
    transaction.commit().unwrap();
    assert_eq!(all(&db, "people"), [r#"a {"name":"Ada"}"#]);
    let again = db
        .collection("people")
        .unwrap()
        .insert(json(r#"{"name":"Ada"}"#));
    assert_eq!(code(again), "unique_violation");
}

#[test]
fn collections_have_numbers_that_others_do_not_know_before_the_commit() {
    let db = Database::in_memory().unwrap();
    with_people(&db);
    let numbers = |all: velocitydb::Collections| -> Vec<_> {
        let all = all.iter();
        all.map(|(id, definition)| (definition.name.clone(), id.is_provisional()))
            .collect()
    };
    let mut open = db.begin(Isolation::ReadCommitted);
    open.create_collection(definition("places", &[])).unwrap();
    let people = ("people".to_owned(), false);
    let place = |own| ("places".to_owned(), own);
    assert_eq!(numbers(open.catalog()), [people.clone(), place(true)]);
    assert_eq!(numbers(db.catalog()), std::slice::from_ref(&people));
    open.commit().unwrap();
    assert_eq!(numbers(db.catalog()), [people, place(false)]);
}

#[test]
fn what_is_rolled_back_never_was() {
    let db = in_memory();
    with_people(&db);
    let before = db.digest();
    let mut transaction = db.begin(Isolation::Snapshot);
    transaction.create_collection(definition("t", &[])).unwrap();
    transaction.drop_index("people", "none").unwrap_err();
    let alteration = Alteration::to(definition("people", &[])).drop("name");
    transaction.alter("people", alteration).unwrap();
    transaction
        .create_sequence(SequenceDefinition::new("s"))
        .unwrap();
    drop(transaction);
    assert_eq!(db.digest(), before);
    assert!(db.sequence("s").unwrap().is_none());
    assert_eq!(all(&db, "people").len(), 3);
}

#[test]
fn a_savepoint_brings_definitions_back() {
    let db = in_memory();
    with_people(&db);
    let mut transaction = db.begin(Isolation::Snapshot);
    transaction
        .create_collection(definition("kept", &[]))
        .unwrap();
    let savepoint = transaction.savepoint();
    transaction.drop_collection("people").unwrap();
    transaction
        .create_collection(definition("people", &[]))
        .unwrap();
    transaction
        .create_collection(definition("lost", &[]))
        .unwrap();
    transaction.drop_collection("kept").unwrap();
    assert!(seen(&mut transaction, "people").is_empty());
    transaction.roll_back_to(savepoint).unwrap();
    assert_eq!(seen(&mut transaction, "people").len(), 3);
    let savepoint = transaction.savepoint();
    transaction.create_index("kept", unique_name()).unwrap();
    transaction.roll_back_to(savepoint).unwrap();
    transaction.commit().unwrap();
    let names = db.collections().into_iter().map(|one| one.name);
    assert_eq!(names.collect::<Vec<_>>(), ["kept", "people"]);
    assert!(
        db.collection("kept")
            .unwrap()
            .definition()
            .unwrap()
            .indexes
            .is_empty()
    );
}

#[test]
fn rows_are_brought_to_a_rule_that_is_made_after_them() {
    let db = in_memory();
    let people = with_people(&db);
    let mut transaction = db.begin(Isolation::ReadCommitted);
    let refused = transaction.create_index("people", unique_name());
    assert_eq!(code(refused), "unique_violation");
    insert(&mut transaction, "d", "Dan");
    transaction.delete("people", "c").unwrap();
    transaction.create_index("people", unique_name()).unwrap();
    // It holds for what follows, at once.
    insert(&mut transaction, "e", "Ada");
    let taken = transaction.taken("people", &velocitydb::Key::parse("e").unwrap());
    assert_eq!(taken.unwrap().unwrap().0.as_deref(), Some("by_name"));
    transaction.delete("people", "e").unwrap();
    transaction.commit().unwrap();
    assert_eq!(people.count().unwrap(), 3);
    assert_eq!(
        code(people.insert(json(r#"{"name":"Dan"}"#))),
        "unique_violation"
    );
    let found = people.get_by_unique("by_name", &["Bob".into()]).unwrap();
    assert_eq!(found.unwrap().id().to_string(), "b");
}

#[test]
fn a_new_column_is_filled_and_then_required() {
    let db = in_memory();
    let people = with_people(&db);
    let name = Field::new("name", FieldType::String);
    let born = Field::new("born", FieldType::Int);
    let mut transaction = db.begin(Isolation::Snapshot);
    insert(&mut transaction, "d", "Dan");
    let wide = definition("people", &[name.clone(), born.clone()]);
    transaction.alter("people", Alteration::to(wide)).unwrap();
    let strict = definition("people", &[name, born.required()]);
    let early = transaction.alter("people", Alteration::to(strict.clone()));
    assert_eq!(code(early), "migration_refused");
    for id in ["a", "b", "c", "d"] {
        let born = velocitydb::Update::new().set("born", 1815);
        transaction.update("people", id, born).unwrap();
    }
    transaction.alter("people", Alteration::to(strict)).unwrap();
    let before = seen(&mut transaction, "people");
    assert_eq!(before[3], r#"d {"born":1815,"name":"Dan"}"#);
    transaction.commit().unwrap();
    assert_eq!(all(&db, "people"), before);
    // Versions go on: one change of each.
    let meta = people.get("a").unwrap().unwrap().meta();
    assert_eq!(
        (
            meta.version,
            people.get("d").unwrap().unwrap().meta().version
        ),
        (2, 1)
    );
    assert_eq!(
        code(people.insert(json(r#"{"name":"Eve"}"#))),
        "schema_violation"
    );
}

#[test]
fn a_reference_may_be_made_to_documents_of_the_same_transaction() {
    let db = in_memory();
    let people = with_people(&db);
    let mut transaction = db.begin(Isolation::Snapshot);
    let fields = [
        Field::new("id", FieldType::String),
        Field::new("n", FieldType::Int),
    ];
    let key = definition("names", &fields).primary_key("id");
    transaction.create_collection(key).unwrap();
    transaction
        .insert("names", json(r#"{"id":"Ada"}"#))
        .unwrap();
    let name = Field::new("name", FieldType::String).references("names", OnDelete::Restrict);
    let refers = definition("people", &[name]);
    let early = transaction.alter("people", Alteration::to(refers.clone()));
    assert_eq!(code(early), "reference_violation");
    transaction
        .insert("names", json(r#"{"id":"Bob"}"#))
        .unwrap();
    transaction.alter("people", Alteration::to(refers)).unwrap();
    transaction.commit().unwrap();
    assert_eq!(
        code(people.insert(json(r#"{"name":"Eve"}"#))),
        "reference_violation"
    );
    assert_eq!(
        code(db.collection("names").unwrap().delete("Ada")),
        "reference_violation"
    );
}

#[test]
fn what_others_defined_meanwhile_refuses_the_whole_transaction() {
    let db = in_memory();
    with_people(&db);
    // The name is taken.
    let mut transaction = db.begin(Isolation::Snapshot);
    transaction.create_collection(definition("t", &[])).unwrap();
    transaction.delete("people", "a").unwrap();
    db.create_collection(definition("t", &[])).unwrap();
    assert_eq!(code(transaction.commit()), "collection_exists");
    // The collection is another one.
    let mut transaction = db.begin(Isolation::Snapshot);
    transaction
        .create_index(
            "people",
            IndexDefinition::hash("h", vec![Path::field("name")]),
        )
        .unwrap();
    db.collection("people")
        .unwrap()
        .alter(Alteration::to(people().expire_after(1000)))
        .unwrap();
    assert_eq!(code(transaction.commit()), "definition_changed");
    // A document has come that does not fit.
    let mut transaction = db.begin(Isolation::Snapshot);
    transaction.delete("people", "c").unwrap();
    transaction.create_index("people", unique_name()).unwrap();
    db.collection("people")
        .unwrap()
        .insert(json(r#"{"name":"Ada"}"#))
        .unwrap();
    assert_eq!(code(transaction.commit()), "unique_violation");
    assert_eq!(all(&db, "people").len(), 4);
    assert!(
        db.collection("people")
            .unwrap()
            .definition()
            .unwrap()
            .indexes
            .is_empty()
    );
}

#[test]
fn under_read_committed_it_goes_on_over_what_others_define() {
    let db = in_memory();
    let mut transaction = db.begin(Isolation::ReadCommitted);
    transaction.create_collection(people()).unwrap();
    insert(&mut transaction, "a", "Ada");
    db.create_collection(definition("other", &[])).unwrap();
    transaction.refresh();
    assert_eq!(seen(&mut transaction, "people").len(), 1);
    assert!(seen(&mut transaction, "other").is_empty());
    transaction.commit().unwrap();
    assert_eq!(all(&db, "people").len(), 1);
}

#[test]
fn all_of_it_is_there_after_a_crash_or_nothing() {
    let disk = SimDisk::new(7);
    let db = on(&disk);
    with_people(&db);
    let mut transaction = db.begin(Isolation::Snapshot);
    transaction
        .create_collection(definition("gone", &[]))
        .unwrap();
    transaction
        .create_collection(definition("kept", &[Field::new("n", FieldType::Int)]))
        .unwrap();
    transaction.insert("kept", json(r#"{"n":1}"#)).unwrap();
    transaction.drop_collection("gone").unwrap();
    transaction.delete("people", "c").unwrap();
    transaction.create_index("people", unique_name()).unwrap();
    let born = Field::new("born", FieldType::Int);
    let wide = definition("people", &[Field::new("name", FieldType::String), born]);
    let wide = Definition {
        indexes: vec![unique_name()],
        ..wide
    };
    transaction.alter("people", Alteration::to(wide)).unwrap();
    let hash = IndexDefinition::hash("h", vec![Path::field("born")]);
    transaction.create_index("people", hash).unwrap();
    let update = velocitydb::Update::new().set("born", 1815);
    transaction.update("people", "a", update).unwrap();
    let sequence = transaction
        .create_sequence(SequenceDefinition::new("s"))
        .unwrap();
    assert_eq!((sequence.next().unwrap(), sequence.next().unwrap()), (1, 2));
    transaction.commit().unwrap();
    assert_eq!(db.sequence("s").unwrap().unwrap().next().unwrap(), 3);
    db.sync().unwrap();
    let mut open = db.begin(Isolation::Snapshot);
    open.drop_collection("kept").unwrap();
    let digest = db.digest();
    let disk = disk.crash(CrashMode::Process);
    let after = on(&disk);
    assert_eq!(after.digest(), digest);
    assert_eq!(all(&after, "people"), all(&db, "people"));
    assert_eq!(all(&after, "kept").len(), 1);
    assert_eq!(
        code(
            after
                .collection("people")
                .unwrap()
                .insert(json(r#"{"name":"Ada"}"#))
        ),
        "unique_violation"
    );
    assert!(after.sequence("s").unwrap().unwrap().next().unwrap() > 3);
    // From a checkpoint too.
    after.checkpoint().unwrap();
    let (digest, names) = (after.digest(), after.collections().len());
    let disk = disk.crash(CrashMode::Process);
    let last = on(&disk);
    assert_eq!((last.digest(), last.collections().len()), (digest, names));
    last.create_collection(definition("next", &[])).unwrap();
}

#[test]
fn sequences_come_and_go_with_it() {
    let db = in_memory();
    db.create_sequence(SequenceDefinition::new("old")).unwrap();
    let mut transaction = db.begin(Isolation::ReadCommitted);
    transaction
        .create_sequence(SequenceDefinition::new("new"))
        .unwrap();
    assert!(
        transaction
            .create_sequence(SequenceDefinition::new("old"))
            .is_err()
    );
    let savepoint = transaction.savepoint();
    assert!(transaction.drop_sequence("old").unwrap());
    assert!(transaction.drop_sequence("new").unwrap());
    assert!(transaction.sequences().unwrap().is_empty());
    transaction.roll_back_to(savepoint).unwrap();
    assert_eq!(
        transaction
            .sequence("new")
            .unwrap()
            .unwrap()
            .next()
            .unwrap(),
        1
    );
    assert!(transaction.drop_sequence("old").unwrap());
    assert!(db.sequence("new").unwrap().is_none());
    let old = db.sequence("old").unwrap().unwrap();
    transaction.commit().unwrap();
    assert!(old.next().is_err() && db.sequence("old").unwrap().is_none());
    assert_eq!(db.sequence("new").unwrap().unwrap().next().unwrap(), 2);
}

#[test]
fn a_sequence_that_is_renamed_goes_on_under_its_new_name() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    let old = db.create_sequence(SequenceDefinition::new("old")).unwrap();
    assert_eq!(old.next().unwrap(), 1);
    let mut transaction = db.begin(Isolation::ReadCommitted);
    transaction.rename_sequence("old", "new").unwrap();
    assert!(transaction.sequence("old").unwrap().is_none());
    let names = |all: Vec<SequenceDefinition>| all.into_iter().map(|one| one.name);
    assert_eq!(
        names(transaction.sequences().unwrap()).collect::<Vec<_>>(),
        ["new"]
    );
    // All take numbers of the one sequence, of this transaction and of others.
    let own = transaction.sequence("new").unwrap().unwrap();
    for number in 2..1_000 {
        let of = if number % 2 == 0 { &own } else { &old };
        assert_eq!(of.next().unwrap(), number);
    }
    assert!(db.sequence("new").unwrap().is_none());
    transaction.commit().unwrap();
    assert!(db.sequence("old").unwrap().is_none());
    assert_eq!(db.sequence("new").unwrap().unwrap().next().unwrap(), 1_000);
    assert_eq!(old.next().unwrap(), 1_001);
    drop((db, own, old));
    let db = on(&disk.crash(CrashMode::Process));
    assert!(db.sequence("old").unwrap().is_none());
    assert!(db.sequence("new").unwrap().unwrap().next().unwrap() > 1_001);
}

#[test]
fn numbers_are_given_while_a_transaction_says_something_else_of_their_sequence() {
    for isolation in [
        Isolation::ReadCommitted,
        Isolation::Snapshot,
        Isolation::Serializable,
    ] {
        let db = in_memory();
        let sequence = db.create_sequence(SequenceDefinition::new("s")).unwrap();
        let describe = |transaction: &mut Transaction, comment: &str| {
            transaction.alter_sequence("s", |definition, _| {
                definition.comment = Some(comment.to_owned());
                Ok::<_, velocitydb::SequenceError>(())
            })
        };
        let mut transaction = db.begin(isolation);
        describe(&mut transaction, "numbers of orders").unwrap();
        // More than were written down with the first.
        let given = [(); 100].map(|()| sequence.next().unwrap());
        assert_eq!(given.last(), Some(&100));
        transaction.commit().unwrap();
        let described = sequence.definition().comment;
        assert_eq!(described.as_deref(), Some("numbers of orders"));
        assert_eq!(sequence.next().unwrap(), 101);

        // What another says of it meanwhile is not lost.
        let mut transaction = db.begin(isolation);
        describe(&mut transaction, "late").unwrap();
        sequence.describe(Some("early".to_owned())).unwrap();
        assert_eq!(code(transaction.commit()), "conflict");
        assert_eq!(sequence.definition().comment.as_deref(), Some("early"));

        let mut transaction = db.begin(isolation);
        assert!(transaction.drop_sequence("s").unwrap());
        while sequence.next().unwrap() < 10_000 {}
        transaction.commit().unwrap();
        assert!(db.sequence("s").unwrap().is_none());
    }
}
