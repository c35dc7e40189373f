//! Collections that get another name: whoever names them follows, in one entry of the log.

use velocitydb::query::{Filter, Find};
use velocitydb::{
    Alteration, ChangeKind, Collection, Database, Definition, Error, Field, FieldType,
    IndexDefinition, Isolation, Openness, Path, Schema, SequenceDefinition, SequenceOwner, Update,
};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{code, create, in_memory, json, on, read};

/// The alteration that renames, and nothing else.
fn to(collection: &Collection, name: &str) -> Alteration {
    Alteration::to(Definition {
        name: name.into(),
        ..collection.definition().unwrap()
    })
}

/// A field that refers.
fn field(name: &str, collection: &str) -> Field {
    let reference = serde_json::from_str(&format!(r#"{{"collection":"{collection}"}}"#));
    Field {
        references: Some(reference.unwrap()),
        ..Field::new(name, FieldType::String)
    }
}

/// `teams`, which refer to themselves, and `people`, who refer to both by two fields to teams.
fn teams_and_people(db: &Database) {
    let open = |fields| Schema::new(Openness::Open, fields).unwrap();
    let parent = Definition::new("teams").schema(open(vec![field("parent", "teams")]));
    let teams = db.create_collection(parent).unwrap().value;
    let fields = vec![field("team", "teams"), field("former", "teams")];
    let people = Definition::new("people").schema(open(fields));
    let people = db.create_collection(people).unwrap().value;
    teams.insert_with_id("a", json("{}")).unwrap();
    teams
        .insert_with_id("b", json(r#"{"parent":"a"}"#))
        .unwrap();
    people
        .insert_with_id("ada", json(r#"{"team":"b"}"#))
        .unwrap();
}

fn names(db: &Database) -> Vec<String> {
    db.collections().into_iter().map(|one| one.name).collect()
}

#[test]
fn references_follow_also_after_a_restart_from_the_log_and_from_a_checkpoint() {
    for checkpoint in [None, Some(false), Some(true)] {
        let disk = SimDisk::new(1);
        let db = on(&disk);
        teams_and_people(&db);
        if checkpoint == Some(false) {
            db.checkpoint().unwrap();
        }
        let before = db.snapshot();
        let teams = db.collection("teams").unwrap();
        teams.alter(to(&teams, "groups")).unwrap();
        assert_eq!(code(teams.get("a")), "unknown_collection");
        assert!(
            before
                .collection("teams")
                .unwrap()
                .get("a")
                .unwrap()
                .is_some()
        );
        assert!(before.collection("groups").is_err());
        // The name is free.
        create(&db, "teams");
        if checkpoint == Some(true) {
            db.checkpoint().unwrap();
        }
        let digest = db.digest();
        let db = on(&disk.crash(CrashMode::Process));
        assert_eq!(db.digest(), digest);
        assert_eq!(names(&db), ["groups", "people", "teams"]);
        let (groups, people) = (db.collection("groups"), db.collection("people"));
        let (groups, people) = (groups.unwrap(), people.unwrap());
        for (collection, field) in [(&groups, "parent"), (&people, "team"), (&people, "former")] {
            let definition = collection.definition().unwrap();
            let reference = definition.schema.field(field).unwrap().references.clone();
            assert_eq!(reference.unwrap().collection, "groups", "{field}");
        }
        let missing = people.insert_with_id("bob", json(r#"{"former":"c"}"#));
        assert_eq!(code(missing), "reference_violation");
        assert_eq!(code(groups.delete("b")), "reference_violation");
        let error = db.drop_collection("groups").unwrap_err().to_string();
        assert!(error.contains("\"people\" refers to \"groups\""), "{error}");
        people.update("ada", Update::new().unset("team")).unwrap();
        groups.delete("b").unwrap();
        db.drop_collection("teams").unwrap();
    }
}

#[test]
fn a_name_that_is_taken_and_a_reference_that_would_not_hold_refuse_it() {
    let db = in_memory();
    teams_and_people(&db);
    let teams = db.collection("teams").unwrap();
    let digest = db.digest();
    let taken = teams.alter(to(&teams, "people"));
    assert_eq!(code(taken), "collection_exists");
    assert_eq!(code(teams.alter(to(&teams, "_x"))), "invalid_definition");
    let mut expiring = to(&teams, "groups");
    expiring.definition = expiring.definition.schema(Schema::open()).expire_after(60);
    let error = teams.alter(expiring).unwrap_err().to_string();
    assert!(error.contains("\"people\" refers to them"), "{error}");
    assert_eq!(db.digest(), digest);
    assert_eq!(names(&db), ["people", "teams"]);
}

#[test]
fn documents_may_change_in_the_same_step() {
    let db = in_memory();
    let old = create(&db, "old");
    old.create_index(IndexDefinition::btree("by_n", [Path::field("n")]))
        .unwrap();
    old.insert_with_id("a", [("n", "5".into())]).unwrap();
    let schema = Schema::new(Openness::Open, vec![Field::new("n", FieldType::Int)]).unwrap();
    let mut alteration = to(&old, "new");
    alteration.definition = alteration.definition.schema(schema);
    old.alter(alteration).unwrap();
    let new = db.collection("new").unwrap();
    assert_eq!(read(&new, "a").unwrap(), r#"{"n":5}"#);
    let find = Find::new(Filter::Eq(Path::field("n"), 5.into()));
    let explained = format!("{:?}", new.explain(&find).unwrap());
    assert!(explained.contains("by_n"), "{explained}");
}

#[test]
fn a_transaction_that_began_before_is_tried_again_or_knows_the_old_name() {
    let db = in_memory();
    let a = create(&db, "a");
    a.insert_with_id(1, json("{}")).unwrap();
    let mut reads = db.begin(Isolation::Snapshot);
    let mut writes = db.begin(Isolation::Snapshot);
    writes.update("a", 1, Update::new().set("n", 1)).unwrap();
    a.alter(to(&a, "b")).unwrap();
    assert!(reads.get("a", 1).unwrap().is_some(), "its snapshot has it");
    let error: Error = writes.commit().unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[test]
fn who_follows_the_old_name_is_told_the_new_one() {
    let db = in_memory();
    teams_and_people(&db);
    let teams = db.collection("teams").unwrap();
    let mut one = teams.changes().open().unwrap();
    let mut all = db.changes().open().unwrap();
    teams.alter(to(&teams, "groups")).unwrap();
    let groups = db.collection("groups").unwrap();
    groups.insert_with_id("c", json("{}")).unwrap();
    let mut told = Vec::new();
    while let Some(change) = all.try_next().unwrap() {
        let name = change.definition.map(|definition| definition.name.clone());
        told.push((change.collection.to_string(), name));
    }
    let some = |name: &str| Some(name.to_owned());
    let expected = [
        ("teams".to_owned(), some("groups")),
        ("people".to_owned(), some("people")),
        ("groups".to_owned(), None),
    ];
    assert_eq!(told, expected);
    let last = one.try_next().unwrap().unwrap();
    assert_eq!(last.kind, ChangeKind::CollectionAltered);
    assert_eq!(last.definition.unwrap().name, "groups");
    assert!(one.try_next().unwrap().is_none());
}

#[test]
fn sequences_follow_their_columns_and_go_on() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    let schema = Schema::new(Openness::Open, vec![Field::new("id", FieldType::Int)]).unwrap();
    let t = db.create_collection(Definition::new("t").schema(schema));
    let t = t.unwrap().value;
    let owned = |name: &str, collection: &str| SequenceDefinition {
        owner: Some(SequenceOwner {
            collection: collection.into(),
            field: "id".into(),
        }),
        ..SequenceDefinition::new(name)
    };
    let used = db.create_sequence(owned("used", "t")).unwrap();
    db.create_sequence(owned("other", "x")).unwrap();
    assert_eq!(used.next().unwrap(), 1);
    // The field and the collection get other names at once.
    let schema = Schema::new(Openness::Open, vec![Field::new("no", FieldType::Int)]).unwrap();
    let mut alteration = to(&t, "u").rename("id", "no");
    alteration.definition = alteration.definition.schema(schema);
    t.alter(alteration).unwrap();
    let owner = |db: &Database, name: &str| {
        let owner = db.sequence(name).unwrap().unwrap().definition().owner;
        owner.map(|owner| (owner.collection, owner.field)).unwrap()
    };
    assert_eq!(owner(&db, "used"), ("u".to_owned(), "no".to_owned()));
    // Numbers that are written down afterwards leave it so.
    for n in 2..100 {
        assert_eq!(used.next().unwrap(), n);
    }
    let db = on(&disk.crash(CrashMode::Process));
    assert_eq!(owner(&db, "used"), ("u".to_owned(), "no".to_owned()));
    assert_eq!(owner(&db, "other"), ("x".to_owned(), "id".to_owned()));
    let next = db.sequence("used").unwrap().unwrap().next().unwrap();
    assert!(next >= 100, "{next} was given before");
}
